"""Flood a hub's judges with names that never end, and tell what it did to their memory.

    python -m tests.attacks.flood --megabytes 2000

Messages of four sizes in turns, from strangers and from a sender that is proved, whose names stand
in a header block that nobody signed. Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from bus.core.decision import Refused
from bus.judge_program import MODULE, WIRE
from bus.judging.process import Decider
from bus.judging.rules import read_rules
from tests.attacks.shapes import source_of
from tests.attacks.source import at_end
from tests.attacks.valid_messages import corpus_nation, valid_messages
from tests.nation import NOW, SmallNation

MIB = 1024 * 1024
SIZES = (1_000, 58_000, 1_600_000, 9_000_000)
NODES_MAX = 500_000
"""More would be refused unread."""


@dataclass(slots=True)
class Flood:
    """Messages in which every element, attribute, prefix and namespace has a name of its own."""

    signed: bytes = field(repr=False)
    """A message that passes."""
    numbers: Iterator[int] = field(default_factory=count)

    def message(self, size: int, *, is_signed: bool) -> bytes:
        names = self._names(size)
        if not is_signed:
            return b"<a>%s</a>" % names
        source = source_of(self.signed)
        return source.edited(at_end(source.header, b"<a>%s</a>" % names))

    def _names(self, size: int) -> bytes:
        long = b"x" * max(0, 4 * size // NODES_MAX - 40)
        made, length = [], 0
        while length < size:
            number = next(self.numbers)
            made.append(b"<n%d%s m%d='' xmlns:p%d='urn:%d'/>" % (number, long, *(number,) * 3))
            length += len(made[-1])
        return b"".join(made)


def held_bytes(pid: int) -> int:
    """What a process holds of the machine's memory."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


def signed_message() -> bytes:
    """One that passes, and carries its certificate."""
    return next(one.raw for one in valid_messages().values() if b"BinarySecurityToken" in one.raw)


async def judged(judges: Decider, flood: Flood, size: int, total: int, *, is_signed: bool) -> None:
    """So many bytes of it, in messages of one size."""
    sent = 0
    while sent < total:
        raw = flood.message(size, is_signed=is_signed)
        decision = await judges.decide(raw, NOW)
        assert isinstance(decision, Refused) is not is_signed, decision
        sent += len(raw)


def processes(judges: Decider) -> list[int]:
    """Everybody who judges: the hub, and the processes beside it."""
    return [os.getpid(), *(lane.process_id for lane in judges.lanes if lane.process_id)]


async def _run(nation: SmallNation, megabytes: int) -> int:
    judges = Decider(WIRE, nation.rules, lambda error: None)
    await judges.start(MODULE, read_rules(nation.settings).texts)
    flood = Flood(signed_message())
    try:
        for size in SIZES:
            for is_signed in (False, True):
                await judged(judges, flood, size, 2 * max(SIZES), is_signed=is_signed)
        at_rest = [held_bytes(pid) for pid in processes(judges)]
        print("MiB at rest:", *(one // MIB for one in at_rest), flush=True)
        share = megabytes * 1_000_000 // (2 * len(SIZES))
        for size in SIZES:
            for is_signed in (False, True):
                await judged(judges, flood, size, share, is_signed=is_signed)
                now = [held_bytes(pid) // MIB for pid in processes(judges)]
                print(f"{size:9} bytes, {'signed' if is_signed else 'unsigned'}:", *now, flush=True)
        grown = [held_bytes(pid) - was for pid, was in zip(processes(judges), at_rest, strict=True)]
        print("MiB more than at rest:", *(one // MIB for one in grown))
        return max(grown)
    finally:
        await judges.close()


def main() -> int:
    """Flood; 1 if a process holds 40 MiB more than before."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=2_000, help="How much, in all.")
    megabytes = parser.parse_args().megabytes
    with tempfile.TemporaryDirectory() as folder:
        grown = asyncio.run(_run(corpus_nation(Path(folder)), megabytes))
    return int(grown > 40 * MIB)


if __name__ == "__main__":
    sys.exit(main())
