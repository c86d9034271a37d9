#!/usr/bin/env python3
"""Checks the chat example: rooms reach over all loops, and who does not read is put out.

Starts target/release/examples/chat with each number of loops, on a port chosen by the
system. Twelve members in two rooms say ten lines each, and each has to read exactly those of its
own room. Then one stops reading, another goes on talking, and the first has to be closed while the
rest get every line.
"""

import argparse
import asyncio
import re
import subprocess
import sys

MEMBERS, LINES = 12, 10


class Member:
    def __init__(self, number, reader, writer):
        self.number, self.reader, self.writer = number, reader, writer
        self.room = f"room-{number % 2}"

    async def say(self, line):
        self.writer.write(line.encode() + b"\n")
        await self.writer.drain()

    async def until(self, wanted):
        """Reads lines up to one that has the text."""
        lines = []
        while not lines or wanted not in lines[-1]:
            line = await asyncio.wait_for(self.reader.readline(), 20)
            if not line:
                sys.exit(f"member {self.number} was closed while it waited for {wanted!r}")
            lines.append(line.decode().strip())
        return lines


async def enter(number, host, port):
    member = Member(number, *await asyncio.open_connection(host, port))
    await member.say(f"/nick m{number}")
    await member.say(f"/join {member.room}")
    await member.until(f"m{number} has come in")
    return member


async def rooms(members):
    async def talk(member):
        for line in range(LINES):
            await member.say(f"line {line}")

    async def listen(member):
        heard = []
        while len(heard) < LINES * MEMBERS // 2:
            line = (await member.until(": line "))[-1]
            heard.append(line)
        expected = [f"m{other.number}: line {line}" for other in members
                    if other.room == member.room for line in range(LINES)]
        return sorted(heard) == sorted(expected)

    _, right = await asyncio.gather(asyncio.gather(*map(talk, members)),
                                    asyncio.gather(*map(listen, members)))
    return all(right)


async def slow_one_is_put_out(members):
    slow, talker, others = members[0], members[2], members[4::2]
    slow.reader._transport.pause_reading()
    lines = 20000

    async def talk():
        # Waits for its own lines now and then: those who do read are to keep up.
        for line in range(lines):
            await talker.say(f"{line} " + "x" * 900)
            if line % 50 == 49:
                await talker.until(f"m2: {line} ")
        await talker.say("the end")

    async def listen(member):
        heard = await member.until("the end")
        said = sum(1 for line in heard if line.startswith("m2: ") and line.endswith("x"))
        return said == lines and any("m0 has left" in line for line in heard)

    heard = await asyncio.gather(talk(), *map(listen, others))
    return all(heard[1:])


async def check(host, port):
    members = [await enter(number, host, port) for number in range(MEMBERS)]
    in_rooms = await rooms(members)
    put_out = await slow_one_is_put_out(members)
    return in_rooms, put_out


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--loops", default="1,2,4")
    arguments.add_argument("--program", default="target/release/examples/chat")
    arguments = arguments.parse_args()
    passed = True
    for loops in arguments.loops.split(","):
        command = [arguments.program, "--addr", "127.0.0.1:0", "--loops", loops]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            found = re.search(r"127\.0\.0\.1:(\d+)", server.stdout.readline())
            in_rooms, put_out = asyncio.run(check("127.0.0.1", int(found[1])))
        finally:
            server.terminate()
            server.wait()
        print(f"chat with {loops} loops: rooms exact: {in_rooms}, slow member put out: {put_out}")
        passed &= in_rooms and put_out
    sys.exit(0 if passed else 1)


main()
