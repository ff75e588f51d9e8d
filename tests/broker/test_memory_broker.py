"""The broker within one process keeps the contract of all."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from bus.broker.memory import SETTLED_AT_ONCE, MemoryBroker
from bus.core.ports.broker import OrderParcel, Sent, Taken
from tests.broker.broker_contract import BrokerContract
from tests.broker.broker_stories import AGENCY, WAITING_MAX, BrokerSite
from tests.hang_limits import HANG_SECONDS_MAX


class _MemorySite(BrokerSite):
    def __init__(self) -> None:
        self._broker = MemoryBroker(waiting_max=WAITING_MAX, settling_again_seconds=0.01)

    def hub(self) -> MemoryBroker:
        return self._broker

    def worker(self, agency: str = AGENCY) -> MemoryBroker:
        return self._broker

    async def close(self) -> None:
        await self._broker.drain(0)
        await self._broker.close()


class TestMemoryBroker(BrokerContract):
    """The one of a hub whose workers are in its process."""

    @pytest.fixture
    def site(self) -> BrokerSite:
        return _MemorySite()


def test_one_order_wakes_one_worker_and_one_who_tells() -> None:
    """With an event for all of them, each order cost a turn of every idle task."""
    turns: list[int] = []

    async def story() -> None:
        broker = MemoryBroker()
        told = asyncio.Event()

        async def work(taken: Taken) -> bytes:
            return taken.content

        async def tell(taken: Taken) -> None:
            told.set()

        await broker.start(tell, tell)
        await broker.work(AGENCY, work, concurrency=SETTLED_AT_ONCE)
        await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        call_soon = loop.call_soon

        def counted(*arguments: object, **named: object) -> asyncio.Handle:
            turns.append(1)
            return call_soon(*arguments, **named)  # type: ignore[arg-type]

        loop.call_soon = counted  # type: ignore[method-assign]
        later = datetime.now(UTC) + timedelta(hours=1)
        assert await broker.send(OrderParcel(AGENCY, b"order", later)) is Sent.CONFIRMED
        await told.wait()
        loop.call_soon = call_soon  # type: ignore[method-assign]
        await broker.drain(0)
        await broker.close()

    asyncio.run(story())
    assert len(turns) < SETTLED_AT_ONCE


def test_orders_that_a_crew_leaves_behind_are_taken_by_the_next() -> None:
    async def story() -> list[bytes]:
        broker = MemoryBroker()
        done: list[bytes] = []
        busy, go_on = asyncio.Event(), asyncio.Event()

        async def work(taken: Taken) -> None:
            done.append(taken.content)
            busy.set()
            await go_on.wait()

        later = datetime.now(UTC) + timedelta(hours=1)
        await broker.work(AGENCY, work, concurrency=2)
        for content in (b"first", b"second"):
            await broker.send(OrderParcel(AGENCY, content, later))
        await busy.wait()
        await asyncio.sleep(0)
        for content in (b"third", b"fourth"):
            await broker.send(OrderParcel(AGENCY, content, later))
        await broker.pause(AGENCY)
        go_on.set()
        for _ in range(10):  # whoever may do something now has done it
            await asyncio.sleep(0)
        await broker.work(AGENCY, work, concurrency=2)
        async with asyncio.timeout(HANG_SECONDS_MAX):
            while len(done) < 4:
                await asyncio.sleep(0.001)
        await broker.drain(1)
        return done

    assert asyncio.run(story()) == [b"first", b"second", b"third", b"fourth"]
