"""Nothing of an exchange waits for the collector of cycles, however the exchange ended."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path

import pytest
from lxml import etree

from bus.core import errors
from bus.core.envelope import Envelope
from bus.kit.contract import Answer, Query, ServiceFault
from tests.hub.running_hub import HttpReply, RunningHub, answer_well, in_hub
from tests.nation import CLIENT_WITHOUT_GRANT, SLOW_SERVICE, SmallNation, payload, request


def raising(error: Exception) -> Callable[[Query], Answer]:
    def answer(query: Query) -> Answer:
        raise error

    return answer


def kept() -> list[str]:
    """Envelopes and elements that only the collector would free."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        return [repr(one) for one in gc.garbage if isinstance(one, Envelope | etree._Element)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()


BROKEN = "the agency's own software is broken"
ENDS: dict[str, Callable[[Query], Answer]] = {
    "answered": answer_well,
    "refused there": raising(ServiceFault("NoSuchYear", "Không có năm 1899")),
    "down": raising(errors.RecipientUnavailable("down")),
    "broken": raising(ValueError(BROKEN)),
    "another answer": lambda query: Answer(payload(b"<x/>")),
}


@pytest.mark.parametrize("end", ENDS)
def test_an_exchange_is_forgotten_when_it_is_over(
    end: str, nation: SmallNation, tmp_path: Path
) -> None:
    async def story(running: RunningHub) -> list[str]:
        running.agency.script = ENDS[end]
        raws = [request(nation, f"m-{number}") for number in range(2)]
        await running.post(raws[0])  # the first one of its kind may have something compiled
        running.agency.asked.clear()
        gc.collect()
        gc.freeze()
        gc.disable()
        try:
            for raw in (raws[1], raws[1]):
                await running.post(raw)
            running.agency.asked.clear()
            return kept()
        finally:
            gc.enable()
            gc.unfreeze()

    assert in_hub(nation, tmp_path, story) == []


@pytest.mark.parametrize(
    "make",
    [
        lambda nation: b"hello",
        lambda nation: b"<a/>",
        lambda nation: request(nation).replace(b"VN0117", b"VN0118"),
        lambda nation: request(nation, client=CLIENT_WITHOUT_GRANT),
        lambda nation: request(nation, service=SLOW_SERVICE),
    ],
    ids=["no XML", "no envelope", "changed", "no grant", "another element"],
)
def test_a_refused_message_is_forgotten_when_it_was_told(
    make: Callable[[SmallNation], bytes], nation: SmallNation, tmp_path: Path
) -> None:
    async def story(running: RunningHub) -> tuple[list[str], HttpReply]:
        raw = make(nation)
        await running.post(raw)
        gc.collect()
        gc.freeze()
        gc.disable()
        try:
            reply = await running.post(raw)
            return kept(), reply
        finally:
            gc.enable()
            gc.unfreeze()

    left, reply = in_hub(nation, tmp_path, story)

    assert reply.status != 200
    assert left == []
