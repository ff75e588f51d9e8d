"""Every attack of the corpus gets the refusal that it must get, in bounded time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from functools import cache

import pytest

from bus.core.errors import all_errors
from bus.core.pipeline import Refusal, decide
from bus.core.routing import RoutedMessage
from bus.protocols.soap_xroad.parse import parse
from tests.attacks.cases import NEW, SAME, Case, Stage
from tests.attacks.corpus import CASES
from tests.attacks.meaning import acted_upon, judged, meaning
from tests.attacks.valid_messages import ValidMessage
from tests.nation import NOW, SmallNation

TIMES_VALID_MAX = 50
"""A refusal may take this many times the processor time of a valid message."""
SECONDS_FLOOR = 3.0
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
def test_an_attack_gets_nothing_and_costs_little(
    name: str, corpus: SmallNation, valid: Mapping[str, ValidMessage]
) -> None:
    case = CASES[name]

    for stage, raw in stages(case, corpus, valid):
        assert raw != stage.raw, f"nothing was changed in {stage.valid.name}"
        start = time.process_time()
        result = decide(raw, parse, corpus.rules, NOW + case.later)
        seconds = time.process_time() - start

        assert seconds <= seconds_max(stage.raw, corpus), stage.valid.name
        if case.expected == SAME:
            assert_says_the_same(stage, result)
        elif case.expected == NEW:
            assert isinstance(result, RoutedMessage), result
        else:
            assert isinstance(result, Refusal), f"made from {stage.valid.name}: it got through"
            assert case.expected == result.error.code, (stage.valid.name, result.error.detail)


def assert_says_the_same(stage: Stage, after: RoutedMessage | Refusal) -> None:
    before = judged(stage.raw, stage.nation)
    assert isinstance(before, RoutedMessage)
    assert isinstance(after, RoutedMessage), after
    assert acted_upon(before) == acted_upon(after)
    if signature_of(before) == signature_of(after):  # not signed anew
        assert meaning(before) == meaning(after)


def signature_of(message: RoutedMessage) -> bytes:
    return message.valid.authorised.verified.signature_digest


@cache
def _seconds_of_valid(raw: bytes) -> list[float]:
    return []


def seconds_max(raw: bytes, corpus: SmallNation) -> float:
    """In processor time: what others do on this machine does not count."""
    measured = _seconds_of_valid(raw)
    if not measured:
        start = time.process_time()
        judged(raw, corpus)
        measured.append(time.process_time() - start)
    return max(SECONDS_FLOOR, TIMES_VALID_MAX * measured[0])


def test_every_case_expects_a_refusal_that_there_is() -> None:
    codes = {error.code for error in all_errors()} | {SAME, NEW}

    assert {case.expected for case in CASES.values()} <= codes
    assert len(CASES) >= 150
