"""Hand messages in to RabbitMQ, and know of each what became of it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import pika

from bus.broker.connection import Channel, ChannelKeeper, ChannelLost, RabbitLink
from bus.core.ports.broker import Sent

UNCONFIRMED_MAX = 256
"""Messages on their way at one time; further ones wait. Beyond that nothing gets faster."""
RENEWED_SECONDS = (2.0, 60.0)
"""When what goes one way was refused for so long, another channel is tried: first, and at last.

RabbitMQ (seen with 3.10) asks the leader of a quorum queue at the first message that a channel
hands in; a channel that did so while that node died refuses all further ones until it is back.
"""
DRAINING_SECONDS_MAX = 5.0
"""What a channel that is left has not confirmed by then is UNKNOWN."""
REFUSED_WAYS_MAX = 1024
"""So many are told apart."""
PERSISTENT = 2
TRANSIENT = 1


@dataclass(frozen=True, slots=True)
class Posting:
    """What is handed in, and where."""

    exchange: str
    routing_key: str
    content: bytes = field(repr=False)
    reply_to: str = ""
    """Where what comes of it goes, in the words of whoever takes it."""
    correlation: str = ""
    seconds: float | None = None
    """The broker may drop it after so long."""
    is_kept: bool = True
    """Over a crash of the broker."""
    agency: str = ""
    """Whose workers are to get it; empty: it is for a hub."""


@dataclass(frozen=True, slots=True)
class _Unconfirmed:
    """What somebody waits to be told of a posting."""

    sent: asyncio.Future[Sent]
    posting: Posting


@dataclass(slots=True)
class _Refusals:
    """What goes one way is refused, without a break."""

    since: float
    """By the clock of the loop, or since the last channel was left for it."""
    patience: float


class RabbitPublisher:
    """Hands in, on a channel of its own, as a user whom the broker vouches for."""

    def __init__(
        self, link: RabbitLink, user: str, *, renewed: tuple[float, float] = RENEWED_SECONDS
    ) -> None:
        """`renewed`: see RENEWED_SECONDS."""
        self._link = link
        self._user = user
        self._keeper = ChannelKeeper(link, self._begin)
        self._room = asyncio.Semaphore(UNCONFIRMED_MAX)
        self._unconfirmed: OrderedDict[int, _Unconfirmed] = OrderedDict()
        self._returned: set[int] = set()
        self.without_queue: frozenset[str] = frozenset()
        """Agencies whose last posting had no queue to go to."""
        self._renewed = renewed
        self._refusals: dict[tuple[str, str], _Refusals] = {}
        self._is_left = False
        """Nothing more is handed in on this channel, which ends when all is confirmed."""
        self._number = 0
        """Of the last message on this channel; confirmations name it."""

    async def start(self, seconds_max: float) -> None:
        """Raises BrokerRefused."""
        await self._keeper.start(seconds_max)

    async def close(self) -> None:
        """What is not confirmed by now is UNKNOWN."""
        await self._keeper.close()

    async def publish(self, posting: Posting) -> Sent:
        """Hand it in. REFUSED too where nobody could get it, or the broker takes nothing now."""
        async with self._room:
            channel = self._keeper.channel
            if channel is None or self._is_left or self._link.trouble:
                return Sent.REFUSED
            told = self._post(channel, posting)
            if told is None:
                return Sent.REFUSED
            return await told

    async def _begin(self, channel: Channel) -> None:
        self._number = 0
        self._is_left = False
        unconfirmed: OrderedDict[int, _Unconfirmed] = OrderedDict()
        self._unconfirmed = unconfirmed
        self._returned = set()
        channel.closed.add_done_callback(lambda _: _forget(unconfirmed))
        channel.raw.add_on_return_callback(self._on_return)
        await channel.call(channel.raw.confirm_delivery, self._on_confirmation)

    def _post(self, channel: Channel, posting: Posting) -> asyncio.Future[Sent] | None:
        number = self._number + 1
        properties = pika.BasicProperties(
            message_id=str(number),
            user_id=self._user,
            delivery_mode=PERSISTENT if posting.is_kept else TRANSIENT,
            reply_to=posting.reply_to or None,
            correlation_id=posting.correlation or None,
            expiration=None if posting.seconds is None else str(_milliseconds(posting.seconds)),
        )
        try:
            channel.now(
                channel.raw.basic_publish,
                posting.exchange,
                posting.routing_key,
                posting.content,
                properties,
                mandatory=True,
            )
        except ChannelLost:
            return None
        self._number = number
        told: asyncio.Future[Sent] = asyncio.get_running_loop().create_future()
        self._unconfirmed[number] = _Unconfirmed(told, posting)
        return told

    def _on_return(self, _channel: Any, _method: Any, properties: Any, _body: bytes) -> None:
        """Nobody can get it. The confirmation comes behind, as if it had gone well."""
        self._returned.add(int(properties.message_id))

    def _on_confirmation(self, frame: Any) -> None:
        method = frame.method
        is_taken = method.NAME == "Basic.Ack"
        last = method.delivery_tag
        numbers = [last]
        if method.multiple:
            numbers = [number for number in self._unconfirmed if number <= last]
        for number in numbers:
            told = self._unconfirmed.pop(number, None)
            is_returned = number in self._returned
            self._returned.discard(number)
            if told is None:
                continue
            agency = told.posting.agency
            if agency and is_returned != (agency in self.without_queue):
                self.without_queue ^= {agency}
            if not is_taken:
                self._note_refusal(told.posting)
            elif self._refusals:
                self._refusals.pop((told.posting.exchange, told.posting.routing_key), None)
            if not told.sent.done():
                is_there = is_taken and not is_returned
                told.sent.set_result(Sent.CONFIRMED if is_there else Sent.REFUSED)
        if self._is_left and not self._unconfirmed:
            self._end(self._keeper.channel)

    def _note_refusal(self, posting: Posting) -> None:
        """A queue that is full refuses as well: other channels are tried ever more rarely."""
        now = asyncio.get_running_loop().time()
        way = posting.exchange, posting.routing_key
        if len(self._refusals) >= REFUSED_WAYS_MAX:
            self._refusals.clear()
        refusals = self._refusals.setdefault(way, _Refusals(now, self._renewed[0]))
        if now - refusals.since < refusals.patience or self._is_left:
            return
        refusals.since = now
        refusals.patience = min(2 * refusals.patience, self._renewed[1])
        self._is_left = True
        channel = self._keeper.channel
        asyncio.get_running_loop().call_later(DRAINING_SECONDS_MAX, self._end, channel)

    def _end(self, channel: Channel | None) -> None:
        """Another one is opened in its place."""
        if channel is not None and channel is self._keeper.channel:
            channel.give_up()


def _forget(unconfirmed: OrderedDict[int, _Unconfirmed]) -> None:
    for told in unconfirmed.values():
        if not told.sent.done():
            told.sent.set_result(Sent.UNKNOWN)
    unconfirmed.clear()


def _milliseconds(seconds: float) -> int:
    return max(int(seconds * 1000), 0)
