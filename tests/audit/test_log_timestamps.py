"""`log verify` believes no timestamp that is not proved, and names every file that was changed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from bus.audit.checks.entry_checks import LogReport
from bus.audit.folder import verify_log
from bus.log.timestamp_files import (
    TIMESTAMPS,
    TimestampFile,
    find_anchors,
    find_tokens,
    store_timestamp,
)
from bus.log.timestamping import Timestamper
from bus.sandbox.authority import Authority
from bus.sandbox.timestamp_authority import answer_timestamp_request
from signing.pki.timestamps import TimestampTrust, timestamp_request
from tests.interop.judges import program, run
from tests.log.test_timestamping import SETTINGS, Stamped
from tests.log.time_authority import SIGNER, TRUST
from tests.nation import NOW

STEP_SECONDS = 61


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed log with three timestamps and one entry after the last."""
    folder = tmp_path_factory.mktemp("stamped") / "log"
    folder.mkdir()
    stamped = Stamped(folder)
    for _ in range(3):
        stamped.grow()
        stamped.stamp_after(STEP_SECONDS)
    stamped.grow()
    return folder


@pytest.fixture
def copy(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "log"))


def findings(folder: Path, *, trust: TimestampTrust | None = None) -> list[str]:
    return [str(one) for one in verify_log(folder, timestamp_trust=trust).findings]


def told(report: LogReport) -> str:
    return "\n".join(report.levels)


def token(folder: Path, place: int) -> TimestampFile:
    return find_tokens(folder)[place]


def test_sound_timestamps_are_counted(sound: Path) -> None:
    report = verify_log(sound)

    assert report.findings == []
    assert "timestamps: 3 under anchors that lie in the folder itself" in told(report)
    assert "the last over 3 entries at 2026-03-01T08:03:03" in told(report)
    assert "without one: 1 entries at the end" in told(report)


def test_a_log_without_timestamps_says_so(sound: Path, copy: Path) -> None:
    shutil.rmtree(copy / TIMESTAMPS)

    report = verify_log(copy)

    assert report.findings == []
    assert "timestamps: none" in report.levels


def test_anchors_from_elsewhere_stand_in_for_the_folder_s_own(sound: Path) -> None:
    stranger = Authority.create("Stranger", NOW)
    other = TimestampTrust([stranger.certificate.public_bytes(Encoding.DER)])

    assert findings(sound, trust=TRUST) == []
    assert len(findings(sound, trust=other)) == 3
    assert all("the authority's certificate" in one for one in findings(sound, trust=other))


def test_every_flipped_byte_below_timestamp_is_found_and_its_file_named(copy: Path) -> None:
    for path in sorted(path for path in (copy / TIMESTAMPS).rglob("*") if path.is_file()):
        sound_bytes = path.read_bytes()
        for place in range(0, len(sound_bytes), max(len(sound_bytes) // 24, 1)):
            changed = bytearray(sound_bytes)
            changed[place] ^= 0x40
            path.write_bytes(changed)

            named = [one for one in findings(copy) if str(path.relative_to(copy)) in one]

            assert named, f"byte {place} of {path}"
        path.write_bytes(sound_bytes)
    assert findings(copy) == []


# --- what somebody might do --------------------------------------------------------------------


def _lose_checkpoint(folder: Path) -> None:
    token(folder, 1).note_path.unlink()


def _rename(folder: Path) -> None:
    path = token(folder, 1).path
    path.rename(path.with_name("2.tsr"))


def _another_day(folder: Path) -> None:
    one = token(folder, 1)
    day = folder / TIMESTAMPS / "2026-03-02"
    day.mkdir()
    for path in (one.path, one.note_path):
        path.rename(day / path.name)


def _exchange(folder: Path) -> None:
    """The token of one checkpoint beside another."""
    one, other = token(folder, 1), token(folder, 2)
    one.path.rename(other.path.with_name(other.path.name.replace("3-", "x-")))
    name = one.path.name.replace("2-", "3-")
    other.path.with_name(other.path.name.replace("3-", "x-")).rename(one.path.with_name(name))


def _forge_checkpoint(folder: Path) -> None:
    path = token(folder, 1).note_path
    path.write_bytes(token(folder, 2).note_path.read_bytes())


def _leave_a_note(folder: Path) -> None:
    (folder / TIMESTAMPS / "readme.txt").write_text("x")


def _lose_anchors(folder: Path) -> None:
    ((path, _),) = find_anchors(folder)
    path.unlink()


def _stamp_backwards(folder: Path) -> None:
    """A token that was made long before the entries that it covers."""
    raw = (folder / "checkpoint").read_bytes()
    early = NOW - timedelta(minutes=4)
    response = answer_timestamp_request(timestamp_request(raw, 1), SIGNER, early)
    store_timestamp(folder, 4, raw, response, early)


@pytest.mark.parametrize(
    ("harm", "found"),
    [
        (_lose_checkpoint, "entry 1: timestamp/2026-03-01/2-{digits}.tsr: 2.checkpoint, which it"),
        (_rename, "entry 0: timestamp/2026-03-01/2.tsr: a file that does not belong here"),
        (_another_day, "entry 1: timestamp/2026-03-02/2-{digits}.tsr: it was made on another day"),
        (_exchange, "entry 2: timestamp/2026-03-01/3-{digits}.tsr: the token was made for other"),
        (_forge_checkpoint, "entry 1: timestamp/2026-03-01/2.checkpoint: it covers 3 entries"),
        (_leave_a_note, "entry 0: timestamp/readme.txt: a file that does not belong here"),
        (_lose_anchors, "entry 0: timestamp/2026-03-01/1-"),
        (_stamp_backwards, "a larger checkpoint has an earlier time than the one before"),
        (_stamp_backwards, "it was made before the last entry that it covers"),
    ],
)
def test_what_was_put_together_is_found(
    copy: Path, harm: Callable[[Path], None], found: str
) -> None:
    digits = token(copy, 1).digits

    harm(copy)

    expected = found.format(digits=digits)
    assert any(expected in one for one in findings(copy)), findings(copy)


def test_a_history_that_was_rewritten_under_its_key_does_not_fit_its_timestamps(
    sound: Path, tmp_path: Path
) -> None:
    """Whoever holds the log's key can sign another history, but not have it stamped in time."""
    other = tmp_path / "log"
    other.mkdir()
    forged = Stamped(other)
    forged.clock.now += timedelta(seconds=5)
    for _ in range(4):
        forged.grow()
    shutil.rmtree(other / TIMESTAMPS)
    shutil.copytree(sound / TIMESTAMPS, other / TIMESTAMPS)

    found = findings(other)

    assert any("the root of the first 3 entries is not theirs" in one for one in found), found


def test_entries_that_stood_long_without_a_timestamp_are_a_finding(copy: Path) -> None:
    stamped = Stamped(copy)
    stamped.clock.now += timedelta(hours=5)
    stamped.grow()

    (found,) = findings(copy)

    assert found.startswith("entry 3: timestamp: from this entry on none had a timestamp for 4:56")


def test_a_gap_between_two_timestamps_is_a_finding_too(copy: Path) -> None:
    stamped = Stamped(copy)
    stamped.clock.now += timedelta(hours=5)
    stamped.timestamper.stamp()

    (found,) = findings(copy)

    assert "entry 3: timestamp: from this entry on none had a timestamp" in found


def test_a_crash_between_checkpoint_and_token_is_no_finding(copy: Path) -> None:
    note = (copy / "checkpoint").read_bytes()
    (copy / TIMESTAMPS / "2026-03-01" / "4.checkpoint").write_bytes(note)
    (copy / TIMESTAMPS / "2026-03-01" / "4-0123456789abcdef.tsr.new").write_bytes(b"half")

    assert findings(copy) == []


def test_openssl_accepts_every_token_that_we_keep(sound: Path) -> None:
    openssl = program("openssl")
    ((anchors, _),) = find_anchors(sound)
    at = ["-CAfile", anchors, "-attime", int(NOW.timestamp())]

    for one in find_tokens(sound):
        done = run(openssl, "ts", "-verify", "-in", one.path, "-data", one.note_path, *at)
        assert "Verification: OK" in done.stdout, done.stderr


def test_a_timestamper_goes_on_where_the_folder_ends(copy: Path) -> None:
    stamped = Stamped(copy)

    assert Timestamper(copy, SETTINGS, TRUST, clock=stamped.clock).state.last_size == 3
