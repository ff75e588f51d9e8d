"""An order is done once, in time, by whoever it is for; what comes of it is reported, signed."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from bus.core import errors
from bus.core.deliveries import AttemptEnd
from bus.core.ports.broker import Taken
from bus.core.registry import Repeats, SubmissionRule
from bus.delivery.attempt_ends import DETAIL_CHARACTERS_MAX
from bus.delivery.settling import CLOCK_SKEW_SECONDS_MAX
from bus.delivery.working import WorkBrokenOff
from bus.kit.contract import (
    Delivered,
    Disposition,
    Rejected,
    Retry,
    Submission,
    attachment_of_bytes,
)
from bus.protocols.orders import AttemptReport, Order
from tests.delivery.delivery_world import (
    HANOI,
    ORIGIN,
    PROVIDER,
    DeliveryWorld,
    ImmediateAgency,
    RunningDeliveries,
    adapter_of,
    key,
    take_well,
)
from tests.delivery.test_deliveries import RETRY
from tests.hang_limits import HANG_SECONDS_MAX
from tests.nation import ANSWER, SmallNation, payload

ALONE = attachment_of_bytes(b"x", content_id="a@b.example", media_type="text/plain")
Story = Callable[[RunningDeliveries], Coroutine[Any, Any, None]]


@pytest.fixture
def world(nation: SmallNation, tmp_path: Path) -> DeliveryWorld:
    return DeliveryWorld(nation, tmp_path, rule=SubmissionRule(retry=RETRY))


def beside(world: DeliveryWorld, story: Story) -> None:
    """A worker; orders come from the test."""

    async def run() -> None:
        async with world.hub(works=False) as hub:
            await story(hub)

    asyncio.run(run())


def order_for(world: DeliveryWorld, **changes: Any) -> Order:
    raw, accepted = world.accepted("m-1", (PROVIDER,))
    now = world.clock.now
    made = Order(
        origin=ORIGIN,
        key=key(4),
        attempt=1,
        recipient=str(PROVIDER),
        service=str(accepted.service),
        idempotency_key="k" * 43,
        sent_at=now,
        begin_before=now + timedelta(seconds=60),
        accepted=accepted,
        raw=raw,
    )
    return replace(made, **changes)


async def done(
    hub: RunningDeliveries, order: Order, *, is_redelivered: bool = False
) -> AttemptReport | None:
    """The report of an order that a broker gives out."""
    content = hub.parts.orders.write(order)
    ticket = await hub.parts.working.handle(Taken(content, "", is_redelivered))
    return None if ticket is None else hub.parts.settling.reports.read(ticket).report


def reported(
    world: DeliveryWorld, order: Order, *, is_redelivered: bool = False
) -> AttemptReport | None:
    found = []

    async def story(hub: RunningDeliveries) -> None:
        found.append(await done(hub, order, is_redelivered=is_redelivered))

    beside(world, story)
    return found[0]


def test_a_report_says_what_it_is_about(world: DeliveryWorld) -> None:
    report = reported(world, order_for(world))
    assert report is not None
    assert (report.origin, report.key, report.recipient) == (ORIGIN, key(4), str(PROVIDER))
    assert (report.outcome.attempt, report.outcome.end) == (1, AttemptEnd.DELIVERED)
    assert report.answer


def test_an_order_that_comes_again_is_answered_without_a_second_call(world: DeliveryWorld) -> None:
    async def story(hub: RunningDeliveries) -> None:
        content = hub.parts.orders.write(order_for(world))
        first = await hub.parts.working.handle(Taken(content, "", is_redelivered=False))
        again = await hub.parts.working.handle(Taken(content, "", is_redelivered=True))
        assert first == again

    beside(world, story)
    assert len(world.agency().came) == 1


def test_an_attempt_that_comes_behind_a_later_one_is_said_to_be_a_copy(
    world: DeliveryWorld,
) -> None:
    async def story(hub: RunningDeliveries) -> None:
        await done(hub, order_for(world, attempt=2))
        await done(hub, order_for(world, attempt=1))
        await done(hub, order_for(world, attempt=1, key=key(5)))

    beside(world, story)
    told = [(one.attempt, one.may_be_repeated) for one in world.agency().came]
    assert told == [(2, True), (1, True), (1, False)]


def test_an_order_that_is_doubled_while_it_is_done_is_one_call(world: DeliveryWorld) -> None:
    is_open = threading.Event()

    def take(submission: Submission) -> Disposition:
        assert is_open.wait(HANG_SECONDS_MAX)
        return take_well(submission)

    world.agency().script = take

    async def story(hub: RunningDeliveries) -> None:
        content = hub.parts.orders.write(order_for(world))
        both = [
            asyncio.create_task(hub.parts.working.handle(Taken(content, "", is_redelivered=at)))
            for at in (False, True)
        ]
        async with asyncio.timeout(HANG_SECONDS_MAX):
            while not world.agency().came:
                await asyncio.sleep(0.001)
        is_open.set()
        first, second = await asyncio.gather(*both)
        assert first == second

    beside(world, story)
    assert len(world.agency().came) == 1


def test_who_waits_for_another_that_is_ended_is_not_ended_with_it(world: DeliveryWorld) -> None:
    is_open = threading.Event()

    def take(submission: Submission) -> Disposition:
        assert is_open.wait(HANG_SECONDS_MAX)
        return take_well(submission)

    world.agency().script = take

    async def story(hub: RunningDeliveries) -> None:
        taken = Taken(hub.parts.orders.write(order_for(world)), "", is_redelivered=False)
        doing = asyncio.create_task(hub.parts.working.handle(taken))
        async with asyncio.timeout(HANG_SECONDS_MAX):
            while not world.agency().came:
                await asyncio.sleep(0.001)
        waiting = [asyncio.create_task(hub.parts.working.handle(taken)) for _ in range(2)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
        doing.cancel()
        ended = await asyncio.gather(doing, *waiting, return_exceptions=True)
        is_open.set()
        assert [type(one) for one in ended] == [
            asyncio.CancelledError,
            asyncio.CancelledError,
            WorkBrokenOff,
        ]

    beside(world, story)


def test_an_order_whose_time_is_over_is_not_begun(world: DeliveryWorld) -> None:
    order = order_for(world, begin_before=world.clock.now)
    report = reported(world, order)
    assert report is None or report.outcome.end is AttemptEnd.FAILED
    assert not world.agency().came


def test_an_order_that_waits_for_a_thread_beyond_its_time_is_not_begun(
    world: DeliveryWorld,
) -> None:
    is_open = threading.Event()

    def take(submission: Submission) -> Disposition:
        assert is_open.wait(HANG_SECONDS_MAX)
        return take_well(submission)

    world.agency().script = take

    async def story(hub: RunningDeliveries) -> None:
        threads = 4
        holding = [
            asyncio.create_task(done(hub, order_for(world, key=key(at)))) for at in range(threads)
        ]
        async with asyncio.timeout(HANG_SECONDS_MAX):
            while len(world.agency().came) < threads:
                await asyncio.sleep(0.001)
        waiting = asyncio.create_task(done(hub, order_for(world, key=key(99))))
        await asyncio.sleep(0)
        world.clock.pass_by(timedelta(seconds=61))
        is_open.set()
        report = await waiting
        assert report is not None
        assert report.outcome.end is AttemptEnd.FAILED
        assert report.code == errors.AgencyBusy.code
        await asyncio.gather(*holding)

    beside(world, story)
    assert len(world.agency().came) == 4


def test_a_worker_whose_clock_is_behind_does_nothing_and_says_so(world: DeliveryWorld) -> None:
    sent = world.clock.now + timedelta(seconds=CLOCK_SKEW_SECONDS_MAX + 1)
    report = reported(world, order_for(world, sent_at=sent))
    assert report is not None
    assert report.outcome.end is AttemptEnd.FAILED
    assert report.code == errors.WorkerAway.code
    assert not world.agency().came


def test_a_worker_whose_clock_is_ahead_says_so(world: DeliveryWorld) -> None:
    """Nothing is given out whose time is over: if it seems so, the clock is wrong."""
    over = world.clock.now - timedelta(seconds=CLOCK_SKEW_SECONDS_MAX + 1)
    order = order_for(world, sent_at=over - timedelta(seconds=60), begin_before=over)

    async def said(came: float) -> str:
        async with world.hub(works=False) as hub:
            content = hub.parts.orders.write(order)
            ticket = await hub.parts.working.handle(Taken(content, "", False, came))
            assert ticket is not None
            return hub.parts.settling.reports.read(ticket).report.detail

    assert asyncio.run(said(time.monotonic())) == "the worker's clock is ahead of the hub's"
    # It may have waited here so long, or nobody knows.
    waited = time.monotonic() - CLOCK_SKEW_SECONDS_MAX - 1
    assert asyncio.run(said(waited)) == "no worker had room for it in time"
    assert asyncio.run(said(0)) == "no worker had room for it in time"
    assert not world.agency().came


def test_what_a_recipient_takes_once_only_is_not_done_after_somebody_else_had_it(
    world: DeliveryWorld,
) -> None:
    world.rule = SubmissionRule(retry=RETRY, repeats=Repeats.NEVER)
    report = reported(world, order_for(world), is_redelivered=True)
    assert report is not None
    assert report.outcome.end is AttemptEnd.UNKNOWN
    assert report.outcome.is_redelivered
    assert not world.agency().came


def test_what_somebody_else_had_before_is_said_of_a_refusal_too(world: DeliveryWorld) -> None:
    world.agency().script = lambda _: Rejected("no")
    report = reported(world, order_for(world), is_redelivered=True)
    assert report is not None
    assert report.outcome.is_redelivered
    assert world.agency().came[0].may_be_repeated


def test_an_order_for_somebody_else_than_its_decision_names_is_not_done(
    world: DeliveryWorld,
) -> None:
    report = reported(world, order_for(world, recipient=str(HANOI)))
    assert report is not None
    assert report.code == errors.AdapterBroken.code
    assert not any(agency.came for agency in world.agencies.values())


def test_bytes_that_are_no_order_are_dropped(world: DeliveryWorld) -> None:
    async def story(hub: RunningDeliveries) -> None:
        with structlog.testing.capture_logs() as told:
            assert await hub.parts.working.handle(Taken(b"noise", "", is_redelivered=False)) is None
        assert [one["event"] for one in told] == ["order.invalid"]

    beside(world, story)


@pytest.mark.parametrize(
    "disposition",
    [
        Rejected("x" * 5000, "a\nb\x1b[2J" * 500),
        Retry(reason="\u202eevil\n" * 500),
    ],
)
def test_what_a_recipient_says_is_one_bounded_line(
    world: DeliveryWorld, disposition: Disposition
) -> None:
    world.agency().script = lambda _: disposition
    report = reported(world, order_for(world))
    assert report is not None
    assert 0 < len(report.detail) <= DETAIL_CHARACTERS_MAX
    assert report.detail.isprintable()


@pytest.mark.parametrize(
    "mistake",
    [lambda _: None, lambda _: "delivered", lambda _: Delivered(None, (ALONE,))],
)
def test_what_an_adapter_must_not_say_is_its_mistake_and_leaves_doubt(
    world: DeliveryWorld, mistake: Callable[[Submission], Any]
) -> None:
    world.agency().script = mistake
    report = reported(world, order_for(world))
    assert report is not None
    assert report.code == errors.AdapterBroken.code
    assert report.outcome.end is AttemptEnd.UNKNOWN


def test_a_recipient_that_hangs_leaves_doubt_within_its_time(world: DeliveryWorld) -> None:
    is_over = threading.Event()
    world.agency().script = lambda one: (
        take_well(one) if is_over.wait(HANG_SECONDS_MAX) else Retry()
    )
    made = order_for(world)
    order = replace(made, accepted=replace(made.accepted, timeout_seconds=0.05))

    async def story(hub: RunningDeliveries) -> None:
        report = await done(hub, order)
        is_over.set()
        assert report is not None
        assert report.outcome.end is AttemptEnd.UNKNOWN
        assert report.code == errors.RecipientTimeout.code

    beside(world, story)


@pytest.mark.parametrize("kept_in", ["memory", "device"])
@pytest.mark.parametrize("said", [Delivered(), Delivered(payload(ANSWER))], ids=["nothing", "word"])
def test_only_a_device_is_waited_for_where_an_agency_is_not(
    world: DeliveryWorld, said: Delivered, kept_in: str
) -> None:
    signed_on = []
    signer = world.nation.signers[PROVIDER]

    def sign(algorithm: str, data: bytes) -> bytes:
        signed_on.append(threading.current_thread())
        return signer.sign(algorithm, data)

    keys = {PROVIDER: replace(signer, sign=sign, waits=kept_in == "device")}
    nation = replace(world.nation, signers={**world.nation.signers, **keys})
    agency = ImmediateAgency()
    agency.script = lambda _: said
    world = replace(world, nation=nation, agencies={adapter_of(PROVIDER): agency})
    report = reported(world, order_for(world))
    assert report is not None
    assert report.outcome.end is AttemptEnd.DELIVERED
    assert len(signed_on) == (1 if said.element is None else 2)
    is_here = [one is threading.current_thread() for one in signed_on]
    assert is_here == [kept_in == "memory"] * len(signed_on)
