"""What is done elsewhere outlives its hub, and is settled when it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bus.broker.memory import MemoryBroker
from bus.core.deliveries import AttemptEnd, AttemptOutcome, DeliveryState
from bus.core.pipeline import Rules
from bus.core.ports.broker import Taken
from bus.core.registry import SubmissionRule
from bus.delivery.beyond import WorkBeyond
from bus.delivery.signed_orders import ProvedReports, SignedOrders, SignedReports
from bus.protocols.orders import AttemptReport, Order
from signing.signed_note import SigningKey
from tests.audit.memory_log_source import unexplained
from tests.delivery.delivery_world import (
    HANOI,
    LATER,
    ORIGIN,
    PROVIDER,
    DeliveryWorld,
    adapter_of,
)
from tests.delivery.test_deliveries import RETRY
from tests.hang_limits import HANG_SECONDS_MAX
from tests.nation import LOOKUP_ADAPTER, SmallNation

LOG_KEY = SigningKey(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(32)))
ADAPTER = adapter_of(PROVIDER)


class Away:
    """A worker elsewhere that takes orders, and says nothing of them until it is asked."""

    def __init__(self, world: DeliveryWorld) -> None:
        self._reports = SignedReports({str(PROVIDER.member): world.nation.signers[PROVIDER]})
        self.taken: list[Order] = []
        self._forms = SignedOrders(LOG_KEY)
        self.broker = MemoryBroker(world.clock)

    async def work(self) -> None:
        await self.broker.work(ADAPTER, self._take, concurrency=1)

    async def _take(self, taken: Taken) -> bytes | None:
        self.taken.append(self._forms.read(taken.content))
        return None

    async def until_taken(self) -> Order:
        async with asyncio.timeout(HANG_SECONDS_MAX):
            while not self.taken:
                await asyncio.sleep(0.001)
        return self.taken[0]

    def report(self, order: Order, end: AttemptEnd = AttemptEnd.DELIVERED) -> Taken:
        said = AttemptReport(
            origin=order.origin,
            key=order.key,
            recipient=order.recipient,
            message_digest=order.accepted.facts.digest,
            outcome=AttemptOutcome(order.attempt, end),
            time=order.sent_at,
        )
        return Taken(self._reports.write(said), "", is_redelivered=False)


@pytest.fixture
def world(nation: SmallNation, tmp_path: Path) -> Iterator[DeliveryWorld]:
    world = DeliveryWorld(nation, tmp_path, rule=SubmissionRule(retry=RETRY))
    yield world
    assert unexplained(world.disk.entries(), world.disk.rows()) == []


def let_go_away(world: DeliveryWorld) -> Away:
    """The provider's work is done elsewhere."""
    away = Away(world)

    def beyond(rules: Rules) -> WorkBeyond:
        reports = ProvedReports(rules.registry, rules.trust, ORIGIN, world.clock)
        agencies = frozenset({ADAPTER, LOOKUP_ADAPTER})
        return WorkBeyond(agencies, away.broker, SignedOrders(LOG_KEY), reports)

    world.beyond = beyond
    return away


async def submitted(world: DeliveryWorld, away: Away) -> Order:
    """An order that a worker has whose hub is gone."""
    async with world.hub() as hub:
        await away.work()
        await hub.submit()
        return await away.until_taken()


def test_an_attempt_elsewhere_outlives_its_hub(world: DeliveryWorld) -> None:
    away = let_go_away(world)

    async def story() -> None:
        order = await submitted(world, away)
        async with world.hub() as hub:
            assert world.rows[0].delivery.state is DeliveryState.OUT
            assert list(hub.parts.lanes.of(str(PROVIDER)).out) == [order.key]
            await hub.parts.settling.reported(away.report(order))
        assert away.taken == [order]

    asyncio.run(story())
    assert world.told == [("received", "accepted"), ("outcome", "delivered")]


def test_what_is_not_told_by_its_deadline_is_tried_again(world: DeliveryWorld) -> None:
    away = let_go_away(world)

    async def story() -> None:
        await submitted(world, away)
        async with world.hub() as hub:
            world.clock.pass_by(LATER)
            await hub.until_told("attempt", "delivery.worker-lost")
        assert world.rows[0].delivery.doubt

    asyncio.run(story())


def test_a_broker_that_is_away_keeps_nobody_here_from_theirs(world: DeliveryWorld) -> None:
    away = let_go_away(world)
    away.broker.trouble = "no node of the broker answers"

    async def story() -> None:
        async with world.hub() as hub:
            await away.work()
            await hub.submit("m-1")
            await hub.submit("m-2", recipients=(HANOI,))
            await hub.until_told("outcome", "delivered")
            assert hub.parts.status(world.clock.now).trouble == away.broker.trouble
            assert [row.recipient for row in world.rows] == [str(PROVIDER)]
            # Nothing was begun for whom nothing leaves.
            assert world.rows[0].delivery.attempt == 0
            away.broker.trouble = ""
            await hub.turn()
            order = await away.until_taken()
            await hub.parts.settling.reported(away.report(order))

    asyncio.run(story())
    assert world.told.count(("outcome", "delivered")) == 2


def test_queries_elsewhere_are_counted_with_the_reports(world: DeliveryWorld) -> None:
    let_go_away(world)

    async def story() -> None:
        async with world.hub() as hub:
            assert {one.adapter for one in hub.parts.queries_elsewhere()} == {
                ADAPTER,
                LOOKUP_ADAPTER,
            }
            asking = hub.parts.asking
            assert asking is not None
            asking.counts.unproved, asking.counts.late = 2, 3
            status = hub.parts.status(world.clock.now)
            assert (status.unproved, status.late) == (2, 3)

    asyncio.run(story())
