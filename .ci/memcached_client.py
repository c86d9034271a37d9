#!/usr/bin/env python3
"""Checks the memcached example: its answers to exact bytes, its limits, and the tools of libmemcached.

Starts target/release/examples/memcached (or the binary given) on a port chosen by the system.
"""

import argparse
import concurrent.futures
import re
import shutil
import socket
import subprocess
import threading


CONNECTIONS_MAX = 1024


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)

    def ask(self, request, answer):
        """Sends a request and compares the answer to the byte."""
        self.socket.sendall(request)
        self.expect(answer)

    def expect(self, answer):
        got = b""
        while len(got) < len(answer):
            part = self.socket.recv(len(answer) - len(got))
            assert part, f"closed after {got[:200]!r}"
            got += part
        assert got == answer, f"got {got[:200]!r}, not {answer[:200]!r}"

    def gone(self):
        assert self.socket.recv(1) == b"", "still open"


def commands(port):
    client = Client(port)
    client.ask(b"get a\r\n", b"END\r\n")
    client.ask(b"set a 5 0 3\r\nabc\r\n", b"STORED\r\n")
    client.ask(b"get a b a\r\n", b"VALUE a 5 3\r\nabc\r\nVALUE a 5 3\r\nabc\r\nEND\r\n")
    client.ask(b"add a 0 0 1\r\nx\r\n", b"NOT_STORED\r\n")
    client.ask(b"replace b 0 0 1\r\nx\r\n", b"NOT_STORED\r\n")
    client.ask(b"append a 9 0 1\r\n>\r\n", b"STORED\r\n")
    client.ask(b"prepend a 9 0 1\r\n<\r\n", b"STORED\r\n")
    client.ask(b"get a\r\n", b"VALUE a 5 5\r\n<abc>\r\nEND\r\n")
    client.socket.sendall(b"gets a\r\n")
    line = client.socket.makefile("rb", buffering=0).readline()
    cas = int(line.split()[4])
    client.expect(b"<abc>\r\nEND\r\n")
    client.ask(b"cas a 0 0 1 %d\r\n1\r\n" % (cas + 999), b"EXISTS\r\n")
    client.ask(b"cas a 0 0 2 %d\r\n18\r\n" % cas, b"STORED\r\n")
    client.ask(b"cas nobody 0 0 1 1\r\n1\r\n", b"NOT_FOUND\r\n")
    client.ask(b"incr a 5\r\n", b"23\r\n")
    client.ask(b"decr a 24\r\n", b"0\r\n")
    client.ask(b"set a 0 0 20\r\n18446744073709551615\r\n", b"STORED\r\n")
    client.ask(b"incr a 2\r\n", b"1\r\n")
    client.ask(b"incr nobody 2\r\n", b"NOT_FOUND\r\n")
    client.ask(b"incr a x\r\n", b"CLIENT_ERROR invalid numeric delta argument\r\n")
    client.ask(b"set a 0 0 1\r\nx\r\n", b"STORED\r\n")
    client.ask(
        b"incr a 1\r\n",
        b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n",
    )
    client.ask(b"touch a -1\r\nget a\r\n", b"TOUCHED\r\nEND\r\n")
    client.ask(b"touch a 9\r\n", b"NOT_FOUND\r\n")
    client.ask(b"set a 0 -1 1\r\nx\r\nget a\r\n", b"STORED\r\nEND\r\n")
    client.ask(b"set a 0 2592000 1\r\nx\r\n", b"STORED\r\n")
    client.ask(b"set b 0 2592001 1\r\nx\r\n", b"STORED\r\n")
    client.ask(b"get a b\r\n", b"VALUE a 0 1\r\nx\r\nEND\r\n")
    client.ask(b"delete a\r\ndelete a\r\n", b"DELETED\r\nNOT_FOUND\r\n")
    client.ask(b"set a 0 0 1 noreply\r\nx\r\nget a\r\n", b"VALUE a 0 1\r\nx\r\nEND\r\n")
    client.ask(b"flush_all 60\r\nget a\r\n", b"OK\r\nVALUE a 0 1\r\nx\r\nEND\r\n")
    client.ask(b"flush_all\r\nget a\r\n", b"OK\r\nEND\r\n")
    client.ask(b"set a 0 0 0\r\n\r\nget a\r\n", b"STORED\r\nVALUE a 0 0\r\n\r\nEND\r\n")
    client.ask(b"verbosity 1\r\nnonsense\r\n\r\nget\r\n", b"OK\r\nERROR\r\nERROR\r\nERROR\r\n")
    client.socket.sendall(b"quit\r\n")
    client.gone()


def limits(port):
    client = Client(port)
    bad_line = b"CLIENT_ERROR bad command line format\r\n"
    long = b"k" * 250
    client.ask(b"set %s 0 0 1\r\nx\r\n" % long, b"STORED\r\n")
    client.ask(b"get %sx\r\n" % long, bad_line)
    client.ask(b"set %sx 0 0 5\r\nquit\n\r\nversion\r\n" % long, bad_line + b"VERSION 1.4.8-oneloop\r\n")
    most = b"v" * (1 << 20)
    client.ask(b"set big 0 0 %d\r\n%s\r\n" % (len(most), most), b"STORED\r\n")
    client.ask(b"get big\r\n", b"VALUE big 0 %d\r\n%s\r\nEND\r\n" % (len(most), most))
    too_large = b"SERVER_ERROR object too large for cache\r\n"
    client.ask(b"append big 0 0 1\r\nx\r\n", too_large)
    # What a set was to replace is gone, though its value is refused; other commands leave it.
    client.ask(b"replace big 0 0 %d\r\n%sx\r\n" % (len(most) + 1, most), too_large)
    client.ask(b"get big\r\n", b"VALUE big 0 %d\r\n%s\r\nEND\r\n" % (len(most), most))
    client.ask(b"set big 0 0 %d\r\n%sx\r\nget big\r\n" % (len(most) + 1, most), too_large + b"END\r\n")
    client.ask(b"set a 0 0 3\r\nabcdef\r\nget none\r\n", b"CLIENT_ERROR bad data chunk\r\nEND\r\n")
    # A byte at a time.
    for byte in b"set slow 0 0 3\r\nabc\r\n":
        client.socket.sendall(bytes([byte]))
    client.expect(b"STORED\r\n")
    # The answer and the end, also for one who goes on sending.
    client.ask(b"get " + b"x" * 1_000_000, b"CLIENT_ERROR line too long\r\n")
    client.gone()


def statistics(client):
    client.socket.sendall(b"stats\r\n")
    text = b""
    while not text.endswith(b"END\r\n"):
        text += client.socket.recv(65536)
    return dict(re.findall(rb"STAT (\w+) (\d+)", text))


def assert_within(stats, mib):
    assert int(stats[b"bytes"]) <= int(stats[b"limit_maxbytes"]) <= mib << 20, stats


def memory(port, mib):
    """Four times the memory goes in; what was used last is there, and no more than the limit."""
    client = Client(port)
    value = b"v" * 100_000
    count = 4 * mib * (1 << 20) // len(value)
    for number in range(count):
        client.ask(b"set m%d 0 0 %d\r\n%s\r\n" % (number, len(value), value), b"STORED\r\n")
        client.ask(b"get m0\r\n", b"VALUE m0 0 %d\r\n%s\r\nEND\r\n" % (len(value), value))
    client.ask(b"get m1\r\n", b"END\r\n")
    stats = statistics(client)
    assert_within(stats, mib)
    assert int(stats[b"evictions"]) >= count // 2, stats


def smallest(port):
    """With 1 MiB the largest value alone fills the memory: there is no room for its key."""
    client = Client(port)
    value = b"v" * (1 << 20)
    too_large = b"SERVER_ERROR object too large for cache\r\n"
    client.ask(b"set a 0 0 1\r\nx\r\n", b"STORED\r\n")
    client.ask(b"set big 0 0 %d\r\n%s\r\n" % (len(value), value), too_large)
    client.ask(b"add big 0 0 %d\r\n%s\r\n" % (len(value), value), too_large)
    client.ask(b"replace a 0 0 %d\r\n%s\r\n" % (len(value), value), too_large)
    client.ask(b"get a big\r\n", b"VALUE a 0 1\r\nx\r\nEND\r\n")
    client.ask(b"set a 0 0 %d\r\n%s\r\nget a\r\n" % (len(value), value), too_large + b"END\r\n")
    less = value[:-1000]
    client.ask(b"set big 0 0 %d\r\n%s\r\n" % (len(less), less), b"STORED\r\n")
    client.ask(b"append big 0 0 1000\r\n%s\r\n" % value[:1000], too_large)
    client.ask(b"get big\r\n", b"VALUE big 0 %d\r\n%s\r\nEND\r\n" % (len(less), less))
    assert_within(statistics(client), 1)


def pipelines(port, number):
    """A thousand commands at once, and answers larger than all buffers together."""
    client = Client(port)
    value = b"%d" % number * 5000
    requests = b"".join(
        b"set p%d 0 0 %d\r\n%s\r\nget p%d\r\n" % (number, len(value), value, number)
        for _ in range(1000)
    )
    sender = threading.Thread(target=client.socket.sendall, args=(requests,))
    sender.start()
    client.expect(
        b"STORED\r\nVALUE p%d 0 %d\r\n%s\r\nEND\r\n" % (number, len(value), value) * 1000
    )
    sender.join()


def full(port):
    """One more than there are places reads why it is closed, though its request was not read."""
    served, refused = [], 0
    while refused < 10:
        client = Client(port)
        client.socket.sendall(b"set a 0 0 1000\r\n" + b"x" * 1000 + b"\r\n")
        if client.socket.recv(1, socket.MSG_PEEK) == b"S":
            client.expect(b"STORED\r\n")
            served.append(client)
            assert len(served) <= CONNECTIONS_MAX, "there is no limit"
            continue
        client.expect(b"ERROR Too many open connections\r\n")
        client.gone()
        refused += 1
    for client in served:
        client.socket.close()


def tools(port):
    if not shutil.which("memccapable"):
        print("memcached: libmemcached's tools are not there, skipped")
        return
    for tool in (
        ["memccapable", "-a", "-h", "127.0.0.1", "-p", str(port)],
        ["memcping", f"--servers=127.0.0.1:{port}"],
        ["memcstat", f"--servers=127.0.0.1:{port}"],
        ["memcslap", f"--servers=127.0.0.1:{port}", "--concurrency=8", "--execute-number=1000"],
    ):
        done = subprocess.run(tool, capture_output=True, text=True, timeout=60)
        output = done.stdout + done.stderr
        assert done.returncode == 0 and "FAIL" not in output, f"{tool}: {output}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", default="target/release/examples/memcached")
    parser.add_argument("--memory-mib", type=int, default=16)
    options = parser.parse_args()
    mib = options.memory_mib
    check(options.binary, mib, lambda port: all_of(port, mib))
    check(options.binary, 1, smallest)
    print("memcached: ok")


def all_of(port, mib):
    commands(port)
    limits(port)
    memory(port, mib)
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: pipelines(port, number), range(8)))
    tools(port)
    full(port)


def check(binary, mib, checks):
    """Runs the checks on a server of its own."""
    command = [binary, "--addr", "127.0.0.1:0", "--memory-mib", str(mib)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        port = int(re.search(r":(\d+) ", server.stdout.readline()).group(1))
        checks(port)
        assert server.poll() is None, "the server ended"
    finally:
        server.kill()
        server.wait()


if __name__ == "__main__":
    main()
