"""Take messages from queues of RabbitMQ, and settle each when it was dealt with."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bus.broker.connection import Channel, ChannelLost
from bus.core.ports.broker import Taken


@dataclass(eq=False, slots=True)
class GivenOut:
    """A message that the broker gave out on a channel; it comes again unless it is settled."""

    taken: Taken
    queue: str
    reply_to: str
    correlation: str
    was_taken: bool
    """Of what a queue gave up: somebody had it before."""
    tag: int
    settler: Settler = field(repr=False)

    def settle(self) -> None:
        """It was dealt with."""
        self.settler.settle(self.tag)

    def give_back(self) -> None:
        """Somebody else is to have it; the broker counts how often."""
        self.settler.give_back(self.tag)


class Settler:
    """Acknowledges what was given out on one channel, many at once where they follow each other."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._open: dict[int, bool] = {}
        """What was given out and not acknowledged, in order; True: it was dealt with."""
        self._settled: list[int] = []
        self._is_due = False

    def expect(self, tag: int) -> None:
        """It was given out."""
        self._open[tag] = False

    def settle(self, tag: int) -> None:
        """Acknowledge it, together with whatever else is settled in this turn of the loop."""
        if tag in self._open:
            self._open[tag] = True
            self._settled.append(tag)
            if not self._is_due:
                self._is_due = True
                asyncio.get_running_loop().call_soon(self._acknowledge)

    def give_back(self, tag: int) -> None:
        """Let the broker give it out again."""
        if self._open.pop(tag, None) is not None:
            self._now(self._channel.raw.basic_reject, tag, requeue=True)

    def _acknowledge(self) -> None:
        self._is_due = False
        settled, self._settled = self._settled, []
        first = 0
        for tag in list(self._open):
            if not self._open[tag]:
                break
            first = tag
            del self._open[tag]
        if first:
            self._now(self._channel.raw.basic_ack, first, multiple=True)
        for tag in settled:
            if self._open.pop(tag, None):
                self._now(self._channel.raw.basic_ack, tag)

    def _now(self, method: Callable[..., Any], *arguments: Any, **named: Any) -> None:
        try:
            self._channel.now(method, *arguments, **named)
        except ChannelLost:
            self._open.clear()  # whatever was open on it is given out again


async def consume(
    channel: Channel,
    settler: Settler,
    queue: str,
    prefetch: int,
    on_message: Callable[[GivenOut], None],
    *,
    is_settled: bool = False,
) -> str:
    """Take what comes to a queue, so much at a time; the tag to stop by.

    `is_settled`: each counts as dealt with when it is given out. Raises ChannelLost, BrokerRefused.
    """

    def on_delivery(_channel: Any, method: Any, properties: Any, body: bytes) -> None:
        headers = properties.headers or {}
        times = headers.get("x-delivery-count", 0)
        is_redelivered = bool(method.redelivered) or (isinstance(times, int) and times > 0)
        taken = Taken(body, properties.user_id or "", is_redelivered, time.monotonic())
        if not is_settled:
            settler.expect(method.delivery_tag)
        on_message(
            GivenOut(
                taken,
                queue,
                properties.reply_to or "",
                properties.correlation_id or "",
                _was_taken(headers),
                method.delivery_tag,
                settler,
            )
        )

    await channel.call(channel.raw.basic_qos, prefetch_count=prefetch)
    tag = f"{queue}#{channel.raw.channel_number}"
    # The broker takes a consumer away when its queue is deleted, or cannot be served any more.
    channel.raw.add_on_cancel_callback(lambda _: channel.give_up())
    await channel.call(
        channel.raw.basic_consume, queue, on_delivery, auto_ack=is_settled, consumer_tag=tag
    )
    return tag


def _was_taken(headers: dict[str, Any]) -> bool:
    """Of what has a limit of 0 to be given out again, only what nobody had expires."""
    return headers.get("x-first-death-reason") != "expired"
