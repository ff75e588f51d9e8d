"""Two hubs on one database are one to senders: an id is taken once, and each tells the same."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bus.audit.folder import verify_log
from bus.audit.postgres.source import LogDatabase
from bus.core.log.leaf import Event
from bus.doors.soap import HttpDoor
from bus.exchange import reception
from bus.hub import open_hub
from bus.kit.contract import Answer, Query, RecipientUnavailable
from bus.protocols.soap_xroad.verify_answer import VerifiedAnswer, VerifiedFault
from bus.settings.hub import OtherLog
from bus.settings.postgres import PostgresSettings
from tests.hang_limits import HANG_SECONDS_MAX
from tests.hub.running_hub import RunningHub, ScriptedAgency, SetClock, answer_well
from tests.nation import LOOKUP, SmallNation, carried_by, request

A, B = "log.example/a", "log.example/b"
Story = Callable[[RunningHub, RunningHub], Coroutine[Any, Any, None]]


def nation_of(
    nation: SmallNation, folder: Path, origin: str, *, others: tuple[str, ...]
) -> SmallNation:
    """The nation as one of several hubs has it, with the keys of others."""
    log = nation.settings.log
    known = tuple(
        OtherLog(one, log.signing_key, folder / one[-1] / "log", folder / f"{origin[-1]}-{one[-1]}")
        for one in others
    )
    own = folder / origin[-1]
    log = replace(log, origin=origin, folder=own / "log", guard=own / "guard", others=known)
    return replace(nation, settings=replace(nation.settings, log=log))


@asynccontextmanager
async def running(nation: SmallNation, database: PostgresSettings) -> AsyncIterator[RunningHub]:
    """One hub of the loop that we are in."""
    log = nation.settings.log
    settings = replace(nation.settings, database=database, show_precise_faults=True)
    agency, clock = ScriptedAgency(), SetClock()
    hub = await open_hub(settings, adapters=carried_by(agency), clock=clock)
    place = LogDatabase(database, log.origin)
    try:
        yield RunningHub(nation, hub, HttpDoor(hub), agency, clock, log.folder, place)
    finally:
        await hub.close()


def between_hubs(
    nation: SmallNation,
    folder: Path,
    database: PostgresSettings,
    story: Story,
    *,
    is_trusted: bool = True,
) -> None:
    """Let a story happen between two hubs; then their logs are sound."""

    async def told() -> None:
        async with AsyncExitStack() as hubs:
            pair = []
            for origin, other in ((A, B), (B, A)):
                others = (other,) if is_trusted else ()
                own = nation_of(nation, folder, origin, others=others)
                pair.append(await hubs.enter_async_context(running(own, database)))
            await asyncio.wait_for(story(*pair), HANG_SECONDS_MAX)

    asyncio.run(told())
    for origin in (A, B):
        place = LogDatabase(database, origin)
        report = verify_log(folder / origin[-1] / "log", database=place)
        assert [str(one) for one in report.findings] == []


def test_a_copy_at_another_hub_gets_the_first_answer_under_the_first_receipt(
    nation: SmallNation, log_database: PostgresSettings, tmp_path: Path
) -> None:
    raw = request(nation, "m-1")

    async def story(a: RunningHub, b: RunningHub) -> None:
        first = await a.post(raw)
        again = await b.post(raw)
        assert first.body == again.body
        assert isinstance(a.proved(again, raw), VerifiedAnswer)
        assert (len(a.agency.asked), len(b.agency.asked)) == (1, 0)
        last = b.leaves()[-1]
        assert (last.event, last.origin, last.continues) == (Event.ANSWERED, A, None)
        assert last.message is not None

    between_hubs(nation, tmp_path, log_database, story)


class HeldAgency:
    """Says when it is asked, and answers when it may."""

    def __init__(self) -> None:
        self.is_asked, self.may_answer = threading.Event(), threading.Event()

    def __call__(self, query: Query) -> Answer:
        self.is_asked.set()
        self.may_answer.wait(HANG_SECONDS_MAX)
        return answer_well(query)

    async def asked(self) -> None:
        assert await asyncio.to_thread(self.is_asked.wait, HANG_SECONDS_MAX)


def test_what_another_hub_has_in_work_is_waited_for(
    nation: SmallNation, log_database: PostgresSettings, tmp_path: Path
) -> None:
    raw, held = request(nation, "m-1"), HeldAgency()

    async def story(a: RunningHub, b: RunningHub) -> None:
        a.agency.script = held
        first = asyncio.create_task(a.post(raw))
        await held.asked()
        copies = [asyncio.create_task(b.post(raw)) for _ in range(2)]
        await asyncio.wait(copies, timeout=4 * reception.LOOK_SECONDS)
        assert not any(copy.done() for copy in copies)
        held.may_answer.set()
        for copy in copies:
            assert (await copy).body == (await first).body
        assert not b.agency.asked

    between_hubs(nation, tmp_path, log_database, story)


def test_what_another_hub_gives_up_is_done_here(
    nation: SmallNation, log_database: PostgresSettings, tmp_path: Path
) -> None:
    raw, held = request(nation, "m-1"), HeldAgency()

    def away(query: Query) -> Answer:
        held(query)
        raise RecipientUnavailable("away")

    async def story(a: RunningHub, b: RunningHub) -> None:
        a.agency.script = away
        first = asyncio.create_task(a.post(raw))
        await held.asked()
        copy = asyncio.create_task(b.post(raw))
        held.may_answer.set()
        assert isinstance(a.proved(await first, raw), VerifiedFault)
        assert isinstance(b.proved(await copy, raw), VerifiedAnswer)
        assert (len(a.agency.asked), len(b.agency.asked)) == (1, 1)

    between_hubs(nation, tmp_path, log_database, story)


def test_what_another_hub_has_in_work_for_too_long_is_to_come_again(
    nation: SmallNation,
    log_database: PostgresSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raw, held = request(nation, "m-1"), HeldAgency()
    service = nation.rules.registry.services[LOOKUP]
    monkeypatch.setattr(reception, "ELSEWHERE_SECONDS", -service.timeout_seconds)

    async def story(a: RunningHub, b: RunningHub) -> None:
        a.agency.script = held
        first = asyncio.create_task(a.post(raw))
        await held.asked()
        meanwhile = await b.post(raw)
        fault = b.proved(meanwhile, raw)
        assert isinstance(fault, VerifiedFault)
        assert fault.fault.code == "message-id.in-flight"
        held.may_answer.set()
        await first
        assert (await b.post(raw)).body == (await first).body
        assert not b.agency.asked

    between_hubs(nation, tmp_path, log_database, story)


def test_a_hub_that_may_not_speak_for_another_sends_to_it(
    nation: SmallNation, log_database: PostgresSettings, tmp_path: Path
) -> None:
    raw = request(nation, "m-1")

    async def story(a: RunningHub, b: RunningHub) -> None:
        await a.post(raw)
        fault = b.proved(await b.post(raw), raw)
        assert isinstance(fault, VerifiedFault)
        assert fault.fault.code == "message-id.in-flight"
        assert not b.agency.asked

    between_hubs(nation, tmp_path, log_database, story, is_trusted=False)


@pytest.mark.parametrize("is_trusted", [True, False])
def test_other_bytes_under_an_id_are_refused_by_every_hub(
    nation: SmallNation, log_database: PostgresSettings, tmp_path: Path, *, is_trusted: bool
) -> None:
    async def story(a: RunningHub, b: RunningHub) -> None:
        await a.post(request(nation, "m-1"))
        raw = request(nation, "m-1", issue="other")
        fault = b.proved(await b.post(raw), raw)
        assert isinstance(fault, VerifiedFault)
        assert fault.fault.code == "message-id.conflict"

    between_hubs(nation, tmp_path, log_database, story, is_trusted=is_trusted)


def test_the_same_message_at_both_in_one_moment_reaches_the_agency_once(
    nation: SmallNation, log_database: PostgresSettings, tmp_path: Path
) -> None:
    raws = [request(nation, f"m-{number}") for number in range(12)]

    async def story(a: RunningHub, b: RunningHub) -> None:
        await asyncio.gather(*(hub.post(raw) for raw in raws for hub in (a, b)))
        assert len(a.agency.asked) + len(b.agency.asked) == len(raws)
        for raw in raws:
            assert (await a.post(raw)).body == (await b.post(raw)).body

    between_hubs(nation, tmp_path, log_database, story)
