"""No message costs more than its bytes are worth before its sender is proved, at any door."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings

from bus.delivery.carried_messages import carried_form
from tests.attacks.fuzz_cost import GROWN, Doors, Grown, bounded, doors, hold
from tests.attacks.shapes import ATTRIBUTES, CONTENTS, PLACES, Shape
from tests.core.test_decision_encoding import SUBMITTED
from tests.nation import SmallNation

BYTES = 250_000
BEFORE_PROOF = ("the Envelope", "the Header", "the signature", "SignedInfo", "KeyInfo")


@pytest.fixture(scope="module")
def place(corpus: SmallNation) -> Doors:
    return doors(corpus)


@pytest.mark.parametrize("where", PLACES)
def test_no_kind_of_xml_is_dear_anywhere(where: str, place: Doors) -> None:
    for kind in (*CONTENTS, *ATTRIBUTES):
        shape = Shape(kind, where)
        place.requests(lambda raw, shape=shape: shape.edit_of(raw, BYTES))  # type: ignore[misc]


@pytest.mark.slow
@pytest.mark.parametrize("size", [3_000_000, 9_900_000])
@pytest.mark.parametrize("where", BEFORE_PROOF)
def test_no_kind_of_xml_is_dear_at_the_largest_size(where: str, size: int, place: Doors) -> None:
    for kind in (*CONTENTS, *ATTRIBUTES):
        shape = Shape(kind, where)
        place.requests(lambda raw, shape=shape: shape.edit_of(raw, size))  # type: ignore[misc]


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(grown=GROWN)
def test_nothing_that_grows_is_dear_at_any_door(grown: Grown, place: Doors) -> None:
    hold(place, grown)


@pytest.mark.parametrize("size", [300_000, 3_000_000, 9_900_000])
def test_a_payload_that_nearly_stands_everywhere_is_looked_for_at_its_price(size: int) -> None:
    """A proved sender repeats the Body's content before it, and writes it there in another form."""
    unit = b"<a>" + b"x" * 70 + b"</a>"
    content = unit * (size // len(unit) // 3)
    message = replace(SUBMITTED, payload=b"<qq>" + content)
    raw = b"<h>" + content * 2 + b"</h><qq >" + content + b"</qq>"

    with bounded(len(raw)):
        assert message.payload in carried_form(message, raw)


def test_what_costs_its_square_is_found() -> None:
    with pytest.raises(AssertionError, match="processor time"), bounded(30_000):
        assert sum(1 for one in range(6_000) for other in range(6_000) if one == other)
