"""Settle what is reported of attempts: prove it, decide what it does, write that down, acknowledge.

What a broker carried is acknowledged when this returns; while the log cannot be written it raises,
and comes again.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from bus.core import errors
from bus.core.deliveries import AttemptEnd, AttemptOutcome, DeliveryKey, DeliveryRow, Moved
from bus.core.ports.broker import Taken
from bus.core.ports.delivery_rows import DeliveryRows
from bus.core.registry import Repeats
from bus.delivery.attempt_ends import needs_operator
from bus.delivery.delivery_writer import DeliveryWriter, Why
from bus.delivery.lifecycle import Noted, settle
from bus.delivery.order_forms import OrderForm, ProvedReport, ReportReader
from bus.protocols.orders import OrderInvalid, ReportInvalid

SETTLED_KEPT_MAX = 8192
"""Reports that were settled and may come once more: these are not noted as late."""
CLOCK_SKEW_SECONDS_MAX = 5.0
"""How far the clock of a worker elsewhere may be from ours; it begins nothing if it sees more."""
BUSY_SECONDS = 1.0
"""So long a recipient is left alone for whose delivery no thread was free."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _KnownEnd:
    """What is known to have come of an attempt."""

    key: DeliveryKey
    recipient: str
    outcome: AttemptOutcome
    code: str
    proved: ProvedReport | None = field(default=None, repr=False)

    @property
    def why(self) -> Why:
        return Why(self.outcome.attempt, self.code, self.proved)


@dataclass(slots=True)
class SettlingCounts:
    """Since the start, for operators."""

    attempts: dict[AttemptEnd, int] = field(default_factory=lambda: dict.fromkeys(AttemptEnd, 0))
    unproved: int = 0
    """Reports that were not their agency's, or none."""
    late: int = 0


class Settling:
    """Settles reports; used from one event loop. `reported` and `lost` are what a broker calls."""

    def __init__(
        self,
        rows: DeliveryRows,
        writer: DeliveryWriter,
        orders: OrderForm,
        reports: ReportReader,
        origin: str,
        clock: Callable[[], datetime],
    ) -> None:
        self._rows = rows
        self._writer = writer
        self._lanes = writer.lanes
        self._orders = orders
        self.reports = reports
        self._origin = origin
        self._clock = clock
        self._settled: OrderedDict[bytes, None] = OrderedDict()
        """Marks of the last reports."""
        self.counts = SettlingCounts()

    async def reported(self, taken: Taken) -> None:
        """Settle a report. Raises LogUnavailable: it is to come again."""
        mark = hashlib.sha256(taken.content).digest()
        if mark in self._settled:
            return
        try:
            proved = self.reports.read(taken.content)
        except ReportInvalid as error:
            self._refuse(str(error))
            return
        report = proved.report
        if report.origin != self._origin:
            self._refuse("it is about another log")
            return
        if report.is_query:
            self._refuse("it is about a query")
            return
        ahead = (report.time - self._clock()).total_seconds()
        if ahead > CLOCK_SKEW_SECONDS_MAX:
            _log.warning("worker.clock-off", seconds=ahead, recipient=report.recipient)
        told = _KnownEnd(report.key, report.recipient, report.outcome, report.code, proved)
        await self._settle(told)
        self._settled[mark] = None
        if len(self._settled) > SETTLED_KEPT_MAX:
            self._settled.popitem(last=False)
        self.reports.forget(taken.content)

    async def lost(self, taken: Taken) -> None:
        """Settle an order that the broker gave up. Raises LogUnavailable: it is to come again."""
        try:
            order = self._orders.read(taken.content)
        except OrderInvalid:
            return  # it was settled, or its deadline settles it
        if order.is_query:
            return
        # Whoever had it may have acted; if nobody had it, nobody did.
        end = AttemptEnd.UNKNOWN if taken.is_redelivered else AttemptEnd.FAILED
        code = errors.WorkerLost.code if taken.is_redelivered else errors.WorkerAway.code
        outcome = AttemptOutcome(order.attempt, end)
        await self._settle(_KnownEnd(order.key, order.recipient, outcome, code))

    async def _settle(self, told: _KnownEnd) -> None:
        row = self._lanes.row_out(told.recipient, told.key)
        if row is None:
            row = await asyncio.to_thread(self._rows.delivery, told.key)
        while row is not None:
            if row.recipient != told.recipient:
                self._refuse("it is about a delivery to somebody else")
                return
            moved = await self._write(row, told)
            if moved is None:
                break
            row = moved.row
        else:
            await self._note_closed(told)
        self._learn(told)
        self._orders.forget(told.key, told.outcome.attempt)

    async def _write(self, row: DeliveryRow, told: _KnownEnd) -> Moved | None:
        """Decide and write; give how the row stands, if it is another than was seen."""
        rule = self._writer.rule_of(row)
        change = settle(
            row.delivery,
            told.outcome,
            rule.retry,
            self._clock(),
            is_last=needs_operator(told.code),
            is_repeatable=rule.repeats is not Repeats.NEVER,
        )
        if isinstance(change, Noted) and told.proved is None:
            return None  # its deadline has said so already
        result = await self._writer.write(row, change, told.why)
        return result if isinstance(result, Moved) else None

    async def _note_closed(self, told: _KnownEnd) -> None:
        """What is told of a delivery that has no row any more."""
        self._lanes.ended(told.recipient, told.key)
        if told.proved is not None:
            self.counts.late += 1
            await self._writer.note_late(told.key, told.recipient, told.why)

    def _learn(self, told: _KnownEnd) -> None:
        """What the attempt says of its recipient."""
        now, end = self._clock(), told.outcome.end
        lane = self._lanes.of(told.recipient)
        self.counts.attempts[end] += 1
        if told.code == errors.AgencyBusy.code:
            lane.held_until = now + timedelta(seconds=BUSY_SECONDS)
            lane.breaker.not_sent(now)
        elif end in (AttemptEnd.DELIVERED, AttemptEnd.REFUSED):
            lane.breaker.succeeded()
        else:
            lane.breaker.failed(now)

    def _refuse(self, why: str) -> None:
        self.counts.unproved += 1
        _log.error("report.refused", detail=why)
