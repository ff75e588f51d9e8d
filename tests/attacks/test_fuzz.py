"""A few hundred rounds of what `make fuzz` does for minutes: always the same ones."""

from __future__ import annotations

import pytest

from tests.attacks.fuzz import targets
from tests.attacks.mutations import MUTATIONS, mutated
from tests.attacks.valid_messages import valid_messages
from tests.nation import SmallNation

ROUNDS = {
    "requests": 1_500,
    "signed answers": 800,
    "answers": 1_500,
    "multipart": 600,
    "short texts and certificates": 1_000,
}


@pytest.mark.parametrize("name", ROUNDS)
def test_whatever_is_thrown_at_it_is_read_or_refused_by_our_errors(
    name: str, corpus: SmallNation
) -> None:
    target = next(one for one in targets(corpus) if one.name == name)

    for number in range(ROUNDS[name]):
        target.round(number)


def test_mutations_are_the_same_for_the_same_seed_and_hardly_ever_none() -> None:
    raw, other = [message.raw for message in valid_messages().values()][:2]
    made = [mutated(raw, other, seed) for seed in range(200)]

    assert made == [mutated(raw, other, seed) for seed in range(200)]
    assert sum(one == raw for one in made) < 20
    assert len(MUTATIONS) > 10


def test_some_mutations_are_accepted_and_most_are_not(corpus: SmallNation) -> None:
    target = next(one for one in targets(corpus) if one.name == "requests")
    told = [target.round(number)[1] for number in range(400)]

    assert 0 < told.count("accepted, means the same") < 200
    assert len(set(told)) >= 10
