"""A member sends what was agreed, and a burst of one second; time brings more, no step back."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from bus.core.errors import RateLimited
from bus.core.identifiers import MemberId
from bus.runtime.rates import MemberRates

AGREED = MemberId.parse("VN/GOV/H41")
OTHER = MemberId.parse("VN/GOV/H26")


@dataclass
class Seconds:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def taken(rates: MemberRates, member: MemberId, count: int) -> int:
    """How many of so many messages may come."""
    passed = 0
    for _ in range(count):
        try:
            rates.take(member)
        except RateLimited:
            continue
        passed += 1
    return passed


@pytest.mark.parametrize(
    ("per_second", "at_once", "after_two_seconds"),
    [(3.0, 3, 3), (2.5, 2, 2), (0.25, 1, 0), (0.5, 1, 1), (1.0, 1, 1), (1_000_000.0, 5000, 5000)],
)
def test_what_a_second_brings_may_come_at_once_and_more_in_time(
    per_second: float, at_once: int, after_two_seconds: int
) -> None:
    seconds = Seconds()
    rates = MemberRates({AGREED: per_second}, seconds)

    assert taken(rates, AGREED, 5000) == at_once
    seconds.now += 2.0
    assert taken(rates, AGREED, 5000) == after_two_seconds


def test_over_a_long_time_the_average_holds() -> None:
    seconds = Seconds()
    rates = MemberRates({AGREED: 2.5}, seconds)
    passed = 0

    for _ in range(40_000):  # a thousand seconds
        seconds.now += 0.025
        passed += taken(rates, AGREED, 1)

    assert passed in range(2500, 2504)
    assert rates.refused == {AGREED: 40_000 - passed}


def test_a_refusal_says_when_the_next_may_come_and_then_it_may() -> None:
    seconds = Seconds()
    rates = MemberRates({AGREED: 0.1}, seconds)
    rates.take(AGREED)
    seconds.now += 4.0

    with pytest.raises(RateLimited) as refused:
        rates.take(AGREED)

    assert refused.value.retry_after_seconds == pytest.approx(6.0)
    assert refused.value.diagnostic == "more than 0.1 a second"
    seconds.now += 6.0001
    rates.take(AGREED)


def test_a_clock_that_goes_back_brings_nothing_and_takes_nothing() -> None:
    seconds = Seconds()
    rates = MemberRates({AGREED: 1.0}, seconds)
    rates.take(AGREED)

    seconds.now -= 100.0
    assert taken(rates, AGREED, 3) == 0
    seconds.now += 1.5
    assert taken(rates, AGREED, 3) == 1


def test_one_member_uses_up_what_is_its_own_alone() -> None:
    rates = MemberRates({AGREED: 1.0, OTHER: 1.0}, Seconds())

    assert taken(rates, AGREED, 10) == 1
    assert taken(rates, OTHER, 10) == 1
    assert taken(rates, MemberId.parse("VN/GOV/G01"), 1000) == 1000  # nothing was agreed
