"""The hub's side of RabbitMQ: hand orders in, take outcomes, hear of orders that were given up.

What is handed in is durable and confirmed. Nothing is state: whatever the broker loses, the
deadline of its attempt settles. One connection carries all of it, with a channel for each purpose,
so that what closes one does not stop the others.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

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
from bus.broker.questions import LateAnswers, OpenQuestion
from bus.broker.topology import Topology
from bus.core.errors import (
    ConfigurationError,
    LogUnavailable,
    Problem,
    RecipientUnavailable,
    WorkerAway,
)
from bus.core.ports.broker import (
    PARCEL_BYTES_MAX,
    HandleLate,
    HandleLost,
    HandleOutcome,
    Made,
    OrderParcel,
    ReadAnswer,
    Sent,
    Taken,
)
from bus.runtime.clock import now as read_clock
from bus.runtime.telemetry import places_of

SETTLED_AT_ONCE = 256
"""Outcomes that the hub is told at one time, so that they share commits."""
SETTLING_AGAIN_SECONDS = 0.5
"""Before an outcome is told again that could not be written down."""
STARTING_SECONDS_MAX = 10.0
"""A hub waits so long for its broker, and then starts without: what it accepts waits."""
LOOKED_SECONDS = 0.5
"""So long it counts as known whether anybody takes the queries of an agency."""

_log = structlog.get_logger()


class RabbitOrderBroker:
    """OrderBroker over RabbitMQ, for the hub of one origin. Used from one event loop."""

    def __init__(
        self,
        address: RabbitAddress,
        topology: Topology,
        origin: str,
        now: Callable[[], datetime] = read_clock,
    ) -> None:
        self._topology = topology
        self._origin = origin
        self._now = now
        self._link = RabbitLink(address, f"hub {origin}")
        self._publisher = RabbitPublisher(self._link, address.user)
        self._replies = _Replies(self._link, topology)
        self._takers = _Takers(self._link, topology)
        self._consumers: list[ChannelKeeper] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def trouble(self) -> str:
        """See OrderBroker."""
        if any(one.channel is None for one in self._consumers):
            return self._link.trouble or "the hub's own queues are not taken from"
        return self._link.trouble

    @property
    def without_queue(self) -> frozenset[str]:
        """See OrderBroker."""
        return self._publisher.without_queue | self._takers.without_queue

    async def start(
        self, handle: HandleOutcome, lost: HandleLost, late: HandleLate | None = None
    ) -> None:
        """See OrderBroker."""
        self._replies.late.start(late)
        topology, origin = self._topology, self._origin
        self._consumers = [
            self._consumer(topology.outcome_queue(origin), handle, lambda one: one.taken),
            self._consumer(topology.dead_queue(origin), lost, _given_up),
        ]
        try:
            await self._link.start(STARTING_SECONDS_MAX)
            await self._begin_all(0 if self._link.trouble else STARTING_SECONDS_MAX)
        except BrokerRefused as error:
            await self.close()
            said = f"{error}; `lienthong broker declare` makes what is needed"
            raise ConfigurationError([Problem("hub.yaml", "broker", said)]) from error

    async def _begin_all(self, seconds_max: float) -> None:
        """What has a channel of its own. Raises BrokerRefused."""
        begun = await asyncio.gather(
            self._publisher.start(seconds_max),
            self._replies.start(seconds_max),
            self._takers.start(seconds_max),
            *(one.start(seconds_max) for one in self._consumers),
            return_exceptions=True,
        )
        for one in begun:
            if isinstance(one, BaseException):
                raise one

    async def send(self, order: OrderParcel) -> Sent:
        """See OrderBroker."""
        seconds = (order.begin_before - self._now()).total_seconds()
        if seconds <= 0:
            return Sent.REFUSED
        if len(order.content) > PARCEL_BYTES_MAX:
            _log.error("broker.order-too-large", agency=order.agency, bytes=len(order.content))
            return Sent.REFUSED
        topology = self._topology
        key = topology.work_key(order.agency, self._origin, is_urgent=order.is_urgent)
        posting = Posting(
            topology.work,
            key,
            order.content,
            reply_to=self._origin,
            seconds=seconds,
            agency=order.agency,
        )
        return await self._publisher.publish(posting)

    def takes_at_once(self, agency: str) -> bool:
        """See OrderBroker: its confirmation is waited for."""
        return False

    def offer(self, order: OrderParcel) -> bool:
        """See OrderBroker: it never does."""
        return False

    async def ask(
        self, order: OrderParcel, answer_before: datetime, read: ReadAnswer[Made]
    ) -> Made:
        """See OrderBroker."""
        if len(order.content) > PARCEL_BYTES_MAX:
            raise RecipientUnavailable(f"{len(order.content)} bytes do not travel over the broker")
        with self._replies.expected() as (reply_to, correlation, question):
            if not await self._takers.are_there(order.agency):
                raise WorkerAway("no worker takes its queries now")
            now = self._now()
            posting = Posting(
                self._topology.query,
                order.agency,
                order.content,
                reply_to=reply_to,
                correlation=correlation,
                seconds=(order.begin_before - now).total_seconds(),
                is_kept=False,
            )
            handing_in = asyncio.create_task(self._hand_in(posting, question))
            try:
                return await question.wait((answer_before - now).total_seconds(), read)
            finally:
                handing_in.cancel()
                await asyncio.gather(handing_in, return_exceptions=True)

    async def _hand_in(self, posting: Posting, question: OpenQuestion) -> None:
        if await self._publisher.publish(posting) is not Sent.CONFIRMED:
            question.give_up(WorkerAway("the broker does not take its queries now"))

    async def close(self) -> None:
        """See OrderBroker."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(one.close() for one in self._consumers))
        await self._replies.close()
        await self._takers.close()
        await self._publisher.close()
        await self._link.close()

    def _consumer(
        self, queue: str, handle: HandleOutcome, taken: Callable[[GivenOut], Taken]
    ) -> ChannelKeeper:
        async def begin(channel: Channel) -> None:
            await channel.call(channel.raw.queue_declare, queue, passive=True)
            settler = Settler(channel)
            await consume(channel, settler, queue, SETTLED_AT_ONCE, on_message)

        def on_message(given_out: GivenOut) -> None:
            task = asyncio.create_task(_settle(given_out, handle, taken(given_out)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        return ChannelKeeper(self._link, begin)


class _Replies:
    """The queue of a hub's own to which queries are answered; it goes with the connection."""

    def __init__(self, link: RabbitLink, topology: Topology) -> None:
        self._topology = topology
        self._keeper = ChannelKeeper(link, self._begin)
        self._queue = ""
        self._expected: dict[str, OpenQuestion] = {}
        self.late = LateAnswers()

    async def start(self, seconds_max: float) -> None:
        await self._keeper.start(seconds_max)

    async def close(self) -> None:
        await self._keeper.close()
        await self.late.close()

    @contextmanager
    def expected(self) -> Iterator[tuple[str, str, OpenQuestion]]:
        """Where a query is answered to, by which name, and who waits for that within a `with`.

        Names are random: whoever was not asked cannot answer. Raises WorkerAway.
        """
        if self._keeper.channel is None:
            raise WorkerAway("no node of the broker answers")
        correlation, question = secrets.token_urlsafe(16), OpenQuestion()
        self._expected[correlation] = question
        try:
            yield self._queue, correlation, question
        finally:
            del self._expected[correlation]

    async def _begin(self, channel: Channel) -> None:
        declared = await channel.call(channel.raw.queue_declare, "", exclusive=True)
        queue = declared.method.queue
        await channel.call(channel.raw.queue_bind, queue, self._topology.reply, queue)
        settler = Settler(channel)
        await consume(channel, settler, queue, 0, self._on_answer, is_settled=True)
        self._queue = queue
        channel.closed.add_done_callback(lambda _: self._give_up())

    def _on_answer(self, given_out: GivenOut) -> None:
        question = self._expected.get(given_out.correlation)
        if question is not None and question.is_open:
            question.answer(given_out.taken)
        else:
            self.late.tell(given_out.taken)

    def _give_up(self) -> None:
        for question in self._expected.values():
            question.give_up(WorkerAway("the broker was lost meanwhile"))


@dataclass(frozen=True, slots=True)
class _Look:
    """Whether anybody takes the queries of an agency, as it was or will be seen."""

    found: asyncio.Task[bool]
    until: float
    """By the clock of the loop: then it is looked anew."""


class _Takers:
    """Who takes queries: a queue that nobody takes from would keep them until their time is over.

    It is looked at rarely, and by all who ask at one time together.
    """

    def __init__(self, link: RabbitLink, topology: Topology) -> None:
        self._topology = topology
        self._keeper = ChannelKeeper(link, _ready)
        self._looks: dict[str, _Look] = {}
        self.without_queue: frozenset[str] = frozenset()

    async def start(self, seconds_max: float) -> None:
        await self._keeper.start(seconds_max)

    async def close(self) -> None:
        await self._keeper.close()

    async def are_there(self, agency: str) -> bool:
        """Whether a worker takes its queries, as far as is known."""
        now = asyncio.get_running_loop().time()
        look = self._looks.get(agency)
        if look is None or look.until <= now:
            found = asyncio.create_task(self._look(agency))
            look = self._looks[agency] = _Look(found, now + LOOKED_SECONDS)
        return await asyncio.shield(look.found)

    async def _look(self, agency: str) -> bool:
        channel, queue = self._keeper.channel, self._topology.query_queue(agency)
        if channel is None:
            return True  # nobody knows: what is handed in finds out
        try:
            found = await channel.call(channel.raw.queue_declare, queue, passive=True)
        except ChannelLost:
            return True
        except BrokerRefused:
            self.without_queue |= {agency}
            return False
        self.without_queue -= {agency}
        return bool(found.method.consumer_count)


async def _ready(_: Channel) -> None:
    """It is used from elsewhere."""


async def _settle(given_out: GivenOut, handle: HandleOutcome, taken: Taken) -> None:
    try:
        await handle(taken)
    except LogUnavailable:
        await asyncio.sleep(SETTLING_AGAIN_SECONDS)
        given_out.give_back()
    except Exception as error:  # dropped: its deadline settles the attempt
        _log.error("broker.outcome-broken", error=type(error).__name__, places=places_of(error))
        given_out.settle()
    else:
        given_out.settle()


def _given_up(given_out: GivenOut) -> Taken:
    """Whether anybody ever had it, as the queue that gave it up says."""
    return Taken(given_out.taken.content, given_out.taken.sender, given_out.was_taken)
