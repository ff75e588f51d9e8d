"""Ask honestly beside an attack, and print how long answers took and what memory it left.

`python -m tests.attacks.beside --megabytes 2000`: a hub of its own on loopback, hostile messages of
every size and shape at it, several at a time, and one honest sender that asks again and again.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bus.bench.bench_nation import prepare_bench_nation, rsa_client
from bus.bench.hub_program import MODULE as HUB_MODULE
from bus.bench.programs import BenchProgram, running
from bus.bench.signed_requests import RequestSigner, body_of, http_request, request_signer

SIZES = (1_000, 58_000, 1_600_000, 9_000_000)
PAUSE_SECONDS = 0.02
"""Of the honest sender, between an answer and its next question."""
ANSWER_SECONDS_MAX = 300.0
MIB = 1024 * 1024
_HEADER_END = b"</soap:Header>"

_NUMBER = b"00000000"
"""Stands in a message where its number belongs: what is named by it is new in each."""

Shape = Callable[[int], bytes]
"""A message of about so many bytes."""


def elements(size: int) -> bytes:
    """As many elements as there is room for."""
    return b"<a>" + b"<a/>" * (size // 4) + b"</a>"


def names(size: int) -> bytes:
    """Every element is called as none was before."""
    inner = (b"<n%b-%d/>" % (_NUMBER, one) for one in range(size // 18))
    return b"<a>" + b"".join(inner) + b"</a>"


def declarations(size: int) -> bytes:
    """Many namespaces in scope of many elements."""
    declared = (b' xmlns:p%d="u%b-%d"' % (one, _NUMBER, one) for one in range(size // 60))
    return b"<a%b>" % b"".join(declared) + b"<p0:a/>" * (size // 14) + b"</a>"


def attributes(size: int) -> bytes:
    """One element with many attributes."""
    inner = (b' a%b-%d="x"' % (_NUMBER, one) for one in range(size // 20))
    return b"<a%b/>" % b"".join(inner)


def depth(size: int) -> bytes:
    """Elements in elements."""
    return b"<a>" * (size // 7) + b"</a>" * (size // 7)


SHAPES: tuple[Shape, ...] = (elements, names, declarations, attributes, depth)


@dataclass(slots=True)
class Found:
    """What came of one run."""

    honest_seconds: list[float] = field(default_factory=list)
    honest_status: Counter[int] = field(default_factory=Counter)
    hostile_status: Counter[int] = field(default_factory=Counter)
    hostile_bytes: int = 0

    def told(self, name: str) -> str:
        """A line about the honest sender."""
        taken = sorted(self.honest_seconds)
        at = {share: taken[min(int(len(taken) * share), len(taken) - 1)] for share in (0.5, 0.99)}
        return (
            f"{name}: {len(taken)} honest answers {dict(self.honest_status)}, "
            f"p50 {at[0.5] * 1000:.0f} ms, p99 {at[0.99] * 1000:.0f} ms, "
            f"longest {taken[-1] * 1000:.0f} ms"
        )


def hostile(signed: list[bytes], bytes_max: int) -> Iterator[bytes]:
    """Whole HTTP requests: each shape in each size, unsigned and beside a valid signature."""
    made = [shape(size) for size, shape in itertools.product(SIZES, SHAPES)]
    valid = iter(signed)
    sent = 0
    for number in itertools.count():
        if sent >= bytes_max:
            return
        raw = made[number % len(made)].replace(_NUMBER, b"%08d" % number)
        if number // len(made) % 2:
            # A block that no signature covers: the sender is proved all the same.
            raw = body_of(next(valid)).replace(_HEADER_END, raw + _HEADER_END, 1)
        sent += len(raw)
        yield http_request(raw)


async def ask(port: int, request: bytes) -> int:
    """The HTTP status of the answer, once all of it is read."""
    async with asyncio.timeout(ANSWER_SECONDS_MAX):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(request)
            await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.split(b":")[1])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length:")
            )
            await reader.readexactly(length)
            return int(head.split()[1])
        finally:
            writer.close()


async def run(
    port: int,
    signer: RequestSigner,
    *,
    hostile_bytes: int,
    at_once: int,
    honest_min: int,
    seconds_max: float,
) -> Found:
    """Attack and ask until both have had enough, or the time is over."""
    found = Found()
    end = time.monotonic() + seconds_max
    # Of twenty messages, with 53 MB, ten are signed; signed before, so that nobody waits for it.
    count = hostile_bytes // 5_000_000 + 64 if hostile_bytes else 0
    attack = hostile(signer.sign(count), hostile_bytes)

    async def attacker() -> None:
        for request in attack:
            found.hostile_bytes += len(request)
            found.hostile_status[await ask(port, request)] += 1
            if time.monotonic() > end:
                return

    async def honest(attackers: list[asyncio.Task[None]]) -> None:
        waiting: list[bytes] = []
        while len(found.honest_seconds) < honest_min or not all(one.done() for one in attackers):
            waiting = waiting or await asyncio.to_thread(signer.sign, 1)
            request = waiting.pop()
            start = time.perf_counter()
            status = await ask(port, request)
            found.honest_seconds.append(time.perf_counter() - start)
            found.honest_status[status] += 1
            await asyncio.sleep(PAUSE_SECONDS)

    attackers = [asyncio.create_task(attacker()) for _ in range(at_once)]
    await honest(attackers)
    await asyncio.gather(*attackers)
    return found


def held_bytes(program: BenchProgram) -> dict[str, int]:
    """Memory of the hub and of each of its processes now, by what it is."""
    found = {"hub": _held(program.process.pid)}
    for task in Path(f"/proc/{program.process.pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found[f"judge {child}"] = _held(int(child))
    return found


def _held(process_id: int) -> int:
    status = Path(f"/proc/{process_id}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def _told(name: str, held: dict[str, int]) -> str:
    parts = ", ".join(f"{who} {count / MIB:.0f}" for who, count in held.items())
    return f"memory {name}: {parts}; together {sum(held.values()) / MIB:.0f} MiB"


def main() -> None:
    """Run it; print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=100, help="of hostile messages")
    parser.add_argument("--at-once", type=int, default=16, help="hostile messages at one time")
    parser.add_argument("--seconds", type=float, default=240, help="after which the attack ends")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        prepared = prepare_bench_nation(Path(folder))
        with (
            request_signer(rsa_client(prepared)) as signer,
            running("hub", HUB_MODULE, [str(prepared.hub_settings)]) as hub,
        ):
            for name, megabytes in (("alone", 0), ("warm", 20), ("attack", chosen.megabytes)):
                before = held_bytes(hub)
                found = asyncio.run(
                    run(
                        hub.port,
                        signer,
                        hostile_bytes=megabytes * 1_000_000,
                        at_once=chosen.at_once,
                        honest_min=100,
                        seconds_max=chosen.seconds,
                    )
                )
                print(found.told(name))
                print(f"  {found.hostile_bytes / 1e6:.0f} MB hostile: {dict(found.hostile_status)}")
                print(" ", _told("before", before))
                print(" ", _told("after", held_bytes(hub)))


if __name__ == "__main__":
    main()
