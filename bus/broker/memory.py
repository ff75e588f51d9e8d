"""Carry orders and outcomes within one process: both sides of a broker, and nothing outlives it.

What was not settled comes again, or is given up, as with RabbitMQ, so that what works with one
works with the other: one suite holds for both (tests/broker/broker_contract.py).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog

from bus.broker.questions import LateAnswers, OpenQuestion
from bus.core.errors import LogUnavailable, RecipientUnavailable, WorkerAway
from bus.core.ports.broker import (
    HandleLate,
    HandleLost,
    HandleOrder,
    HandleOutcome,
    Made,
    OrderParcel,
    ReadAnswer,
    Sent,
    Taken,
)
from bus.runtime.clock import now as read_clock
from bus.runtime.telemetry import places_of

ORDERS_WAITING_MAX = 512
"""Orders that wait for the workers of one agency; further ones are refused."""
OUTCOMES_WAITING_MAX = 1024
"""Outcomes that wait for the hub; workers wait with further ones."""
SETTLED_AT_ONCE = 256
"""Outcomes that the hub is told at one time, so that they share commits."""
SETTLING_AGAIN_SECONDS = 0.5
"""Before an outcome is told again that could not be written down."""

_log = structlog.get_logger()


@dataclass(slots=True)
class _Order:
    parcel: OrderParcel
    question: OpenQuestion | None = None
    """Of a query: who waits for its outcome."""

    @property
    def is_forgotten(self) -> bool:
        """Nobody waits any more."""
        return self.question is not None and not self.question.is_open


@dataclass(slots=True)
class _Told:
    """What the hub is to be told."""

    taken: Taken
    is_lost: bool
    holds_room: bool = False
    """A worker waited for room before it handed this in."""


class _Idle:
    """Those who wait for something to do: one is woken for each thing, the longest idle first.

    An event would wake them all each time, and a semaphore looks at all that it has woken.
    """

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()

    def wake(self) -> None:
        """Wake one, if anybody waits: whoever is busy looks for more by itself."""
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                return

    def wake_all(self) -> None:
        """Have everybody look."""
        while self._waiting:
            self.wake()

    async def wait(self) -> None:
        """Until woken; there may be nothing to do all the same."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            await future
        except asyncio.CancelledError:
            if not future.cancelled():
                self.wake()  # what it was woken for is another's
            raise


@dataclass(eq=False, slots=True)
class _Crew:
    """Those who take one agency's orders; a new one comes with each call of `work`."""

    is_leaving: bool = False


class _Lane:
    """What waits for the workers of one agency."""

    def __init__(self) -> None:
        self._urgent: deque[_Order] = deque()
        self._others: deque[_Order] = deque()
        self._idle = _Idle()
        self.crew: _Crew | None = None

    def __len__(self) -> int:
        return len(self._urgent) + len(self._others)

    def put(self, order: _Order) -> None:
        self._line(order).append(order)
        self._idle.wake()

    def wake(self) -> None:
        """Have a crew that is to leave see it."""
        self._idle.wake_all()

    async def take(self, crew: _Crew) -> _Order | None:
        """The next order, urgent ones first; None: the crew is to leave."""
        while not crew.is_leaving:
            line = self._urgent or self._others
            if line:
                return line.popleft()
            await self._idle.wait()
        return None

    def take_late(self, now: datetime) -> list[_Order]:
        """What waits first in its line, and in vain."""
        late = []
        for line in (self._urgent, self._others):
            while line and line[0].parcel.begin_before <= now:
                late.append(line.popleft())
        return late

    def _line(self, order: _Order) -> deque[_Order]:
        return self._urgent if order.parcel.is_urgent else self._others


class MemoryBroker:
    """OrderBroker and WorkBroker at once, for a hub and the workers in its process.

    Used from one event loop. It knows the agencies that `work` was called for.
    """

    trouble = ""
    """There never is any."""
    without_queue: frozenset[str] = frozenset()

    def __init__(
        self,
        now: Callable[[], datetime] = read_clock,
        *,
        waiting_max: int = ORDERS_WAITING_MAX,
        settling_again_seconds: float = SETTLING_AGAIN_SECONDS,
    ) -> None:
        self._now = now
        self._waiting_max = waiting_max
        self._settling_again_seconds = settling_again_seconds
        self._lanes: dict[str, _Lane] = {}
        self._told: deque[_Told] = deque()
        self._tellers = _Idle()
        self._room = asyncio.Semaphore(OUTCOMES_WAITING_MAX)
        self._settling: set[asyncio.Task[None]] = set()
        self._working: set[asyncio.Task[None]] = set()
        self._late = LateAnswers()

    # --- the hub's side ---------------------------------------------------------------------------

    async def start(
        self, handle: HandleOutcome, lost: HandleLost, late: HandleLate | None = None
    ) -> None:
        """See OrderBroker."""
        assert not self._settling, "it was started before, and not closed"
        self._late.start(late)
        for _ in range(SETTLED_AT_ONCE):
            self._settling.add(asyncio.create_task(self._settle(handle, lost)))

    async def send(self, order: OrderParcel) -> Sent:
        """See OrderBroker: CONFIRMED means that this process has it."""
        return Sent.CONFIRMED if self.offer(order) else Sent.REFUSED

    def takes_at_once(self, agency: str) -> bool:
        """See OrderBroker."""
        return True

    def offer(self, order: OrderParcel) -> bool:
        """See OrderBroker."""
        lane = self._lanes.get(order.agency)
        if lane is None:
            return False
        self._give_up_late(lane)
        if len(lane) >= self._waiting_max:
            return False
        lane.put(_Order(order))
        return True

    async def ask(
        self, order: OrderParcel, answer_before: datetime, read: ReadAnswer[Made]
    ) -> Made:
        """See OrderBroker."""
        lane = self._lanes.get(order.agency)
        if lane is None or lane.crew is None or len(lane) >= self._waiting_max:
            raise WorkerAway("no worker takes its queries now")
        question = OpenQuestion()
        lane.put(_Order(order, question=question))
        return await question.wait((answer_before - self._now()).total_seconds(), read)

    async def close(self) -> None:
        """See OrderBroker."""
        await _cancel(self._settling)
        self._settling.clear()
        await self._late.close()

    async def _settle(self, handle: HandleOutcome, lost: HandleLost) -> None:
        while True:
            if not self._told:
                await self._tellers.wait()
                continue
            told = self._told.popleft()
            if told.holds_room:
                self._room.release()
            try:
                await (lost if told.is_lost else handle)(told.taken)
            except LogUnavailable:
                self._tell_again(told)
                await asyncio.sleep(self._settling_again_seconds)
            except asyncio.CancelledError:
                self._tell_again(told)
                raise
            except Exception as error:  # dropped: its deadline settles the attempt
                _log.error(
                    "broker.outcome-broken", error=type(error).__name__, places=places_of(error)
                )

    def _tell(self, told: _Told) -> None:
        self._told.append(told)
        self._tellers.wake()

    def _tell_again(self, told: _Told) -> None:
        # What was given up may never have been taken: that stays true however often it is told.
        is_redelivered = told.taken.is_redelivered if told.is_lost else True
        again = Taken(told.taken.content, told.taken.sender, is_redelivered)
        self._told.appendleft(_Told(again, told.is_lost))
        self._tellers.wake()

    # --- the workers' side ------------------------------------------------------------------------

    async def work(self, agency: str, handle: HandleOrder, *, concurrency: int) -> None:
        """See WorkBroker."""
        lane = self._lanes.setdefault(agency, _Lane())
        assert lane.crew is None, "it works for this agency already"
        crew = lane.crew = _Crew()
        for _ in range(concurrency):
            task = asyncio.create_task(self._take_orders(lane, crew, handle))
            self._working.add(task)
            task.add_done_callback(self._working.discard)

    async def pause(self, agency: str) -> None:
        """See WorkBroker."""
        lane = self._lanes.get(agency)
        if lane is not None:
            self._let_leave(lane)

    async def drain(self, seconds_max: float) -> None:
        """See WorkBroker."""
        for lane in self._lanes.values():
            self._let_leave(lane)
        if self._working:
            _, late = await asyncio.wait(self._working, timeout=seconds_max)
            await _cancel(late)

    def _let_leave(self, lane: _Lane) -> None:
        if lane.crew is not None:
            lane.crew.is_leaving = True
            lane.crew = None
            lane.wake()

    async def _take_orders(self, lane: _Lane, crew: _Crew, handle: HandleOrder) -> None:
        while (order := await lane.take(crew)) is not None:
            if order.parcel.begin_before <= self._now() or order.is_forgotten:
                self._give_up(order, was_taken=False)
                continue
            try:
                outcome = await handle(Taken(order.parcel.content, "", is_redelivered=False))
                if outcome is not None:
                    await self._hand_in(order, outcome)
            except asyncio.CancelledError:
                self._give_up(order, was_taken=True)
                raise
            except Exception as error:  # whatever it is: its hub decides what follows
                _log.error(
                    "broker.order-broken", error=type(error).__name__, places=places_of(error)
                )
                self._give_up(order, was_taken=True)

    async def _hand_in(self, order: _Order, outcome: bytes) -> None:
        taken = Taken(outcome, "", is_redelivered=False)
        if order.question is not None:
            if order.is_forgotten:
                self._late.tell(taken)
            else:
                order.question.answer(taken)
            return
        await self._room.acquire()
        self._tell(_Told(taken, is_lost=False, holds_room=True))

    def _give_up_late(self, lane: _Lane) -> None:
        for order in lane.take_late(self._now()):
            self._give_up(order, was_taken=False)

    def _give_up(self, order: _Order, *, was_taken: bool) -> None:
        if order.question is None:
            self._tell(_Told(Taken(order.parcel.content, "", was_taken), is_lost=True))
        elif was_taken:
            order.question.give_up(RecipientUnavailable("the worker broke off"))


async def _cancel(tasks: set[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
