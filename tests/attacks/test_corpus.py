"""Every attack of the corpus gets the refusal that it must get, in bounded time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

import pytest

from bus.core.errors import all_errors
from bus.core.pipeline import Refusal, judge
from bus.core.routing import RoutedMessage
from bus.protocols.soap_xroad.parse import parse
from tests.attacks.cases import SAME, Case, Stage
from tests.attacks.corpus import CASES
from tests.attacks.meaning import meaning
from tests.attacks.valid_messages import ValidMessage
from tests.nation import NOW, SmallNation

TIMES_VALID_MAX = 50
"""A refusal may take this many times the processor time of a valid message."""
SECONDS_FLOOR = 0.5
"""Below this, nothing is told by comparing."""


def stages(
    case: Case, corpus: SmallNation, valid: Mapping[str, ValidMessage]
) -> Iterator[tuple[Stage, bytes]]:
    """The messages of a case, each with what it was made from."""
    for message in valid.values():
        stage = Stage(corpus, message, valid)
        if case.needs_token and not stage.has_token:
            continue
        yield stage, case.make(stage)
        if not case.every_stack:
            return


@pytest.mark.parametrize("name", CASES)
def test_an_attack_gets_nothing(
    name: str, corpus: SmallNation, valid: Mapping[str, ValidMessage]
) -> None:
    case = CASES[name]

    for stage, raw in stages(case, corpus, valid):
        assert raw != stage.raw, f"nothing was changed in {stage.valid.name}"
        result = judge(raw, parse, corpus.rules, NOW + case.later)

        if case.expected == SAME:
            before = judge(stage.raw, parse, corpus.rules, NOW)
            assert isinstance(before, RoutedMessage)
            assert isinstance(result, RoutedMessage), result
            assert meaning(before) == meaning(result)
        else:
            assert isinstance(result, Refusal), f"made from {stage.valid.name}: it got through"
            assert case.expected == result.error.code, (stage.valid.name, result.error.detail)


@pytest.mark.parametrize("name", CASES)
def test_an_attack_costs_the_hub_no_more_than_some_valid_messages(
    name: str, corpus: SmallNation, valid: Mapping[str, ValidMessage]
) -> None:
    stage, raw = next(stages(CASES[name], corpus, valid))
    bound = max(SECONDS_FLOOR, TIMES_VALID_MAX * seconds_to_judge(stage.raw, corpus))

    assert seconds_to_judge(raw, corpus) <= bound


def seconds_to_judge(raw: bytes, corpus: SmallNation) -> float:
    """Processor time: what others do on this machine does not count."""
    start = time.process_time()
    judge(raw, parse, corpus.rules, NOW)
    return time.process_time() - start


def test_every_case_expects_a_refusal_that_there_is() -> None:
    codes = {error.code for error in all_errors()} | {SAME}

    assert {case.expected for case in CASES.values()} <= codes
    assert len(CASES) >= 150
