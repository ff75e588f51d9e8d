"""A recipient that fails is spared: probed ever more rarely, and let back in step by step."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bus.delivery.breaker import (
    FAILURES_MAX,
    PROBE_SECONDS_FIRST,
    PROBE_SECONDS_MAX,
    Breaker,
    BreakerState,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)
WINDOW = 256


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def opened() -> Breaker:
    breaker = Breaker()
    for _ in range(FAILURES_MAX):
        breaker.failed(NOW)
    return breaker


def test_who_is_well_gets_the_whole_window() -> None:
    assert Breaker().room(0, WINDOW, NOW) == WINDOW
    assert Breaker().room(WINDOW - 1, WINDOW, NOW) == 1
    assert Breaker().room(WINDOW + 1, WINDOW, NOW) == 0


def test_a_success_between_failures_begins_the_count_anew() -> None:
    breaker = Breaker()
    for _ in range(3):
        for _ in range(FAILURES_MAX - 1):
            breaker.failed(NOW)
        breaker.succeeded()
    assert breaker.state is BreakerState.CLOSED
    assert breaker.room(0, WINDOW, NOW) == WINDOW


def test_after_failures_in_a_row_nothing_goes_until_a_probe_is_due() -> None:
    breaker = opened()
    assert breaker.room(0, WINDOW, after(PROBE_SECONDS_FIRST - 0.1)) == 0
    assert breaker.room(0, WINDOW, after(PROBE_SECONDS_FIRST)) == 1


def test_one_probe_goes_at_a_time() -> None:
    breaker = opened()
    breaker.left()
    assert breaker.room(1, WINDOW, after(10_000)) == 0


def test_probes_become_rarer_up_to_a_bound() -> None:
    breaker, waits, now = opened(), [], NOW
    for _ in range(10):
        assert breaker.probe_at is not None
        waits.append((breaker.probe_at - now).total_seconds())
        now = breaker.probe_at
        breaker.left()
        breaker.failed(now)
    assert waits[:4] == [5, 10, 20, 40]
    assert waits[-1] == PROBE_SECONDS_MAX


def test_what_left_before_says_nothing_new() -> None:
    breaker = opened()
    probe_at = breaker.probe_at
    breaker.failed(after(1))
    assert breaker.probe_at == probe_at


def test_after_a_probe_that_succeeds_the_window_grows_from_one() -> None:
    breaker = opened()
    breaker.left()
    breaker.succeeded()
    assert breaker.state is BreakerState.CLOSED
    rooms = []
    for _ in range(6):
        rooms.append(breaker.room(0, WINDOW, NOW))
        breaker.succeeded()
    assert rooms == [1, 2, 4, 8, 16, 32]
    for _ in range(20):
        breaker.succeeded()
    assert breaker.room(0, WINDOW, NOW) == WINDOW


def test_a_probe_that_came_back_untried_is_made_again() -> None:
    breaker = opened()
    breaker.left()
    breaker.not_sent(after(100))
    assert breaker.room(0, WINDOW, after(100)) == 0
    assert breaker.room(0, WINDOW, after(100 + PROBE_SECONDS_FIRST)) == 1


def test_who_is_well_is_not_spared_for_what_was_not_tried() -> None:
    breaker = Breaker()
    breaker.left()
    breaker.not_sent(NOW)
    assert breaker.room(0, WINDOW, NOW) == WINDOW


def test_one_that_is_seen_again_may_have_one_delivery_at_once_and_no_more() -> None:
    breaker = opened()

    assert breaker.reached(NOW)
    assert breaker.room(0, WINDOW, NOW) == 1
    breaker.left()
    assert not breaker.reached(NOW)
    assert breaker.room(1, WINDOW, NOW) == 0


def test_to_be_seen_changes_nothing_for_who_is_well() -> None:
    breaker = Breaker()

    assert not breaker.reached(NOW)
    assert breaker.room(0, WINDOW, NOW) == WINDOW
