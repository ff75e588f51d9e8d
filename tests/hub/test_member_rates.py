"""A member sends what was agreed: more is refused in time, signed, on the log, and comes again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bus.core import errors
from bus.core.identifiers import ServiceId
from bus.core.limits import Limits
from bus.core.log.leaf import Event
from bus.operations.hub_status import SenderStatus
from bus.protocols.soap_xroad.parse import parse
from bus.protocols.soap_xroad.verify_answer import (
    VerifiedAcceptance,
    VerifiedAnswer,
    VerifiedFault,
    verify_reply,
)
from tests.hub.running_hub import HttpReply, OpenHub, RunningHub, opened
from tests.nation import CLIENT, OTHER_CLIENT, SmallNation, packaged_sample, request

RARELY = 0.0001
"""Messages a second: of a second one no test lives to see the time."""
DOSSIER = ServiceId.parse("VN/GOV/G22/dichvucong/CapNhatTienDoHoSoMC/v1")
Open = Callable[[Callable[[str], str]], OpenHub]


@pytest.fixture
def open_with(nation: SmallNation, tmp_path: Path) -> Iterator[Open]:
    """A hub whose routes were changed."""
    closing = []

    def changed(change: Callable[[str], str]) -> OpenHub:
        routes = tmp_path / "routes.yaml"
        routes.write_text(change(nation.settings.routes.read_text()))
        settings = replace(nation.settings, routes=routes)
        way = opened(replace(nation, settings=settings), tmp_path)
        closing.append(way)
        return way.__enter__()

    yield changed
    for one in closing:
        one.__exit__(None, None, None)


def limited(text: str) -> str:
    """The routes with a rate of CLIENT's member."""
    member = f"- id: {CLIENT.member}\n"
    assert member in text
    return text.replace(member, f"{member}    rate_per_second: {RARELY}\n")


def dossier(nation: SmallNation, message_id: str, issue: str) -> bytes:
    body = packaged_sample(DOSSIER)
    return request(nation, message_id, service=DOSSIER, body=body, issue=issue)


def refused(hub: RunningHub, reply: HttpReply, raw: bytes) -> VerifiedFault:
    told = verify_reply(reply.body, parse(raw, Limits()), hub.known(), hub.clock.now)
    assert isinstance(told, VerifiedFault)
    return told


def test_what_is_beyond_a_members_rate_is_refused_and_nothing_of_it_is_taken(
    nation: SmallNation, open_with: Open
) -> None:
    async def story(hub: RunningHub) -> None:
        first, more = request(nation, "m-1"), request(nation, "m-2")
        assert isinstance(hub.proved(await hub.post(first), first), VerifiedAnswer)

        reply = await hub.post(more)

        told = refused(hub, reply, more)
        assert told.fault.code == errors.RateLimited.code
        assert told.fault.is_retryable
        # Nearly three hours, of which a reply says one.
        assert (reply.status, reply.headers[b"retry-after"]) == (429, b"3600")
        assert len(hub.agency.asked) == 1
        events = [(leaf.event, leaf.verdict) for leaf in hub.leaves()]
        assert events[-1] == (Event.REFUSED, errors.RateLimited.code)
        assert [event for event, _ in events].count(Event.RECEIVED) == 1
        assert set(hub.hub.status().senders) == {
            SenderStatus(str(CLIENT.member), in_work=0, refused=0, limited=1)
        }

    open_with(limited).tell(story)


def test_submissions_count_as_queries_do(nation: SmallNation, open_with: Open) -> None:
    async def story(hub: RunningHub) -> None:
        raw = dossier(nation, "m-1", "H41-1")
        first = await hub.post(raw)
        accepted = verify_reply(first.body, parse(raw, Limits()), hub.known(), hub.clock.now)
        assert isinstance(accepted, VerifiedAcceptance)

        more = dossier(nation, "m-2", "H41-2")
        reply = await hub.post(more)

        assert refused(hub, reply, more).fault.code == errors.RateLimited.code
        assert reply.status == 429
        assert [leaf.event for leaf in hub.leaves()].count(Event.RECEIVED) == 1

    open_with(limited).tell(story)


def test_other_members_and_strangers_use_up_nothing_of_a_members_rate(
    nation: SmallNation, open_with: Open
) -> None:
    async def story(hub: RunningHub) -> None:
        forged = request(nation, "forged").replace(b"H41-2026-1", b"H41-2026-2")
        for number in range(3):
            other = request(nation, f"other-{number}", client=OTHER_CLIENT)
            assert isinstance(hub.proved(await hub.post(other), other), VerifiedAnswer)
            assert (await hub.post(forged)).status == 500

        raw = request(nation, "m-1")
        assert isinstance(hub.proved(await hub.post(raw), raw), VerifiedAnswer)

    open_with(limited).tell(story)
