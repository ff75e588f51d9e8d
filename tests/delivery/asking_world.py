"""A hub and a worker elsewhere with a broker between them, for stories about queries."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bus.broker.memory import MemoryBroker
from bus.core.decision import Accepted
from bus.core.errors import RecipientTimeout
from bus.core.limits import Limits
from bus.core.log.leaf import Leaf, read_leaf
from bus.core.ports.broker import HandleOrder, Made, OrderParcel, ReadAnswer, Taken
from bus.core.request_decision import decide_whole
from bus.delivery.adapter_calls import AdapterCalls
from bus.delivery.answer_proof import AnswerProof
from bus.delivery.answers import AgencyAnswers, FinishedAnswer
from bus.delivery.asked_query import AskedQuery
from bus.delivery.asking import ElsewhereDependencies, QueriesElsewhere
from bus.delivery.breaker import BreakerState
from bus.delivery.delivery_writer import DeliveryWriter
from bus.delivery.lanes import Lanes
from bus.delivery.signed_orders import ProvedOrders, SignedOrders, SignedReports
from bus.delivery.working import Working, WorkingDependencies
from bus.log.attachment_files import AttachmentFiles
from bus.log.entry_writer import EntryWriter
from bus.log.sealing import Sealer
from bus.protocols.order_notes import order_key_of
from bus.protocols.soap_xroad.wire import SOAP_XROAD
from signing.attachments import Attachment
from signing.signed_note import SigningKey
from tests.delivery.delivery_world import MemoryLog, SettableClock
from tests.hub.running_hub import ScriptedAgency
from tests.log.memory_entry_store import MemoryDisk, MemoryEntryStore
from tests.nation import LOOKUP_ADAPTER, NOW, PROVIDER, SmallNation, request

ORIGIN = "axis.example.vn/log"
LOG_KEY = SigningKey(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(32)))
RECEIVED = 7
"""The entry of whatever is asked."""
Says = Callable[[bytes], Iterable[bytes]]
"""From the worker's report, what is handed on as answers, one after the other."""


@dataclass
class AskingWorld:
    """What stands on both sides of a broker."""

    nation: SmallNation
    folder: Path
    agency: ScriptedAgency = field(default_factory=ScriptedAgency)
    clock: SettableClock = field(default_factory=SettableClock)
    disk: MemoryDisk = field(default_factory=MemoryDisk)
    asked: list[OrderParcel] = field(default_factory=list)

    def __post_init__(self) -> None:
        rules = self.nation.rules
        signers = {str(PROVIDER.member): self.nation.signers[PROVIDER]}
        sealer = Sealer(bytes(range(32)))
        store = MemoryEntryStore(self.disk)
        entries = EntryWriter(
            MemoryLog(store, lambda: None), AttachmentFiles(self.folder, sealer), sealer
        )
        self.broker = MemoryBroker(self.clock)
        self.lanes = Lanes(Limits())
        self.orders = SignedOrders(LOG_KEY)
        self.reports = SignedReports(signers)
        self.asking = QueriesElsewhere(
            ElsewhereDependencies(
                agencies=[LOOKUP_ADAPTER],
                broker=self.broker,
                orders=self.orders,
                proof=AnswerProof(rules, ORIGIN, self.clock),
                writer=DeliveryWriter(entries, self.lanes, rules.registry, self.clock),
                limits=Limits(),
                origin=ORIGIN,
                clock=self.clock,
            )
        )
        self.calls = AdapterCalls(LOOKUP_ADAPTER, self.agency, concurrency=2)
        self.working = Working(
            WorkingDependencies(
                {LOOKUP_ADAPTER: self.calls},
                AgencyAnswers(signers, SOAP_XROAD, rules, self.clock),
                ProvedOrders([order_key_of(LOG_KEY.verifying_key)]),
                self.reports,
                self.clock,
            )
        )

    @property
    def leaves(self) -> list[Leaf]:
        return [read_leaf(entry.leaf) for entry in self.disk.rows.entries]

    @property
    def breaker(self) -> BreakerState:
        return self.lanes.of(str(PROVIDER)).breaker.state

    def query(
        self,
        message_id: str = "m-1",
        *,
        seconds: float = 30,
        attachments: tuple[Attachment, ...] = (),
        index: int = RECEIVED,
    ) -> AskedQuery:
        raw = request(self.nation, message_id)
        decided = decide_whole(SOAP_XROAD, raw, self.nation.rules, NOW)
        assert isinstance(decided, Accepted)
        return AskedQuery(replace(decided, timeout_seconds=seconds), raw, attachments, index)

    async def ask(self, query: AskedQuery | None = None) -> FinishedAnswer:
        return await self.asking.ask(query or self.query())

    async def ask_hearing(self, says: Says, query: AskedQuery | None = None) -> FinishedAnswer:
        """Ask while somebody is between hub and worker, who knows what the worker says of it."""

        async def hear(order: OrderParcel, _: datetime, read: ReadAnswer[Made]) -> Made:
            self.asked.append(order)
            true = await self.working.handle(self.taken(order.content))
            assert true is not None
            for content in says(true):
                made = await read(self.taken(content))
                if made is not None:
                    return made
            raise RecipientTimeout

        self.broker.ask = hear  # type: ignore[method-assign,assignment]
        return await self.ask(query)

    def taken(self, content: bytes) -> Taken:
        return Taken(content, "", is_redelivered=False)

    @asynccontextmanager
    async def working_by(self, handle: HandleOrder | None = None) -> AsyncIterator[None]:
        """Both sides are there; `handle` stands in for the worker."""

        async def unheard(_: Taken) -> None:
            raise AssertionError("nothing is delivered here")

        await self.broker.start(unheard, unheard, self.asking.late)
        await self.broker.work(LOOKUP_ADAPTER, handle or self.working.handle, concurrency=2)
        try:
            yield
        finally:
            await self.broker.drain(1)
            await self.broker.close()
            self.asking.close()
            self.calls.close()
