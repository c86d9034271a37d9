#!/usr/bin/env python3
"""Checks graceful and idle_kick: clients that take every descriptor before the server is ready, the
drain, and who is put out.

Starts them from target/release/examples (or the folder given), on ports chosen by the system.
"""

import argparse
import contextlib
import os
import re
import select
import signal
import socket
import subprocess
import time

# What the signals and the loops need, one loop more than there are processors, and some connections.
DESCRIPTORS = 40 + 4 * len(os.sched_getaffinity(0))
# Clients that wait: more than there are descriptors for.
WAITING = DESCRIPTORS + 60
# Seconds that whatever is waited for may take.
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


@contextlib.contextmanager
def started(*command, pass_fds=()):
    """The process and its port; it does not outlive the block."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, pass_fds=pass_fds)
    try:
        line = first_line(process.stdout.fileno())
        found = re.search(rb"127\.0\.0\.1:(\d+)", line)
        assert found, f"{command} prints {line!r}"
        yield process, int(found.group(1))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def first_line(pipe):
    """A byte at a time: what follows is left in the pipe."""
    deadline = time.monotonic() + DEADLINE
    line = b""
    while not line.endswith(b"\n"):
        left = max(0, deadline - time.monotonic())
        assert select.select([pipe], [], [], left)[0], f"no line in {DEADLINE} s, but {line!r}"
        byte = os.read(pipe, 1)
        if not byte:
            break
        line += byte
    return line


def read_to_end(client):
    got = b""
    while part := client.recv(65536):
        got += part
    return got


def full_from_the_start(folder):
    """The server lives, and hears the signal, though clients left it no descriptor."""
    listening, clients = listener()
    number = listening.fileno()
    # As a service manager does it. bash, since not every sh takes a number of two digits there.
    script = 'ulimit -n "$0"; LISTEN_FDS=1 LISTEN_PID=$$ exec "$1" 3<&"$2"'
    command = ["bash", "-c", script, str(DESCRIPTORS), f"{folder}/graceful", str(number)]
    with started(*command, pass_fds=[number]) as (server, _):
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


def drain(folder):
    """Work is finished, an idle client is closed, and further signals change nothing."""
    with started(f"{folder}/graceful", "127.0.0.1:0") as (server, port):
        idle, half, works = connect(port), connect(port), connect(port)
        # Long enough to be seen, and half of what the drain has.
        half.sendall(b"work 5\n")
        half.shutdown(socket.SHUT_WR)
        works.sendall(b"work 5\nagain\n")
        # Until both have been read; who asks is busy, too.
        lines = idle.makefile("rb")
        deadline = time.monotonic() + DEADLINE
        while (states := who(idle, lines)).count(b"Busy") < 3:
            assert time.monotonic() < deadline, states
        server.send_signal(signal.SIGTERM)
        assert read_to_end(idle) == b""
        server.send_signal(signal.SIGTERM)
        server.send_signal(signal.SIGINT)
        assert read_to_end(half) == b"work 5\n"
        assert read_to_end(works) == b"work 5\nagain\n"
        output, _ = server.communicate(timeout=DEADLINE)
        assert server.returncode == 0 and "1 idle, 2 finished, 0 cut" in output, output


def who(client, lines):
    """The server's connections, a line each."""
    client.sendall(b"who\nend\n")
    states = b""
    while (line := lines.readline()) != b"end\n":
        assert line, f"closed after {states!r}"
        states += line
    return states


def is_put_out(client):
    """Sends what the connection takes."""
    try:
        client.send(bytes(65536))
    except BlockingIOError:
        time.sleep(0.01)
    except ConnectionError:
        return True
    return False


def put_out(folder):
    """Who says nothing is told why; who does not read is put out as well."""
    with started(f"{folder}/idle_kick", "127.0.0.1:0", "1") as (server, port):
        silent, deaf = connect(port), connect(port)
        deaf.setblocking(False)
        deadline = time.monotonic() + DEADLINE
        while not is_put_out(deaf):
            assert time.monotonic() < deadline, "who does not read is not put out"
        assert read_to_end(silent) == b"nothing heard for 1 s, goodbye\n"
        assert server.poll() is None, f"exit code {server.returncode}"


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
