"""Ready means that a probe message went through judging and log just now; anything else is told."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bus.doors.operations import OperationsDoor
from bus.doors.soap import HttpDoor
from bus.hub import Hub, open_hub
from bus.judging import lane as judge_lane
from bus.judging import process as judge_process
from bus.log.sqlite import batches, store
from bus.operations import hub_health
from bus.settings.hub import HubSettings
from tests.hang_limits import HANG_SECONDS_MAX
from tests.hub import hostile_judge
from tests.hub.hostile_judge import order
from tests.hub.running_hub import HttpReply, ScriptedAgency, SetClock, call
from tests.nation import SmallNation, carried_by, request

LARGE_BYTES = 2 * judge_process.SMALL_BYTES_MAX


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds that a test can wait for; every question looks anew."""
    monkeypatch.setattr(hub_health, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(hub_health, "LOG_SECONDS_MAX", 1.0)
    monkeypatch.setattr(judge_process, "PROBE_SECONDS_MAX", 1.0)


@pytest.fixture
def settings(nation: SmallNation, tmp_path: Path) -> HubSettings:
    log = replace(nation.settings.log, folder=tmp_path / "log", guard=tmp_path / "guard")
    return replace(nation.settings, log=log)


@asynccontextmanager
async def opened(settings: HubSettings, *, judge_process: bool = False) -> AsyncIterator[Hub]:
    agency = ScriptedAgency()
    adapters = carried_by(agency)
    async with asyncio.timeout(HANG_SECONDS_MAX):
        hub = await open_hub(
            settings, adapters=adapters, judge_process=judge_process, clock=SetClock()
        )
        try:
            yield hub
        finally:
            await hub.close()


async def health(hub: Hub, method: str = "GET") -> tuple[HttpReply, HttpReply]:
    """What the door for messages says of itself, and the one of operators."""
    doors: tuple[Any, Any] = (HttpDoor(hub), OperationsDoor(hub))
    told = [await call(door, method, "/health", b"") for door in doors]
    return told[0], told[1]


def told(story: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(story())  # type: ignore[arg-type]


@pytest.mark.parametrize("is_beside", [False, True], ids=["hub alone", "judging process"])
def test_a_hub_that_works_is_ready_and_leaves_no_trace_of_the_question(
    is_beside: bool, settings: HubSettings
) -> None:
    async def story() -> None:
        async with opened(settings, judge_process=is_beside) as hub:
            entries = hub.status().log.entries
            for reply in await health(hub):
                assert (reply.status, reply.body) == (200, b"ready\n")
            for reply in await health(hub, "HEAD"):
                assert (reply.status, reply.body) == (200, b"")
                assert reply.headers[b"content-length"] == b"6"
            status = hub.status()
            assert (status.log.entries, status.judge.judged, status.troubles) == (entries, 0, ())

    told(story)


def test_whoever_asks_often_costs_one_look(
    settings: HubSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_health, "FRESH_SECONDS", 60.0)
    proofs: list[int] = []
    real = batches.rewrite_epoch

    def counted(connection: sqlite3.Connection, epoch: int) -> None:
        proofs.append(epoch)
        real(connection, epoch)

    monkeypatch.setattr(store, "rewrite_epoch", counted)

    async def story() -> None:
        async with opened(settings) as hub:
            await asyncio.gather(*(health(hub) for _ in range(50)))
            await health(hub)

    told(story)
    assert len(proofs) == 1


@pytest.mark.parametrize("bytes_count", [0, LARGE_BYTES], ids=["small", "large"])
def test_a_judging_process_that_hangs_is_told(
    bytes_count: int,
    nation: SmallNation,
    settings: HubSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bus.judge_program.MODULE", hostile_judge.MODULE)
    monkeypatch.setattr(judge_lane, "CHECK_SECONDS", 600)
    size = "large" if bytes_count else "small"
    trouble = f"the judging process for {size} messages stands still"

    async def story() -> None:
        async with opened(settings, judge_process=True) as hub:
            assert (await health(hub))[0].status == 200
            raw = order("hang-once", tmp_path / "begun", bytes_count=bytes_count)
            asked = asyncio.create_task(hub.answer(raw))
            while not (tmp_path / "begun").exists():
                await asyncio.sleep(0.01)
            stranger, operator = await health(hub)
            assert (stranger.status, stranger.body) == (503, b"not ready\n")
            assert (operator.status, operator.body) == (503, f"not ready: {trouble}\n".encode())
            head, _ = await health(hub, "HEAD")
            assert (head.status, head.body) == (503, b"")
            assert hub.status().troubles == (trouble,)
            assert f"the hub can take no message: {trouble}" in hub.status().attention()
            asked.cancel()

    told(story)


def test_a_process_that_was_lost_is_no_trouble_but_somebody_should_look(
    settings: HubSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bus.judge_program.MODULE", "tests.hub.no_such_module")
    monkeypatch.setattr(judge_lane, "RESTART_SECONDS", 600)

    async def story() -> None:
        async with opened(settings, judge_process=True) as hub:
            assert [reply.status for reply in await health(hub)] == [200, 200]
            status = hub.status()
            assert (status.judge.is_wanted, status.judge.is_running) == (True, False)
            assert [lane.state for lane in status.judge.lanes] == ["resting", "absent"]
            assert any("was lost" in sentence for sentence in status.attention())

    told(story)


def test_a_log_that_hangs_is_told_until_it_goes_on(
    nation: SmallNation, settings: HubSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = threading.Event()
    real = batches.rewrite_epoch

    def hang(connection: sqlite3.Connection, epoch: int) -> None:
        goes_on.wait(HANG_SECONDS_MAX)
        real(connection, epoch)

    monkeypatch.setattr(store, "rewrite_epoch", hang)

    async def story() -> None:
        async with opened(settings) as hub:
            for _ in range(2):
                stranger, operator = await health(hub)
                assert (stranger.status, stranger.body) == (503, b"not ready\n")
                assert operator.body == b"not ready: the message log does not answer\n"
            goes_on.set()
            while (await health(hub))[0].status != 200:
                await asyncio.sleep(0.01)
            assert hub.status().troubles == ()
            assert (await hub.answer(request(nation))).status == 200

    told(story)


def test_a_log_that_cannot_be_written_is_told_although_nobody_sent_anything(
    settings: HubSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = batches.rewrite_epoch

    def fail(connection: sqlite3.Connection, epoch: int) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    async def story() -> None:
        async with opened(settings) as hub:
            monkeypatch.setattr(store, "rewrite_epoch", fail)
            stranger, operator = await health(hub)
            assert (stranger.status, stranger.body) == (503, b"not ready\n")
            assert operator.body.startswith(b"not ready: the message log is in trouble: ")
            assert b"disk is full" in operator.body
            monkeypatch.setattr(store, "rewrite_epoch", real)
            assert [reply.status for reply in await health(hub)] == [200, 200]

    told(story)


def test_a_hub_closes_while_its_log_hangs_in_a_probe(
    settings: HubSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_health, "LOG_SECONDS_MAX", 600.0)
    goes_on = threading.Event()

    def hang(connection: sqlite3.Connection, epoch: int) -> None:
        goes_on.wait(HANG_SECONDS_MAX)

    monkeypatch.setattr(store, "rewrite_epoch", hang)

    async def story() -> None:
        async with opened(settings) as hub:
            asked = asyncio.create_task(hub.troubles())
            await asyncio.sleep(0)
            goes_on.set()
        await asyncio.gather(asked, return_exceptions=True)

    told(story)
