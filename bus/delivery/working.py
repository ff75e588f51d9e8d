"""Do what an order says: call the recipient's adapter once, and report what came of it. A query is
answered as the hub would have its own adapters answer it.

In a hub's own process and in a worker's it is the same. An order that comes again, because somebody
did not hear the report, is answered by the report of the first time, without a second call.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from time import monotonic

import structlog

from bus.core import errors
from bus.core.decision import Accepted
from bus.core.deliveries import AttemptEnd, AttemptOutcome, DeliveryKey
from bus.core.ports.broker import Taken
from bus.core.registry import Mode, Repeats
from bus.core.routing import Recipient
from bus.delivery.adapter_calls import AdapterCalls
from bus.delivery.adapter_messages import query_of, submission_of
from bus.delivery.answers import AgencyAnswers, FinishedAnswer
from bus.delivery.order_forms import OrderReader, ReportWriter
from bus.delivery.said import Said, not_begun, of_error, of_rejection, of_retry
from bus.delivery.settling import CLOCK_SKEW_SECONDS_MAX
from bus.kit.contract import Answer, Delivered, Disposition, Retry
from bus.protocols.orders import AttemptReport, Order, OrderInvalid

REPORTS_KEPT_MAX = 1024
REPORTS_KEPT_BYTES_MAX = 16 * 1024 * 1024
"""Reports that are kept for orders that come again."""

_log = structlog.get_logger()
_Name = tuple[str, DeliveryKey, int]
"""Origin, delivery, attempt."""


@dataclass(frozen=True, slots=True)
class WorkingDependencies:
    """What doing orders needs."""

    agencies: Mapping[str, AdapterCalls]
    """By adapter id."""
    answers: AgencyAnswers
    orders: OrderReader
    reports: ReportWriter
    clock: Callable[[], datetime]


class WorkBrokenOff(Exception):
    """An order was not done to its end."""


class Working:
    """Does orders; used from one event loop. `handle` is what a WorkBroker calls."""

    def __init__(self, dependencies: WorkingDependencies) -> None:
        self._agencies = dependencies.agencies
        self._answers = dependencies.answers
        self._registry = dependencies.answers.rules.registry
        self.orders = dependencies.orders
        self.reports = dependencies.reports
        self._clock = dependencies.clock
        self._in_work: dict[_Name, asyncio.Future[bytes]] = {}
        self._reports = _KeptReports()
        self._asked: OrderedDict[tuple[str, DeliveryKey], None] = OrderedDict()
        """Deliveries that recipients were asked to take, the last ones."""

    async def handle(self, taken: Taken) -> bytes | None:
        """The signed report of an order; None: it is no order.

        Raises SigningUnavailable, or whatever mistake of ours it was: somebody takes it again.
        """
        try:
            order = self.orders.read(taken.content)
        except OrderInvalid as error:
            _log.error("order.invalid", detail=str(error))
            return None
        name = (order.origin, order.key, order.attempt)
        known = self._reports.get(name)
        if known is not None:
            return known
        same = self._in_work.get(name)
        if same is not None:
            return await _result_of(same)
        return await self._do_once(name, order, taken)

    async def _do_once(self, name: _Name, order: Order, taken: Taken) -> bytes:
        report: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._in_work[name] = report
        try:
            made = await self._do(order, taken)
            self._reports.keep(name, made)
            report.set_result(made)
        finally:
            report.cancel()  # does nothing to a report that is set
            del self._in_work[name]
        return made

    async def _do(self, order: Order, taken: Taken) -> bytes:
        now, is_redelivered = self._clock(), taken.is_redelivered
        refused = self._refusal(order, now, taken)
        if refused is not None:
            return await self._reported_aside(order, refused, is_redelivered=is_redelivered)
        if order.is_query:
            said = await self._answered(order, (order.begin_before - now).total_seconds())
            return await self._reported_aside(order, said, is_redelivered=is_redelivered)
        return await self._deliver(order, is_redelivered=is_redelivered)

    async def _answered(self, order: Order, seconds_left: float) -> Said:
        """What came of a query. Raises SigningUnavailable."""
        accepted = order.accepted
        seconds = min(accepted.timeout_seconds, seconds_left)
        agency, provider = self._agencies[accepted.adapter], accepted.service.provider.member

        def finish(answer: Answer) -> FinishedAnswer:
            return self._answers.finish(accepted, provider, answer.element, answer.attachments)

        try:
            with agency.place():
                query = query_of(accepted, order.attachments, seconds)
                answer = await agency.call(query, finish)
        except errors.SigningUnavailable:
            raise  # a report could not be signed either
        except errors.BusError as error:
            return of_error(order, error)
        return Said(AttemptOutcome(order.attempt, AttemptEnd.DELIVERED), answer=answer)

    async def _deliver(self, order: Order, *, is_redelivered: bool) -> bytes:
        # What a broker held back may come behind a later attempt.
        is_known = self._was_asked(order)
        submission = submission_of(order, is_redelivered=is_redelivered or is_known)
        agency = self._agencies[order.accepted.recipients[0].adapter]

        def do(call: Callable[[], Disposition]) -> bytes | Said:
            """On the adapter's thread."""
            said = self._said(order, call)
            if said.is_for_device:
                return said
            if agency.delivers_here and self.reports.waits(order.recipient, order.sent_at):
                return said  # nothing waits for a device here
            return self._report(order, said, is_redelivered=is_redelivered)

        def is_in_time() -> bool:
            return self._clock() < order.begin_before

        asks_first = submission.may_be_repeated and self._repeats(order) is Repeats.ASKED
        try:
            made = await agency.deliver(submission, do, is_in_time, asks_first=asks_first)
        except errors.BusError as error:
            said = of_error(order, error)
            return await self._reported_aside(order, said, is_redelivered=is_redelivered)
        if isinstance(made, bytes):
            return made
        return await self._reported_aside(order, made, is_redelivered=is_redelivered)

    def _was_asked(self, order: Order) -> bool:
        """Whether the recipient was asked about this before, here; from now on it was."""
        name = (order.origin, order.key)
        is_known = name in self._asked
        self._asked[name] = None
        if len(self._asked) > REPORTS_KEPT_MAX:
            self._asked.popitem(last=False)
        return is_known

    def _refusal(self, order: Order, now: datetime, taken: Taken) -> Said | None:
        """Why nothing is done of an order; None: it is done."""
        off = _clock_off(order, now, taken)
        if off:
            # Of a deadline by the hub's clock it knows nothing.
            _log.error("worker.clock-off", seconds=off)
            way = "ahead of" if off > 0 else "behind"
            return not_begun(order, errors.WorkerAway(f"the worker's clock is {way} the hub's"))
        if order.begin_before <= now:
            # Said, so that its hub need not doubt whether anything was done.
            return not_begun(order, errors.WorkerAway("no worker had room for it in time"))
        if taken.is_redelivered and not order.is_query and self._repeats(order) is Repeats.NEVER:
            lost = errors.WorkerLost("taken before, and the recipient takes nothing twice")
            return of_error(order, lost)
        reached = _reached(order.accepted)
        if reached is None or str(reached.subsystem) != order.recipient:
            return not_begun(order, errors.AdapterBroken("the order names another recipient"))
        if reached.adapter not in self._agencies:
            return not_begun(order, errors.WorkerAway("the worker has no such adapter"))
        return None

    def _repeats(self, order: Order) -> Repeats:
        service = self._registry.services.get(order.accepted.service)
        rule = service.submission if service is not None else None
        return rule.repeats if rule is not None else Repeats.NEVER

    def _said(self, order: Order, call: Callable[[], Disposition]) -> Said:
        """What came of the call, whatever it was."""
        try:
            disposition = call()
            if isinstance(disposition, Delivered):
                return self._delivered(order, disposition)
        except errors.BusError as error:
            return of_error(order, error)
        if isinstance(disposition, Retry):
            return of_retry(order, disposition)
        return of_rejection(order, disposition)

    def _delivered(self, order: Order, delivered: Delivered) -> Said:
        """Raises AnswerInvalid, AdapterBroken, SigningUnavailable."""
        outcome = AttemptOutcome(order.attempt, AttemptEnd.DELIVERED)
        if delivered.element is None:
            if delivered.attachments:
                raise errors.AdapterBroken("attachments without an answer")
            return Said(outcome)
        member = order.accepted.recipients[0].subsystem.member
        answer = self._answers.finish(
            order.accepted, member, delivered.element, delivered.attachments
        )
        return Said(outcome, answer=answer)

    async def _reported_aside(self, order: Order, said: Said, *, is_redelivered: bool) -> bytes:
        """The report of what was not said on an adapter's thread. Raises SigningUnavailable."""
        answer = said.answer
        if answer is not None:
            said = replace(said, answer=replace(answer, message=await answer.signed()))
        return await asyncio.to_thread(
            lambda: self._report(order, said, is_redelivered=is_redelivered)
        )

    def _report(self, order: Order, said: Said, *, is_redelivered: bool) -> bytes:
        answer, outcome = said.answer, said.outcome
        body = said.fault if answer is None else answer.message
        assert isinstance(body, bytes)
        if is_redelivered:
            outcome = replace(outcome, is_redelivered=True)
        report = AttemptReport(
            origin=order.origin,
            key=order.key,
            recipient=order.recipient,
            message_digest=order.accepted.facts.digest,
            outcome=outcome,
            time=self._clock() if answer is None else answer.time,
            code=said.code,
            detail=said.detail,
            answer=body,
            attachments=() if answer is None else answer.attachments,
            is_query=order.is_query,
        )
        return self.reports.write(report)


async def _result_of(same: asyncio.Future[bytes]) -> bytes:
    """The report that somebody else is making: a broker may double what it carries, and it is one
    call, and one report for both."""
    try:
        return await asyncio.shield(same)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if not same.cancelled() or (task is not None and task.cancelling()):
            raise
        # Not we were ended, but who did it: its hub decides what follows.
        raise WorkBrokenOff("whoever did it was ended") from None


def _clock_off(order: Order, now: datetime, taken: Taken) -> float:
    """By how many seconds this clock is ahead of the hub's, or behind (below 0), as far as an order
    shows; 0: it shows nothing.

    A broker gives nothing out whose time is over; so it was not, when this came.
    """
    behind = (order.sent_at - now).total_seconds()
    if behind > CLOCK_SKEW_SECONDS_MAX:
        return -behind
    waited = monotonic() - taken.came if taken.came else 0.0
    ahead = (now - order.begin_before).total_seconds() - waited
    return ahead if taken.came and ahead > CLOCK_SKEW_SECONDS_MAX else 0.0


def _reached(accepted: Accepted) -> Recipient | None:
    """Who is to be reached, and by which adapter; None: it is not one."""
    if accepted.mode is Mode.QUERY:
        return Recipient(accepted.service.provider, accepted.adapter)
    return accepted.recipients[0] if len(accepted.recipients) == 1 else None


class _KeptReports:
    """The last reports, within bounds of their number and their bytes."""

    def __init__(self) -> None:
        self._by_name: OrderedDict[_Name, bytes] = OrderedDict()
        self._bytes = 0

    def get(self, name: _Name) -> bytes | None:
        return self._by_name.get(name)

    def keep(self, name: _Name, report: bytes) -> None:
        self._by_name[name] = report
        self._bytes += len(report)
        while len(self._by_name) > REPORTS_KEPT_MAX or self._bytes > REPORTS_KEPT_BYTES_MAX:
            _, oldest = self._by_name.popitem(last=False)
            self._bytes -= len(oldest)
