#!/usr/bin/env python3
"""Checks the sudoku example, with boards solved on the loop and on the pool.

Starts target/release/examples/sudoku (or the binary given) on a port chosen by the system.
"""

import argparse
import re
import socket
import subprocess

EASY = "530070000600195000098000060800060003400803001700020006060000280000419005000080079"
DONE = "534678912672195348198342567859761423426853791713924856961537284287419635345286179"


def is_solution(line):
    """Whether every row, column and box has all nine digits."""
    cells = [line[start : start + 9] for start in range(0, 81, 9)]
    columns = ["".join(column) for column in zip(*cells)]
    boxes = [
        "".join(cells[row + n][column : column + 3] for n in range(3))
        for row in (0, 3, 6)
        for column in (0, 3, 6)
    ]
    return all(sorted(unit) == list("123456789") for unit in cells + columns + boxes)


def check(port):
    client = socket.create_connection(("127.0.0.1", port), timeout=30)
    lines = client.makefile("rb")

    def ask(*requests):
        client.sendall("".join(requests).encode())
        return [next(lines).decode().rstrip("\r\n") for _ in requests]

    assert ask(EASY + "\r\n") == [DONE]
    assert ask("a:" + EASY.replace("0", ".") + "\n") == ["a:" + DONE]
    assert ask("ping\n", "x:nonsense\n", "\n") == ["pong", "x:BadRequest", "BadRequest"]
    assert ask("11" + EASY[2:] + "\n") == ["BadRequest"], "two ones in a row"
    # The first row lacks a 9, which the column of its empty cell has.
    impossible = "12345678" + "0" * 9 + "9" + "0" * 63
    assert ask(impossible + "\n") == ["NoSolution"], impossible
    assert is_solution(ask("0" * 81 + "\n")[0])
    # Many without waiting, a byte at a time at the end.
    assert ask(*[f"{n}:{EASY}\n" for n in range(500)]) == [f"{n}:{DONE}" for n in range(500)]
    for byte in (EASY + "\n").encode():
        client.sendall(bytes([byte]))
    assert next(lines).decode().strip() == DONE
    client.sendall(b"1" * 300)
    assert next(lines) == b"LineTooLong\r\n"
    assert lines.read() == b"", "still open"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", default="target/release/examples/sudoku")
    options = parser.parse_args()
    for place in ("loop", "pool"):
        command = [options.binary, "--addr", "127.0.0.1:0", "--where", place]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            check(int(re.search(r":(\d+),", server.stdout.readline()).group(1)))
            assert server.poll() is None, "the server ended"
        finally:
            server.kill()
            server.wait()
    print("sudoku: ok")


if __name__ == "__main__":
    main()
