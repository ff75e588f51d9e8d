"""A process beside the hub shares the verifying; without it the hub goes on alone."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bus.edge import judge_process
from bus.edge.judge_process import Judges
from bus.hub import JUDGE_MODULE
from bus.protocols.soap_xroad.judging import Judged
from tests.hang_limits import HANG_SECONDS_MAX
from tests.nation import NOW, SmallNation, request


def unreported(error: Exception) -> None:
    raise AssertionError("nothing was to go wrong") from error


@asynccontextmanager
async def judging(nation: SmallNation) -> AsyncIterator[Judges]:
    judges = Judges(nation.rules, unreported)
    await judges.start(JUDGE_MODULE, nation.settings.file)
    try:
        yield judges
    finally:
        await judges.close()


async def judge_many(judges: Judges, nation: SmallNation, count: int) -> list[str]:
    raws = [request(nation, f"m-{number}") for number in range(count)]
    decisions = await asyncio.gather(*(judges.judge(raw, NOW) for raw in raws))
    assert all(isinstance(decision, Judged) for decision in decisions)
    return [
        decision.message.valid.authorised.verified.envelope.message_id
        for decision in decisions
        if isinstance(decision, Judged)
    ]


def told(story: Callable[[], Awaitable[None]]) -> None:
    async def within_the_deadline() -> None:
        async with asyncio.timeout(HANG_SECONDS_MAX):
            await story()

    asyncio.run(within_the_deadline())


def test_the_process_takes_its_share_and_the_hub_the_rest(
    nation: SmallNation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge_process, "WAITING_MAX", 48)

    async def story() -> None:
        async with judging(nation) as judges:
            found = await judge_many(judges, nation, 60)
            assert found == [f"m-{number}" for number in range(60)]
            assert judges.judged_beside == 48

    told(story)


def test_a_process_that_dies_leaves_nobody_without_a_decision(nation: SmallNation) -> None:
    async def story() -> None:
        async with judging(nation) as judges:
            process_id = judges.process_id
            assert process_id is not None
            work = asyncio.create_task(judge_many(judges, nation, 10))
            await asyncio.sleep(0)  # the requests are handed over
            os.kill(process_id, signal.SIGKILL)
            assert len(await work) == 10
            assert judges.process_id is None
            assert len(await judge_many(judges, nation, 3)) == 3

    told(story)


def test_a_process_that_hangs_counts_as_lost(
    nation: SmallNation, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with judging(nation) as judges:
            assert len(await judge_many(judges, nation, 1)) == 1
            process_id = judges.process_id
            assert process_id is not None
            monkeypatch.setattr(judge_process, "JUDGE_SECONDS_MAX", 0.2)
            os.kill(process_id, signal.SIGSTOP)
            # Not before all its threads stand still: one judges while another takes the signal.
            assert os.WIFSTOPPED(os.waitpid(process_id, os.WUNTRACED)[1])
            assert len(await judge_many(judges, nation, 5)) == 5
            assert judges.process_id is None

    told(story)


def test_the_process_ends_with_the_hub_and_not_at_its_signals(nation: SmallNation) -> None:
    async def story() -> None:
        async with judging(nation) as judges:
            await judge_many(judges, nation, 1)
            process_id = judges.process_id
            assert process_id is not None
            os.kill(process_id, signal.SIGTERM)
            os.kill(process_id, signal.SIGINT)
            assert len(await judge_many(judges, nation, 5)) == 5
            assert judges.process_id == process_id
        assert not Path(f"/proc/{process_id}").exists()

    told(story)


def test_requests_and_decisions_of_any_size_cross(nation: SmallNation) -> None:
    async def story() -> None:
        async with judging(nation) as judges:
            large = b"x" * (3 * 1024 * 1024)
            decisions = await asyncio.gather(*(judges.judge(large, NOW) for _ in range(3)))
            assert {decision.error.code for decision in decisions} == {"envelope.not-well-formed"}  # type: ignore[union-attr]
            assert judges.judged_beside == 3

    told(story)


def test_a_process_that_cannot_start_leaves_the_hub_alone(nation: SmallNation) -> None:
    async def story() -> None:
        judges = Judges(nation.rules, unreported)
        await judges.start(JUDGE_MODULE, nation.folder / "nothing.yaml")
        assert judges.process_id is None
        assert len(await judge_many(judges, nation, 2)) == 2
        await judges.close()

    told(story)
