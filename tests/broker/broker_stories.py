"""What stories about brokers are told with: a site, orders, who hears what, and how long."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from bus.core.ports.broker import OrderBroker, OrderParcel, Sent, Taken, WorkBroker
from tests.hang_limits import HANG_SECONDS_MAX

AGENCY = "dancu"
OTHER_AGENCY = "ho-so"
UNKNOWN_AGENCY = "nobody"
WAITING_MAX = 20
"""So many orders may wait at the site for one agency; a broker may let a few more pass."""


class BrokerSite(ABC):
    """Where a hub and workers of AGENCY and OTHER_AGENCY meet; outlives each of them.

    No more than WAITING_MAX orders may wait at it.
    """

    @abstractmethod
    def hub(self) -> OrderBroker:
        """The hub's side anew, as after a restart."""

    @abstractmethod
    def worker(self, agency: str = AGENCY) -> WorkBroker:
        """Another worker's side."""

    @abstractmethod
    async def close(self) -> None:
        """End what this loop holds of it."""


def parcel(
    content: bytes = b"order",
    agency: str = AGENCY,
    *,
    seconds: float = 2 * HANG_SECONDS_MAX,
    is_urgent: bool = False,
) -> OrderParcel:
    """An order to begin within so many seconds: usually, longer than any story takes."""
    begin_before = datetime.now(UTC) + timedelta(seconds=seconds)
    return OrderParcel(agency, content, begin_before, is_urgent)


@dataclass
class Heard:
    """Whatever somebody was handed, in order, to be waited for."""

    taken: list[Taken] = field(default_factory=list)
    fails: Callable[[Taken], Exception | None] = lambda _: None
    """What handling it raises."""
    gate: asyncio.Event | None = None
    """Handling waits for it."""
    gives: Callable[[Taken], bytes | None] = lambda taken: b"done " + taken.content
    at_once_max: int = 0
    _at_once: int = 0
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    async def order(self, taken: Taken) -> bytes | None:
        await self.outcome(taken)
        return self.gives(taken)

    async def outcome(self, taken: Taken) -> None:
        self.taken.append(taken)
        self._more.set()
        self._at_once += 1
        self.at_once_max = max(self.at_once_max, self._at_once)
        try:
            if self.gate is not None:
                await self.gate.wait()
            await asyncio.sleep(0)
            error = self.fails(taken)
        finally:
            self._at_once -= 1
        if error is not None:
            raise error

    async def until(self, is_enough: Callable[[list[Taken]], bool]) -> list[Taken]:
        async with asyncio.timeout(HANG_SECONDS_MAX):
            while not is_enough(self.taken):
                self._more.clear()
                await self._more.wait()
        return self.taken

    async def until_count(self, count: int) -> list[bytes]:
        await self.until(lambda taken: len(taken) >= count)
        return self.contents

    @property
    def contents(self) -> list[bytes]:
        return [one.content for one in self.taken]


def run(
    site: BrokerSite,
    story: Callable[[], Awaitable[None]],
    *,
    seconds_max: float = 1.5 * HANG_SECONDS_MAX,
) -> None:
    """Tell a story at a site, in a loop of its own."""

    async def told() -> None:
        try:
            async with asyncio.timeout(seconds_max):
                await story()
        finally:
            await site.close()

    asyncio.run(told())


async def any_answer(taken: Taken) -> bytes | None:
    """Every answer will do."""
    return taken.content


async def asked(hub: OrderBroker, question: OrderParcel) -> bytes:
    """The first answer to a question that may be answered as long as it may be begun."""
    return await hub.ask(question, question.begin_before, any_answer)


@asynccontextmanager
async def started(
    site: BrokerSite, outcomes: Heard, lost: Heard | None = None, late: Heard | None = None
) -> AsyncIterator[OrderBroker]:
    """A hub's side that hears outcomes."""
    hub = site.hub()
    await hub.start(outcomes.outcome, (lost or Heard()).outcome, (late or Heard()).outcome)
    try:
        yield hub
    finally:
        await hub.close()


@asynccontextmanager
async def working(
    site: BrokerSite,
    heard: Heard,
    agency: str = AGENCY,
    *,
    concurrency: int = 4,
    drain_seconds: float = HANG_SECONDS_MAX,
) -> AsyncIterator[WorkBroker]:
    """A worker's side that takes orders of one agency."""
    worker = site.worker(agency)
    await worker.work(agency, heard.order, concurrency=concurrency)
    try:
        yield worker
    finally:
        await worker.drain(drain_seconds)


async def send_when_there_is_room(hub: OrderBroker, order: OrderParcel) -> None:
    """Send until it is taken."""
    async with asyncio.timeout(HANG_SECONDS_MAX):
        while await hub.send(order) is not Sent.CONFIRMED:
            await asyncio.sleep(0.01)
