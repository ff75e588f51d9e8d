"""The workers' side of RabbitMQ: take the orders of agencies, and hand outcomes in.

An order is acknowledged when the broker has confirmed its outcome; whatever was not is given up
when the worker goes away, and its hub hears of it. A query is acknowledged before it is done.
"""

from __future__ import annotations

import asyncio
from collections import deque

import structlog

from bus.broker.connection import (
    BrokerRefused,
    Channel,
    ChannelKeeper,
    ChannelLost,
    RabbitAddress,
    RabbitLink,
)
from bus.broker.consuming import GivenOut, Settler, consume
from bus.broker.publishing import Posting, RabbitPublisher
from bus.broker.topology import Topology
from bus.core.errors import ConfigurationError, Problem
from bus.core.ports.broker import HandleOrder, Sent
from bus.runtime.telemetry import places_of

STARTING_SECONDS_MAX = 10.0
NODE_AWAY = "home node"
"""How RabbitMQ says of a queue that is there that its node is not."""
OUTCOME_AGAIN_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0, *(10.0,) * 30)
"""Between the times that an outcome is handed in which the broker did not take."""

_log = structlog.get_logger()


class RabbitWorkBroker:
    """WorkBroker over RabbitMQ, for the workers of one process. Used from one event loop."""

    def __init__(self, address: RabbitAddress, topology: Topology) -> None:
        self._topology = topology
        self._link = RabbitLink(address, f"worker {address.user}")
        self._publisher = RabbitPublisher(self._link, address.user)
        self._lanes: dict[str, _WorkLane] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._is_started = False

    @property
    def trouble(self) -> str:
        """See WorkBroker."""
        troubles = (lane.trouble for lane in self._lanes.values())
        return self._link.trouble or next(filter(None, troubles), "")

    async def work(self, agency: str, handle: HandleOrder, *, concurrency: int) -> None:
        """See WorkBroker."""
        assert agency not in self._lanes, "it works for this agency already"
        try:
            if not self._is_started:
                self._is_started = True
                await self._link.start(STARTING_SECONDS_MAX)
                await self._publisher.start(STARTING_SECONDS_MAX)
            lane = _WorkLane(self._link, self._publisher, self._topology, agency, handle)
            self._lanes[agency] = lane
            await lane.start(concurrency)
        except BrokerRefused as error:
            await self.drain(0)
            said = f"{error}; the user may take the orders of {agency} only if it was given that"
            raise ConfigurationError([Problem("worker.yaml", "broker", said)]) from error

    async def pause(self, agency: str) -> None:
        """See WorkBroker: what the broker gave out by now is done."""
        lane = self._lanes.pop(agency, None)
        if lane is not None:
            await lane.take_no_more()
            task = asyncio.create_task(lane.leave(None))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    async def drain(self, seconds_max: float) -> None:
        """See WorkBroker."""
        lanes = list(self._lanes.values())
        self._lanes.clear()
        await asyncio.gather(*(lane.take_no_more() for lane in lanes))
        leaving = [asyncio.create_task(lane.leave(seconds_max)) for lane in lanes]
        if leaving or self._leaving:
            _, late = await asyncio.wait({*leaving, *self._leaving}, timeout=seconds_max + 1)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._publisher.close()
        await self._link.close()
        self._is_started = False


class _WorkLane:
    """What the broker gave out of one agency's work, and those who do it."""

    def __init__(
        self,
        link: RabbitLink,
        publisher: RabbitPublisher,
        topology: Topology,
        agency: str,
        handle: HandleOrder,
    ) -> None:
        self._publisher = publisher
        self._topology = topology
        self._agency = agency
        self._handle = handle
        self._queries = topology.query_queue(agency)
        self._orders = tuple(topology.work_queue(agency, is_urgent=one) for one in (True, False))
        self._waiting: dict[str, deque[GivenOut]] = {
            name: deque() for name in (self._queries, *self._orders)
        }
        self._changed = asyncio.Event()
        # Queries wait at one node of the broker, orders at most of them: while that one is away,
        # orders are taken nevertheless.
        self._takers = (_Taker(link, self._orders, self), _Taker(link, (self._queries,), self))
        self._tasks: list[asyncio.Task[None]] = []
        self.is_leaving = False
        self._concurrency = 0

    @property
    def trouble(self) -> str:
        """Why no order of this agency comes, or no query; empty while they can."""
        if all(taker.is_taking for taker in self._takers):
            return ""
        return f"the queues of {self._agency} are not taken from"

    async def start(self, concurrency: int) -> None:
        """Raises BrokerRefused."""
        self._concurrency = concurrency
        for taker in self._takers:
            await taker.start()
        # Whoever asks does not wait for what is delivered.
        kinds = ((self._queries,), self._orders)
        self._tasks = [
            asyncio.create_task(self._work(queues)) for queues in kinds for _ in range(concurrency)
        ]

    async def take_no_more(self) -> None:
        """Let the broker give out no more of it."""
        self.is_leaving = True
        for taker in self._takers:
            await taker.take_no_more()
        self._changed.set()

    async def leave(self, seconds_max: float | None) -> None:
        """Do what was given out, for so long; the rest is given out again."""
        try:
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=seconds_max)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for taker in self._takers:
                await taker.close()

    def prefetch(self, queue: str) -> int:
        """So many messages of a queue are given out at one time."""
        return self._concurrency if queue == self._queries else 2 * self._concurrency

    def forget(self, queue: str) -> None:
        """What was given out on a channel that was lost is given out again on another."""
        self._waiting[queue].clear()

    def add(self, given_out: GivenOut) -> None:
        """It was given out, and waits for one of those who work."""
        self._waiting[given_out.queue].append(given_out)
        self._changed.set()

    async def _take(self, queues: tuple[str, ...]) -> GivenOut | None:
        while True:
            for queue in queues:
                if self._waiting[queue]:
                    return self._waiting[queue].popleft()
            if self.is_leaving:
                return None
            self._changed.clear()
            await self._changed.wait()

    async def _work(self, queues: tuple[str, ...]) -> None:
        while (given_out := await self._take(queues)) is not None:
            try:
                if given_out.queue == self._queries:
                    await self._answer(given_out)
                else:
                    await self._do(given_out)
            except Exception as error:  # whatever it is: its hub decides what follows
                _log.error(
                    "broker.order-broken", error=type(error).__name__, places=places_of(error)
                )
                given_out.give_back()

    async def _do(self, given_out: GivenOut) -> None:
        outcome = await self._handle(given_out.taken)
        if outcome is None:
            given_out.settle()
            return
        if await self._hand_in(Posting(self._topology.outcome, given_out.reply_to, outcome)):
            given_out.settle()
        else:
            given_out.give_back()

    async def _hand_in(self, outcome: Posting) -> bool:
        """Until the broker has it: what was done is to be known, over whichever connection.

        A hub takes an outcome that comes twice for one.
        """
        for pause in OUTCOME_AGAIN_SECONDS:
            sent = await self._publisher.publish(outcome)
            if sent is Sent.CONFIRMED:
                return True
            _log.warning("broker.outcome-not-taken", sent=sent.value)
            await asyncio.sleep(pause)
        return False

    async def _answer(self, given_out: GivenOut) -> None:
        given_out.settle()
        outcome = await self._handle(given_out.taken)
        if outcome is not None:
            posting = Posting(
                self._topology.reply,
                given_out.reply_to,
                outcome,
                correlation=given_out.correlation,
                is_kept=False,
            )
            await self._publisher.publish(posting)  # where nobody hears it, nobody waits


class _Taker:
    """Takes what comes to some queues of a lane, on a channel of its own."""

    def __init__(self, link: RabbitLink, queues: tuple[str, ...], lane: _WorkLane) -> None:
        self._queues = queues
        self._lane = lane
        self._keeper = ChannelKeeper(link, self._begin)
        self._tags: list[str] = []

    @property
    def is_taking(self) -> bool:
        return self._keeper.channel is not None

    async def start(self) -> None:
        """Raises BrokerRefused; not where a queue's node is away, which comes back."""
        try:
            await self._keeper.start(STARTING_SECONDS_MAX)
        except BrokerRefused as error:
            if NODE_AWAY not in str(error):
                raise

    async def take_no_more(self) -> None:
        channel = self._keeper.channel
        try:
            if channel is not None:
                for tag in self._tags:
                    await channel.call(channel.raw.basic_cancel, tag)
        except (ChannelLost, BrokerRefused):
            pass  # then it gives out no more either

    async def close(self) -> None:
        await self._keeper.close()

    async def _begin(self, channel: Channel) -> None:
        lane = self._lane
        for queue in self._queues:
            lane.forget(queue)
        if lane.is_leaving:
            return
        settler = Settler(channel)
        self._tags = []
        for queue in self._queues:
            await channel.call(channel.raw.queue_declare, queue, passive=True)
            tag = await consume(channel, settler, queue, lane.prefetch(queue), lane.add)
            self._tags.append(tag)
