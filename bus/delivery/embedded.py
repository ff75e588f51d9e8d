"""Put together what delivers within the hub's own process: broker, workers, a loop that looks.

Here orders and reports never leave the process; what agencies say is signed in their names all the
same, and is what the log keeps. Work of agencies that have workers elsewhere goes beyond.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

from bus.broker.memory import MemoryBroker
from bus.core.deliveries import DeliveryRow
from bus.core.limits import Limits
from bus.core.ports.broker import OrderBroker
from bus.core.ports.delivery_rows import DeliveryRows
from bus.delivery.adapter_calls import AdapterCalls, AdapterMetrics
from bus.delivery.admission import Admission
from bus.delivery.answer_proof import AnswerProof
from bus.delivery.answers import AgencyAnswers
from bus.delivery.asking import ElsewhereDependencies, QueriesElsewhere
from bus.delivery.beyond import WorkBeyond
from bus.delivery.carried_messages import CarriedMessages
from bus.delivery.carrying import adapter_reaching, recipients_elsewhere
from bus.delivery.delivering import Delivering, DeliveryParts
from bus.delivery.delivery_status import DeliveryStatus, delivery_status
from bus.delivery.delivery_writer import DeliveryWriter
from bus.delivery.dispatcher import DispatchDependencies, Dispatcher
from bus.delivery.lanes import Lanes
from bus.delivery.local_orders import LocalOrders, LocalReports
from bus.delivery.operating import Operating
from bus.delivery.order_forms import OrderForm, ReportReader
from bus.delivery.paused_file import PausedFile
from bus.delivery.reconciler import Reconciler
from bus.delivery.settling import Settling
from bus.delivery.split_work import SplitBroker, SplitOrders, SplitReports
from bus.delivery.working import Working, WorkingDependencies
from bus.log.entry_writer import EntryWriter

DRAIN_SECONDS_MAX = 10.0
"""How long calls of adapters that are being made may go on when the hub ends."""
_SETTLE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class DeliveryPlace:
    """Where deliveries lie, and by which bounds."""

    rows: DeliveryRows
    entries: EntryWriter
    folder: Path
    """On the disk that the log lies on."""
    origin: str
    limits: Limits
    clock: Callable[[], datetime]
    keep_files: Callable[[], None] = lambda: None
    """Told that who is paused was written down. May raise LogUnavailable."""


class EmbeddedDeliveries:
    """Deliveries of one hub, from its start to its end; used from one event loop."""

    def __init__(
        self,
        place: DeliveryPlace,
        agencies: Mapping[str, AdapterCalls],
        answers: AgencyAnswers,
        beyond: WorkBeyond | None = None,
    ) -> None:
        """`beyond`: whose work is done by workers elsewhere; None: nobody's.

        Raises LogCorrupt: who is paused cannot be read.
        """
        registry = answers.rules.registry
        elsewhere = beyond.agencies if beyond else frozenset[str]()
        self.agencies = {one: calls for one, calls in agencies.items() if one not in elsewhere}
        self.work_broker = MemoryBroker(place.clock)
        own_orders = LocalOrders()
        own_reports = LocalReports(answers.signers)
        self.broker: OrderBroker = self.work_broker
        self.orders: OrderForm = own_orders
        reports: ReportReader = own_reports
        self.asking: QueriesElsewhere | None = None
        """None: every agency is asked in this process."""
        if beyond is not None:
            self.broker = SplitBroker(self.work_broker, beyond.broker, elsewhere)
            self.orders = SplitOrders(own_orders, beyond.orders, elsewhere)
            reports = SplitReports(own_reports, beyond.reports)
        self.lanes = Lanes(place.limits)
        self._beyond = beyond.broker if beyond is not None else None
        reached_elsewhere = recipients_elsewhere(registry, elsewhere)
        self.lanes.is_cut_off = lambda one: one in reached_elsewhere and bool(self.beyond_trouble)
        writer = DeliveryWriter(place.entries, self.lanes, registry, place.clock)
        self.closing_seconds = writer.closing_seconds
        if beyond is not None:
            self.asking = _asking(beyond, place, answers, writer)
        self.dispatcher = Dispatcher(
            DispatchDependencies(
                rows=place.rows,
                writer=writer,
                broker=self.broker,
                orders=self.orders,
                limits=place.limits,
                origin=place.origin,
                clock=place.clock,
            )
        )
        self.admission = Admission(
            self.lanes, place.limits, lambda: shutil.disk_usage(place.folder).free
        )
        self.settling = Settling(
            place.rows, writer, self.orders, reports, place.origin, place.clock
        )
        paused = PausedFile(place.folder)
        self.lanes.paused = paused.read()
        self.place = place
        self.writer = writer
        self.operating = Operating(
            place.rows,
            writer,
            CarriedMessages(place.rows, place.entries),
            partial(_keep_paused, paused, place.keep_files),
            place.clock,
        )
        self.working = Working(
            WorkingDependencies(self.agencies, answers, own_orders, own_reports, place.clock)
        )

        def outlives_us(row: DeliveryRow) -> bool:
            return adapter_reaching(row.recipient, row.service, registry) in elsewhere

        self.delivering = Delivering(
            DeliveryParts(
                rows=place.rows,
                lanes=self.lanes,
                admission=self.admission,
                dispatcher=self.dispatcher,
                settling=self.settling,
                reconciler=Reconciler(place.rows, writer, place.clock, outlives_us),
                broker=self.broker,
                late=self.asking.late if self.asking is not None else None,
            )
        )

    def status(self, now: datetime) -> DeliveryStatus:
        """How deliveries stand."""
        status = delivery_status(
            self.lanes, self.settling.counts, self.beyond_trouble, self.broker.without_queue, now
        )
        if self.asking is None:
            return status
        counts = self.asking.counts
        return replace(
            status, unproved=status.unproved + counts.unproved, late=status.late + counts.late
        )

    def queries_elsewhere(self) -> tuple[AdapterMetrics, ...]:
        """Queries to agencies whose workers are elsewhere."""
        return self.asking.metrics() if self.asking is not None else ()

    @property
    def beyond_trouble(self) -> str:
        """Why no order leaves to workers elsewhere; empty: it can, or there are none."""
        return self._beyond.trouble if self._beyond is not None else ""

    async def work(self) -> None:
        """Take orders for every agency."""
        for adapter, calls in self.agencies.items():
            concurrency = calls.deliveries_at_once
            await self.work_broker.work(adapter, self.working.handle, concurrency=concurrency)

    async def start(self) -> int:
        """Settle what an earlier run left, take orders, let leave what is due.

        Gives how many attempts were interrupted. Raises LogUnavailable.
        """
        await self.work()
        return await self.delivering.start()

    async def close(self) -> None:
        """Let nothing leave, wait a while for what is being done, and write down what came of it.

        What nobody began waits as if it had not left; of the rest the next start says that it was
        interrupted.
        """
        await self.delivering.stop()
        await self.work_broker.drain(DRAIN_SECONDS_MAX)
        await self.dispatcher.recall()
        for _ in range(int(1 / _SETTLE_SECONDS)):
            if not any(lane.out for lane in self.lanes):
                break
            await asyncio.sleep(_SETTLE_SECONDS)
        await self.delivering.close()
        if self.asking is not None:
            self.asking.close()


def _asking(
    beyond: WorkBeyond, place: DeliveryPlace, answers: AgencyAnswers, writer: DeliveryWriter
) -> QueriesElsewhere:
    """What asks agencies whose workers are elsewhere."""
    return QueriesElsewhere(
        ElsewhereDependencies(
            agencies=beyond.agencies,
            broker=beyond.broker,
            orders=beyond.orders,
            proof=AnswerProof(answers.rules, place.origin, place.clock),
            writer=writer,
            limits=place.limits,
            origin=place.origin,
            clock=place.clock,
        )
    )


def _keep_paused(
    paused: PausedFile, keep_files: Callable[[], None], agencies: Sequence[str]
) -> None:
    paused.write(agencies)
    keep_files()
