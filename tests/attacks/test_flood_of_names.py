"""New names in every message fill nobody's memory for good: they go with the thread that read them.

CWE-770; XML 1.0 sets no bound to how many names there are. `make flood` does it for longer.
"""

from __future__ import annotations

import asyncio
import os
import sys

import pytest

from bus.delivery.adapter_calls import AdapterCalls
from bus.http.client import AgencyReply
from bus.http.read_replies import count_read
from bus.hub import DECIDER_MODULE
from bus.judging.process import Decider
from bus.judging.rules import read_rules
from bus.kit.contract import Adapter, Answer, Query
from bus.kit.soap_agency import read_soap_reply
from signing import names
from tests.attacks.flood import MIB, SIZES, Flood, held_bytes, judged, processes, signed_message
from tests.delivery.test_adapter_calls import QUERY
from tests.nation import SmallNation

FLOOD_BYTES = 24_000_000
"""Of which a process that kept the names would hold some 100 MiB."""
GROWTH_BYTES_MAX = 40 * MIB
ONE_OF_THEM = 8
"""What one message of the largest took, by its bytes, may be kept for the next one."""
SOAP11 = names.SOAP11.encode()

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads proc(5)")


@pytest.mark.slow
@pytest.mark.parametrize("is_signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("is_beside", [True, False], ids=["judging processes", "hub alone"])
@pytest.mark.parametrize("size", SIZES)
def test_names_that_never_end_do_not_stay_in_memory(
    corpus: SmallNation, size: int, *, is_beside: bool, is_signed: bool
) -> None:
    async def story() -> list[int]:
        judges, flood = Decider(corpus.rules, lambda error: None), Flood(signed_message())
        if is_beside:
            await judges.start(DECIDER_MODULE, read_rules(corpus.settings).texts)
        try:
            # What a process holds once it knows what floods are.
            await judged(judges, flood, size, max(size, FLOOD_BYTES // 3), is_signed=is_signed)
            at_rest = [held_bytes(pid) for pid in processes(judges)]
            await judged(judges, flood, size, FLOOD_BYTES, is_signed=is_signed)
            now = [held_bytes(pid) for pid in processes(judges)]
            return [after - before for before, after in zip(at_rest, now, strict=True)]
        finally:
            await judges.close()

    assert max(asyncio.run(story())) < GROWTH_BYTES_MAX + size * ONE_OF_THEM


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


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_names_in_the_replies_of_an_agency_do_not_stay_either(size: int) -> None:
    async def story() -> int:
        calls = AdapterCalls("flooding", Flooding(Flood(b""), size), concurrency=1)

        async def call(total: int) -> int:
            for _ in range(-(-total // size)):
                await calls.call(QUERY, lambda answer: answer)
            return held_bytes(os.getpid())

        try:
            at_rest = await call(2 * FLOOD_BYTES)
            return await call(3 * FLOOD_BYTES) - at_rest
        finally:
            calls.close()

    assert asyncio.run(story()) < 2 * GROWTH_BYTES_MAX
