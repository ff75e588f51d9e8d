"""The newest certificate that is valid signs; during the overlap both are believed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from signing.pki.keys import Signer, make_signer
from signing.pki.succession import KeySuccession, newest_at
from tests.certificates import DAY, make_certificate
from tests.nation import SmallNation

NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


def valid(nation: SmallNation, first: int, last: int) -> Signer:
    """A signer whose certificate is valid from so many days after NOW to so many."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = make_certificate(
        nation.issuer, key.public_key(), NOW, valid_from=first * DAY, valid_until=last * DAY
    )
    return make_signer(key, certificate)


@pytest.mark.parametrize(
    ("day", "chosen"),
    [(0, "old"), (9.9, "old"), (10, "new"), (20, "new"), (30, "new"), (40, "new"), (99, "new")],
)
def test_the_new_key_signs_from_when_its_certificate_is_valid(
    nation: SmallNation, day: float, chosen: str
) -> None:
    keys = {"old": valid(nation, -1, 30), "new": valid(nation, 10, 60)}
    succession = KeySuccession(*keys.values())

    assert succession.at(NOW + day * DAY) is keys[chosen]


def test_a_clock_that_moves_back_and_forth_gets_the_key_of_its_time(nation: SmallNation) -> None:
    old, new = valid(nation, -1, 30), valid(nation, 10, 60)
    succession = KeySuccession(old, new)

    chosen = [succession.at(NOW + day * DAY) for day in (0, 20, 0, 1, 20, 9, 11)]

    assert chosen == [old, new, old, old, new, old, new]


def test_the_order_in_the_settings_does_not_matter(nation: SmallNation) -> None:
    old, new = valid(nation, -1, 30), valid(nation, 10, 60)

    assert KeySuccession(new, old).at(NOW) is old
    assert KeySuccession(new, old).at(NOW + 20 * DAY) is new


def test_a_certificate_is_valid_through_its_last_second(nation: SmallNation) -> None:
    old, later = valid(nation, -1, 30), valid(nation, 31, 60)
    succession = KeySuccession(old, later)

    assert succession.at(NOW + 30 * DAY) is old
    assert succession.at(NOW + 30 * DAY + timedelta(microseconds=1)) is old  # none is valid
    assert succession.at(NOW + 31 * DAY) is later


def test_before_any_certificate_is_valid_the_first_signs(nation: SmallNation) -> None:
    first, second = valid(nation, 5, 30), valid(nation, 10, 60)

    assert KeySuccession(first, second).at(NOW) is first


def test_an_older_certificate_signs_again_the_instant_after_the_newer_one_is_over(
    nation: SmallNation,
) -> None:
    old, brief = valid(nation, -1, 60), valid(nation, 10, 20)
    succession = KeySuccession(old, brief)

    assert succession.at(NOW + 20 * DAY) is brief  # through notAfter: RFC 5280 §4.1.2.5
    assert succession.at(NOW + 20 * DAY + timedelta(microseconds=1)) is old


@pytest.mark.parametrize(
    ("spans", "chosen"),
    [
        ([(0, 9)], 0),
        ([(6, 9)], 0),
        ([(6, 9), (7, 9)], 0),
        ([(0, 9), (3, 6)], 1),
        ([(3, 6), (0, 9)], 0),
        ([(0, 9), (0, 9)], 1),
        ([(0, 9), (5, 9)], 1),
        ([(0, 9), (4, 5)], 0),
        ([(0, 9), (6, 9)], 0),
        ([(0, 4), (1, 3)], 1),
        ([(0, 4), (5, 5)], 1),
        ([(0, 4), (6, 5)], 0),
    ],
    ids=[
        "the only one",
        "the only one, not yet valid",
        "none yet",
        "both, the newer one ends first",
        "the same, named in the other order",
        "both of one age",
        "the newer one begins now",
        "the newer one ended now",
        "the newer one is to come",
        "both are over",
        "one that was never valid, and begins now",
        "one that ended before it is to begin",
    ],
)
def test_of_all_that_is_valid_the_newest_is_chosen(
    spans: list[tuple[int, int]], chosen: int
) -> None:
    days = [(NOW + first * DAY, NOW + until * DAY) for first, until in spans]

    assert newest_at(days, NOW + 5 * DAY) == chosen


instants = st.integers(0, 20).map(lambda day: NOW + day * DAY)
spans = st.lists(st.tuples(instants, instants), min_size=1, max_size=3)


@given(spans, instants)
def test_whenever_some_certificate_is_valid_a_valid_one_is_chosen(
    some: list[tuple[datetime, datetime]], now: datetime
) -> None:
    chosen = some[newest_at(some, now)]
    valid_ones = [span for span in some if span[0] <= now < span[1]]

    assert not valid_ones or chosen in valid_ones
    assert not valid_ones or chosen[0] == max(first for first, _ in valid_ones)
