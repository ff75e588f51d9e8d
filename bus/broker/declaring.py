"""Make what a RabbitMQ broker has to hold, or say what stands in the way."""

from __future__ import annotations

from collections.abc import Iterable

from bus.broker.connection import (
    BrokerRefused,
    Channel,
    ChannelLost,
    RabbitAddress,
    RabbitLink,
)
from bus.broker.topology import BrokerExchange, BrokerQueue, Topology

DECLARING_SECONDS_MAX = 30.0


class DeclaringFailed(Exception):
    """What stands in the way, one line for each thing."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


async def declare(
    address: RabbitAddress, topology: Topology, agencies: Iterable[str], origins: Iterable[str]
) -> list[str]:
    """Make every exchange, queue and binding that is not there; what is there stays.

    Gives the names of the queues, in order. Raises DeclaringFailed (the broker cannot be reached,
    refuses, or has something by the same name with other arguments), NameUnfit.
    """
    queues = [queue for origin in origins for queue in topology.hub_queues(origin)]
    queues += [queue for agency in agencies for queue in topology.agency_queues(agency)]
    link = RabbitLink(address, "lienthong broker declare")
    try:
        try:
            await link.start(DECLARING_SECONDS_MAX)
        except BrokerRefused as error:
            raise DeclaringFailed([str(error)]) from error
        if link.trouble:
            raise DeclaringFailed([link.trouble])
        problems = []
        for exchange in topology.exchanges():
            problems += await _declare_one(link, exchange)
        for queue in queues:
            problems += await _declare_one(link, queue)
        if problems:
            raise DeclaringFailed(problems)
    finally:
        await link.close()
    return [queue.name for queue in queues]


async def _declare_one(link: RabbitLink, what: BrokerExchange | BrokerQueue) -> list[str]:
    """On a channel of its own, which the broker closes if it does not like it."""
    try:
        channel = await link.channel()
        if isinstance(what, BrokerExchange):
            await _declare_exchange(channel, what)
        else:
            await _declare_queue(channel, what)
        await channel.close()
    except (BrokerRefused, ChannelLost) as error:
        return [f"{what.name}: {error}"]
    return []


async def _declare_exchange(channel: Channel, exchange: BrokerExchange) -> None:
    declare_it = channel.raw.exchange_declare
    await channel.call(declare_it, exchange.name, exchange.kind, durable=True)


async def _declare_queue(channel: Channel, queue: BrokerQueue) -> None:
    raw = channel.raw
    await channel.call(raw.queue_declare, queue.name, durable=True, arguments=queue.arguments)
    await channel.call(raw.queue_bind, queue.name, queue.exchange, queue.routing_key)
