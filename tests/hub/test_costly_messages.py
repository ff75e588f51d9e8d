"""A message that costs too much is refused as any other: told under a signature, and recorded."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from bus.audit.audit import AuditKeys
from bus.audit.folder import audit_log
from bus.core.log.leaf import Event
from bus.judging import lane, process
from bus.protocols.soap_xroad.verify_answer import VerifiedAnswer
from bus.trust.key_store import read_symmetric_key
from tests.hang_limits import HANG_SECONDS_MAX
from tests.hub import hostile_judge
from tests.hub.hostile_judge import order
from tests.hub.running_hub import RunningHub, opened
from tests.nation import SmallNation, request

LARGE_BYTES = 2 * process.SMALL_BYTES_MAX
ATTACKERS = 16


@pytest.fixture(autouse=True)
def _hostile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bus.judge_program.MODULE", hostile_judge.MODULE)
    for name in ("SMALL", "LARGE"):
        bounds = getattr(process, name)
        monkeypatch.setattr(process, name, replace(bounds, processor_seconds_max=0.3))
    monkeypatch.setattr(lane, "RESTART_SECONDS", 0.01)


@pytest.mark.parametrize("bytes_count", [0, LARGE_BYTES], ids=["small", "large"])
def test_a_message_that_costs_too_much_gets_a_signed_fault_and_an_entry(
    bytes_count: int, nation: SmallNation, tmp_path: Path
) -> None:
    async def story(running: RunningHub) -> None:
        async with asyncio.timeout(HANG_SECONDS_MAX):
            reply = await running.post(order("burn-in-c", bytes_count=bytes_count))
            assert reply.status == 500
            assert b"envelope.too-costly" in reply.body
            assert b"Signature" in reply.body
            assert b"<lt:retryable>false</lt:retryable>" in reply.body
            raw = request(nation)
            assert isinstance(running.proved(await running.post(raw), raw), VerifiedAnswer)
        [refused] = [leaf for leaf in running.leaves() if leaf.event is Event.REFUSED]
        assert refused.verdict == "envelope.too-costly"

    with opened(nation, tmp_path, judge_process=True) as hub:
        hub.tell(story)

    keys = AuditKeys(read_key=read_symmetric_key(nation.settings.log.read_key))
    audit = audit_log(tmp_path / "log", keys)
    assert audit.report.findings == []
    assert audit.replay is not None
    kept = "decided by more than the message (envelope.too-costly)"
    assert kept in audit.replay.skipped


def test_an_honest_sender_is_answered_beside_sixteen_large_messages_that_never_end(
    nation: SmallNation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "CHECK_SECONDS", 600)

    async def story(running: RunningHub) -> None:
        async with asyncio.timeout(HANG_SECONDS_MAX):
            raws = [order("hang", bytes_count=LARGE_BYTES + number) for number in range(ATTACKERS)]
            attackers = [asyncio.create_task(running.hub.answer(raw)) for raw in raws]
            for number in range(20):
                raw = request(nation, f"m-{number}")
                assert isinstance(running.proved(await running.post(raw), raw), VerifiedAnswer)
            assert not any(one.done() for one in attackers)
            for one in attackers:
                one.cancel()
            await asyncio.gather(*attackers, return_exceptions=True)

    with opened(nation, tmp_path, judge_process=True) as hub:
        hub.tell(story)


def test_a_sender_that_finds_no_room_is_asked_to_come_again(
    nation: SmallNation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "LARGE", replace(process.LARGE, waiting_max=1))
    monkeypatch.setattr(lane, "CHECK_SECONDS", 600)

    async def story(running: RunningHub) -> None:
        async with asyncio.timeout(HANG_SECONDS_MAX):
            hanging = asyncio.create_task(
                running.hub.answer(order("hang", bytes_count=LARGE_BYTES))
            )
            await asyncio.sleep(0)
            reply = await running.post(b"x" * LARGE_BYTES)
            assert (reply.status, reply.headers[b"retry-after"]) == (503, b"2")
            assert b"hub.judging-unavailable" in reply.body
            hanging.cancel()
            await asyncio.gather(hanging, return_exceptions=True)

    with opened(nation, tmp_path, judge_process=True) as hub:
        hub.tell(story)
