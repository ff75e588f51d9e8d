"""One delivery: when it is tried again, when it is given up, and what is never said of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.core.deliveries import AttemptEnd, AttemptOutcome, Delivery, DeliveryState
from bus.core.registry import RetryPolicy
from bus.delivery.lifecycle import (
    Closed,
    Closing,
    DeadReason,
    GivenUp,
    Noted,
    Reopened,
    begin_attempt,
    expire,
    hand_out,
    offer,
    reap,
    resend,
    retry_delay,
    send_again,
    settle,
)

NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
SOON = NOW + timedelta(seconds=30)
POLICY = RetryPolicy(attempts_max=3)
WAITING = Delivery(
    state=DeliveryState.WAITING,
    attempt=0,
    attempt_max=3,
    doubt=False,
    due=NOW,
    expires=NOW + timedelta(days=3),
    key=b"key",
)
OUT = begin_attempt(WAITING, SOON)
LAST = replace(OUT, attempt=3)
DEAD = replace(LAST, state=DeliveryState.DEAD, deadline=None)


def ended(end: AttemptEnd, *, attempt: int = 1, redelivered: bool = False) -> AttemptOutcome:
    return AttemptOutcome(attempt, end, redelivered)


def test_an_attempt_has_its_number_and_its_deadline_before_it_leaves() -> None:
    assert (OUT.state, OUT.attempt, OUT.deadline) == (DeliveryState.OUT, 1, SOON)


def test_a_refusal_closes_it_where_nobody_can_have_acted() -> None:
    assert settle(OUT, ended(AttemptEnd.REFUSED), POLICY, NOW) == Closed(Closing.REFUSED)


@pytest.mark.parametrize(
    ("row", "redelivered"),
    [(OUT, True), (send_again(OUT), False), (replace(OUT, doubt=True), True)],
)
def test_a_refusal_in_doubt_is_a_dead_letter(row: Delivery, redelivered: bool) -> None:
    change = settle(row, ended(AttemptEnd.REFUSED, redelivered=redelivered), POLICY, NOW)
    assert isinstance(change, GivenUp)
    assert change.reason is DeadReason.IN_DOUBT
    assert (change.delivery.state, change.delivery.doubt) == (DeliveryState.DEAD, True)


@pytest.mark.parametrize("row", [OUT, LAST, DEAD, WAITING])
def test_that_the_recipient_acted_closes_it_whenever_it_is_told(row: Delivery) -> None:
    assert settle(row, ended(AttemptEnd.DELIVERED), POLICY, NOW) == Closed(Closing.DELIVERED)


@pytest.mark.parametrize(
    ("row", "redelivered"),
    [(OUT, True), (send_again(OUT), False), (replace(DEAD, doubt=True), True)],
)
def test_that_it_may_have_acted_before_is_said_as_well(row: Delivery, redelivered: bool) -> None:
    change = settle(row, ended(AttemptEnd.DELIVERED, redelivered=redelivered), POLICY, NOW)
    assert change == Closed(Closing.DELIVERED, doubt=True)


@pytest.mark.parametrize(("end", "doubt"), [(AttemptEnd.FAILED, False), (AttemptEnd.UNKNOWN, True)])
def test_a_failure_for_a_while_is_tried_again(end: AttemptEnd, doubt: bool) -> None:
    change = settle(OUT, ended(end), POLICY, NOW)
    assert isinstance(change, Reopened)
    row = change.delivery
    assert (row.state, row.attempt, row.doubt) == (DeliveryState.WAITING, 1, doubt)
    assert row.deadline is None
    assert row.due == NOW + retry_delay(POLICY, 1, b"key")


def test_a_recipient_that_asks_for_patience_gets_it() -> None:
    asked = AttemptOutcome(1, AttemptEnd.FAILED, retry_after=timedelta(minutes=10))
    change = settle(OUT, asked, POLICY, NOW)
    assert isinstance(change, Reopened)
    assert change.delivery.due == NOW + timedelta(minutes=10)


@pytest.mark.parametrize(
    ("end", "reason"),
    [(AttemptEnd.FAILED, DeadReason.GIVEN_UP), (AttemptEnd.UNKNOWN, DeadReason.IN_DOUBT)],
)
def test_the_last_attempt_is_followed_by_none(end: AttemptEnd, reason: DeadReason) -> None:
    change = settle(LAST, ended(end, attempt=3), POLICY, NOW)
    assert isinstance(change, GivenUp)
    assert change.reason is reason


def test_an_attempt_that_would_come_after_expiry_is_not_made() -> None:
    row = replace(OUT, expires=NOW + timedelta(seconds=1))
    change = settle(row, ended(AttemptEnd.FAILED), POLICY, NOW)
    assert isinstance(change, GivenUp)
    assert change.reason is DeadReason.GIVEN_UP


def test_what_comes_after_the_closing_is_noted() -> None:
    assert settle(None, ended(AttemptEnd.DELIVERED), POLICY, NOW) == Noted(None)
    assert settle(DEAD, ended(AttemptEnd.FAILED, attempt=3), POLICY, NOW) == Noted(DEAD)


def test_an_earlier_attempt_of_which_nothing_is_known_leaves_its_doubt() -> None:
    second = replace(OUT, attempt=2)
    change = settle(second, ended(AttemptEnd.UNKNOWN, attempt=1), POLICY, NOW)
    assert change == Noted(replace(second, doubt=True))
    waiting = replace(WAITING, attempt=1)
    assert settle(waiting, ended(AttemptEnd.FAILED), POLICY, NOW) == Noted(waiting)


def test_an_attempt_of_which_nothing_is_heard_ends_with_doubt() -> None:
    assert reap(OUT, POLICY, NOW) is None
    assert reap(WAITING, POLICY, SOON) is None
    change = reap(OUT, POLICY, SOON)
    assert isinstance(change, Reopened)
    assert change.delivery.doubt
    last = reap(LAST, POLICY, SOON)
    assert isinstance(last, GivenUp)
    assert last.reason is DeadReason.IN_DOUBT


def test_what_nobody_can_have_acted_on_expires() -> None:
    assert expire(WAITING, NOW) is None
    assert expire(WAITING, WAITING.expires) == Closed(Closing.EXPIRED)
    assert expire(DEAD, DEAD.expires) is None


def test_nothing_expires_while_an_attempt_is_out() -> None:
    row = replace(OUT, expires=NOW)
    assert expire(row, NOW) is None
    change = expire(row, SOON)
    assert isinstance(change, GivenUp)
    assert change.reason is DeadReason.IN_DOUBT


def test_a_doubt_does_not_expire() -> None:
    change = expire(replace(WAITING, doubt=True), WAITING.expires)
    assert isinstance(change, GivenUp)
    assert change.reason is DeadReason.IN_DOUBT


def test_a_dead_letter_that_is_sent_again_never_uses_a_number_twice() -> None:
    row = resend(replace(DEAD, doubt=True), POLICY, NOW)
    assert (row.state, row.attempt, row.attempt_max) == (DeliveryState.WAITING, 3, 6)
    assert row.doubt
    assert (row.due, row.key) == (NOW, DEAD.key)
    assert row.expires == NOW + timedelta(seconds=POLICY.expires_after_seconds)
    assert begin_attempt(row, SOON).attempt == 4


@given(attempt=st.integers(1, 10_000), key=st.binary(min_size=1, max_size=40))
def test_delays_grow_to_their_cap_and_are_spread(attempt: int, key: bytes) -> None:
    delay = retry_delay(POLICY, attempt, key).total_seconds()
    plain = min(POLICY.first_seconds * POLICY.factor ** min(attempt - 1, 64), POLICY.cap_seconds)
    assert plain * (1 - POLICY.jitter) <= delay <= plain * (1 + POLICY.jitter)
    assert delay == retry_delay(POLICY, attempt, key).total_seconds()


def test_what_failed_together_does_not_come_back_together() -> None:
    delays = {retry_delay(POLICY, 1, b"%d" % number) for number in range(100)}
    assert len(delays) > 90


# --- mailboxes ---------------------------------------------------------------------------------

OFFERED = offer(WAITING)
HELD = hand_out(OFFERED, SOON)


def test_what_is_fetched_is_an_attempt_that_is_on_disk_before_it_leaves() -> None:
    assert (HELD.state, HELD.attempt, HELD.deadline) == (DeliveryState.HELD, 1, SOON)


def test_what_was_held_for_its_time_lies_there_again_in_doubt_and_at_once() -> None:
    assert reap(HELD, POLICY, NOW) is None
    change = reap(HELD, POLICY, SOON)
    assert isinstance(change, Reopened)
    row = change.delivery
    assert (row.state, row.attempt, row.doubt) == (DeliveryState.OFFERED, 1, True)
    assert (row.due, row.deadline) == (SOON, None)


def test_it_is_handed_out_so_often_and_no_more() -> None:
    last = replace(HELD, attempt=POLICY.attempts_max)
    change = reap(last, POLICY, SOON)
    assert isinstance(change, GivenUp)
    assert change.reason is DeadReason.IN_DOUBT


def test_where_a_recipient_would_act_twice_it_is_handed_out_once() -> None:
    assert isinstance(reap(HELD, POLICY, SOON, is_repeatable=False), GivenUp)


def test_what_nobody_fetched_expires_and_what_somebody_held_is_in_doubt() -> None:
    assert expire(OFFERED, OFFERED.expires) == Closed(Closing.EXPIRED)
    change = reap(HELD, POLICY, SOON)
    assert isinstance(change, Reopened)
    assert isinstance(expire(change.delivery, OFFERED.expires), GivenUp)
    assert expire(replace(HELD, deadline=HELD.expires + timedelta(hours=1)), HELD.expires) is None


@pytest.mark.parametrize("row", [OFFERED, HELD])
def test_what_its_fetcher_says_closes_it(row: Delivery) -> None:
    assert settle(row, ended(AttemptEnd.DELIVERED), POLICY, NOW) == Closed(Closing.DELIVERED)
    assert settle(row, ended(AttemptEnd.REFUSED), POLICY, NOW) == Closed(Closing.REFUSED)
