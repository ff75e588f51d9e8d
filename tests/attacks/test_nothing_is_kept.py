"""Nothing of a message that was judged waits for the collector of cycles, whatever was wrong.

An exception knows the frames that it passed, and these know the message and its tree. Where they
know the exception, too, a hub that collects seldom would hold all that it refused meanwhile.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
from lxml import etree

from tests.attacks.cases import Stage
from tests.attacks.corpus import CASES
from tests.attacks.valid_messages import ValidMessage
from tests.nation import NOW, SmallNation, decide_request


@contextmanager
def without_collecting() -> Iterator[None]:
    gc.collect()
    gc.freeze()  # what is there already is not walked through each time
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def unreported(error: Exception) -> None:
    raise AssertionError("nothing was to go wrong") from error


def kept_elements() -> list[str]:
    """The elements that only the collector would free."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        return [str(one.tag) for one in gc.garbage if isinstance(one, etree._Element)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()


@pytest.mark.parametrize("group", sorted({case.group for case in CASES.values()}))
def test_judged_messages_are_freed_at_once(
    group: str, corpus: SmallNation, valid: Mapping[str, ValidMessage]
) -> None:
    stages = [Stage(corpus, message, valid) for message in valid.values()]
    with without_collecting():
        for name, case in CASES.items():
            if case.group != group:
                continue
            stage = next(one for one in stages if one.has_token or not case.needs_token)
            raw = case.make(stage)
            # The first one of its kind may be the one for which something is compiled.
            decide_request(raw, corpus.rules, NOW + case.later, unreported)
            gc.collect()
            decide_request(raw, corpus.rules, NOW + case.later, unreported)
            assert kept_elements() == [], name
