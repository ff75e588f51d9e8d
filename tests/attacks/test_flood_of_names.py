"""New names in every message fill nobody's memory for good: they go with the thread that read them.

CWE-770; XML 1.0 sets no bound to how many names there are. `make flood` does it for longer.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from bus.delivery.adapter_calls import AdapterCalls
from bus.http.client import AgencyReply
from bus.http.read_replies import count_read
from bus.judge_program import MODULE, WIRE
from bus.judging.process import Decider
from bus.judging.rules import read_rules
from bus.kit.contract import Adapter, Answer, Query
from bus.kit.soap_agency import read_soap_reply
from signing import names
from tests.attacks.flood import MIB, SIZES, Flood, held_bytes, judged, processes, signed_message
from tests.attacks.valid_messages import corpus_nation
from tests.delivery.test_adapter_calls import QUERY
from tests.hang_limits import HANG_SECONDS_MAX
from tests.nation import SmallNation

FLOOD_BYTES = 24_000_000
"""Of which a process that kept the names would hold some 100 MiB."""
GROWTH_BYTES_MAX = 40 * MIB
TREE_BYTES = 6
"""For each byte of the last message: when a process gives back what its tree took is no matter of
names. What keeps names passes that, too, for it grows with each message."""
LOOKS = 4
"""A process is looked at so often, and the least that it held counts."""
SOAP11 = names.SOAP11.encode()

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads proc(5)")


def _alone(story: Callable[..., int], *arguments: object) -> int:
    """What a story tells in a process of its own: what others left in this one is not its."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes_of_one:
        return processes_of_one.submit(story, *arguments).result(HANG_SECONDS_MAX)


def _judging_grows(folder: Path, size: int, is_beside: bool, is_signed: bool) -> int:
    return asyncio.run(_judging(corpus_nation(folder), size, is_beside, is_signed))


async def _judging(nation: SmallNation, size: int, is_beside: bool, is_signed: bool) -> int:
    """By how many bytes the process grew that grew most."""
    judges, flood = Decider(WIRE, nation.rules, lambda error: None), Flood(signed_message())
    part = max(size, FLOOD_BYTES // 8)

    async def floor(parts: int) -> list[int]:
        """The least that each process held at the last looks, one after each part."""
        looks = []
        for _ in range(parts):
            await judged(judges, flood, size, part, is_signed=is_signed)
            looks.append([held_bytes(pid) for pid in processes(judges)])
        return [min(held) for held in zip(*looks[-LOOKS:], strict=True)]

    if is_beside:
        await judges.start(MODULE, read_rules(nation.settings).texts)
    try:
        # What a process holds once it knows what floods are.
        at_rest = await floor(1 + LOOKS)
        now = await floor(max(FLOOD_BYTES // part, 3 * LOOKS))
        return max(after - before for before, after in zip(at_rest, now, strict=True))
    finally:
        await judges.close()


@pytest.mark.slow
@pytest.mark.parametrize("is_signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("is_beside", [True, False], ids=["judging processes", "hub alone"])
@pytest.mark.parametrize("size", SIZES)
def test_names_that_never_end_do_not_stay_in_memory(
    tmp_path: Path, size: int, *, is_beside: bool, is_signed: bool
) -> None:
    grown = _alone(_judging_grows, tmp_path, size, is_beside, is_signed)

    assert grown < GROWTH_BYTES_MAX + TREE_BYTES * size


class Flooding(Adapter):
    """Hands on what an agency replies, which has new names each time."""

    def __init__(self, flood: Flood, size: int) -> None:
        super().__init__({})
        self.flood = flood
        self.size = size

    def answer(self, query: Query) -> Answer:
        body = self.flood.message(self.size, is_signed=False)
        raw = b'<e:Envelope xmlns:e="%s"><e:Body>%s</e:Body></e:Envelope>' % (SOAP11, body)
        count_read(len(raw))  # as bus.http.client does
        return Answer(read_soap_reply(AgencyReply(200, raw, "text/xml")))


def _asking_grows(size: int) -> int:
    return asyncio.run(_asking(size))


async def _asking(size: int) -> int:
    calls = AdapterCalls("flooding", Flooding(Flood(b""), size), concurrency=1)

    async def call(total: int) -> int:
        """The least that is held at the last looks."""
        looks: list[int] = []
        for _ in range(-(-total // size)):
            await calls.call(QUERY, lambda answer: answer)
            looks = [*looks[1 - LOOKS :], held_bytes(os.getpid())]
        return min(looks)

    try:
        at_rest = await call(2 * FLOOD_BYTES)
        return await call(3 * FLOOD_BYTES) - at_rest
    finally:
        calls.close()


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_names_in_the_replies_of_an_agency_do_not_stay_either(size: int) -> None:
    assert _alone(_asking_grows, size) < 2 * GROWTH_BYTES_MAX + TREE_BYTES * size
