#!/usr/bin/env python3
"""A server that resets in the middle of an answer, behind the proxy: its client reads what came, and
then the reset, not an end. Usage: .ci/cut_download.py PROXY"""

import re
import socket
import struct
import subprocess
import sys

PART = b"a part of the answer"


def main():
    upstream = socket.create_server(("127.0.0.1", 0))
    upstream.settimeout(20)
    to = "127.0.0.1:%d" % upstream.getsockname()[1]
    proxy = subprocess.Popen(
        [sys.argv[1], "--listen", "127.0.0.1:0", "--to", to], stdout=subprocess.PIPE, text=True
    )
    try:
        port = re.search(r"127\.0\.0\.1:(\d+) to", proxy.stdout.readline()).group(1)
        client = socket.create_connection(("127.0.0.1", int(port)), timeout=20)
        server, _ = upstream.accept()
        server.sendall(PART)
        got = b""
        while len(got) < len(PART):
            got += client.recv(100)
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
