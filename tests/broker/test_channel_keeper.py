"""What is begun on a channel is begun anew on another one where the broker does not answer."""

from __future__ import annotations

import asyncio
from typing import cast

from bus.broker.connection import Channel, ChannelKeeper, RabbitLink
from tests.broker.raw_channels import RawChannel
from tests.hang_limits import HANG_SECONDS_MAX


class _Link:
    """Opens as many channels as are asked for."""

    def __init__(self) -> None:
        self.opened: list[Channel] = []

    async def channel(self) -> Channel:
        self.opened.append(Channel(RawChannel()))
        return self.opened[-1]


def test_a_broker_that_does_not_answer_is_asked_on_another_channel() -> None:
    """As one does whose queue has lost its leader in this moment, until that node is back."""
    link = _Link()

    async def begin(channel: Channel) -> None:
        if len(link.opened) < 3:
            await asyncio.Event().wait()

    async def story() -> None:
        keeper = ChannelKeeper(cast(RabbitLink, link), begin, beginning_seconds_max=0.01)
        async with asyncio.timeout(HANG_SECONDS_MAX):
            await keeper.start(HANG_SECONDS_MAX)
            assert keeper.channel is link.opened[2]
            # What was asked on the others is taken back when the broker comes to it.
            await asyncio.gather(*(channel.closed for channel in link.opened[:2]))
            await keeper.close()
        assert link.opened[2].closed.done()

    asyncio.run(story())
