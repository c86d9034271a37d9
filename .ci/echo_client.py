#!/usr/bin/env python3
"""Checks the echo examples with many connections at once: each gets back exactly what it sent.

Starts target/release/examples/{echo,echo_per_loop} with each number of loops, on a port chosen by
the system, sends different random bytes on every connection, and compares what comes back.
"""

import argparse
import asyncio
import hashlib
import random
import re
import subprocess
import sys


async def one_connection(host, port, seed, size):
    numbers = random.Random(seed)
    block = numbers.randbytes(min(size, 65536))
    reader, writer = await asyncio.open_connection(host, port)
    sent, received = hashlib.sha256(), hashlib.sha256()

    async def send():
        left = size
        while left:
            part = block[: numbers.randint(1, min(left, len(block)))]
            writer.write(part)
            sent.update(part)
            left -= len(part)
            await writer.drain()
        writer.write_eof()

    async def receive():
        count = 0
        while part := await reader.read(65536):
            received.update(part)
            count += len(part)
        return count

    _, count = await asyncio.gather(send(), receive())
    writer.close()
    return count == size and sent.digest() == received.digest()


async def all_connections(host, port, connections, size):
    # A listen queue may be full for a moment: connect in waves, keep all open at once.
    tasks = []
    for seed in range(connections):
        tasks.append(asyncio.create_task(one_connection(host, port, seed, size)))
        if seed % 200 == 199:
            await asyncio.sleep(0.05)
    return await asyncio.gather(*tasks)


def check(example, loops, connections, size):
    command = [f"target/release/examples/{example}", "--addr", "127.0.0.1:0", "--loops", str(loops)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        first = server.stdout.readline()
        found = re.search(r"127\.0\.0\.1:(\d+)", first)
        if not found:
            sys.exit(f"{example} did not print its address: {first!r}")
        results = asyncio.run(all_connections("127.0.0.1", int(found[1]), connections, size))
    finally:
        server.terminate()
        server.wait()
    exact = sum(results)
    print(f"{example} with {loops} loops: {exact} of {connections} connections exact, {size} bytes each")
    return exact == connections


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--connections", type=int, default=1000)
    arguments.add_argument("--bytes", type=int, default=1 << 20)
    arguments.add_argument("--loops", default="1,2,4")
    arguments = arguments.parse_args()
    passed = True
    for example in ("echo", "echo_per_loop"):
        for loops in arguments.loops.split(","):
            passed &= check(example, int(loops), arguments.connections, arguments.bytes)
    sys.exit(0 if passed else 1)


main()
