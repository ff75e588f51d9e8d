"""Who is refused for long asks on another channel, and not again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

from bus.broker.connection import Channel, RabbitLink
from bus.broker.publishing import Posting, RabbitPublisher
from bus.core.ports.broker import Sent
from tests.broker.raw_channels import RawChannel
from tests.hang_limits import HANG_SECONDS_MAX

FULL, FREE = Posting("lt.work", "full", b"order"), Posting("lt.work", "free", b"order")


class _Broker:
    """A broker whose channels refuse what goes to `full`, but for the last of them."""

    trouble = ""

    def __init__(self, refusing: int) -> None:
        self._refusing = refusing
        self.opened = 0

    async def channel(self) -> Channel:
        self.opened += 1
        return Channel(RawChannel(is_refusing=self.opened <= self._refusing))


def _run(
    broker: _Broker, story: Callable[[RabbitPublisher], Awaitable[None]], *, patience: float = 600
) -> None:
    async def told() -> None:
        publisher = RabbitPublisher(cast(RabbitLink, broker), "guest", renewed=(patience, patience))
        async with asyncio.timeout(HANG_SECONDS_MAX):
            await publisher.start(HANG_SECONDS_MAX)
            await story(publisher)
            await publisher.close()

    asyncio.run(told())


async def _until_confirmed(publisher: RabbitPublisher, posting: Posting) -> None:
    while await publisher.publish(posting) is not Sent.CONFIRMED:
        await asyncio.sleep(0.01)


def test_what_one_channel_refuses_for_long_is_tried_on_another() -> None:
    broker = _Broker(refusing=2)

    async def story(publisher: RabbitPublisher) -> None:
        assert await publisher.publish(FULL) is Sent.REFUSED
        await _until_confirmed(publisher, FULL)
        await _until_confirmed(publisher, FREE)

    _run(broker, story, patience=0)
    assert broker.opened == 3


def test_a_queue_that_stays_full_keeps_nobody_from_the_others() -> None:
    """Not before its time is a channel left, and what is on its way is told of before it ends."""
    broker = _Broker(refusing=1)

    async def story(publisher: RabbitPublisher) -> None:
        both = [FULL, FREE] * 100
        told = await asyncio.gather(*map(publisher.publish, both))
        assert told == [Sent.REFUSED, Sent.CONFIRMED] * 100

    _run(broker, story)
    assert broker.opened == 1


def test_what_is_on_its_way_when_a_channel_is_left_is_told_of() -> None:
    broker = _Broker(refusing=1)

    async def story(publisher: RabbitPublisher) -> None:
        told = await asyncio.gather(*map(publisher.publish, [FULL, *[FREE] * 100]))
        assert told == [Sent.REFUSED, *[Sent.CONFIRMED] * 100]
        await _until_confirmed(publisher, FREE)

    _run(broker, story, patience=0)
    assert broker.opened == 2
