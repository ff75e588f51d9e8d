"""Let everything go wrong that can, for minutes, as a seed says; then heal, drain and check.

Two hubs on one PostgreSQL, three RabbitMQ nodes, two workers, three agencies, senders: all of it
real, each process for itself. The seed decides which faults come when, and for how long; what the
machine makes of that is its own business, so a seed is a schedule and no replay.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bus.core.errors import LogUnavailable
from bus.log.postgres.upgrade import upgrade_database
from bus.sandbox.servers.postgresql import PostgresServer, make_database
from bus.sandbox.servers.rabbitmq import RabbitCluster
from bus.settings.postgres import PostgresSettings
from tests.broker.relay import Relay
from tests.chaos.checker import Found, Promises, check
from tests.chaos.journaling_agency import Manner, Mood
from tests.chaos.journals import FileJournal, Struck, read_journals
from tests.chaos.nemesis_faults import Fault, StruckParts, faults_of, set_clock
from tests.chaos.nemesis_programs import KeptProgram
from tests.chaos.nemesis_senders import Sender
from tests.chaos.nemesis_site import (
    PARTIES,
    NemesisSite,
    declare_queues,
    prepare_nemesis_site,
)
from tests.chaos.nursery import Nursery
from tests.hang_limits import HANG_SECONDS_MAX

FAULTS_AT_ONCE_MAX = 5
SECONDS_BETWEEN = 0.8
"""Between two faults, on average."""
FAULT_SECONDS_MIN = 0.5
SENDERS_OF_PARTY = 2
DRAIN_SECONDS_FIRST = 60.0
"""Then hubs begin anew: whom they spare since it failed too often, they find out again."""
DRAIN_SECONDS_MAX = 2 * HANG_SECONDS_MAX
_DATABASE = "nemesis"
_ADOPTED = '"log.adopted"'
"""What a hub says when it goes on with another's log."""


@dataclass(frozen=True, slots=True)
class NemesisResult:
    """What came of it."""

    seed: int
    minutes: float
    struck: Mapping[str, int]
    found: Found
    lives: Mapping[str, int]
    """How often each program began."""
    copies: int
    adopted: int
    """So often a hub went on with the other's log."""

    @property
    def again(self) -> str:
        """The command that has the same schedule."""
        return f"seed={self.seed}: make chaos-nemesis SEED={self.seed} MINUTES={self.minutes:g}"


def run_nemesis(seed: int, minutes: float) -> NemesisResult:
    """All of it, with servers of its own. Raises ServerBroken."""
    with contextlib.ExitStack() as end:
        made = tempfile.TemporaryDirectory(prefix="lienthong-nemesis-", ignore_cleanup_errors=True)
        folder = Path(end.enter_context(made))
        folder.chmod(0o711)
        database = PostgresServer(folder / "postgres")
        end.callback(database.end)
        cluster = RabbitCluster(folder, 3)
        end.callback(cluster.end)
        nursery = end.enter_context(Nursery())
        nemesis = Nemesis(folder, database, cluster, nursery, seed)
        return asyncio.run(nemesis.run(minutes))


class Nemesis:
    """One run; used from one event loop."""

    def __init__(
        self,
        folder: Path,
        database: PostgresServer,
        cluster: RabbitCluster,
        nursery: Nursery,
        seed: int,
    ) -> None:
        self._folder = folder
        self._database = database
        self._cluster = cluster
        self._nursery = nursery
        self._seed = seed
        self._luck = random.Random(seed)
        self._struck: Counter[str] = Counter()
        self._is_over = asyncio.Event()

    async def run(self, minutes: float) -> NemesisResult:
        async with contextlib.AsyncExitStack() as end:
            parts = await self._begin(end)
            with FileJournal(parts.site.journal("nemesis")) as journal:
                senders = [
                    asyncio.create_task(one.send_until(self._is_over)) for one in parts.senders
                ]
                await self._storm(parts, journal, minutes * 60)
                await self._heal(parts)
                self._is_over.set()
                async with asyncio.timeout(HANG_SECONDS_MAX):
                    await asyncio.gather(*senders)
            is_drained = await self._drain(parts)
            for program in (*parts.workers, *parts.hubs.values()):
                await program.end()
            found = await asyncio.to_thread(self._check, parts.site)
            if not is_drained:
                found = replace(found, faults=[("stuck", "it never drained"), *found.faults])
            lives = {one.name: one.lives for one in (*parts.hubs.values(), *parts.workers)}
            copies = sum(one.copies for one in parts.senders)
            told = "".join(file.read_text() for file in parts.site.folder.glob("hub ?.log"))
            return NemesisResult(
                self._seed, minutes, self._struck, found, lives, copies, told.count(_ADOPTED)
            )

    def _check(self, site: NemesisSite) -> Found:
        of = {
            manner: frozenset(one.recipient for one in PARTIES if one.manner is manner)
            for manner in Manner
        }
        promises = Promises(
            remembering=of[Manner.REMEMBERS],
            lying=of[Manner.LIES],
            is_ordered=True,
            has_many_doors=True,
            tells_copies=False,
        )
        return check(read_journals(*site.journals), site.story(), promises)

    # --- beginning -----------------------------------------------------------------------------

    async def _begin(self, end: contextlib.AsyncExitStack) -> StruckParts:
        make_database(self._database.port, _DATABASE)
        straight = PostgresSettings(("127.0.0.1",), self._database.port, _DATABASE, "lienthong")
        upgrade_database(straight)
        nodes = self._cluster.nodes
        relays = [
            await end.enter_async_context(_relayed(port))
            for port in (self._database.port, *(node.port for node in nodes))
        ]
        site_folder = self._folder / "site"
        site_folder.mkdir()
        broker_ports = tuple(one.port for one in relays[1:])
        site = prepare_nemesis_site(site_folder, straight, relays[0].port, broker_ports)
        await declare_queues(site)
        programs = self._programs(site)
        hubs = {origin: programs[f"hub {origin[-1]}"] for origin in site.hubs}
        workers = [programs[name] for name in site.workers]
        for program in programs.values():
            program.start()
            end.push_async_callback(program.end)
        senders = self._senders(site, list(hubs.values()), end)
        return StruckParts(
            site=site,
            hubs=hubs,
            workers=workers,
            database=self._database,
            database_folder=self._folder / "postgres",
            database_relay=relays[0],
            nodes=nodes,
            node_relays=relays[1:],
            node_folders=[self._folder / node.name.partition("@")[0] for node in nodes],
            senders=senders,
            parties=PARTIES,
            luck=self._luck,
        )

    def _programs(self, site: NemesisSite) -> dict[str, KeptProgram]:
        programs = {}
        for origin, hub in site.hubs.items():
            name = f"hub {origin[-1]}"
            arguments = [str(hub.file), str(site.journal("nobody")), str(site.clock(origin))]
            told = site.folder / f"{name}.log"
            programs[name] = KeptProgram(
                self._nursery, name, "tests.chaos.struck_hub", arguments, told
            )
        for name, file in site.workers.items():
            arguments = [str(file), str(site.clock(name)), *(one.adapter for one in PARTIES)]
            told = site.folder / f"{name}.log"
            programs[name] = KeptProgram(
                self._nursery, name, "tests.chaos.struck_worker", arguments, told
            )
        return programs

    def _senders(
        self, site: NemesisSite, hubs: list[KeptProgram], end: contextlib.AsyncExitStack
    ) -> list[Sender]:
        senders = []
        for number in range(SENDERS_OF_PARTY * len(PARTIES)):
            party, name = PARTIES[number % len(PARTIES)], f"s{number}"
            journal = end.enter_context(FileJournal(site.journal(name)))
            luck = random.Random(f"{self._seed} {name}")
            senders.append(Sender(name, site, party, hubs, journal, luck))
        return senders

    # --- storm, healing, calm ------------------------------------------------------------------

    async def _storm(self, parts: StruckParts, journal: FileJournal, seconds: float) -> None:
        by_target: dict[str, list[Fault]] = {}
        for fault in faults_of(parts):
            by_target.setdefault(fault.target, []).append(fault)
        targets, busy = list(by_target), set[str]()
        until = time.monotonic() + seconds
        async with asyncio.TaskGroup() as running:
            while time.monotonic() < until:
                await asyncio.sleep(self._luck.expovariate(1 / SECONDS_BETWEEN))
                fault = self._luck.choice(by_target[self._luck.choice(targets)])
                lasts = self._luck.uniform(FAULT_SECONDS_MIN, max(fault.seconds_max, 0.5))
                if fault.target not in busy and len(busy) < FAULTS_AT_ONCE_MAX:
                    busy.add(fault.target)
                    running.create_task(self._strike(fault, lasts, journal, busy))

    async def _strike(
        self, fault: Fault, seconds: float, journal: FileJournal, busy: set[str]
    ) -> None:
        struck = Struck(f"{fault.name} for {seconds:.1f} s", fault.target)
        if not fault.may_miss:
            journal.write(struck)
        has_struck = await fault.strike(seconds)
        if fault.may_miss and has_struck:
            journal.write(struck)
        if has_struck is not False:
            self._struck[f"{fault.name}: {fault.target}"] += 1
        busy.discard(fault.target)

    async def _heal(self, parts: StruckParts) -> None:
        """Each fault ends by itself; what it brought down for good begins anew."""
        for name in (*parts.hubs, *parts.site.workers):
            set_clock(parts.site.clock(name), 0.0)
        for party in parts.parties:
            parts.site.set_mood(party, Mood.WELL)
        for node in parts.nodes:
            node.signal(signal.SIGCONT)
            if node.has_ended:
                await asyncio.to_thread(node.start)
                await asyncio.to_thread(node.wait)

    async def _drain(self, parts: StruckParts) -> bool:
        """Whether all came to its end."""
        began, have_begun_anew = time.monotonic(), False
        while time.monotonic() < began + DRAIN_SECONDS_MAX:
            try:
                if not await asyncio.to_thread(parts.site.open_count):
                    return True
            except LogUnavailable:
                pass
            if time.monotonic() > began + DRAIN_SECONDS_FIRST and not have_begun_anew:
                have_begun_anew = True
                for hub in parts.hubs.values():
                    hub.stop()
            await asyncio.sleep(0.2)
        return False


@contextlib.asynccontextmanager
async def _relayed(port: int) -> AsyncIterator[Relay]:
    relay = Relay(port)
    await relay.start()
    try:
        yield relay
    finally:
        await relay.close()


def say_nemesis(result: NemesisResult) -> str:
    """For people: what was struck, what came of it, and how to do it again."""
    faults = [f"  {kind}: {sentence}" for kind, sentence in result.found.faults[:20]]
    return "\n".join(
        [
            f"{result.again}: {'red' if faults else 'every promise held'}",
            *faults,
            f"{sum(result.struck.values())} faults: {dict(sorted(result.struck.items()))}",
            f"deliveries: {dict(result.found.counts)}, {result.copies} copies",
            f"lives: {dict(result.lives)}; {result.adopted} logs adopted",
        ]
    )
