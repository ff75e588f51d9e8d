"""One life of a hub in a simulation: the real exchanges and deliveries, over ports that fail.

Either all of it is one process (embedded: broker, workers and hub die together), or broker and
workers stand apart and go on when the hub dies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bus.core.decision import Decision
from bus.core.deliveries import DeliveryKey
from bus.core.identifiers import SubsystemId
from bus.core.limits import Limits
from bus.core.log.pseudonyms import Pseudonyms
from bus.core.pipeline import Rules
from bus.core.registry import FaultStyle
from bus.delivery.adapter_calls import AdapterCalls
from bus.delivery.admission import Admission
from bus.delivery.answers import AgencyAnswers
from bus.delivery.carried_messages import CarriedMessages
from bus.delivery.delivering import Delivering, DeliveryParts
from bus.delivery.delivery_writer import DeliveryWriter
from bus.delivery.dispatcher import DispatchDependencies, Dispatcher
from bus.delivery.embedded import DeliveryPlace, EmbeddedDeliveries
from bus.delivery.lanes import Lanes
from bus.delivery.operating import Operating
from bus.delivery.order_forms import ProvedReport
from bus.delivery.reconciler import Reconciler
from bus.delivery.settling import Settling
from bus.delivery.working import Working, WorkingDependencies
from bus.exchange.acceptances import Acceptances
from bus.exchange.answering import Answering
from bus.exchange.exchanges import ExchangeDependencies, Exchanges
from bus.exchange.faults import Faults as WireFaults
from bus.exchange.recording import Recorder
from bus.exchange.replies import Replies
from bus.exchange.submission import Submissions
from bus.log.attachment_files import AttachmentFiles
from bus.log.entry_writer import EntryWriter
from bus.log.sealing import Sealer
from bus.mailbox.opening import open_mailboxes
from bus.protocols.orders import AttemptReport, Order, OrderInvalid, ReportInvalid
from bus.protocols.report_notes import write_report
from bus.protocols.soap_xroad.wire import SOAP_XROAD
from bus.runtime.bulkheads import SenderBulkheads
from bus.runtime.rates import MemberRates
from signing.attachments import Attachment
from signing.pki.keys import Signer
from signing.signed_note import SigningKey
from tests.chaos.simulated_agencies import SimulatedAgency
from tests.chaos.simulated_loop import SimulatedLoop, SimulatedThreads
from tests.chaos.simulated_ports import Faults, FaultyBroker, FaultyLog, faulty_rows
from tests.chaos.simulated_pullers import with_simulated_words
from tests.log.memory_entry_store import MemoryEntryStore
from tests.nation import HUB

ORIGIN = "hub.example/log"
SEALER = Sealer(bytes(range(32)))
PSEUDONYMS = Pseudonyms(bytes(32))
RECEIPT_KEY = SigningKey(f"{ORIGIN}/receipt", Ed25519PrivateKey.from_private_bytes(bytes(32)))
DISK_FREE_BYTES = 2**40


class KeptOrders:
    """Implements OrderForm: what was written stays readable, as bytes are that somebody signed."""

    def __init__(self) -> None:
        self._kept: dict[bytes, Order] = {}

    def write(self, order: Order) -> bytes:
        name = f"{order.origin} {order.key} {order.attempt}".encode()
        self._kept[name] = order
        return name

    def read(self, content: bytes) -> Order:
        if content not in self._kept:
            raise OrderInvalid("no order has this name")
        return self._kept[content]

    def is_untouched(self, key: DeliveryKey, attempt: int) -> bool:
        return False

    def forget(self, key: DeliveryKey, attempt: int) -> None:
        pass


class KeptReports:
    """Implements ReportForm in the same way."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self._kept: dict[bytes, ProvedReport] = {}

    def write(self, report: AttemptReport) -> bytes:
        evidence = write_report(report, self._signer, inline_bytes_max=0)
        name = hashlib.sha256(evidence).digest()
        self._kept[name] = ProvedReport(report, evidence)
        return name

    def waits(self, recipient: str, time: datetime) -> bool:
        return self._signer.waits

    def read(self, content: bytes) -> ProvedReport:
        if content not in self._kept:
            raise ReportInvalid("no report has this name")
        return self._kept[content]

    def forget(self, content: bytes) -> None:
        pass


class SimulatedCalls(AdapterCalls):
    """Calls whose threads are steps of the loop."""

    def __init__(self, name: str, agency: SimulatedAgency, loop: SimulatedLoop) -> None:
        super().__init__(name, agency, concurrency=4)
        self._threads = SimulatedThreads(loop, agency.seconds)


@dataclass(frozen=True, slots=True)
class Ground:
    """What a hub stands on, and finds again."""

    loop: SimulatedLoop
    faults: Faults
    rules: Rules
    limits: Limits
    signer: Signer
    """Signs for everybody: whose key it is is proved elsewhere."""
    folder: Path
    clock: Callable[[], datetime]
    decide: Callable[[bytes], Decision]
    agencies: Mapping[str, SimulatedAgency]
    """By adapter."""
    signing_members: tuple[SubsystemId, ...]
    broker: FaultyBroker | None = None
    """That of a server apart; None: hub, broker and workers are one process."""
    orders: KeptOrders | None = None
    reports: KeptReports | None = None

    def answers(self) -> AgencyAnswers:
        signers = {str(one.member): self.signer for one in self.signing_members}
        return AgencyAnswers(signers, SOAP_XROAD, self.rules, self.clock)

    def calls(self) -> dict[str, AdapterCalls]:
        return {
            name: SimulatedCalls(name, agency, self.loop) for name, agency in self.agencies.items()
        }

    def free_bytes(self) -> int:
        return 0 if self.faults.strikes(self.faults.fails, "disk full") else DISK_FREE_BYTES


class SimulatedHub:
    """Opened in the context of its life; it takes requests when `start` has returned."""

    def __init__(self, ground: Ground, store: MemoryEntryStore, log: FaultyLog) -> None:
        self._ground = ground
        rows = faulty_rows(store.deliveries, ground.faults)
        self._entries = EntryWriter(log, AttachmentFiles(ground.folder, SEALER), SEALER)
        answers = ground.answers()
        place = DeliveryPlace(
            rows, self._entries, ground.folder, ORIGIN, ground.limits, ground.clock
        )
        self._embedded: EmbeddedDeliveries | None = None
        if ground.broker is None:
            self._embedded = EmbeddedDeliveries(place, ground.calls(), answers)
            self.delivering = self._embedded.delivering
            dispatcher, admission = self._embedded.dispatcher, self._embedded.admission
            writer = self._embedded.writer
        else:
            self.delivering, dispatcher, admission, writer = _apart(ground, place)
        messages = CarriedMessages(rows, self._entries)
        self.operating = Operating(rows, writer, messages, lambda _: None, ground.clock)
        hub = AgencyAnswers(
            {str(HUB.member): ground.signer}, SOAP_XROAD, ground.rules, ground.clock
        )
        self._mailboxes = open_mailboxes(place, writer, hub, RECEIPT_KEY)
        self.mailboxes = with_simulated_words(self._mailboxes.mailboxes)
        admission.free_bytes = ground.free_bytes
        self._lanes = admission.lanes
        self.exchanges = self._exchanges(dispatcher, admission)

    def _exchanges(self, dispatcher: Dispatcher, admission: Admission) -> Exchanges:
        ground = self._ground
        recorder = Recorder(self._entries, PSEUDONYMS, ground.rules.digest)
        style = FaultStyle()
        faults = WireFaults(SOAP_XROAD, ground.signer, style.spelling, show_precise_faults=True)
        replies = Replies(SOAP_XROAD, faults, RECEIPT_KEY, style)
        submissions = Submissions(
            recorder=recorder,
            dispatcher=dispatcher,
            admission=admission,
            registry=ground.rules.registry,
            pseudonyms=PSEUDONYMS,
            acceptances=Acceptances(SOAP_XROAD, ground.signer, RECEIPT_KEY),
            replies=replies,
            clock=ground.clock,
        )
        return Exchanges(
            ExchangeDependencies(
                decide=self._decide,
                recorder=recorder,
                senders=SenderBulkheads(64),
                rates=MemberRates({}, lambda: 0.0),
                answering=Answering({}, ground.answers()),
                replies=replies,
                submissions=submissions,
                mailboxes=self._mailboxes,
                clock=ground.clock,
                new_id=lambda: f"fault-{ground.faults.luck.getrandbits(32)}",
            )
        )

    async def _decide(
        self, raw: bytes, now: datetime, attachments: tuple[Attachment, ...] = ()
    ) -> Decision:
        return self._ground.decide(raw)

    async def start(self) -> None:
        """Raises LogUnavailable."""
        if self._embedded is not None:
            await self._embedded.start()
        else:
            await self.delivering.start()

    def leaks(self, open_count: int) -> Iterator[str]:
        """What its memory says otherwise than the rows, when nothing is on its way any more."""
        lanes = self._lanes
        if lanes.pending != open_count:
            yield f"{lanes.pending} deliveries are counted as open, and {open_count} are"
        for lane in lanes:
            if lane.out:
                yield f"{len(lane.out)} attempts to {lane.recipient} count as on their way"
            if lane.reserved:
                yield f"{lane.reserved} attempts to {lane.recipient} are reserved"
        if lanes.bytes_out:
            yield f"{lanes.bytes_out} bytes count as on their way"

    async def close(self) -> None:
        """End in order."""
        if self._embedded is not None:
            await self._embedded.close()
        else:
            await self.delivering.stop()
            await self.delivering.close()


def _apart(
    ground: Ground, place: DeliveryPlace
) -> tuple[Delivering, Dispatcher, Admission, DeliveryWriter]:
    """A hub's side of deliveries where workers and broker stand apart."""
    assert ground.broker is not None
    assert ground.orders is not None
    assert ground.reports is not None
    lanes = Lanes(place.limits)
    writer = DeliveryWriter(place.entries, lanes, ground.rules.registry, place.clock)
    dispatcher = Dispatcher(
        DispatchDependencies(
            rows=place.rows,
            writer=writer,
            broker=ground.broker,
            orders=ground.orders,
            limits=place.limits,
            origin=ORIGIN,
            clock=place.clock,
        )
    )
    admission = Admission(lanes, place.limits, ground.free_bytes)
    settling = Settling(place.rows, writer, ground.orders, ground.reports, ORIGIN, place.clock)
    reconciler = Reconciler(place.rows, writer, place.clock)
    parts = DeliveryParts(
        rows=place.rows,
        lanes=lanes,
        admission=admission,
        dispatcher=dispatcher,
        settling=settling,
        reconciler=reconciler,
        broker=ground.broker,
    )
    return Delivering(parts), dispatcher, admission, writer


async def work_apart(ground: Ground) -> None:
    """A worker of every agency, in the life that it is called in."""
    assert ground.broker is not None
    assert ground.orders is not None
    assert ground.reports is not None
    calls = ground.calls()
    working = Working(
        WorkingDependencies(calls, ground.answers(), ground.orders, ground.reports, ground.clock)
    )
    for name in calls:
        await ground.broker.work(name, working.handle, concurrency=2)
