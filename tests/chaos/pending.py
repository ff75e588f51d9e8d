"""Begin with a million deliveries that wait: how long a hub takes to begin, what it holds, how fast
it goes on.

Some of them are due, and are real: as many as are to be made, and as many again. The others are due
tomorrow, and what is kept of them is small: nobody looks into it today.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from unittest.mock import patch

import uvloop

from bus.bench.programs import BenchProgram, running
from bus.core.deliveries import DeliveryState
from bus.core.ports.message_log import Claim, InboxState, LogWrite, SealedPayload
from bus.delivery.carrying import adapters_named
from bus.hub import open_hub
from bus.log.message_log import HubLog
from bus.log.opening import open_log
from bus.runtime.clock import now
from bus.settings.routes import read_registry
from bus.trust.key_store import read_ed25519_key
from signing.signed_note import SigningKey
from tests.chaos.pending_hub import MODULE, CountingAgency
from tests.chaos.struck_site import SERVICE, StruckSite, embedded_site
from tests.hang_limits import HANG_SECONDS_MAX
from tests.nation import packaged_sample, request

_WAITING_MAX = 256
_SMALL_BYTES, _WRAPPED_KEY_BYTES = 600, 60
_LATER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class PendingResult:
    """What was seen of one hub."""

    rows: int
    file_bytes: int
    begin_seconds: float
    """Until it took requests; the time to load its program is part of it."""
    begin_cpu_seconds: float
    begin_rss_bytes: int
    taken: int
    """Deliveries that were made."""
    keys: int
    """Different ones."""
    seconds: float
    cpu_seconds: float
    """To make these."""
    rss_bytes_max: int

    @property
    def told(self) -> str:
        mebi = 2**20
        rate = self.taken / self.seconds if self.seconds else 0
        micros = self.cpu_seconds / self.taken * 1e6 if self.taken else 0
        return (
            f"{self.rows:,} rows ({self.file_bytes / mebi:,.0f} MiB): begins in "
            f"{self.begin_seconds:.1f} s ({self.begin_cpu_seconds:.1f} s of processor, "
            f"{self.begin_rss_bytes / mebi:.0f} MiB); {self.taken:,} taken in "
            f"{self.seconds:.0f} s, {rate:,.0f}/s, {micros:.0f} µs each; most memory "
            f"{self.rss_bytes_max / mebi:.0f} MiB"
        )


def measure_pending(rows: int, taken_min: int) -> PendingResult:
    """Fill a log with so many deliveries that wait, begin a hub there, and see so many made."""
    with tempfile.TemporaryDirectory() as folder:
        site = embedded_site(Path(folder))
        _fill(site, rows, min(rows, 2 * taken_min))
        file_bytes = sum(file.stat().st_size for file in site.settings.log.folder.glob("log.*"))
        began = time.monotonic()
        with running("hub", MODULE, [str(site.settings.file)]) as hub:
            begin_seconds = time.monotonic() - began
            begin_cpu, begin_rss = hub.cpu_seconds(), _rss_bytes(hub)
            began, first = time.monotonic(), hub.counts()["taken"]
            counts = _await_taken(hub, min(rows, taken_min))
            seconds, cpu = time.monotonic() - began, hub.cpu_seconds() - begin_cpu
        return PendingResult(
            rows,
            file_bytes,
            begin_seconds,
            begin_cpu,
            begin_rss,
            counts["taken"] - first,
            counts["keys"] - first,
            seconds,
            cpu,
            hub.rss_bytes_max,
        )


def _await_taken(hub: BenchProgram, taken_min: int) -> dict[str, int]:
    until = time.monotonic() + HANG_SECONDS_MAX
    while (counts := hub.counts())["taken"] < taken_min:
        assert time.monotonic() < until, counts
        time.sleep(0.1)
    return counts


def _rss_bytes(hub: BenchProgram) -> int:
    status = Path(f"/proc/{hub.process.pid}/status").read_text("ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


# --- filling ---------------------------------------------------------------------------------


def _fill(site: StruckSite, rows: int, real: int) -> None:
    one = asyncio.run(_accepted(site))
    of = site.settings.log
    key = SigningKey(of.origin, read_ed25519_key(of.signing_key))
    log = open_log(of.folder, key=key, guard=of.guard)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_append(log, islice(_writes(one, rows - real), rows)))


async def _accepted(site: StruckSite) -> LogWrite:
    """What a hub writes when it accepts a message."""
    written: list[LogWrite] = []
    append = HubLog.append

    async def keep(log: HubLog, write: LogWrite) -> Any:
        written.append(write)
        return await append(log, write)

    agency = CountingAgency()
    adapters = dict.fromkeys(adapters_named(read_registry(site.settings.routes)), agency)
    raw = request(
        site.nation,
        "m-1",
        service=SERVICE,
        body=packaged_sample(SERVICE),
        signer=site.nation.client_signers["ed25519"],
        created=now(),
    )
    with patch.object(HubLog, "append", keep):
        hub = await open_hub(site.settings, adapters=adapters, judge_process=False)
        try:
            assert (await hub.answer(raw)).outcome == "accepted"
        finally:
            await hub.close()
    return next(write for write in written if write.deliveries)


def _writes(one: LogWrite, later: int) -> Iterator[LogWrite]:
    """The same acceptance under other names: so many due tomorrow, then some that are due; never
    ends."""
    (new,) = one.deliveries
    number, time = 0, now()
    small = SealedPayload(os.urandom(_SMALL_BYTES), os.urandom(_WRAPPED_KEY_BYTES))
    while True:
        due = time + (_LATER if number < later else timedelta(0))
        digest = hashlib.sha256(f"pending {number}".encode()).digest()
        waiting = replace(
            new.delivery,
            state=DeliveryState.WAITING,
            attempt=0,
            deadline=None,
            due=due,
            key=digest,
        )
        write = one if number >= later else replace(one, sealed=small, carried=small)
        yield replace(
            write,
            claim=Claim(digest[:16], digest, InboxState.ACCEPTED),
            deliveries=(replace(new, delivery=waiting, conversation=None),),
        )
        number += 1


async def _append(log: HubLog, writes: Iterator[LogWrite]) -> None:
    async def append() -> None:
        for write in writes:
            await log.append(write)

    try:
        await asyncio.gather(*(append() for _ in range(_WAITING_MAX)))
    finally:
        await log.close()
