"""Checkpoints are stamped in the background; while nobody stamps them, that is told and bounded."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bus.core.errors import ConfigurationError
from bus.core.log.leaf import Event, build_leaf
from bus.core.ports.message_log import LogWrite
from bus.log import timestamping
from bus.log.opening import open_log
from bus.log.timestamp_files import find_last_token, find_notes, find_tokens
from bus.log.timestamping import (
    Timestamper,
    TimestampFailed,
    ask_authority,
    read_timestamp_trust,
)
from bus.sandbox.timestamp_authority import answer_timestamp_request
from bus.settings.timestamp import TimestampSettings
from signing.pki.timestamps import timestamp_request, verify_timestamp
from signing.signed_note import SigningKey
from tests.hang_limits import HANG_SECONDS_MAX
from tests.hub.running_hub import SetClock
from tests.log.time_authority import ROOT, SIGNER, TRUST, TimeAuthority, http_authority
from tests.nation import NOW

KEY = SigningKey("example.vn/log", Ed25519PrivateKey.generate())
SETTINGS = TimestampSettings("http://127.0.0.1:1/time", ())
SECOND = timedelta(seconds=1)


class Stamped:
    """A log that grows as a test says, with somebody who stamps it when told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = SetClock()
        self.authority = TimeAuthority(self.clock)
        self.timestamper = self.fresh()

    def fresh(self) -> Timestamper:
        """As a hub that starts: it knows what lies in the folder."""
        return Timestamper(self.folder, SETTINGS, TRUST, clock=self.clock, ask=self.authority)

    def grow(self) -> int:
        """One more entry under a new checkpoint; gives the size."""

        async def append() -> int:
            log = open_log(self.folder, key=KEY)
            await log.append(LogWrite(build_leaf(Event.HEARTBEAT, self.clock())))
            await log.close()
            return log.published_size

        return asyncio.run(append())

    def stamp_after(self, seconds: float) -> None:
        self.clock.now += timedelta(seconds=seconds)
        self.timestamper.stamp()

    def sizes(self) -> list[int]:
        return [file.size for file in find_tokens(self.folder)]


@pytest.fixture
def stamped(tmp_path: Path) -> Stamped:
    (tmp_path / "log").mkdir()
    return Stamped(tmp_path / "log")


def test_a_checkpoint_gets_a_token_and_is_kept_beside_it(stamped: Stamped) -> None:
    size = stamped.grow()
    stamped.stamp_after(0)

    (token,) = find_tokens(stamped.folder)
    (note,) = find_notes(stamped.folder)
    assert note.path.read_bytes() == (stamped.folder / "checkpoint").read_bytes()
    assert verify_timestamp(token.path.read_bytes(), note.path.read_bytes(), TRUST).time == NOW
    assert (token.size, token.day, token.note_path) == (size, "2026-03-01", note.path)
    assert stamped.timestamper.state.pending_since is None


def test_the_authority_is_asked_once_a_minute_at_most(stamped: Stamped) -> None:
    for _ in range(5):
        stamped.grow()
        stamped.stamp_after(20)

    assert stamped.sizes() == [1, 4]
    assert stamped.authority.asked == 2


def test_nobody_is_asked_while_nothing_is_new(stamped: Stamped) -> None:
    stamped.stamp_after(0)  # there is no checkpoint yet
    stamped.grow()
    for _ in range(5):
        stamped.stamp_after(3600)

    assert stamped.authority.asked == 1
    assert not stamped.timestamper.is_overdue(stamped.clock.now)


def test_an_authority_that_is_away_is_asked_again_ever_more_rarely(stamped: Stamped) -> None:
    stamped.grow()
    stamped.authority.failure = "away"
    for _ in range(60):
        stamped.stamp_after(1)

    assert stamped.authority.asked == 7  # after 0, 1, 3, 7, 15, 31, 47 seconds
    assert stamped.timestamper.state.failure == "away"
    assert stamped.timestamper.state.pending_since == NOW + SECOND


def test_after_an_outage_all_is_well_again(stamped: Stamped) -> None:
    stamped.grow()
    stamped.authority.failure = "away"
    stamped.stamp_after(0)
    stamped.authority.failure = ""
    stamped.stamp_after(30)

    assert (stamped.timestamper.state.failure, stamped.sizes()) == ("", [1])


def test_the_bound_counts_from_the_first_entry_without_a_timestamp(stamped: Stamped) -> None:
    bound = SETTINGS.outage_seconds_max
    stamped.grow()
    stamped.authority.failure = "away"
    stamped.stamp_after(0)

    assert not stamped.timestamper.is_overdue(NOW + bound * SECOND)
    assert stamped.timestamper.is_overdue(NOW + (bound + 1) * SECOND)

    stamped.stamp_after(bound + 1)  # told once, and gone on
    stamped.authority.failure = ""
    stamped.stamp_after(60)
    assert not stamped.timestamper.is_overdue(stamped.clock.now)


def test_the_bound_holds_over_a_restart(stamped: Stamped) -> None:
    stamped.grow()
    stamped.authority.failure = "away"
    restarted = stamped.fresh()
    restarted.start(pending_since=NOW - timedelta(hours=5))
    try:
        assert restarted.is_overdue(NOW)
    finally:
        restarted.close()


def test_a_start_knows_what_was_stamped_before(stamped: Stamped) -> None:
    for _ in range(2):
        stamped.grow()
        stamped.stamp_after(61)
    last = find_last_token(stamped.folder)

    assert last is not None
    assert stamped.fresh().state.last_size == last.size == 2


def test_a_clock_that_was_set_back_does_not_keep_the_authority_unasked(stamped: Stamped) -> None:
    stamped.grow()
    stamped.stamp_after(7200)
    stamped.grow()

    stamped.stamp_after(-7000)

    assert stamped.sizes() == [1, 2]


def test_a_token_for_something_else_is_not_kept(stamped: Stamped) -> None:
    stamped.grow()
    answer = answer_timestamp_request(timestamp_request(b"other", 1), SIGNER, NOW)
    stamped.timestamper = Timestamper(
        stamped.folder, SETTINGS, TRUST, clock=stamped.clock, ask=lambda *_: answer
    )

    stamped.stamp_after(0)

    assert stamped.sizes() == []
    assert "made for other data" in stamped.timestamper.state.failure


def test_how_far_the_clocks_are_apart_is_told(stamped: Stamped) -> None:
    stamped.grow()
    stamped.authority.ahead = timedelta(seconds=90)
    stamped.stamp_after(0)

    assert stamped.timestamper.state.clock_offset_seconds == -90.0


def test_a_mistake_of_ours_does_not_end_the_stamping(
    stamped: Stamped, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timestamping, "LOOK_SECONDS", 0.01)
    is_well = threading.Event()

    def ask(settings: TimestampSettings, request: bytes) -> bytes:
        if not is_well.is_set():
            is_well.set()
            raise ZeroDivisionError
        return stamped.authority(settings, request)

    stamped.grow()
    timestamper = Timestamper(stamped.folder, SETTINGS, TRUST, clock=stamped.clock, ask=ask)
    timestamper.start()
    assert is_well.wait(HANG_SECONDS_MAX)
    stamped.clock.now += timedelta(hours=1)
    timestamper.close()

    assert stamped.sizes() == [1]


def test_the_last_checkpoint_is_stamped_when_the_hub_closes(stamped: Stamped) -> None:
    stamped.timestamper.start()
    stamped.grow()
    stamped.timestamper.close()

    assert stamped.sizes()[-1] == 1


# --- over HTTP ---------------------------------------------------------------------------------


def settings_for(url: str) -> TimestampSettings:
    return TimestampSettings(url, (), timeout_seconds=2)


def test_an_authority_is_asked_over_http() -> None:
    def answer(body: bytes) -> tuple[int, bytes]:
        return 200, answer_timestamp_request(body, SIGNER, NOW)

    with http_authority(answer) as url:
        raw = ask_authority(settings_for(url), timestamp_request(b"data", 5))

    assert verify_timestamp(raw, b"data", TRUST, nonce=5).time == NOW


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (503, b"", "the authority cannot be asked: HTTP status 503"),
        (302, b"", "the authority cannot be asked: HTTP status 302"),
        (200, bytes(70_000), "the authority cannot be asked: more than 65536 bytes"),
    ],
)
def test_an_answer_that_is_none_is_a_failure(status: int, body: bytes, reason: str) -> None:
    with (
        http_authority(lambda _: (status, body)) as url,
        pytest.raises(TimestampFailed, match=reason),
    ):
        ask_authority(settings_for(url), b"request")


def test_an_authority_that_dribbles_is_not_waited_for() -> None:
    settings = TimestampSettings("", (), timeout_seconds=1)

    with (
        http_authority(lambda _: (200, bytes(5000)), seconds_between_bytes=0.1) as url,
        pytest.raises(TimestampFailed, match="cannot be asked: no reply in time"),
    ):
        ask_authority(replace(settings, url=url), b"request")


def test_nobody_there_is_a_failure() -> None:
    with pytest.raises(TimestampFailed, match="cannot be asked: ConnectionRefusedError"):
        ask_authority(SETTINGS, b"request")


# --- anchors ----------------------------------------------------------------------------------


def test_the_anchors_of_the_settings_are_read_and_kept_once(tmp_path: Path) -> None:
    anchor = tmp_path / "time.crt"
    anchor.write_bytes(ROOT.certificate_pem())
    trust = read_timestamp_trust(TimestampSettings("http://x", (anchor,)))

    assert trust.anchors == TRUST.anchors
    (tmp_path / "log").mkdir()
    for _ in range(2):
        Timestamper(tmp_path / "log", SETTINGS, trust, clock=SetClock())
    assert len(list((tmp_path / "log" / "timestamp").iterdir())) == 1


def test_an_anchor_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.crt: cannot be read"):
        read_timestamp_trust(TimestampSettings("http://x", (tmp_path / "none.crt",)))
