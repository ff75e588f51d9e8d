"""Ask agencies whose workers are elsewhere: a query is an order that is answered, once and in time.

What comes back is proved before it counts; what comes when nobody waits for it any more is recorded
as late, once, and changes nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from bus.core import errors
from bus.core.deliveries import AttemptEnd, DeliveryKey
from bus.core.limits import Limits
from bus.core.ports.broker import OrderBroker, OrderParcel, Taken
from bus.delivery.adapter_calls import AdapterMetrics
from bus.delivery.answer_proof import AnswerProof
from bus.delivery.answers import FinishedAnswer
from bus.delivery.asked_query import AskedQuery
from bus.delivery.attempt_ends import end_of
from bus.delivery.breaker import BreakerState
from bus.delivery.delivery_writer import DeliveryWriter
from bus.delivery.fault_content import FaultUnreadable, read_service_fault
from bus.delivery.order_forms import OrderForm, ProvedReport
from bus.protocols.order_frames import INLINE_BYTES_MAX
from bus.protocols.orders import AttemptReport, Order, OrderInvalid, ReportInvalid
from bus.runtime.bulkheads import Bulkhead
from bus.runtime.off_loop import off_loop

OVERDUE_KEPT_MAX = 4096
"""Queries that nobody answered in time, and whose answers are still recorded if they come."""
ATTEMPT = 1
"""A query is asked once."""
_SAID_BY_WORKER = "as its worker says"
"""Words of others are not for diagnostics."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _QueryName:
    """What an answer must be about."""

    key: DeliveryKey
    recipient: str
    service: str
    message_digest: bytes


@dataclass(frozen=True, slots=True)
class ElsewhereDependencies:
    """What asking workers needs."""

    agencies: Collection[str]
    """Adapters whose workers are elsewhere."""
    broker: OrderBroker
    orders: OrderForm
    proof: AnswerProof
    writer: DeliveryWriter
    limits: Limits
    origin: str
    clock: Callable[[], datetime]


@dataclass(slots=True)
class AskingCounts:
    """Since the start, for operators."""

    unproved: int = 0
    """Answers that were not their agency's, or none to what was asked."""
    late: int = 0


class QueriesElsewhere:
    """Asks workers elsewhere; used from one event loop. `late` is what a broker calls."""

    def __init__(self, dependencies: ElsewhereDependencies) -> None:
        self._broker = dependencies.broker
        self._orders = dependencies.orders
        self._proof = dependencies.proof
        self._writer = dependencies.writer
        self._lanes = dependencies.writer.lanes
        self._origin = dependencies.origin
        self._clock = dependencies.clock
        at_once_max = dependencies.limits.exchanges_at_once_per_agency_max
        self._places = {
            one: Bulkhead(at_once_max, errors.AgencyBusy) for one in dependencies.agencies
        }
        self._overdue: OrderedDict[DeliveryKey, _QueryName] = OrderedDict()
        self.counts = AskingCounts()

    def asks(self, adapter: str) -> bool:
        """Whether this adapter's work is done elsewhere."""
        return adapter in self._places

    def place(self, adapter: str) -> Bulkhead:
        """Room for one query, to be held while it is in work. Raises AgencyBusy when entered."""
        return self._places[adapter]

    def metrics(self) -> tuple[AdapterMetrics, ...]:
        """For operators; threads are the workers'."""
        return tuple(
            AdapterMetrics(adapter, place.in_work, 0, place.refused)
            for adapter, place in sorted(self._places.items())
        )

    async def ask(self, asked: AskedQuery) -> FinishedAnswer:
        """The agency's answer, as far as it passes. Raises a BusError."""
        now = self._clock()
        order = self._order(asked, now)
        parcel = await self._parcel(order)
        query = _QueryName(order.key, order.recipient, order.service, order.accepted.facts.digest)
        breaker = self._lanes.of(order.recipient).breaker
        if not breaker.room(0, 1, now):
            raise errors.RecipientUnavailable("it failed again and again; it is tried again soon")
        breaker.left()
        try:
            answer = await self._broker.ask(
                parcel, order.begin_before, lambda taken: self._read(order, query, taken)
            )
        except errors.WorkerAway as error:
            breaker.not_sent(self._clock())
            raise errors.RecipientUnavailable(error.detail) from error
        except errors.BusError as error:
            self._learn(order.recipient, error)
            if isinstance(error, errors.RecipientTimeout):
                self._keep_overdue(query)
            raise
        except BaseException:
            breaker.not_sent(self._clock())
            raise
        self._learn(order.recipient, None)
        return answer

    async def late(self, taken: Taken) -> None:
        """Record an answer to a query of which its sender was told that nobody answered.

        Whatever else comes is none, or came before. Raises LogUnavailable.
        """
        if not self._overdue:
            return
        proved = await self._proved(taken)
        if proved is None:
            return
        report = proved.report
        query = self._overdue.get(report.key)
        if query is None or not _is_about(report, query):
            return
        del self._overdue[report.key]
        # That a worker gave up, too, says nothing.
        if report.outcome.end in (AttemptEnd.DELIVERED, AttemptEnd.REFUSED):
            self.counts.late += 1
            await self._writer.note_late_answer(query.key, query.recipient, query.service, proved)

    def close(self) -> None:
        """Prove nothing any more."""
        self._proof.close()

    def _order(self, asked: AskedQuery, now: datetime) -> Order:
        accepted = asked.accepted
        return Order(
            origin=self._origin,
            key=DeliveryKey(asked.received_index, 0),
            attempt=ATTEMPT,
            recipient=str(accepted.service.provider),
            service=str(accepted.service),
            idempotency_key=accepted.idempotency_key,
            sent_at=now,
            begin_before=now + timedelta(seconds=accepted.timeout_seconds),
            accepted=accepted,
            raw=asked.raw,
            attachments=asked.attachments,
        )

    async def _parcel(self, order: Order) -> OrderParcel:
        """Raises AttachmentNotAllowed, PayloadRejected: it cannot be carried to a worker."""
        beside = sum(one.bytes_count for one in order.attachments)
        if beside > INLINE_BYTES_MAX:
            said = f"at most {INLINE_BYTES_MAX} bytes of attachments travel to this agency"
            raise errors.AttachmentNotAllowed(public_detail=f"{beside} bytes; {said}")
        size = len(order.raw) + len(order.accepted.payload) + beside
        try:
            content = await off_loop(size, lambda: self._orders.write(order))
        except OrderInvalid as error:
            raise errors.PayloadRejected(public_detail=str(error)) from error
        return OrderParcel(order.accepted.adapter, content, order.begin_before)

    async def _read(self, order: Order, query: _QueryName, taken: Taken) -> FinishedAnswer | None:
        """The answer, if this is one to what was asked. Raises what the agency says instead."""
        proved = await self._proved(taken)
        if proved is None:
            return None
        if not _is_about(proved.report, query):
            self._refuse("it is about another query")
            return None
        if proved.report.code:
            raise _error_of(proved.report)
        return await self._proof.answer(order, proved.report)

    async def _proved(self, taken: Taken) -> ProvedReport | None:
        try:
            return await self._proof.report(taken.content)
        except ReportInvalid as error:
            self._refuse(str(error))
            return None

    def _learn(self, recipient: str, error: errors.BusError | None) -> None:
        """What an answer, or that there was none, says of its agency."""
        breaker, now = self._lanes.of(recipient).breaker, self._clock()
        if isinstance(error, errors.AgencyBusy):
            breaker.not_sent(now)
        elif error is None or end_of(error) is AttemptEnd.REFUSED:
            if breaker.state is not BreakerState.CLOSED:
                self._lanes.want_look(recipient)  # what is due to it may go, too
            breaker.succeeded()
        else:
            breaker.failed(now)

    def _keep_overdue(self, query: _QueryName) -> None:
        self._overdue[query.key] = query
        if len(self._overdue) > OVERDUE_KEPT_MAX:
            self._overdue.popitem(last=False)

    def _refuse(self, why: str) -> None:
        self.counts.unproved += 1
        _log.error("answer.refused", detail=why)


def _is_about(report: AttemptReport, query: _QueryName) -> bool:
    said = report.key, report.recipient, report.message_digest, report.outcome.attempt
    expected = query.key, query.recipient, query.message_digest, ATTEMPT
    return report.is_query and said == expected


def _error_of(report: AttemptReport) -> errors.BusError:
    """What a worker says instead of an answer, as an adapter here would have said it."""
    if report.code == errors.ServiceFault.code:
        try:
            return read_service_fault(report.answer)
        except FaultUnreadable as error:
            return errors.OutcomeUnproved(f"a fault of the agency: {error}")
    kind = _TOLD.get(report.code)
    if kind is None:
        return errors.OutcomeUnproved(f"no adapter says {report.code}")
    return kind(_SAID_BY_WORKER, public_detail=report.detail)


_TOLD = {
    one.code: one
    for parent in (
        errors.AdapterBroken,
        errors.AgencyBusy,
        errors.AnswerInvalid,
        errors.PayloadRejected,
        errors.RecipientRefused,
        errors.RecipientTimeout,
        errors.RecipientUnavailable,
    )
    for one in (parent, *errors.all_errors(parent))
    if one is not errors.ServiceFault
}
"""What the contract of adapters lets them say, by code."""
