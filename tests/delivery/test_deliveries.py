"""What is accepted is delivered, once, or an operator hears of it: the whole way, in memory."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from bus.core import errors
from bus.core.deliveries import DeliveryChange, DeliveryState
from bus.core.limits import Limits
from bus.core.log.leaf import Event
from bus.core.registry import Repeats, RetryPolicy, SubmissionRule
from bus.core.routing import delivery_digest, delivery_idempotency_key
from bus.delivery.breaker import FAILURES_MAX, BreakerState
from bus.kit.contract import Delivered, Disposition, Rejected, Retry, Submission
from bus.protocols.orders import Order, OrderInvalid
from bus.protocols.report_notes import read_report
from tests.audit.memory_log_source import unexplained
from tests.delivery.delivery_world import (
    HANOI,
    LATER,
    PROVIDER,
    DeliveryWorld,
    InMemory,
    InPostgres,
    RunningDeliveries,
    key,
    take_well,
)
from tests.hang_limits import HANG_SECONDS_MAX
from tests.nation import ANSWER, CLIENT, SmallNation, payload

Story = Callable[[RunningDeliveries], Coroutine[Any, Any, None]]
RETRY = RetryPolicy(first_seconds=5, jitter=0)


@pytest.fixture(params=["memory", "postgres"])
def world(
    request: pytest.FixtureRequest, nation: SmallNation, tmp_path: Path
) -> Iterator[DeliveryWorld]:
    """Whatever a test does, the log explains every row in the end, and no row is missing."""
    disk: InMemory | InPostgres = InMemory()
    if request.param == "postgres":
        disk = InPostgres(request.getfixturevalue("log_database"))
    world = DeliveryWorld(nation, tmp_path, rule=SubmissionRule(retry=RETRY), disk=disk)
    yield world
    assert unexplained(disk.entries(), disk.rows()) == []
    if isinstance(disk, InPostgres):
        disk.close()


def in_world(world: DeliveryWorld, story: Story, *, works: bool = True) -> None:
    async def run() -> None:
        async with world.hub(works=works) as hub:
            await story(hub)

    asyncio.run(run())


def failing(error: errors.BusError) -> Callable[[Submission], Disposition]:
    def fail(_: Submission) -> Disposition:
        raise error

    return fail


# --- delivered -----------------------------------------------------------------------------------


def test_a_submission_is_delivered_and_closed(world: DeliveryWorld) -> None:
    async def story(hub: RunningDeliveries) -> None:
        await hub.submit()
        await hub.until_told("outcome", "delivered")

    in_world(world, story)
    assert world.told == [("received", "accepted"), ("outcome", "delivered")]
    assert world.rows == []
    received, closing = world.leaves
    assert (received.recipients, closing.position, closing.attempt) == (1, 0, 1)
    assert closing.recipient == str(PROVIDER)
    assert closing.continues == 0


def test_the_recipient_gets_what_was_sent_under_its_own_key(world: DeliveryWorld) -> None:
    async def story(hub: RunningDeliveries) -> None:
        await hub.submit("m-7")
        await hub.until_told("outcome", "delivered")

    in_world(world, story)
    (came,) = world.agency().came
    digest = delivery_digest(CLIENT, "m-7", PROVIDER)
    assert came.idempotency_key == delivery_idempotency_key(digest)
    assert (came.recipient, came.attempt, came.may_be_repeated) == (PROVIDER, 1, False)
    assert came.client == CLIENT
    assert b"TraCuuThongTinCongDan" in came.payload


def test_what_the_log_keeps_is_signed_by_the_recipients_agency(world: DeliveryWorld) -> None:
    evidence = []

    async def story(hub: RunningDeliveries) -> None:
        await hub.submit()
        await hub.until_told("outcome", "delivered")
        sealed = world.disk.entries()[1].sealed
        assert sealed is not None
        evidence.append(await hub.recorder.writer.opened(sealed))

    in_world(world, story)
    report = read_report(evidence[0])
    assert report.recipient == str(PROVIDER)
    assert b"TraCuuThongTinCongDanResponse" in report.answer


def test_a_recipient_that_says_nothing_has_it_all_the_same(world: DeliveryWorld) -> None:
    world.agency().script = lambda _: Delivered()

    async def story(hub: RunningDeliveries) -> None:
        await hub.submit()
        await hub.until_told("outcome", "delivered")

    in_world(world, story)


def test_each_recipient_has_a_closing_of_its_own_and_none_waits_for_another(
    world: DeliveryWorld,
) -> None:
    world.agency(HANOI).script = failing(errors.RecipientUnavailable("away"))

    async def story(hub: RunningDeliveries) -> None:
        await hub.submit(recipients=(PROVIDER, HANOI))
        await hub.until_told("outcome", "delivered")
        await hub.until_told("attempt", "delivery.recipient-unavailable")
        world.agency(HANOI).script = take_well
        world.clock.pass_by(timedelta(seconds=6))
        await hub.until_told("outcome", "delivered", 2)

    in_world(world, story)
    closings = [leaf for leaf in world.leaves if leaf.event is Event.OUTCOME]
    assert {leaf.recipient for leaf in closings} == {str(PROVIDER), str(HANOI)}
    assert sorted(leaf.position or 0 for leaf in closings) == [0, 1]
    assert world.leaves[0].recipients == 2


# --- failed, refused, given up -----------------------------------------------------------------


def test_a_failure_is_tried_again_when_it_is_due_and_not_before(world: DeliveryWorld) -> None:
    world.agency().script = failing(errors.RecipientUnavailable("away"))

    async def story(hub: RunningDeliveries) -> None:
        await hub.submit()
        await hub.until_told("attempt", "delivery.recipient-unavailable")
        world.agency().script = take_well
        world.clock.pass_by(timedelta(seconds=4.9))
        await hub.turn()
        assert len(world.agency().came) == 1
        world.clock.pass_by(timedelta(seconds=0.2))
        await hub.until_told("outcome", "delivered")

    in_world(world, story)
    first, second = world.agency().came
    assert first.idempotency_key == second.idempotency_key
    assert (second.attempt, second.may_be_repeated) == (2, True)
    assert not any(leaf.doubt for leaf in world.leaves)


def test_a_recipient_that_asks_for_patience_gets_it(world: DeliveryWorld) -> None:
    world.agency().script = lambda _: Retry(after_seconds=60, reason="full")

    async def story(hub: RunningDeliveries) -> None:
        await hub.submit()
        await hub.until_told("attempt", "delivery.recipient-unavailable")

    in_world(world, story)
    (row,) = world.rows
    assert row.delivery.due == world.clock.now + timedelta(seconds=60)


@pytest.mark.parametrize("after", [float("nan"), float("inf"), -1.0, 1e300])
def test_no_number_that_a_recipient_says_holds_a_delivery_for_ever(
    world: DeliveryWorld, after: float
) -> None:
    world.agency().script = lambda _: Retry(after_seconds=after)

    async def story(hub: RunningDeliveries) -> None:
        await hub.submit()
        await hub.until_told("attempt", "delivery.recipient-unavailable")

    in_world(world, story)
    (row,) = world.rows
    assert row.delivery.due <= world.clock.now + timedelta(days=1)


def test_a_refusal_closes_a_delivery(world: DeliveryWorld) -> None:
    world.agency().script = lambda _: Rejected("no-such-file", "the file is unknown")

    async def story(hub: RunningDeliveries) -> None:
        await hub.submit()
        await hub.until_told("outcome", "delivery.refused")

    in_world(world, story)
    assert world.rows == []


def test_nobody_knows_what_came_of_a_timeout_and_the_row_says_so(world: DeliveryWorld) -> None:
    world.agency().script = failing(errors.RecipientTimeout("slow"))

    async def story(hub: RunningDeliveries) -> None:
        await hub.submit()
        await hub.until_told("attempt", "delivery.recipient-timeout")

    in_world(world, story)
    assert world.leaves[1].doubt
    assert world.rows[0].delivery.doubt


def test_a_refusal_after_doubt_is_a_dead_letter(world: DeliveryWorld) -> None:
    world.agency().script = failing(errors.RecipientTimeout("slow"))

    async def story(hub: RunningDeliveries) -> None:
        await hub.submit()
        await hub.until_told("attempt", "delivery.recipient-timeout")
        world.agency().script = lambda _: Rejected("double", "it was here before")
        world.clock.pass_by(LATER)
        await hub.until_told("outcome", "delivery.in-doubt")

    in_world(world, story)
    assert world.rows[0].delivery.state is DeliveryState.DEAD


def test_attempts_that_are_used_up_make_a_dead_letter(world: DeliveryWorld) -> None:
    world.rule = SubmissionRule(retry=replace(RETRY, attempts_max=3))
    world.agency().script = failing(errors.RecipientUnavailable("away"))

    async def story(hub: RunningDeliveries) -> None:
        await hub.submit()
        for count in (1, 2):
            await hub.until_told("attempt", "delivery.recipient-unavailable", count)
            world.clock.pass_by(LATER)
        await hub.until_told("outcome", "delivery.given-up")

    in_world(world, story)
    assert len(world.agency().came) == 3
    assert world.rows[0].delivery.state is DeliveryState.DEAD


@pytest.mark.parametrize("error", [errors.AnswerInvalid("no answer"), ValueError("of an adapter")])
def test_what_only_a_person_can_mend_is_a_dead_letter_at_once(
    world: DeliveryWorld, error: Exception
) -> None:
    def fail(_: Submission) -> Disposition:
        raise error

    world.agency().script = fail

    async def story(hub: RunningDeliveries) -> None:
        await hub.submit()
        await hub.until_told("outcome", "delivery.in-doubt")

    in_world(world, story)
    assert len(world.agency().came) == 1


def test_an_answer_that_is_not_of_the_schema_is_a_dead_letter(world: DeliveryWorld) -> None:
    world.agency().script = lambda _: Delivered(payload(b"<stranger/>"))

    async def story(hub: RunningDeliveries) -> None:
        await hub.submit()
        await hub.until_told("outcome", "delivery.in-doubt")

    in_world(world, story)


def test_who_takes_nothing_twice_is_not_asked_again_after_doubt(world: DeliveryWorld) -> None:
    world.rule = SubmissionRule(retry=RETRY, repeats=Repeats.NEVER)
    world.agency().script = failing(errors.RecipientTimeout("slow"))

    async def story(hub: RunningDeliveries) -> None:
        await hub.submit()
        await hub.until_told("outcome", "delivery.in-doubt")

    in_world(world, story)
    assert len(world.agency().came) == 1


def test_who_can_be_asked_is_asked_before_it_gets_a_copy(world: DeliveryWorld) -> None:
    world.rule = SubmissionRule(retry=RETRY, repeats=Repeats.ASKED)
    agency = world.agency()
    agency.script = failing(errors.RecipientTimeout("slow"))
    agency.finds = lambda _: Delivered(payload(ANSWER))

    async def story(hub: RunningDeliveries) -> None:
        await hub.submit()
        await hub.until_told("attempt", "delivery.recipient-timeout")
        world.clock.pass_by(LATER)
        await hub.until_told("outcome", "delivered")

    in_world(world, story)
    assert (len(agency.came), len(agency.looked)) == (1, 1)


# --- time ----------------------------------------------------------------------------------------


def test_what_nobody_takes_in_time_expires(world: DeliveryWorld) -> None:
    async def story(hub: RunningDeliveries) -> None:
        await hub.submit()
        world.clock.pass_by(timedelta(days=4))
        await hub.until_told("outcome", "delivery.expired")

    in_world(world, story, works=False)
    assert world.rows == []
    assert not world.agency().came


def test_what_expires_in_doubt_is_a_dead_letter(world: DeliveryWorld) -> None:
    world.agency().script = failing(errors.RecipientTimeout("slow"))

    async def story(hub: RunningDeliveries) -> None:
        await hub.submit()
        await hub.until_told("attempt", "delivery.recipient-timeout")
        world.clock.pass_by(timedelta(days=4))
        await hub.until_told("outcome", "delivery.in-doubt")

    in_world(world, story)
    assert world.rows[0].delivery.state is DeliveryState.DEAD


def test_an_attempt_of_which_nothing_is_heard_is_reaped_with_doubt(world: DeliveryWorld) -> None:
    is_over = threading.Event()

    def take_late(submission: Submission) -> Disposition:
        assert is_over.wait(HANG_SECONDS_MAX)
        return take_well(submission)

    world.agency().script = take_late

    async def story(hub: RunningDeliveries) -> None:
        await hub.submit()
        await hub.until(lambda: len(world.agency().came) == 1)
        world.clock.pass_by(LATER)
        await hub.until_told("attempt", "delivery.worker-lost")
        assert world.rows[0].delivery.doubt
        is_over.set()
        await hub.until_told("outcome", "delivered")

    in_world(world, story)


# --- a hub that ends and starts anew -----------------------------------------------------------


def test_what_was_out_when_a_hub_died_is_tried_again_in_doubt(world: DeliveryWorld) -> None:
    async def lives(hub: RunningDeliveries) -> None:
        assert ("attempt", "delivery.interrupted") in world.told
        assert world.rows[0].delivery.doubt
        world.clock.pass_by(LATER)
        await hub.until_told("outcome", "delivered")

    async def dies() -> None:
        hub = RunningDeliveries(world)
        await hub.delivering.begin()
        await hub.submit()  # what is on its way to the broker goes with the loop

    world.agency()
    asyncio.run(dies())
    assert world.rows[0].delivery.state is DeliveryState.OUT
    in_world(world, lives)
    assert world.agency().came[0].may_be_repeated


def test_what_waited_when_a_hub_died_goes_on(world: DeliveryWorld) -> None:
    world.agency().script = failing(errors.RecipientUnavailable("away"))

    async def fails(hub: RunningDeliveries) -> None:
        await hub.submit()
        await hub.until_told("attempt", "delivery.recipient-unavailable")

    async def goes_on(hub: RunningDeliveries) -> None:
        world.agency().script = take_well
        world.clock.pass_by(LATER)
        await hub.until_told("outcome", "delivered")

    in_world(world, fails)
    in_world(world, goes_on)
    assert not any(leaf.doubt for leaf in world.leaves)


# --- room ---------------------------------------------------------------------------------------


# --- commits that are not confirmed --------------------------------------------------------------


def test_what_stands_though_its_commit_failed_comes_to_its_end(world: DeliveryWorld) -> None:
    async def story(hub: RunningDeliveries) -> None:
        world.disk.fails_after = True
        with pytest.raises(errors.LogUnavailable):
            await hub.submit()
        world.disk.fails_after = False
        world.clock.pass_by(LATER)
        await hub.until_told("attempt", errors.WorkerLost.code)
        world.clock.pass_by(LATER)
        await hub.until_told("outcome", "delivered")
        assert (hub.parts.lanes.pending, hub.parts.lanes.bytes_out) == (0, 0)

    in_world(world, story)
    assert world.rows == []


def test_an_end_that_stands_though_its_commit_failed_frees_its_place(world: DeliveryWorld) -> None:
    world.rule = SubmissionRule(retry=RetryPolicy(attempts_max=1))
    is_over = threading.Event()

    def hold(submission: Submission) -> Disposition:
        assert is_over.wait(HANG_SECONDS_MAX)
        return take_well(submission)

    world.agency().script = hold

    async def story(hub: RunningDeliveries) -> None:
        await hub.submit()
        await hub.until(lambda: bool(world.agency().came))
        world.clock.pass_by(LATER)
        world.disk.fails_after = True
        await hub.turn()
        assert world.rows[0].delivery.state is DeliveryState.DEAD
        world.disk.fails_after = False
        lane = hub.parts.lanes.of(str(PROVIDER))
        await hub.until(lambda: not (lane.out or lane.pending))
        is_over.set()

    in_world(world, story)


def test_an_attempt_that_was_confirmed_after_its_deadline_does_not_leave(
    world: DeliveryWorld,
) -> None:
    async def story(hub: RunningDeliveries) -> None:
        world.on_commit = lambda: world.clock.pass_by(LATER)
        await hub.submit()
        world.on_commit = lambda: None
        lanes = hub.parts.lanes
        assert (list(lanes.of(str(PROVIDER)).out), lanes.bytes_out) == ([], 0)
        await hub.until_told("attempt", errors.WorkerLost.code)
        world.clock.pass_by(LATER)
        await hub.until_told("outcome", "delivered")

    in_world(world, story)
    assert [event for event, _ in world.told] == ["received", "attempt", "outcome"]


def test_a_hub_ends_in_order_though_its_rows_cannot_be_read(
    world: DeliveryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.rule = SubmissionRule(is_ordered=True)

    def fail(*_: object) -> None:
        raise errors.LogUnavailable("the disk failed")

    async def story(hub: RunningDeliveries) -> None:
        await hub.submit()
        monkeypatch.setattr(type(hub.store.deliveries), "delivery", fail)

    in_world(world, story)
    assert [row.delivery.state for row in world.rows] == [DeliveryState.OUT]


def test_only_so_many_attempts_are_out_and_the_rest_follows(world: DeliveryWorld) -> None:
    world.limits = Limits(orders_out_per_recipient_max=2)
    is_open = threading.Event()

    def take(submission: Submission) -> Disposition:
        assert is_open.wait(HANG_SECONDS_MAX)
        return take_well(submission)

    world.agency().script = take

    async def story(hub: RunningDeliveries) -> None:
        for number in range(5):
            await hub.submit(f"m-{number}")
        await hub.until(lambda: len(world.agency().came) == 2)
        states = [row.delivery.state for row in world.rows]
        assert states.count(DeliveryState.OUT) == 2
        assert states.count(DeliveryState.WAITING) == 3
        is_open.set()
        await hub.until_told("outcome", "delivered", 5)

    in_world(world, story)
    assert len({came.message_id for came in world.agency().came}) == 5


def test_a_recipient_that_fails_is_only_probed(world: DeliveryWorld) -> None:
    world.agency().script = failing(errors.RecipientUnavailable("away"))

    async def story(hub: RunningDeliveries) -> None:
        for number in range(FAILURES_MAX):
            await hub.submit(f"m-{number}")
        await hub.until_told("attempt", "delivery.recipient-unavailable", FAILURES_MAX)
        await hub.submit("m-after")
        await hub.turn()
        assert world.rows[-1].delivery.attempt == 0
        world.clock.pass_by(timedelta(seconds=6))
        breaker = hub.parts.lanes.of(str(PROVIDER)).breaker
        # What came of the probe is known before time goes on.
        await hub.until(lambda: breaker.failures == FAILURES_MAX + 1)
        assert len(world.agency().came) == FAILURES_MAX + 1
        world.agency().script = take_well
        world.clock.pass_by(LATER)
        await hub.until_told("outcome", "delivered", FAILURES_MAX + 1)

    in_world(world, story)


def test_a_recipient_that_is_seen_again_gets_what_is_due_before_its_breaker_would_try(
    world: DeliveryWorld,
) -> None:
    world.agency().script = failing(errors.RecipientUnavailable("away"))

    async def story(hub: RunningDeliveries) -> None:
        for number in range(FAILURES_MAX):
            await hub.submit(f"m-{number}")
        await hub.until_told("attempt", "delivery.recipient-unavailable", FAILURES_MAX)
        await hub.submit("m-after")
        world.agency().script = take_well
        await hub.turn()
        assert world.rows[-1].delivery.attempt == 0

        hub.parts.lanes.reached(str(PROVIDER), world.clock())

        await hub.until_told("outcome", "delivered")
        assert hub.parts.lanes.of(str(PROVIDER)).breaker.state is BreakerState.CLOSED

    in_world(world, story)


def test_what_a_delivery_took_is_counted_from_its_acceptance(world: DeliveryWorld) -> None:
    world.agency().script = failing(errors.RecipientUnavailable("away"))

    async def story(hub: RunningDeliveries) -> None:
        await hub.submit()
        await hub.until_told("attempt", "delivery.recipient-unavailable")
        world.agency().script = take_well
        world.clock.pass_by(LATER)
        await hub.until_told("outcome", "delivered")
        assert hub.parts.closing_seconds.read().seconds_sum == LATER.total_seconds()
        assert hub.parts.closing_seconds.read().up_to[-1] == 1

    in_world(world, story)


def test_who_was_never_owed_anything_is_no_recipient_for_being_seen(world: DeliveryWorld) -> None:
    async def story(hub: RunningDeliveries) -> None:
        hub.parts.lanes.reached(str(PROVIDER), world.clock())
        assert list(hub.parts.lanes) == []

    in_world(world, story)


def test_a_full_hub_takes_nothing_and_writes_nothing(world: DeliveryWorld) -> None:
    world.limits = Limits(pending_deliveries_max=1)

    async def story(hub: RunningDeliveries) -> None:
        await hub.submit()
        with pytest.raises(errors.HubFull):
            await hub.submit("m-2")

    in_world(world, story, works=False)
    assert [leaf.event for leaf in world.leaves].count(Event.RECEIVED) == 1


def test_what_can_never_be_sent_is_a_dead_letter_at_once_and_not_in_doubt(
    world: DeliveryWorld,
) -> None:
    async def story(hub: RunningDeliveries) -> None:
        def refuse(order: Order) -> bytes:
            raise OrderInvalid("1048577 bytes of attachments do not travel")

        hub.parts.orders.write = refuse  # type: ignore[method-assign]
        await hub.submit()
        await hub.until_told("outcome", "delivery.given-up")
        assert hub.parts.lanes.of(str(PROVIDER)).dead == 1

    with capture_logs() as diagnostics:
        in_world(world, story)
    (row,) = world.rows
    assert (row.delivery.state, row.delivery.doubt) == (DeliveryState.DEAD, False)
    (said,) = (one for one in diagnostics if one["event"] == "delivery.dead")
    assert said["code"] == errors.OrderTooLarge.code
    assert world.agency().came == []


def test_what_is_blocked_by_nothing_is_let_go(world: DeliveryWorld) -> None:
    world.rule = SubmissionRule(retry=RETRY, is_ordered=True)

    async def story(hub: RunningDeliveries) -> None:
        await hub.submit()
        await hub.until(lambda: world.rows[0].delivery.state is DeliveryState.WAITING)
        row = world.rows[0]
        stuck = replace(row, delivery=replace(row.delivery, state=DeliveryState.BLOCKED))
        hub.store.commit([DeliveryChange(row, stuck)])
        await hub.work()
        world.clock.pass_by(LATER)
        await hub.until_told("outcome", "delivered")

    in_world(world, story, works=False)


def test_one_recipient_that_is_full_keeps_nobody_else_from_theirs(world: DeliveryWorld) -> None:
    world.limits = Limits(pending_per_recipient_max=1)

    async def story(hub: RunningDeliveries) -> None:
        await hub.submit()
        with pytest.raises(errors.HubFull):
            await hub.submit("m-2")
        await hub.submit("m-3", recipients=(HANOI,))

    in_world(world, story, works=False)


def test_a_disk_without_room_takes_nothing_new_and_lets_close_what_is_open(
    world: DeliveryWorld,
) -> None:
    async def story(hub: RunningDeliveries) -> None:
        await hub.submit()
        world.free_bytes = 1
        await hub.turn()
        with pytest.raises(errors.HubFull):
            await hub.submit("m-2")
        await hub.until_told("outcome", "delivered")

    in_world(world, story)


def test_where_nobody_takes_orders_deliveries_wait_and_no_attempt_counts(
    world: DeliveryWorld,
) -> None:
    async def story(hub: RunningDeliveries) -> None:
        await hub.submit()
        await hub.until(lambda: world.rows[0].delivery.state is DeliveryState.WAITING)
        assert world.told == [("received", "accepted")]
        await hub.work()
        world.clock.pass_by(LATER)
        await hub.until_told("outcome", "delivered")

    in_world(world, story, works=False)
    assert len(world.agency().came) == 1


# --- order --------------------------------------------------------------------------------------


def test_what_is_of_one_case_comes_in_its_order_whatever_fails(world: DeliveryWorld) -> None:
    world.rule = SubmissionRule(retry=RETRY, is_ordered=True)
    failures = iter(range(2))

    def take(submission: Submission) -> Disposition:
        if next(failures, None) is not None:
            raise errors.RecipientUnavailable("away")
        return take_well(submission)

    world.agency().script = take

    async def story(hub: RunningDeliveries) -> None:
        for number in range(4):
            await hub.submit(f"m-{number}")
        for count in (1, 2):
            await hub.until_told("attempt", "delivery.recipient-unavailable", count)
            world.clock.pass_by(LATER)
        await hub.until_told("outcome", "delivered", 4)

    in_world(world, story)
    came = [one.message_id for one in world.agency().came]
    assert came == ["m-0", "m-0", "m-0", "m-1", "m-2", "m-3"]


def test_cases_do_not_wait_for_each_other(world: DeliveryWorld) -> None:
    world.rule = SubmissionRule(retry=RETRY, is_ordered=True)
    world.agency().script = lambda one: (
        take_well(one) if one.issue == "case-2" else Retry(reason="full")
    )

    async def story(hub: RunningDeliveries) -> None:
        await hub.submit("m-1", issue="case-1")
        await hub.submit("m-2", issue="case-2")
        await hub.until_told("outcome", "delivered")

    in_world(world, story)


@pytest.mark.parametrize("skips", [True, False])
def test_a_dead_letter_lets_the_next_pass_only_if_the_service_says_so(
    world: DeliveryWorld, *, skips: bool
) -> None:
    world.rule = SubmissionRule(
        retry=replace(RETRY, attempts_max=1), is_ordered=True, skips_dead_letters=skips
    )
    world.agency().script = lambda one: (
        Retry(reason="full") if one.message_id == "m-0" else take_well(one)
    )

    async def story(hub: RunningDeliveries) -> None:
        await hub.submit("m-0")
        await hub.submit("m-1")
        await hub.until_told("outcome", "delivery.given-up")
        await hub.turn()
        if skips:
            await hub.until_told("outcome", "delivered")

    in_world(world, story)
    after = [row.delivery.state for row in world.rows if row.key != key(0)]
    assert after == ([] if skips else [DeliveryState.BLOCKED])
