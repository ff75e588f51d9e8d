"""A hub whose log nobody stamps goes on for a while, then refuses, then resumes by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bus import hub_parts as parts_module
from bus.audit.audit import AuditKeys
from bus.audit.folder import audit_log, verify_log
from bus.core.log.leaf import Event
from bus.log.timestamp_files import find_tokens
from bus.log.timestamping import Timestamper
from bus.protocols.soap_xroad.verify_answer import VerifiedAnswer, VerifiedFault
from bus.settings.timestamp import TimestampSettings
from bus.trust.key_store import read_symmetric_key
from tests.hang_limits import HANG_SECONDS_MAX
from tests.hub.running_hub import RunningHub, opened
from tests.log.time_authority import ROOT, TimeAuthority
from tests.nation import NOW, SmallNation, request

HOURS_4 = timedelta(hours=4)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, with a deadline."""
    async with asyncio.timeout(HANG_SECONDS_MAX):
        while not condition():
            await asyncio.sleep(0.01)


def signed_all(running: RunningHub) -> bool:
    log = running.hub.status().log
    return log.entries == log.signed_entries


class StampedByHand(Timestamper):
    """The test stamps, and the hub at its end; the thread that looks finds nothing to do."""

    is_ending = False

    def stamp(self) -> None:
        if self.is_ending:
            super().stamp()

    def stamp_now(self) -> None:
        super().stamp()

    def close(self) -> None:
        self.is_ending = True
        super().close()


class Stamping:
    """What a test holds of the hub's timestamps."""

    def __init__(self) -> None:
        self.timestampers: list[StampedByHand] = []
        self.authority: TimeAuthority

    async def settled(self, running: RunningHub) -> None:
        """The log as the hub opened it is signed and stamped."""
        await until(lambda: signed_all(running))
        self.timestamper.stamp_now()
        assert self.timestamper.state.last_size == running.hub.status().log.entries

    @property
    def timestamper(self) -> StampedByHand:
        return self.timestampers[-1]

    def make(
        self, folder: Path, settings: TimestampSettings, trust: Any, *, clock: Any, kept: Any
    ) -> Any:
        self.authority = TimeAuthority(clock)
        made = StampedByHand(folder, settings, trust, clock=clock, ask=self.authority)
        self.timestampers.append(made)
        return made


@pytest.fixture
def stamping(monkeypatch: pytest.MonkeyPatch) -> Stamping:
    stamping = Stamping()
    monkeypatch.setattr(parts_module, "Timestamper", stamping.make)
    return stamping


def timed(nation: SmallNation, folder: Path, story: Callable[[RunningHub], Any]) -> Any:
    """The story of a hub with a time authority."""
    anchor = folder / "time.crt"
    anchor.write_bytes(ROOT.certificate_pem())
    settings = TimestampSettings("http://127.0.0.1:1/time", (anchor,))
    with opened(nation, folder, timestamps=settings) as hub:
        return hub.tell(story)


def test_a_hub_has_its_log_stamped_and_its_end_too(
    nation: SmallNation, tmp_path: Path, stamping: Stamping
) -> None:
    async def story(running: RunningHub) -> Path:
        raw = request(nation, "m-1")
        assert isinstance(running.proved(await running.post(raw), raw), VerifiedAnswer)
        return running.log_folder

    folder = timed(nation, tmp_path, story)

    report = verify_log(folder)
    assert report.findings == []
    assert find_tokens(folder)[-1].size == report.entries


def test_when_nobody_stamps_for_too_long_the_hub_refuses_and_resumes_by_itself(
    nation: SmallNation, tmp_path: Path, stamping: Stamping
) -> None:
    async def story(running: RunningHub) -> None:
        async def ask(message_id: str) -> tuple[int, VerifiedAnswer | VerifiedFault]:
            raw = request(nation, message_id, created=running.clock.now)
            reply = await running.post(raw)
            return reply.status, running.proved(reply, raw)

        await stamping.settled(running)
        stamping.authority.failure = "away"
        await ask("m-0")
        await until(lambda: signed_all(running))
        stamping.timestamper.stamp_now()
        assert stamping.timestamper.state.pending_since == NOW

        running.clock.now = NOW + HOURS_4
        stamping.timestamper.stamp_now()
        assert isinstance((await ask("m-1"))[1], VerifiedAnswer)

        running.clock.now = NOW + HOURS_4 + timedelta(seconds=1)
        status, fault = await ask("m-2")
        assert isinstance(fault, VerifiedFault)
        assert (status, fault.fault.code) == (503, "log.timestamps-overdue")
        told = running.hub.status()
        assert told.timestamps is not None
        assert told.timestamps.is_overdue
        assert any("takes no message" in sentence for sentence in told.attention())
        assert any("pending: away" in sentence for sentence in told.attention())

        stamping.authority.failure = ""
        running.clock.now += timedelta(minutes=1)
        stamping.timestamper.stamp_now()
        assert isinstance((await ask("m-2"))[1], VerifiedAnswer)
        assert Event.REFUSED in [leaf.event for leaf in running.leaves()]
        assert len(running.agency.asked) == 3

    timed(nation, tmp_path, story)

    keys = AuditKeys(read_key=read_symmetric_key(nation.settings.log.read_key))
    audit = audit_log(tmp_path / "log", keys)
    assert audit.replay is not None
    assert "decided by more than the message (log.timestamps-overdue)" in audit.replay.skipped
    late = [one.what for one in audit.report.findings]
    assert late == ["from this entry on none had a timestamp for 4:01:01"]


def test_a_restart_does_not_begin_the_bound_anew(
    nation: SmallNation, tmp_path: Path, stamping: Stamping, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def first(running: RunningHub) -> None:
        await stamping.settled(running)
        stamping.authority.failure = "away"
        await running.post(request(nation, "m-1"))
        await until(lambda: signed_all(running))
        stamping.timestamper.stamp_now()  # and so at the end: nobody stamps the last entries

    async def second(running: RunningHub) -> Any:
        return begun[-1]

    begun: list[Any] = []
    start = Timestamper.start

    def remember(self: Timestamper, *, pending_since: Any = None) -> None:
        begun.append(pending_since)
        start(self, pending_since=pending_since)

    monkeypatch.setattr(Timestamper, "start", remember)
    timed(nation, tmp_path, first)

    assert timed(nation, tmp_path, second) == NOW
    assert begun == [None, NOW]


def test_without_a_time_authority_nothing_changes(nation: SmallNation, tmp_path: Path) -> None:
    async def story(running: RunningHub) -> Path:
        assert running.hub.status().timestamps is None
        return running.log_folder

    with opened(nation, tmp_path) as hub:
        folder = hub.tell(story)

    assert not (folder / "timestamp").exists()
    assert "timestamps: none" in verify_log(folder).levels
