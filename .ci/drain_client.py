#!/usr/bin/env python3
"""Checks graceful and idle_kick: clients that take every descriptor before the server is ready, the
drain, and who is put out.

Starts them from target/release/examples (or the folder given), on ports chosen by the system.
"""

import argparse
import os
import re
import signal
import socket
import subprocess
import time

# What the loops and the signals need, and some connections.
DESCRIPTORS = 64
WAITING = 100
DEADLINE = 20


def listener():
    """With clients that wait before there is a server: each sends a line."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=2 * WAITING)
    clients = [connect(listening.getsockname()[1]) for _ in range(WAITING)]
    for client in clients:
        client.sendall(b"hello\n")
    return listening, clients


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)


def start(*command, pass_fds=()):
    """The process and its port."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, pass_fds=pass_fds)
    first = process.stdout.readline()
    found = re.search(r"127\.0\.0\.1:(\d+)", first)
    assert found, f"{command}: {first!r}, exit code {process.wait()}"
    return process, int(found.group(1))


def read_to_end(client):
    got = b""
    while part := client.recv(65536):
        got += part
    return got


def full_from_the_start(folder):
    """The server lives, and hears the signal, though clients left it no descriptor."""
    listening, clients = listener()
    number = listening.fileno()
    # As a service manager does it.
    script = 'ulimit -n "$0"; LISTEN_FDS=1 LISTEN_PID=$$ exec "$1" 3<&"$2"'
    command = ["sh", "-c", script, str(DESCRIPTORS), f"{folder}/graceful", str(number)]
    server, _ = start(*command, pass_fds=[number])
    try:
        listening.close()
        first = clients[0].recv(6)
        assert first == b"hello\n", first
        # As many as there are descriptors for, one after the other.
        for client in clients:
            client.shutdown(socket.SHUT_WR)
        for client in clients[1:]:
            assert read_to_end(client) == b"hello\n"
        assert server.poll() is None, f"exit code {server.returncode}"
        server.send_signal(signal.SIGTERM)
        output, _ = server.communicate(timeout=DEADLINE)
        assert server.returncode == 0 and "draining" in output, output
    finally:
        server.kill()
        server.wait()


def drain(folder):
    """Work is finished, an idle client is closed, and further signals change nothing."""
    server, port = start(f"{folder}/graceful", "127.0.0.1:0")
    try:
        idle, half, works = connect(port), connect(port), connect(port)
        half.sendall(b"work 1\n")
        half.shutdown(socket.SHUT_WR)
        works.sendall(b"work 1\nagain\n")
        # Until both have been read; who asks is busy, too.
        lines = idle.makefile("rb")
        states = b""
        while states.count(b"Busy") < 3:
            idle.sendall(b"who\nend\n")
            states = b"".join(iter(lines.readline, b"end\n"))
        server.send_signal(signal.SIGTERM)
        assert read_to_end(idle) == b""
        server.send_signal(signal.SIGTERM)
        server.send_signal(signal.SIGINT)
        assert read_to_end(half) == b"work 1\n"
        assert read_to_end(works) == b"work 1\nagain\n"
        output, _ = server.communicate(timeout=DEADLINE)
        assert server.returncode == 0 and "1 idle, 2 finished, 0 cut" in output, output
    finally:
        server.kill()
        server.wait()


def is_put_out(client):
    """Sends what the connection takes."""
    try:
        while True:
            client.send(bytes(65536))
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def put_out(folder):
    """Who says nothing is told why; who does not read is put out as well."""
    server, port = start(f"{folder}/idle_kick", "127.0.0.1:0", "1")
    try:
        silent, deaf = connect(port), connect(port)
        deaf.setblocking(False)
        deadline = time.monotonic() + DEADLINE
        while not is_put_out(deaf):
            assert time.monotonic() < deadline, "who does not read is not put out"
            time.sleep(0.01)
        assert read_to_end(silent) == b"nothing heard for 1 s, goodbye\n"
        assert server.poll() is None, f"exit code {server.returncode}"
    finally:
        server.kill()
        server.wait()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", default="target/release/examples")
    folder = os.path.abspath(parser.parse_args().folder)
    full_from_the_start(folder)
    drain(folder)
    put_out(folder)
    print("drain: ok")


if __name__ == "__main__":
    main()
