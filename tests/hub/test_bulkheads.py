"""One agency that hangs, one member that asks too much: nobody else is refused for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bus.core import errors
from bus.core.identifiers import ServiceId
from bus.core.log.leaf import Event
from bus.kit.contract import Answer, Query
from bus.operations.hub_status import SenderStatus
from bus.protocols.soap_xroad.verify_answer import VerifiedAnswer, VerifiedFault
from tests.hang_limits import HANG_SECONDS_MAX
from tests.hub.running_hub import OpenHub, RunningHub, answer_well, opened
from tests.nation import CLIENT, LOOKUP_ADAPTER, OTHER_CLIENT, SmallNation, packaged_sample, request

REGISTRY = ServiceId.parse("VN/GOV/G12/dkdn/chiTietDoanhNghiep/v1")
REGISTRY_SAMPLE = packaged_sample(REGISTRY)
PER_AGENCY, PER_MEMBER, CALLS = 6, 10, 2


@pytest.fixture
def hub(nation: SmallNation, tmp_path: Path) -> Iterator[OpenHub]:
    routes = tmp_path / "routes.yaml"
    limits = (
        f"\nlimits:\n  exchanges_at_once_per_agency_max: {PER_AGENCY}\n"
        f"  exchanges_at_once_per_member_max: {PER_MEMBER}\n  adapter_calls_at_once_max: {CALLS}\n"
    )
    routes.write_text(nation.settings.routes.read_text().replace("\nlimits:\n", limits))
    with opened(replace(nation, settings=replace(nation.settings, routes=routes)), tmp_path) as one:
        yield one


class Hanging:
    """The lookup hangs until the gate opens; the other agency says no at once."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.asked = 0

    def __call__(self, query: Query) -> Answer:
        if query.service == REGISTRY:
            raise errors.RecipientRefused
        self.asked += 1
        self.gate.wait(HANG_SECONDS_MAX)
        return answer_well(query)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(HANG_SECONDS_MAX):
        while not condition():
            await asyncio.sleep(0.001)


def in_work(running: RunningHub) -> int:
    queries = running.hub.status().queries
    return next(one.in_work for one in queries if one.adapter == LOOKUP_ADAPTER)


def test_an_agency_that_hangs_takes_nothing_from_the_others(
    nation: SmallNation, hub: OpenHub
) -> None:
    async def story(running: RunningHub) -> None:
        script = Hanging()
        running.agency.script = script
        waiting = [
            asyncio.create_task(running.post(request(nation, f"hanging-{number}")))
            for number in range(PER_AGENCY)
        ]
        await until(lambda: in_work(running) == PER_AGENCY and script.asked == CALLS)

        asked = request(nation, "one more", client=OTHER_CLIENT)
        busy = await running.post(asked)
        others = []
        for wave in range(5):
            some = [registry_request(nation, f"other-{wave}-{at}") for at in range(PER_AGENCY)]
            others += await asyncio.gather(*map(running.post, some))

        told = running.proved(busy, asked)
        assert isinstance(told, VerifiedFault)
        assert told.fault.code == errors.AgencyBusy.code
        assert told.fault.is_retryable
        assert (busy.status, busy.headers[b"retry-after"]) == (503, b"2")
        assert {reply.status for reply in others} == {500}
        assert all(errors.RecipientRefused.code.encode() in reply.body for reply in others)
        leaves = running.leaves()
        refused = [leaf for leaf in leaves if leaf.verdict == errors.AgencyBusy.code]
        assert [leaf.event for leaf in refused] == [Event.REFUSED]

        script.gate.set()
        assert {(await one).status for one in waiting} == {200}
        assert isinstance(running.proved(await running.post(asked), asked), VerifiedAnswer)
        assert in_work(running) == 0

    hub.tell(story)


def registry_request(nation: SmallNation, message_id: str) -> bytes:
    return request(nation, message_id, client=OTHER_CLIENT, service=REGISTRY, body=REGISTRY_SAMPLE)


def test_a_member_that_asks_too_much_at_once_is_asked_for_patience(
    nation: SmallNation, hub: OpenHub
) -> None:
    async def story(running: RunningHub) -> None:
        script = Hanging()
        running.agency.script = script
        # Copies of one message are one query for the agency, and each a request in work.
        raw = request(nation, "copied")
        waiting = [asyncio.create_task(running.post(raw)) for _ in range(PER_MEMBER)]
        all_of_them = SenderStatus(str(CLIENT.member), in_work=PER_MEMBER, refused=0)
        await until(lambda: all_of_them in running.hub.status().senders)

        asked = request(nation, "one more")
        busy = await running.post(asked)
        other = asyncio.create_task(running.post(request(nation, "other", client=OTHER_CLIENT)))
        await until(lambda: script.asked == 2)

        told = running.proved(busy, asked)
        assert isinstance(told, VerifiedFault)
        assert told.fault.code == errors.SenderBusy.code
        assert (busy.status, busy.headers[b"retry-after"]) == (429, b"2")
        assert running.leaves()[-1].verdict != "delivered"
        script.gate.set()
        assert {(await one).status for one in (*waiting, other)} == {200}
        assert isinstance(running.proved(await running.post(asked), asked), VerifiedAnswer)
        assert set(running.hub.status().senders) == {
            SenderStatus(str(CLIENT.member), in_work=0, refused=1),
            SenderStatus(str(OTHER_CLIENT.member), in_work=0, refused=0),
        }

    hub.tell(story)


def test_a_stranger_uses_up_the_room_of_no_member(nation: SmallNation, hub: OpenHub) -> None:
    async def story(running: RunningHub) -> None:
        forged = request(nation, "forged").replace(b"H41-2026-1", b"H41-2026-2")

        replies: list[Any] = await asyncio.gather(*(running.post(forged) for _ in range(50)))

        assert {reply.status for reply in replies} == {500}
        assert [one for one in running.hub.status().senders if one.refused] == []

    hub.tell(story)
