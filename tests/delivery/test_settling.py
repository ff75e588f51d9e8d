"""What is reported of attempts is settled once, for whom it is about, whatever moved meanwhile."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bus.core.deliveries import AttemptEnd, AttemptOutcome, DeliveryState
from bus.core.ports.broker import OrderParcel, Sent, Taken
from bus.core.registry import SubmissionRule
from bus.protocols.orders import AttemptReport
from tests.delivery.delivery_world import (
    HANOI,
    LATER,
    ORIGIN,
    PROVIDER,
    DeliveryWorld,
    RunningDeliveries,
    key,
)
from tests.delivery.test_deliveries import RETRY, in_world
from tests.nation import SmallNation


@pytest.fixture
def world(nation: SmallNation, tmp_path: Path) -> DeliveryWorld:
    return DeliveryWorld(nation, tmp_path, rule=SubmissionRule(retry=RETRY))


def keep_orders(hub: RunningDeliveries, sent: Sent = Sent.CONFIRMED) -> list[OrderParcel]:
    """Take every order that is sent, and hand it to nobody."""
    kept: list[OrderParcel] = []

    async def keep(order: OrderParcel) -> Sent:
        kept.append(order)
        return sent

    hub.parts.broker.send = keep  # type: ignore[method-assign]
    hub.parts.broker.takes_at_once = lambda agency: False  # type: ignore[method-assign]
    return kept


async def tell(
    hub: RunningDeliveries,
    end: AttemptEnd,
    *,
    attempt: int = 1,
    recipient: str = str(PROVIDER),
    code: str = "",
    origin: str = ORIGIN,
    is_redelivered: bool = False,
) -> bytes:
    """Settle what somebody reports of the first delivery; give its ticket."""
    report = AttemptReport(
        origin=origin,
        key=key(0),
        recipient=recipient,
        message_digest=bytes(32),
        outcome=AttemptOutcome(attempt, end, is_redelivered),
        time=hub.world.clock.now,
        code=code,
    )
    ticket = hub.parts.working.reports.write(report)
    await hub.parts.settling.reported(Taken(ticket, "", is_redelivered=False))
    return ticket


def test_a_report_about_somebody_elses_delivery_changes_nothing(world: DeliveryWorld) -> None:
    async def story(hub: RunningDeliveries) -> None:
        keep_orders(hub)
        await hub.submit()
        await tell(hub, AttemptEnd.DELIVERED, recipient=str(HANOI))
        assert hub.parts.settling.counts.unproved == 1

    in_world(world, story)
    assert world.told == [("received", "accepted")]
    assert world.rows


def test_a_report_about_another_log_changes_nothing(world: DeliveryWorld) -> None:
    async def story(hub: RunningDeliveries) -> None:
        keep_orders(hub)
        await hub.submit()
        await tell(hub, AttemptEnd.DELIVERED, origin="other.example/log")
        assert hub.parts.settling.counts.unproved == 1

    in_world(world, story)
    assert world.told == [("received", "accepted")]


def test_what_is_no_report_changes_nothing(world: DeliveryWorld) -> None:
    async def story(hub: RunningDeliveries) -> None:
        await hub.parts.settling.reported(Taken(b"noise", "", is_redelivered=False))
        assert hub.parts.settling.counts.unproved == 1

    in_world(world, story)
    assert world.told == []


def test_a_report_that_comes_twice_is_settled_once(world: DeliveryWorld) -> None:
    async def story(hub: RunningDeliveries) -> None:
        keep_orders(hub)
        await hub.submit()
        ticket = await tell(hub, AttemptEnd.DELIVERED)
        await hub.parts.settling.reported(Taken(ticket, "", is_redelivered=True))
        assert hub.parts.settling.counts.unproved == 0

    in_world(world, story)
    assert world.told == [("received", "accepted"), ("outcome", "delivered")]


def test_what_is_told_of_a_closed_delivery_is_noted_and_changes_nothing(
    world: DeliveryWorld,
) -> None:
    async def story(hub: RunningDeliveries) -> None:
        keep_orders(hub)
        await hub.submit()
        await tell(hub, AttemptEnd.REFUSED, code="delivery.refused")
        world.clock.pass_by(timedelta(seconds=1))
        await tell(hub, AttemptEnd.DELIVERED)
        assert hub.parts.settling.counts.late == 1

    in_world(world, story)
    assert world.told[1:] == [("outcome", "delivery.refused"), ("late", "delivered")]


def test_what_a_worker_that_was_given_up_delivers_closes_the_delivery(
    world: DeliveryWorld,
) -> None:
    async def story(hub: RunningDeliveries) -> None:
        keep_orders(hub)
        await hub.submit()
        world.clock.pass_by(LATER)
        await hub.until_told("attempt", "delivery.worker-lost")
        await hub.until(lambda: world.rows[0].delivery.state is DeliveryState.WAITING)
        await tell(hub, AttemptEnd.DELIVERED, attempt=1)

    in_world(world, story)
    assert world.told[-1] == ("outcome", "delivered")
    assert world.rows == []


def test_a_delivery_that_is_told_late_closes_a_dead_letter(world: DeliveryWorld) -> None:
    world.rule = SubmissionRule(retry=replace(RETRY, attempts_max=1))

    async def story(hub: RunningDeliveries) -> None:
        keep_orders(hub)
        await hub.submit()
        world.clock.pass_by(LATER)
        await hub.until_told("outcome", "delivery.in-doubt")
        await tell(hub, AttemptEnd.DELIVERED)
        assert hub.parts.lanes.of(str(PROVIDER)).dead == 0
        assert hub.parts.lanes.pending == 0

    in_world(world, story)
    assert world.told[-1] == ("outcome", "delivered")
    assert world.rows == []


def test_a_refusal_of_who_had_it_second_is_no_refusal(world: DeliveryWorld) -> None:
    async def story(hub: RunningDeliveries) -> None:
        keep_orders(hub)
        await hub.submit()
        await tell(hub, AttemptEnd.REFUSED, code="delivery.refused", is_redelivered=True)

    in_world(world, story)
    assert world.told[-1] == ("outcome", "delivery.in-doubt")


# --- what becomes of orders that a broker has or has not ------------------------------------------


def test_an_order_whose_confirmation_was_lost_is_sent_again_in_doubt(world: DeliveryWorld) -> None:
    async def story(hub: RunningDeliveries) -> None:
        kept = keep_orders(hub, Sent.UNKNOWN)
        await hub.submit()
        await hub.until(lambda: len(kept) == 2)
        assert world.rows[0].delivery.doubt
        assert world.rows[0].delivery.state is DeliveryState.OUT
        assert len({one.content for one in kept}) == 1
        await tell(hub, AttemptEnd.DELIVERED)

    in_world(world, story)
    assert world.rows == []


@pytest.mark.parametrize(
    ("is_redelivered", "verdict"),
    [(True, "delivery.worker-lost"), (False, "delivery.worker-away")],
)
def test_an_order_that_the_broker_gave_up_leaves_doubt_only_if_somebody_had_it(
    world: DeliveryWorld, *, is_redelivered: bool, verdict: str
) -> None:
    async def story(hub: RunningDeliveries) -> None:
        kept = keep_orders(hub)
        await hub.submit()
        await hub.until(lambda: len(kept) == 1)
        lost = Taken(kept[0].content, "", is_redelivered)
        await hub.parts.settling.lost(lost)
        await hub.parts.settling.lost(lost)  # a broker may say it twice

    in_world(world, story)
    assert world.told[1:] == [("attempt", verdict)]
    assert world.rows[0].delivery.doubt is is_redelivered


def test_what_nobody_began_when_a_hub_ends_waits_without_an_attempt(world: DeliveryWorld) -> None:
    async def story(hub: RunningDeliveries) -> None:
        keep_orders(hub)
        await hub.submit()

    in_world(world, story)
    (row,) = world.rows
    assert row.delivery.state is DeliveryState.WAITING
    assert not row.delivery.doubt
    assert world.told == [("received", "accepted")]
