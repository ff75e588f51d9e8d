"""Everything that delivers, put together in memory: a store that outlives hubs, a broker, agencies
that do what a test says, and a clock that a test sets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bus.core.decision import Accepted
from bus.core.deliveries import (
    Changed,
    DeliveryChange,
    DeliveryKey,
    DeliveryRow,
    Moved,
    ReceiptRemoval,
)
from bus.core.errors import LogUnavailable
from bus.core.exchange_leaves import Entry
from bus.core.identifiers import SubsystemId
from bus.core.limits import Limits
from bus.core.log.leaf import Leaf, read_leaf
from bus.core.log.pseudonyms import Pseudonyms
from bus.core.pipeline import Rules
from bus.core.ports.entry_store import CommitResult, LogStore
from bus.core.ports.message_log import (
    AlreadyTaken,
    Appended,
    Claim,
    LogWrite,
    SealedPayload,
    StoredEntry,
)
from bus.core.registry import FaultStyle, Mode, SubmissionRule
from bus.core.request_decision import decide_whole
from bus.core.routing import Recipient
from bus.delivery.adapter_calls import AdapterCalls
from bus.delivery.answers import AgencyAnswers
from bus.delivery.beyond import WorkBeyond
from bus.delivery.embedded import DeliveryPlace, EmbeddedDeliveries
from bus.exchange.acceptances import Acceptances
from bus.exchange.faults import Faults
from bus.exchange.messages import IncomingRequest
from bus.exchange.recording import Recorder
from bus.exchange.replies import Replies
from bus.exchange.submission import Submissions
from bus.kit.contract import Adapter, Delivered, Disposition, Submission
from bus.log.attachment_files import AttachmentFiles
from bus.log.entry_writer import EntryWriter
from bus.log.postgres.connection import ReadingConnection
from bus.log.postgres.store import PostgresEntryStore
from bus.log.row_values import ROW_COLUMNS, row_of
from bus.log.sealing import Sealer
from bus.protocols.soap_xroad.wire import SOAP_XROAD
from bus.settings.postgres import PostgresSettings
from signing.pki.keys import Signer
from signing.signed_note import SigningKey
from tests.hang_limits import HANG_SECONDS_MAX
from tests.log.memory_entry_store import MemoryDisk, MemoryEntryStore
from tests.nation import ANSWER, HUB, LOOKUP, NOW, SmallNation, payload, request

ORIGIN = "hub.example/log"
HANOI = SubsystemId.parse("VN/GOV/H26/motcua")
PROVIDER = LOOKUP.provider
LATER = timedelta(hours=1)


class ReceivingAgency(Adapter):
    """Does what a test says with each delivery, and remembers what came."""

    def __init__(self) -> None:
        super().__init__({})
        self.came: list[Submission] = []
        self.script: Callable[[Submission], Disposition] = take_well
        self.finds: Callable[[Submission], Delivered | None] = lambda _: None
        self.looked: list[Submission] = []

    def deliver(self, submission: Submission) -> Disposition:
        self.came.append(submission)
        return self.script(submission)

    def find(self, submission: Submission) -> Delivered | None:
        self.looked.append(submission)
        return self.finds(submission)


class ImmediateAgency(ReceivingAgency):
    """The same, without waiting for anything."""

    answers_at_once = True


def take_well(_: Submission) -> Disposition:
    return Delivered(payload(ANSWER))


class MemoryLog:
    """Implements `MessageLog` above a store, without a thread."""

    def __init__(self, store: LogStore, committed: Callable[[], None]) -> None:
        """`committed` is called between a commit and its confirmation."""
        self._store = store
        self._committed = committed

    async def append(self, write: LogWrite) -> Appended | AlreadyTaken | Moved:
        await asyncio.sleep(0)
        result = self._store.commit([write])[0]
        self._committed()
        assert not isinstance(result, Changed)
        return result

    async def change(self, change: DeliveryChange) -> Changed | Moved:
        await asyncio.sleep(0)
        result = self._store.commit([change])[0]
        assert isinstance(result, Changed | Moved)
        return result

    async def remove_receipts(self, removal: ReceiptRemoval) -> int:
        await asyncio.sleep(0)
        removed = self._store.remove_receipts(removal)
        self._committed()
        return removed

    async def claimed(self, claim: Claim) -> AlreadyTaken | None:
        return self._store.claimed(claim)

    async def read(self, index: int, origin: str | None = None) -> StoredEntry:
        assert origin is None
        entry = self._store.entry(index)
        assert entry is not None
        return entry

    async def close(self) -> None:
        pass


@dataclass(slots=True)
class SettableClock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, time: timedelta) -> None:
        self.now += time


class DeliveryDisk(Protocol):
    """What a log lies on, for tests to look at."""

    fails_before: bool
    """The next commits do nothing and fail."""
    fails_after: bool
    """The next commits are done, and their confirmation is lost."""

    def open(self) -> LogStore: ...

    def entries(self) -> Sequence[StoredEntry]: ...

    def rows(self) -> Sequence[DeliveryRow]: ...


class InMemory:
    """A store of the tests."""

    def __init__(self) -> None:
        self._disk = MemoryDisk()

    @property
    def fails_before(self) -> bool:
        return self._disk.fails_before

    @fails_before.setter
    def fails_before(self, value: bool) -> None:
        self._disk.fails_before = value

    @property
    def fails_after(self) -> bool:
        return self._disk.fails_after

    @fails_after.setter
    def fails_after(self, value: bool) -> None:
        self._disk.fails_after = value

    def open(self) -> LogStore:
        return MemoryEntryStore(self._disk)

    def entries(self) -> Sequence[StoredEntry]:
        return self._disk.rows.entries

    def rows(self) -> Sequence[DeliveryRow]:
        return list(self._disk.rows.deliveries.rows.values())


class _ForgetfulStore(PostgresEntryStore):
    """One whose confirmations are lost when its disk says so."""

    def __init__(self, settings: PostgresSettings, disk: DeliveryDisk) -> None:
        super().__init__(settings, ORIGIN, "hub")
        self._disk = disk

    def commit(self, works: Sequence[LogWrite | DeliveryChange]) -> list[CommitResult]:
        if self._disk.fails_before:
            raise LogUnavailable("the server is away")
        results = super().commit(works)
        if self._disk.fails_after:
            raise LogUnavailable("the confirmation was lost")
        return results


class InPostgres:
    """A server's tables; each hub is the same one that comes again."""

    def __init__(self, settings: PostgresSettings) -> None:
        self._settings = settings
        self._reader = ReadingConnection(settings, "test")
        self.fails_before = self.fails_after = False

    def open(self) -> LogStore:
        return _ForgetfulStore(self._settings, self)

    def entries(self) -> Sequence[StoredEntry]:
        found = self._reader.fetch(
            "SELECT idx, leaf, ciphertext, wrapped_key FROM entries "
            "LEFT JOIN payloads USING (origin, idx) ORDER BY idx"
        )
        return [
            StoredEntry(index, leaf, None if sealed is None else SealedPayload(sealed, key))
            for index, leaf, sealed, key in found
        ]

    def rows(self) -> Sequence[DeliveryRow]:
        columns = ", ".join(ROW_COLUMNS)
        return [row_of(row) for row in self._reader.fetch(f"SELECT {columns} FROM deliveries")]

    def close(self) -> None:
        self._reader.close()


@dataclass(slots=True)
class DeliveryWorld:
    """What outlives hubs: the disk, the clock, the agencies."""

    nation: SmallNation
    folder: Path
    rule: SubmissionRule = field(default_factory=SubmissionRule)
    limits: Limits = field(default_factory=Limits)
    clock: SettableClock = field(default_factory=SettableClock)
    disk: DeliveryDisk = field(default_factory=lambda: InMemory())
    agencies: dict[str, ReceivingAgency] = field(default_factory=dict)
    free_bytes: int = 2**40
    on_commit: Callable[[], None] = lambda: None
    """Called between an entry's commit and its confirmation."""
    beyond: Callable[[Rules], WorkBeyond] | None = None
    """What carries orders elsewhere; made anew for each hub."""

    def agency(self, recipient: SubsystemId = PROVIDER) -> ReceivingAgency:
        """The one that stands behind a recipient, and behind no other."""
        return self.agencies.setdefault(adapter_of(recipient), ReceivingAgency())

    @property
    def leaves(self) -> list[Leaf]:
        return [read_leaf(entry.leaf) for entry in self.disk.entries()]

    @property
    def told(self) -> list[tuple[str, str | None]]:
        """What the log says: events and verdicts."""
        return [(leaf.event.value, leaf.verdict) for leaf in self.leaves]

    @property
    def rows(self) -> list[DeliveryRow]:
        return sorted(self.disk.rows(), key=lambda row: row.key)

    def accepted(
        self, message_id: str, recipients: Sequence[SubsystemId], issue: str = "H41-2026-1"
    ) -> tuple[bytes, Accepted]:
        """A message and its decision, as it came from its judge."""
        raw = request(self.nation, message_id, issue=issue)
        decided = decide_whole(SOAP_XROAD, raw, self.nation.rules, NOW)
        assert isinstance(decided, Accepted)
        to = tuple(Recipient(one, adapter_of(one)) for one in recipients)
        return raw, replace(decided, recipients=to)

    @asynccontextmanager
    async def hub(self, *, works: bool = True) -> AsyncIterator[RunningDeliveries]:
        """A hub over what lies on the disk; how it ends is the test's business."""
        for one in (PROVIDER, HANOI):
            self.agency(one)
        running = RunningDeliveries(self)
        if works:
            await running.work()
        await running.delivering.begin()
        try:
            yield running
        finally:
            await running.stop()


def adapter_of(recipient: SubsystemId) -> str:
    """Which adapter brings something to a recipient."""
    return str(recipient.member.member_code).lower()


class RunningDeliveries:
    """One hub's deliveries, from its start to its end; a loop is turned by the test."""

    def __init__(self, world: DeliveryWorld) -> None:
        self.world = world
        rules = _with_submissions(world)
        self.store = store = world.disk.open()
        sealer = Sealer(bytes(range(32)))
        pseudonyms = Pseudonyms(bytes(32))
        entries = EntryWriter(
            MemoryLog(store, lambda: world.on_commit()),
            AttachmentFiles(world.folder, sealer),
            sealer,
        )
        signer = world.nation.signers[HUB]
        receipt_key = SigningKey(
            f"{ORIGIN}/receipt", Ed25519PrivateKey.from_private_bytes(bytes(32))
        )
        self.calls = {
            name: AdapterCalls(name, agency, concurrency=4)
            for name, agency in world.agencies.items()
        }
        answers = AgencyAnswers(_signers(world), SOAP_XROAD, rules, world.clock)
        place = DeliveryPlace(
            store.deliveries, entries, world.folder, ORIGIN, world.limits, world.clock
        )
        beyond = world.beyond(rules) if world.beyond is not None else None
        self.parts = EmbeddedDeliveries(place, self.calls, answers, beyond)
        self.delivering = self.parts.delivering
        self.parts.admission.free_bytes = lambda: world.free_bytes
        self.recorder = Recorder(entries, pseudonyms, rules.digest)
        self.submissions = Submissions(
            recorder=self.recorder,
            dispatcher=self.parts.dispatcher,
            admission=self.parts.admission,
            registry=rules.registry,
            pseudonyms=pseudonyms,
            acceptances=Acceptances(SOAP_XROAD, signer, receipt_key),
            replies=Replies(
                SOAP_XROAD,
                Faults(SOAP_XROAD, signer, FaultStyle().spelling, show_precise_faults=True),
                receipt_key,
                FaultStyle(),
            ),
            clock=world.clock,
        )

    async def work(self) -> None:
        """Let workers take orders, for every agency."""
        await self.parts.work()

    async def submit(
        self,
        message_id: str = "m-1",
        recipients: Sequence[SubsystemId] = (PROVIDER,),
        issue: str = "H41-2026-1",
    ) -> int:
        """Take a message; give the index of its entry."""
        raw, accepted = self.world.accepted(message_id, recipients, issue)
        incoming = IncomingRequest(raw, (), self.world.clock())
        claim = self.recorder.claim_of(accepted.facts)
        entry = await self.submissions.record(accepted, incoming, claim)
        assert isinstance(entry, Entry)
        return entry.index

    async def turn(self) -> None:
        """One look at everything, as the hub's loop takes it every half second."""
        await self.delivering.turn()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for what is on its way; the hub's loop turns meanwhile, its clock does not."""
        async with asyncio.timeout(HANG_SECONDS_MAX):
            while not holds():
                await self.turn()
                await asyncio.sleep(0.001)

    async def until_told(self, event: str, verdict: str, count: int = 1) -> None:
        """Wait until the log says so."""
        await self.until(lambda: self.world.told.count((event, verdict)) >= count)

    async def stop(self) -> None:
        await self.parts.close()
        for calls in self.calls.values():
            calls.close()
        self.store.close()


def key(index: int, position: int = 0) -> DeliveryKey:
    return DeliveryKey(index, position)


def _with_submissions(world: DeliveryWorld) -> Rules:
    """The nation's rules, with its lookup as a service that things are submitted to."""
    rules = world.nation.rules
    service = replace(rules.registry.services[LOOKUP], mode=Mode.SUBMISSION, submission=world.rule)
    services = {**rules.registry.services, LOOKUP: service}
    return replace(rules, registry=replace(rules.registry, services=services))


def _signers(world: DeliveryWorld) -> dict[str, Signer]:
    signers = world.nation.signers
    return {str(one.member): signers[one] for one in (PROVIDER, HANOI)}
