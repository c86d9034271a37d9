#!/usr/bin/env python3
"""Checks the chat example: rooms reach over all loops, one too many is turned away, and who does not
read is put out.

Starts target/release/examples/chat with each number of loops, on a port chosen by the
system. Twelve members in two rooms say ten lines each, and each has to read exactly those of its
own room. Then all places are taken: who comes now has to read the farewell and the end, whatever it
has sent, or is closed though it neither reads nor leaves; the members must notice nothing, and a
place that becomes free is given away again. At last one member stops reading, another goes on
talking, and the first has to be closed while the rest get every line.
"""

import argparse
import asyncio
import re
import resource
import subprocess
import sys
import time

MEMBERS, LINES = 12, 10
# Those of the example.
CONNECTIONS_MAX = 1024
FAREWELL = b"too many members\n"
# More than are told good-bye at once.
STUBBORN = 80


class Member:
    def __init__(self, number, room, reader, writer):
        self.number, self.room = number, room
        self.reader, self.writer = reader, writer

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


async def enter(number, room, host, port):
    member = Member(number, room, *await asyncio.open_connection(host, port))
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


async def too_many_are_turned_away(members, host, port):
    """Takes all places, and gives them back."""
    # Each alone in a room, and few at once in the lobby, so that nobody has much to read.
    crowd = []
    while len(members) + len(crowd) < CONNECTIONS_MAX:
        first = len(members) + len(crowd)
        few = range(first, min(first + 50, CONNECTIONS_MAX))
        crowd += await asyncio.gather(*(enter(number, f"alone-{number}", host, port)
                                        for number in few))

    async def hears_farewell(said):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(said)
        heard = await asyncio.wait_for(reader.read(), 20)
        writer.close()
        return heard == FAREWELL

    async def is_closed_though_it_stays():
        reader, writer = await asyncio.open_connection(host, port)
        reader._transport.pause_reading()
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                # What comes after the close is answered with a reset.
                writer.write(b"let me in\n")
                await writer.drain()
            except ConnectionError:
                return True
            await asyncio.sleep(0.05)
        return False

    async def members_notice_nothing():
        await members[2].say("still here")
        heard = [await member.until("still here") for member in members[::2]]
        return heard == [["m2: still here"]] * len(heard)

    turned_away = [await hears_farewell(b""), await hears_farewell(b"/nick late\n" * 100),
                   await members_notice_nothing()]
    *closed, undisturbed = await asyncio.gather(
        *(is_closed_though_it_stays() for _ in range(STUBBORN)), members_notice_nothing())
    # Nothing of them is left: the next one hears the farewell again.
    turned_away += closed + [undisturbed, await hears_farewell(b"")]

    leaving = crowd.pop()
    await leaving.say("/quit")
    await asyncio.wait_for(leaving.reader.read(), 20)
    turned_away.append(await gets_in(host, port))
    for member in crowd:
        member.writer.close()
    return all(turned_away)


async def gets_in(host, port):
    """Whether one gets in soon: who has left gives its place back a moment later."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        reader, writer = await asyncio.open_connection(host, port)
        line = await asyncio.wait_for(reader.readline(), 20)
        writer.close()
        if line.startswith(b"welcome"):
            return True
    return False


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
    members = [await enter(number, f"room-{number % 2}", host, port) for number in range(MEMBERS)]
    return {
        "rooms exact": await rooms(members),
        "one too many turned away": await too_many_are_turned_away(members, host, port),
        "slow member put out": await slow_one_is_put_out(members),
    }


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--loops", default="1,2,4")
    arguments.add_argument("--program", default="target/release/examples/chat")
    arguments = arguments.parse_args()
    # For all members, here and in the example.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    passed = True
    for loops in arguments.loops.split(","):
        command = [arguments.program, "--addr", "127.0.0.1:0", "--loops", loops]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            found = re.search(r"127\.0\.0\.1:(\d+)", server.stdout.readline())
            outcome = asyncio.run(check("127.0.0.1", int(found[1])))
        finally:
            server.terminate()
            server.wait()
        told = ", ".join(f"{what}: {is_so}" for what, is_so in outcome.items())
        print(f"chat with {loops} loops: {told}")
        passed &= all(outcome.values())
    sys.exit(0 if passed else 1)


main()
