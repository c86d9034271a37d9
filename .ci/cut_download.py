#!/usr/bin/env python3
"""A server that resets in the middle of an answer, behind the proxy: its client reads what came, and
then the reset, not an end. Usage: .ci/cut_download.py PROXY"""

import re
import signal
import socket
import struct
import subprocess
import sys

PART = b"a part of the answer"
# Seconds for all of it.
DEADLINE = 20


def late(*_):
    raise TimeoutError(f"not done after {DEADLINE} s")


def main():
    signal.signal(signal.SIGALRM, late)
    signal.alarm(DEADLINE)
    upstream = socket.create_server(("127.0.0.1", 0))
    to = "127.0.0.1:%d" % upstream.getsockname()[1]
    proxy = subprocess.Popen(
        [sys.argv[1], "--listen", "127.0.0.1:0", "--to", to], stdout=subprocess.PIPE, text=True
    )
    try:
        line = proxy.stdout.readline()
        port = re.search(r"127\.0\.0\.1:(\d+) to", line)
        assert port, f"the proxy prints {line!r}"
        client = socket.create_connection(("127.0.0.1", int(port.group(1))))
        server, _ = upstream.accept()
        server.sendall(PART)
        got = b""
        while len(got) < len(PART):
            part = client.recv(100)
            assert part, f"an end after {got!r}"
            got += part
        assert got == PART, got
        server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        server.close()
        try:
            sys.exit("cut_download: after the part came %r, and no reset" % client.recv(100))
        except ConnectionResetError:
            print("cut_download: a reset goes through the proxy")
    finally:
        proxy.kill()
        proxy.wait()


main()
