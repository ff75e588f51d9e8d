"""Keep deliveries going, as long as the hub runs: what settles, what is due, what time does."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

import structlog

from bus.core.deliveries import DeliveryKey, DeliveryState
from bus.core.errors import LogUnavailable
from bus.core.ports.broker import HandleLate, OrderBroker
from bus.core.ports.delivery_rows import DeliveryRows
from bus.delivery.admission import Admission
from bus.delivery.dispatcher import Dispatcher
from bus.delivery.lanes import Lanes
from bus.delivery.reconciler import Reconciler
from bus.delivery.settling import Settling
from bus.runtime.telemetry import places_of

POLL_SECONDS = 0.5
"""Between two looks at what is due that nobody in this process made so."""
FOUND_OUT_SECONDS = 10.0
"""Between two times that all rows are looked at because a commit was not confirmed."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class DeliveryParts:
    """What keeps deliveries going."""

    rows: DeliveryRows
    lanes: Lanes
    admission: Admission
    dispatcher: Dispatcher
    settling: Settling
    reconciler: Reconciler
    broker: OrderBroker
    late: HandleLate | None = None
    """Hears of answers to queries that came too late."""


class Delivering:
    """Owns the loop that looks; used from one event loop."""

    def __init__(self, parts: DeliveryParts) -> None:
        self._parts = parts
        self._looking: asyncio.Task[None] | None = None
        self._found_out_at = -FOUND_OUT_SECONDS

    async def start(self) -> int:
        """Begin, and look from then on; see `begin`."""
        interrupted = await self.begin()
        self._looking = asyncio.create_task(self._look(), name="delivering")
        return interrupted

    async def begin(self) -> int:
        """Find out what is open, settle what an earlier run had on its way, hear of outcomes.

        Gives how many attempts that was. Raises LogUnavailable, ConfigurationError.
        """
        parts = self._parts
        parts.lanes.count(await asyncio.to_thread(parts.rows.counts))
        interrupted = await parts.reconciler.settle_interrupted()
        await parts.broker.start(parts.settling.reported, parts.settling.lost, parts.late)
        return interrupted

    async def turn(self) -> None:
        """Look at all that time does, and at what is due."""
        await asyncio.to_thread(self._parts.admission.look)
        await self._find_out_again()
        await self._parts.reconciler.look()
        await self._parts.dispatcher.poll()
        await self._parts.dispatcher.look()

    async def _find_out_again(self) -> None:
        """After commits that were not confirmed: see what stands, as at a start.

        Not at each turn while a disk fails: it looks at every row.
        """
        lanes, now = self._parts.lanes, asyncio.get_running_loop().time()
        if not lanes.is_unsure or now < self._found_out_at + FOUND_OUT_SECONDS:
            return
        self._found_out_at = now
        lanes.is_unsure = False  # what fails meanwhile makes it so again
        is_quiet, begun = not lanes.commits_in_work, lanes.commits_begun
        out = [(lane.recipient, key) for lane in lanes for key in lane.out]
        try:
            counts = await asyncio.to_thread(self._parts.rows.counts)
            ended = await asyncio.to_thread(self._not_out, out)
        except LogUnavailable:
            lanes.is_unsure = True
            return
        for recipient, key in ended:
            lanes.ended(recipient, key)
        if is_quiet and lanes.commits_begun == begun:
            lanes.count(counts)
        else:
            lanes.is_unsure = True  # what was counted may be in the rows, or not yet

    def _not_out(self, keys: list[tuple[str, DeliveryKey]]) -> list[tuple[str, DeliveryKey]]:
        """Which of these attempts came to an end. Raises LogUnavailable."""
        rows = [(one, self._parts.rows.delivery(one[1])) for one in keys]
        return [
            one for one, row in rows if row is None or row.delivery.state is not DeliveryState.OUT
        ]

    async def _look(self) -> None:
        time = asyncio.get_running_loop().time
        polled_at = time() - POLL_SECONDS
        while True:
            try:
                if time() >= polled_at + POLL_SECONDS:
                    polled_at = time()
                    await self.turn()
                else:
                    await self._parts.dispatcher.look()
            except Exception as error:  # a mistake of ours: what is open stays so, and is seen
                _log.error("delivering.broken", error=type(error).__name__, places=places_of(error))
                await asyncio.sleep(POLL_SECONDS)
            await self._wait(polled_at + POLL_SECONDS - time())

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, 0)):
                await self._parts.lanes.news.wait()

    async def stop(self) -> None:
        """Let no further attempt leave; those on their way go on."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        await self._parts.dispatcher.drain()

    async def close(self) -> None:
        """Take no further reports; whatever is out is settled by the next start."""
        await self._parts.broker.close()
