"""Processes beside the hub share the verifying; what harms one of them harms no other message."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bus.core import errors
from bus.core.decision import Accepted, Decision, Refused
from bus.core.decision_encoding import DecisionUnreadable
from bus.judge_program import MODULE, WIRE
from bus.judging import child as judge_child
from bus.judging import lane as judge_lane
from bus.judging import process
from bus.judging.lane import LaneState
from bus.judging.process import LARGE, SMALL, SMALL_BYTES_MAX, Decider
from bus.judging.rules import read_rules
from tests.attachments import attachment
from tests.hang_limits import HANG_SECONDS_MAX
from tests.hub import hostile_judge
from tests.hub.hostile_judge import order
from tests.nation import NOW, SmallNation, request

LARGE_BYTES = 2 * SMALL_BYTES_MAX
TOO_COSTLY = "envelope.too-costly"
UNAVAILABLE = "hub.judging-unavailable"


def unreported(error: Exception) -> None:
    raise AssertionError("nothing was to go wrong") from error


@asynccontextmanager
async def deciding(
    nation: SmallNation,
    module: str = MODULE,
    report: Callable[[Exception], None] = unreported,
) -> AsyncIterator[Decider]:
    decider = Decider(WIRE, nation.rules, report)
    await decider.start(module, read_rules(nation.settings).texts)
    try:
        yield decider
    finally:
        await decider.close()


async def decide_many(decider: Decider, nation: SmallNation, count: int) -> list[str]:
    raws = [request(nation, f"m-{number}") for number in range(count)]
    decisions = await asyncio.gather(*(decider.decide(raw, NOW) for raw in raws))
    assert all(isinstance(decision, Accepted) for decision in decisions)
    return [decision.facts.message_id for decision in decisions if isinstance(decision, Accepted)]


def code(decision: Decision) -> str:
    assert isinstance(decision, Refused)
    return decision.error.code


async def until(is_so: Callable[[], object]) -> None:
    while not is_so():
        await asyncio.sleep(0.01)


def told(story: Callable[[], Awaitable[None]]) -> None:
    async def within_the_deadline() -> None:
        async with asyncio.timeout(HANG_SECONDS_MAX):
            await story()

    asyncio.run(within_the_deadline())


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds that a test can wait for."""
    monkeypatch.setattr(process, "SMALL", replace(SMALL, processor_seconds_max=0.3))
    monkeypatch.setattr(process, "LARGE", replace(LARGE, processor_seconds_max=0.3))
    monkeypatch.setattr(judge_lane, "CHECK_SECONDS", 0.05)
    monkeypatch.setattr(judge_lane, "RESTART_SECONDS", 0.01)
    monkeypatch.setattr(process, "PROBE_SECONDS_MAX", 1.0)


def test_the_process_takes_its_share_and_the_hub_the_rest(
    nation: SmallNation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "SMALL", replace(SMALL, waiting_max=48))

    async def story() -> None:
        async with deciding(nation) as decider:
            found = await decide_many(decider, nation, 60)
            assert found == [f"m-{number}" for number in range(60)]
            assert decider.decided_by_process == 48

    told(story)


def test_the_process_ends_with_the_hub_and_not_at_its_signals(nation: SmallNation) -> None:
    async def story() -> None:
        async with deciding(nation) as decider:
            await decide_many(decider, nation, 1)
            process_id = decider.process_id
            assert process_id is not None
            os.kill(process_id, signal.SIGTERM)
            os.kill(process_id, signal.SIGINT)
            assert len(await decide_many(decider, nation, 5)) == 5
            assert decider.process_id == process_id
        assert not Path(f"/proc/{process_id}").exists()

    told(story)


def test_requests_and_decisions_of_any_size_cross(nation: SmallNation) -> None:
    async def story() -> None:
        async with deciding(nation) as decider:
            large = b"x" * (3 * 1024 * 1024)
            decisions = await asyncio.gather(*(decider.decide(large, NOW) for _ in range(3)))
            assert {code(decision) for decision in decisions} == {"envelope.not-well-formed"}
            assert decider.decided_by_process == 3

    told(story)


# --- lanes -------------------------------------------------------------------------------------


def test_a_large_message_has_a_process_of_its_own_which_is_there_only_when_needed(
    nation: SmallNation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "LARGE", replace(LARGE, idle_seconds_max=0.05))

    async def story() -> None:
        async with deciding(nation) as decider:
            small, large = decider.lanes
            assert (small.state, large.state) == (LaneState.WORKING, LaneState.ABSENT)
            for _ in range(2):
                await decider.decide(b"x" * LARGE_BYTES, NOW)
                process_id = large.process_id
                assert process_id is not None
                assert process_id != small.process_id
                await until(lambda: large.state is LaneState.ABSENT)
                await until(lambda: not Path(f"/proc/{process_id}").exists())  # noqa: B023
            assert (small.judged, large.judged, large.lost) == (0, 2, 0)

    told(story)


def test_large_messages_that_hang_delay_no_small_one(nation: SmallNation) -> None:
    async def story() -> None:
        async with deciding(nation, hostile_judge.MODULE) as decider:
            hostile = [
                asyncio.create_task(decider.decide(order("hang", bytes_count=LARGE_BYTES), NOW))
                for _ in range(16)
            ]
            assert len(await decide_many(decider, nation, 20)) == 20
            assert decider.lanes[0].judged == 20
            assert not any(task.done() for task in hostile)
        assert {code(await task) for task in hostile} == {UNAVAILABLE}

    told(story)


@pytest.mark.parametrize("bound", ["waiting_max", "waiting_bytes_max"])
def test_large_messages_wait_within_bounds_and_the_next_is_to_come_again(
    bound: str, nation: SmallNation, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = {"waiting_max": 3, "waiting_bytes_max": 3 * LARGE_BYTES}[bound]
    monkeypatch.setattr(process, "LARGE", replace(LARGE, **{bound: most}))  # type: ignore[arg-type]

    async def story() -> None:
        async with deciding(nation) as decider:
            raws = [b"x" * LARGE_BYTES for _ in range(5)]
            decisions = await asyncio.gather(*(decider.decide(raw, NOW) for raw in raws))
            codes = [code(decision) for decision in decisions]
            assert codes == ["envelope.not-well-formed"] * 3 + [UNAVAILABLE] * 2
            assert errors.JudgingUnavailable.recovery is errors.Recovery.LATER
            lane = decider.lanes[1]
            assert (lane.waiting, lane.waiting_bytes) == (0, 0)
            assert code(await decider.decide(raws[0], NOW)) == "envelope.not-well-formed"

    told(story)


def test_a_message_of_any_size_finds_room_in_a_lane_that_has_nothing(
    nation: SmallNation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "LARGE", replace(LARGE, waiting_bytes_max=1))

    async def story() -> None:
        async with deciding(nation) as decider:
            decision = await decider.decide(b"x" * LARGE_BYTES, NOW)
            assert code(decision) == "envelope.not-well-formed"

    told(story)


def test_what_the_hub_judges_by_itself_is_bounded_too(
    nation: SmallNation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "HERE_WAITING_MAX", 2)

    async def story() -> None:
        decider = Decider(WIRE, nation.rules, unreported)
        for size in (10, LARGE_BYTES):
            decisions = await asyncio.gather(*(decider.decide(b"x" * size, NOW) for _ in range(3)))
            codes = [code(decision) for decision in decisions]
            assert codes == ["envelope.not-well-formed"] * 2 + [UNAVAILABLE]
        await decider.close()

    told(story)


# --- a message that is not judged in time ---------------------------------------------------------


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize(
    ("what", "bytes_count"), [("burn", 0), ("burn-in-c", 0), ("burn-in-c", LARGE_BYTES)]
)
def test_a_message_that_burns_the_processor_ends_its_process_and_is_refused(
    what: str, bytes_count: int, nation: SmallNation
) -> None:
    async def story() -> None:
        async with deciding(nation, hostile_judge.MODULE) as decider:
            with capture_logs() as logs:
                culprit = asyncio.create_task(
                    decider.decide(order(what, bytes_count=bytes_count), NOW)
                )
                behind = [
                    asyncio.create_task(decider.decide(b"x" * max(bytes_count, 9), NOW))
                    for _ in range(3)
                ]
                assert code(await culprit) == TOO_COSTLY
                for task in behind:
                    assert code(await task) == "envelope.not-well-formed"
            lane = decider.lanes[bool(bytes_count)]
            assert (lane.lost, lane.refused) == (1, 1)
            await until(lambda: lane.state is not LaneState.RESTING)
            [lost] = [one for one in logs if one["event"] == "judge.lost"]
            assert lost["exit_code"] == -signal.SIGPROF
            assert (lost["lane"], lost["refused"]) == (lane.bounds.name, 1)

    told(story)


@pytest.mark.usefixtures("soon")
def test_a_message_that_hangs_is_refused_and_may_come_again(nation: SmallNation) -> None:
    """It uses no processor: whoever stopped the process may be to blame."""

    async def story() -> None:
        async with deciding(nation, hostile_judge.MODULE) as decider:
            culprit = asyncio.create_task(decider.decide(order("hang"), NOW))
            behind = asyncio.create_task(decide_many(decider, nation, 3))
            assert code(await culprit) == UNAVAILABLE
            assert len(await behind) == 3
            await until(lambda: decider.process_id)

    told(story)


@pytest.mark.usefixtures("soon")
def test_a_process_that_is_stopped_counts_as_lost_and_another_takes_its_place(
    nation: SmallNation,
) -> None:
    async def story() -> None:
        async with deciding(nation) as decider:
            process_id = decider.process_id
            assert process_id is not None
            os.kill(process_id, signal.SIGSTOP)
            # Not before all its threads stand still: one judges while another takes the signal.
            assert os.WIFSTOPPED(os.waitpid(process_id, os.WUNTRACED)[1])
            assert len(await decide_many(decider, nation, 5)) == 5
            await until(lambda: decider.process_id not in (None, process_id))
            before = decider.decided_by_process
            assert len(await decide_many(decider, nation, 5)) == 5
            assert decider.decided_by_process == before + 5

    told(story)


@pytest.mark.usefixtures("soon")
def test_a_process_that_works_is_not_lost_however_long_that_takes(
    nation: SmallNation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a busy machine it gets little; what it gets is progress."""
    monkeypatch.setattr(process, "SMALL", replace(SMALL, processor_seconds_max=3))
    monkeypatch.setattr(judge_lane, "STANDING_CHECKS_MAX", 30)

    async def story() -> None:
        async with deciding(nation, hostile_judge.MODULE) as decider:
            with capture_logs() as logs:
                assert code(await decider.decide(order("burn"), NOW)) == TOO_COSTLY
                await until(lambda: decider.process_id)
            [lost] = [one for one in logs if one["event"] == "judge.lost"]
            assert lost["exit_code"] == -signal.SIGPROF  # by its own bound, not by ours

    told(story)


@pytest.mark.usefixtures("soon")
def test_a_message_with_attachments_harms_the_process_and_never_the_hub(
    nation: SmallNation,
) -> None:
    beside = (attachment(b"x" * 100),)

    async def story() -> None:
        async with deciding(nation, hostile_judge.MODULE) as decider:
            for what, size in (("burn-in-c", 0), ("burn-in-c", LARGE_BYTES), ("die", 0)):
                raw = order(what, bytes_count=size)
                assert code(await decider.decide(raw, NOW, beside)) == TOO_COSTLY
            await until(lambda: decider.process_id)
            decision = await decider.decide(b"not XML", NOW, beside)
            assert code(decision) == "envelope.not-well-formed"

    told(story)


# --- a process that is lost ---------------------------------------------------------------------


def test_a_process_that_dies_leaves_nobody_without_a_decision(nation: SmallNation) -> None:
    async def story() -> None:
        async with deciding(nation) as decider:
            process_id = decider.process_id
            assert process_id is not None
            work = asyncio.create_task(decide_many(decider, nation, 10))
            await asyncio.sleep(0)  # the requests are handed over
            os.kill(process_id, signal.SIGKILL)
            assert len(await work) == 10
            await until(lambda: decider.process_id not in (None, process_id))
            assert len(await decide_many(decider, nation, 3)) == 3

    told(story)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("bytes_count", [0, LARGE_BYTES], ids=["small", "large"])
def test_a_message_whose_process_was_killed_is_judged_by_the_next(
    bytes_count: int, nation: SmallNation, tmp_path: Path
) -> None:
    async def story() -> None:
        async with deciding(nation, hostile_judge.MODULE) as decider:
            raw = order("die-once", tmp_path / "done", bytes_count=bytes_count)
            assert code(await decider.decide(raw, NOW)) == "envelope.not-well-formed"
            lane = decider.lanes[bool(bytes_count)]
            assert (lane.lost, lane.refused) == (1, 0)
            assert (tmp_path / "done").exists()

    told(story)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize(
    ("what", "bytes_count"),
    [("die", 0), ("die", LARGE_BYTES), ("leave", 0), ("send-nonsense", 0), ("send-too-long", 0)],
)
def test_a_message_that_ends_two_processes_is_refused(
    what: str, bytes_count: int, nation: SmallNation
) -> None:
    async def story() -> None:
        reported: list[Exception] = []
        async with deciding(nation, hostile_judge.MODULE, reported.append) as decider:
            raw = order(what, bytes_count=bytes_count)
            culprit = asyncio.create_task(decider.decide(raw, NOW))
            behind = asyncio.create_task(decide_many(decider, nation, 3))
            assert code(await culprit) == TOO_COSTLY
            assert len(await behind) == 3
            lane = decider.lanes[bool(bytes_count)]
            assert (lane.lost, lane.refused) == (2, 1)
            assert lane.waiting_bytes == 0
        assert bool(reported) == (what == "send-nonsense")

    told(story)


def test_restarts_are_told_and_take_longer_each_time(
    nation: SmallNation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge_lane, "RESTART_SECONDS", 0.01)
    monkeypatch.setattr(judge_lane, "RESTART_SECONDS_MAX", 0.05)

    async def story() -> None:
        with capture_logs() as logs:
            async with deciding(nation) as decider:
                for _ in range(4):
                    await until(lambda: decider.process_id)
                    before = decider.process_id
                    assert before is not None
                    os.kill(before, signal.SIGKILL)
                    await until(lambda: decider.process_id != before)  # noqa: B023
                await until(lambda: decider.process_id)
        waited = [one["next_start_seconds"] for one in logs if one["event"] == "judge.lost"]
        assert waited == [0.01, 0.02, 0.04, 0.05]
        started = [one["process_id"] for one in logs if one["event"] == "judge.started"]
        assert len(set(started)) == 5

    told(story)


def test_a_process_that_worked_for_a_while_is_started_again_at_once(
    nation: SmallNation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge_lane, "RESTART_SECONDS", 0.01)
    monkeypatch.setattr(judge_lane, "STEADY_SECONDS", 0)

    async def story() -> None:
        with capture_logs() as logs:
            async with deciding(nation) as decider:
                for _ in range(3):
                    await until(lambda: decider.process_id)
                    before = decider.process_id
                    assert before is not None
                    os.kill(before, signal.SIGKILL)
                    await until(lambda: decider.process_id not in (None, before))  # noqa: B023
        waited = [one["next_start_seconds"] for one in logs if one["event"] == "judge.lost"]
        assert waited == [0.01, 0.01, 0.01]

    told(story)


@pytest.mark.parametrize("module", ["tests.hub.no_such_module", "json.tool"])
def test_a_process_that_cannot_start_leaves_the_hub_alone_and_is_tried_again(
    module: str, nation: SmallNation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge_lane, "RESTART_SECONDS", 0.01)

    async def story() -> None:
        async with deciding(nation, module) as decider:
            assert decider.process_id is None
            assert len(await decide_many(decider, nation, 2)) == 2
            small, large = decider.lanes
            await until(lambda: small.lost >= 2)
            assert code(await decider.decide(b"x" * LARGE_BYTES, NOW)) == UNAVAILABLE
            assert large.waiting == 0

    told(story)


def test_a_process_that_is_too_slow_to_start_is_given_up(
    nation: SmallNation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge_lane, "START_SECONDS_MAX", 0.01)

    async def story() -> None:
        async with deciding(nation) as decider:
            assert decider.process_id is None
            assert len(await decide_many(decider, nation, 2)) == 2

    told(story)


def test_while_its_process_rests_a_large_message_is_to_come_again(
    nation: SmallNation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge_lane, "RESTART_SECONDS", 30)

    async def story() -> None:
        async with deciding(nation) as decider:
            large = decider.lanes[1]
            await decider.decide(b"x" * LARGE_BYTES, NOW)
            process_id = large.process_id
            assert process_id is not None
            os.kill(process_id, signal.SIGKILL)
            await until(lambda: large.state is LaneState.RESTING)
            assert code(await decider.decide(b"x" * LARGE_BYTES, NOW)) == UNAVAILABLE

    told(story)


def test_what_waits_when_the_hub_closes_is_to_come_again(nation: SmallNation) -> None:
    async def story() -> None:
        async with deciding(nation, hostile_judge.MODULE) as decider:
            waiting = [
                asyncio.create_task(decider.decide(order("hang", bytes_count=size), NOW))
                for size in (0, 0, LARGE_BYTES, LARGE_BYTES)
            ]
            await until(lambda: decider.lanes[1].process_id)
            process_ids = [lane.process_id for lane in decider.lanes]
        for task in waiting:
            assert code(await task) == UNAVAILABLE
        for process_id in process_ids:
            assert not Path(f"/proc/{process_id}").exists()

    told(story)


# --- decisions ------------------------------------------------------------------------------------


def test_a_decision_that_cannot_be_read_is_a_refusal_and_is_reported(nation: SmallNation) -> None:
    async def story() -> None:
        reported: list[Exception] = []
        async with deciding(nation, hostile_judge.MODULE, reported.append) as decider:
            decision = await decider.decide(order("decide-nonsense"), NOW)
            assert code(decision) == "hub.internal"
            assert [type(error) for error in reported] == [DecisionUnreadable]
            assert decider.lanes[0].lost == 0
            assert len(await decide_many(decider, nation, 1)) == 1

    told(story)


@pytest.mark.usefixtures("soon")
def test_a_decision_by_other_rules_is_never_used(nation: SmallNation) -> None:
    async def story() -> None:
        async with deciding(nation, hostile_judge.MODULE) as decider:
            with capture_logs() as logs:
                decision = await decider.decide(order("judge-by-others"), NOW)
            assert isinstance(decision, Refused)
            assert decision.error.detail != "by other rules"
            [lost] = [one for one in logs if one["event"] == "judge.lost"]
            assert lost["reason"] == "it judges by other rules"

    told(story)


def test_an_edit_of_the_rules_reaches_no_process_of_a_hub_that_runs(nation: SmallNation) -> None:
    """The rules travel: whatever stands in the files when a process starts, it is not read."""
    routes = nation.settings.routes
    text = routes.read_bytes()

    async def story() -> None:
        decider = Decider(WIRE, nation.rules, unreported)
        texts = read_rules(nation.settings).texts
        routes.write_bytes(text.replace(b"grants:", b"grants: []\nno_grants:", 1))
        await decider.start(MODULE, texts)
        assert len(await decide_many(decider, nation, 3)) == 3
        assert decider.decided_by_process == 3
        process_id = decider.process_id
        assert process_id is not None
        os.kill(process_id, signal.SIGKILL)
        await until(lambda: decider.process_id not in (None, process_id))
        assert len(await decide_many(decider, nation, 3)) == 3
        assert decider.decided_by_process == 6
        await decider.close()

    try:
        told(story)
    finally:
        routes.write_bytes(text)


@pytest.mark.usefixtures("soon")
def test_a_message_cannot_fill_the_memory_of_the_machine(
    nation: SmallNation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "SMALL", replace(SMALL, processor_seconds_max=20))

    async def story() -> None:
        async with deciding(nation, hostile_judge.MODULE) as decider:
            # The order is refused as what it is, not XML, once memory was refused to it.
            decision = await decider.decide(order("fill-memory"), NOW)
            assert code(decision) == "envelope.not-well-formed"
            assert decider.lanes[0].lost == 0

    told(story)


# --- how judging is ------------------------------------------------------------------------------


def test_judging_that_works_has_no_troubles(nation: SmallNation) -> None:
    async def story() -> None:
        async with deciding(nation) as decider:
            assert await decider.troubles(NOW) == ()
            await decider.decide(b"x" * LARGE_BYTES, NOW)
            assert await decider.troubles(NOW) == ()
            assert decider.decided_by_process == 1  # a probe is no request
        alone = Decider(WIRE, nation.rules, unreported)
        assert await alone.troubles(NOW) == ()
        await alone.close()

    told(story)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("bytes_count", [0, LARGE_BYTES], ids=["small", "large"])
def test_judging_that_stands_still_is_told(
    bytes_count: int, nation: SmallNation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(judge_lane, "CHECK_SECONDS", 600)

    async def story() -> None:
        async with deciding(nation, hostile_judge.MODULE) as decider:
            raw = order("hang-once", tmp_path / "begun", bytes_count=bytes_count)
            asked = asyncio.create_task(decider.decide(raw, NOW))
            await until((tmp_path / "begun").exists)
            [trouble] = await decider.troubles(NOW)
            size = "large" if bytes_count else "small"
            assert trouble == f"the judging process for {size} messages stands still"
        assert code(await asked) == UNAVAILABLE

    told(story)


@pytest.mark.usefixtures("soon")
def test_a_hub_that_judges_by_itself_for_a_while_is_no_trouble(
    nation: SmallNation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge_lane, "RESTART_SECONDS", 30)

    async def story() -> None:
        async with deciding(nation) as decider:
            process_id = decider.process_id
            assert process_id is not None
            os.kill(process_id, signal.SIGKILL)
            await until(lambda: decider.process_id is None)
            assert await decider.troubles(NOW) == ()

    told(story)


def test_a_system_that_gives_no_process_leaves_the_hub_alone_and_is_asked_again(
    nation: SmallNation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge_lane, "RESTART_SECONDS", 0.01)
    reported: list[Exception] = []

    def fail() -> int:
        raise OSError(errno.EMFILE, "too many open files")

    async def story() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(judge_child, "make_board", fail)
            decider = Decider(WIRE, nation.rules, reported.append)
            await decider.start(MODULE, read_rules(nation.settings).texts)
            assert len(await decide_many(decider, nation, 2)) == 2
            assert decider.decided_by_process == 0
        await until(lambda: decider.process_id)
        assert len(await decide_many(decider, nation, 2)) == 2
        assert decider.decided_by_process == 2
        await decider.close()

    told(story)
    assert {type(error) for error in reported} == {OSError}


def test_a_process_that_does_not_end_by_itself_is_ended(
    nation: SmallNation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge_child, "STOP_SECONDS_MAX", 0.2)

    async def story() -> None:
        async with deciding(nation) as decider:
            process_id = decider.process_id
            assert process_id is not None
            os.kill(process_id, signal.SIGSTOP)
            assert os.WIFSTOPPED(os.waitpid(process_id, os.WUNTRACED)[1])
        await until(lambda: not Path(f"/proc/{process_id}").exists())

    told(story)
