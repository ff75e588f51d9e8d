"""Do what time does to deliveries: attempts of which nothing was heard, and what expires.

At the start it settles what an earlier run of the hub had on its way. All of it is looked for in
the rows, decided by the rules of a delivery's life, and written with its entry.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from bus.core import errors
from bus.core.deliveries import AttemptEnd, AttemptOutcome, DeliveryRow, DeliveryState
from bus.core.ports.delivery_rows import DeliveryRows
from bus.core.registry import Repeats
from bus.delivery.delivery_writer import DeliveryWriter, Why
from bus.delivery.lifecycle import Change, expire, reap, settle

ROWS_AT_ONCE_MAX = 256
"""Rows that are looked at in one turn."""

STUCK_SECONDS = 10.0
"""Between two looks for what is blocked by nothing: there is none unless something went wrong."""

_log = structlog.get_logger()
_Decide = Callable[[DeliveryRow], Change | None]


class Reconciler:
    """Settles what nobody reports; used from one event loop."""

    def __init__(
        self,
        rows: DeliveryRows,
        writer: DeliveryWriter,
        clock: Callable[[], datetime],
        outlives_us: Callable[[DeliveryRow], bool] = lambda _: False,
    ) -> None:
        """`outlives_us`: whether an attempt is made elsewhere, and may be reported yet."""
        self._rows = rows
        self._writer = writer
        self._clock = clock
        self._outlives_us = outlives_us
        self._stuck_from = b""
        """The conversation behind which the next look begins."""
        self._stuck_due = clock()

    async def settle_interrupted(self) -> int:
        """Settle what an earlier run had on its way, whose orders are void; give how many.

        Whether a recipient acted nobody knows. What is made elsewhere may be going on: it is on its
        way until it is reported, or its deadline settles it. Raises LogUnavailable.
        """
        settled, after = 0, None
        while rows := await asyncio.to_thread(self._rows.out, ROWS_AT_ONCE_MAX, after):
            ours = [row for row in rows if not self._outlives_us(row)]
            await self._write_all(ours, self._interrupt, errors.DeliveryInterrupted.code)
            for row in rows:
                if self._outlives_us(row):
                    self._writer.lanes.left(row, 0)
            settled, after = settled + len(ours), rows[-1].key
        return settled

    async def look(self) -> None:
        """Settle what has lapsed and what has expired, so much as one turn takes."""
        now = self._clock()
        try:
            lapsed = await asyncio.to_thread(self._rows.lapsed, now, ROWS_AT_ONCE_MAX)
            out = [row for row in lapsed if row.delivery.state is DeliveryState.OUT]
            held = [row for row in lapsed if row.delivery.state is DeliveryState.HELD]
            await self._write_all(out, self._reap, errors.WorkerLost.code)
            await self._write_all(held, self._reap, errors.NotAcknowledged.code)
            for row in out:
                self._writer.lanes.of(row.recipient).breaker.failed(now)
            expired = await asyncio.to_thread(self._rows.expired, now, ROWS_AT_ONCE_MAX)
            await self._write_all(expired, self._expire, errors.DeliveryExpired.code)
            if now >= self._stuck_due:
                self._stuck_due = now + timedelta(seconds=STUCK_SECONDS)
                await self._free_stuck()
        except errors.LogUnavailable as error:
            _log.warning("delivery.rows-unavailable", detail=error.diagnostic)

    async def _free_stuck(self) -> None:
        """Let go what waits for nothing: closing frees the next in its own transaction, and this is
        the net below that. Raises LogUnavailable."""
        rows, last = await asyncio.to_thread(self._rows.stuck, self._stuck_from, ROWS_AT_ONCE_MAX)
        self._stuck_from = last or b""
        for row in rows:
            waiting = replace(row.delivery, state=DeliveryState.WAITING)
            if await self._writer.change(row, replace(row, delivery=waiting)) is not None:
                place = {"entry": row.key.received_index, "position": row.key.position}
                _log.error("delivery.was-stuck", **place)
                self._writer.lanes.want_look(row.recipient)

    async def _write_all(self, rows: Sequence[DeliveryRow], decide: _Decide, code: str) -> None:
        """Write what is decided of each; what moved meanwhile is looked at in the next turn."""
        decided = [(row, decide(row)) for row in rows]
        await asyncio.gather(
            *(
                self._writer.write(row, change, Why(row.delivery.attempt, code))
                for row, change in decided
                if change is not None
            )
        )

    def _interrupt(self, row: DeliveryRow) -> Change:
        rule = self._writer.rule_of(row)
        outcome = AttemptOutcome(row.delivery.attempt, AttemptEnd.UNKNOWN)
        is_repeatable = rule.repeats is not Repeats.NEVER
        return settle(row.delivery, outcome, rule.retry, self._clock(), is_repeatable=is_repeatable)

    def _reap(self, row: DeliveryRow) -> Change | None:
        rule = self._writer.rule_of(row)
        is_repeatable = rule.repeats is not Repeats.NEVER
        return reap(row.delivery, rule.retry, self._clock(), is_repeatable=is_repeatable)

    def _expire(self, row: DeliveryRow) -> Change | None:
        return expire(row.delivery, self._clock())
