"""A RabbitMQ broker with what one test needs declared at it, under names of the test's own."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace

from bus.broker.connection import RabbitAddress, RabbitLink
from bus.broker.declaring import declare
from bus.broker.rabbitmq_hub import RabbitOrderBroker
from bus.broker.rabbitmq_work import RabbitWorkBroker
from bus.broker.topology import Topology
from tests.broker.broker_stories import AGENCY, OTHER_AGENCY, WAITING_MAX, BrokerSite
from tests.hang_limits import HANG_SECONDS_MAX

ORIGIN = "axis.example.vn/log"
OTHER_ORIGIN = "other.example.vn/log"


class RabbitSite(BrokerSite):
    """Where a hub and workers meet at a real broker."""

    def __init__(self, port: int, prefix: str) -> None:
        self.address = RabbitAddress((("127.0.0.1", port),), "guest", "guest")
        self.topology = Topology(prefix, orders_waiting_max=WAITING_MAX)
        agencies, origins = [AGENCY, OTHER_AGENCY], [ORIGIN, OTHER_ORIGIN]
        asyncio.run(declare(self.address, self.topology, agencies, origins))

    def at(self, *ports: int, tls: ssl.SSLContext | None = None) -> RabbitAddress:
        """The same broker, reached by other ports."""
        nodes = tuple(("127.0.0.1", port) for port in ports)
        return replace(self.address, nodes=nodes, tls=tls)

    def hub(self, address: RabbitAddress | None = None, origin: str = ORIGIN) -> RabbitOrderBroker:
        return RabbitOrderBroker(address or self.address, self.topology, origin)

    def worker(
        self, agency: str = AGENCY, address: RabbitAddress | None = None
    ) -> RabbitWorkBroker:
        return RabbitWorkBroker(address or self.address, self.topology)

    async def until_waiting(self, count: int) -> None:
        """So many orders wait at the broker for AGENCY."""
        link = RabbitLink(self.address, "onlooker")
        await link.start(HANG_SECONDS_MAX)
        channel = await link.channel()
        queue = self.topology.work_queue(AGENCY, is_urgent=False)
        async with asyncio.timeout(HANG_SECONDS_MAX):
            while True:
                told = await channel.call(channel.raw.queue_declare, queue, passive=True)
                if told.method.message_count == count:
                    break
                await asyncio.sleep(0.05)
        await link.close()

    async def close(self) -> None:
        """Each hub and worker ends what it holds."""
