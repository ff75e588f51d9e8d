"""Measure the message log alone: append entries, and watch whether speed and memory hold."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bus.bench.citizen_answer import SERVICE
from bus.core.exchange_leaves import ACCEPTED, DELIVERED
from bus.core.log.leaf import Event, build_leaf
from bus.core.ports.message_log import Claim, InboxState, LogWrite, SealedPayload, Settlement
from bus.log.message_log import HubLog
from bus.log.opening import open_log
from bus.runtime.clock import now
from signing.signed_note import SigningKey

PAYLOAD_BYTES_DEFAULT = 600
WAITING_MAX = 256
"""Appends that wait for the log at one time."""
PARTS = 10
_WRAPPED_KEY_BYTES = 60
_MEBIBYTE = 1024 * 1024
_CLIENT = "VN/GOV/G22/dichvucong"


@dataclass(frozen=True, slots=True)
class LogPart:
    """One tenth of the appending."""

    entries: int
    """In the log at its end."""
    rate: float
    """Entries a second."""
    rss_bytes: int
    """Memory of this process at its end."""


@dataclass(frozen=True, slots=True)
class LogResults:
    """What `bench log` finds."""

    payload_bytes: int
    bytes_per_entry: int
    parts: tuple[LogPart, ...]

    @property
    def rate_spread(self) -> float:
        """How much slower the slowest tenth is than the fastest: 0.1 is ten per cent."""
        rates = [part.rate for part in self.parts]
        return 1 - min(rates) / max(rates)

    def as_json(self) -> dict[str, Any]:
        """Every figure, by its name."""
        return {**asdict(self), "rate_spread": self.rate_spread}

    def lines(self) -> list[str]:
        """What a person reads."""
        rows = [
            f"{part.entries:>12,}{part.rate:>14,.0f}{part.rss_bytes / _MEBIBYTE:>12.0f} MiB"
            for part in self.parts
        ]
        return [
            f"payloads of {self.payload_bytes:,} bytes, {self.bytes_per_entry:,} bytes an entry",
            f"{'entries':>12}{'entries/s':>14}{'memory':>16}",
            *rows,
            f"the slowest tenth is {self.rate_spread:.0%} slower than the fastest",
        ]


def measure_log(
    folder: Path, entries: int, payload_bytes: int, report: Callable[[LogPart], None]
) -> LogResults:
    """Append to a new log in an empty folder; `report` hears of each tenth."""
    key = SigningKey("bench.example/log", Ed25519PrivateKey.generate())
    log = open_log(folder / "log", key=key)
    parts = _run(_append(log, entries, payload_bytes, report))
    used = sum(path.stat().st_size for path in (folder / "log").rglob("*") if path.is_file())
    return LogResults(payload_bytes, round(used / parts[-1].entries), tuple(parts))


def fill_log(log: HubLog, entries: int) -> None:
    """Append that many entries to a log and close it."""
    _run(_append(log, entries, PAYLOAD_BYTES_DEFAULT, lambda part: None))


def _run(work: Any) -> list[LogPart]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        parts: list[LogPart] = runner.run(work)
        return parts


async def _append(
    log: HubLog, entries: int, payload_bytes: int, report: Callable[[LogPart], None]
) -> list[LogPart]:
    writes = _writes(log.size, payload_bytes, now())
    parts = []
    try:
        for number in range(PARTS):
            share = entries * (number + 1) // PARTS - entries * number // PARTS
            began = perf_counter()
            tenth = islice(writes, share)
            await asyncio.gather(*(_append_all(log, tenth) for _ in range(WAITING_MAX)))
            part = LogPart(log.size, share / (perf_counter() - began), _rss_bytes())
            parts.append(part)
            report(part)
    finally:
        await log.close()
    return parts


async def _append_all(log: HubLog, writes: Iterator[LogWrite]) -> None:
    for write in writes:
        await log.append(write)


def _writes(first: int, payload_bytes: int, time: datetime) -> Iterator[LogWrite]:
    """Received and outcome entries by turns, as exchanges make them. Never ends."""
    # What a cipher gives cannot be told from chance, and no step of the log looks into it.
    sealed = SealedPayload(os.urandom(payload_bytes), os.urandom(_WRAPPED_KEY_BYTES))
    number = first
    while True:
        digest = hashlib.sha256(f"exchange {number}".encode()).digest()
        key = digest[:16]
        received = build_leaf(
            Event.RECEIVED,
            time,
            client=_CLIENT,
            service=SERVICE,
            message=key.hex()[:22],
            case=key.hex()[10:],
            signer=digest,
            signature=digest,
            config=digest,
            verdict=ACCEPTED,
            payload=digest,
            sealed=digest,
            raw_bytes=payload_bytes,
        )
        yield LogWrite(received, sealed, claim=Claim(key, digest))
        outcome = build_leaf(
            Event.OUTCOME,
            time,
            client=_CLIENT,
            service=SERVICE,
            continues=number,
            verdict=DELIVERED,
            payload=digest,
            sealed=digest,
            raw_bytes=payload_bytes,
        )
        yield LogWrite(outcome, sealed, settlement=Settlement(key, InboxState.ANSWERED))
        number += 2


def _rss_bytes() -> int:
    """Memory of this process now. proc(5): the second field of statm, in pages."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
