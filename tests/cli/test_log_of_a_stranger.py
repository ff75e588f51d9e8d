"""A log's folder is that of somebody who is not trusted: whatever lies in it, the audit ends."""

from __future__ import annotations

import fcntl
import os
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bus.audit.sqlite import folder as log_folder
from bus.log import files
from bus.runtime import found_files
from tests.cli.running import Result, copied_log, lienthong, output_of
from tests.hang_limits import HANG_SECONDS_MAX

"""A hang limit; a whole audit takes about a second."""
MEMORY_BYTES = 1 << 30
"""What a command may take beyond what this process has."""


@pytest.fixture(scope="module")
def used(sandbox: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sandbox's log after a document with an attachment came in."""
    document = tmp_path_factory.mktemp("documents") / "to-khai.pdf"
    document.write_bytes(b"%PDF-1.7 " + bytes(range(256)) * 40)
    sample = (sandbox / "samples" / "nopTaiLieu.xml").read_text()
    body = document.with_suffix(".xml")
    head, _, rest = sample.partition("<p:NoiDung>")
    body.write_text(
        f"{head}<p:TepDinhKem>cid:to-khai.pdf</p:TepDinhKem>{rest.partition('</p:NoiDung>')[2]}"
    )
    ask = ["call", "nopTaiLieu", "--as", "H41/motcua", "--body", body, "--attach", document]
    asked = lienthong(*ask, folder=sandbox)
    assert asked.returncode == 0, output_of(asked)
    until = time.monotonic() + HANG_SECONDS_MAX
    while not list((sandbox / "log").glob("timestamp/*/*.tsr")) and time.monotonic() < until:
        time.sleep(0.1)  # the first one comes some seconds after the first entry
    return copied_log(sandbox / "log", tmp_path_factory.mktemp("used") / "log")


@pytest.fixture
def copy(used: Path, tmp_path: Path) -> Path:
    return copied_log(used, tmp_path / "copy" / "log")


@contextmanager
def bounded() -> Iterator[None]:
    """Time and memory that a command must do with."""

    def too_late(*_: Any) -> None:
        raise AssertionError("it waits without end")

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    handler = signal.signal(signal.SIGALRM, too_late)
    resource.setrlimit(resource.RLIMIT_AS, (pages * 4096 + MEMORY_BYTES, before[1]))
    signal.alarm(int(HANG_SECONDS_MAX))
    try:
        yield
    finally:
        signal.alarm(0)
        resource.setrlimit(resource.RLIMIT_AS, before)
        signal.signal(signal.SIGALRM, handler)


def audited(folder: Path, *options: str | Path) -> Result:
    with bounded():
        return lienthong("log", "verify", folder, *options)


# --- what stands in the place of a file -----------------------------------------------------------


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _waiting_terminal(path: Path) -> None:
    path.symlink_to("/dev/tty")


def _link_out(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def _link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


def _folder(path: Path) -> None:
    path.mkdir()


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as door:
        here = Path.cwd()
        os.chdir(path.parent)  # the name of a socket has 107 bytes at most
        try:
            door.bind(path.name)
        finally:
            os.chdir(here)


def _holes(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


ODD: list[Callable[[Path], None]] = [
    _pipe,
    _endless,
    _link_out,
    _folder,
    _socket,
    _holes,
]
PLACES = {
    "the database": "log.sqlite",
    "the write-ahead log": "log.sqlite-wal",
    "SQLite's journal": "log.sqlite-journal",
    "the page digests": "pages",
    "a fold": "pages.fold",
    "the checkpoint": "checkpoint",
    "the verifier key": "checkpoint.vkey",
    "the hub's lock": "hub.lock",
    "the lock of the fold": "fold.lock",
    "the tiles": "tile",
    "a tile": "tile/0/*.p/*",
    "the attachments": "attachments",
    "an attachment": "attachments/*/*",
    "the timestamps": "timestamp",
    "a day of timestamps": "timestamp/2*",
    "a token": "timestamp/2*/*.tsr",
    "a stamped checkpoint": "timestamp/2*/*.checkpoint",
    "anchors": "timestamp/anchors-*.pem",
}
HARMLESS = {
    # Of a lock nothing is read.
    ("the hub's lock", _holes),
    ("the lock of the fold", _holes),
    # No reader looks into it.
    ("SQLite's journal", _holes),
    # A log need not have any.
    ("the timestamps", _folder),
    ("a day of timestamps", _folder),
}


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.__name__.strip("_"))
@pytest.mark.parametrize("place", PLACES)
def test_something_else_in_the_place_of_a_file_is_told(
    place: str, odd: Callable[[Path], None], copy: Path
) -> None:
    found = sorted(copy.glob(PLACES[place]))
    path = found[0] if found else copy / PLACES[place]
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    odd(path)

    result = audited(copy)

    if (place, odd) in HARMLESS:
        assert result.returncode == 0, output_of(result)
        return
    name = str(path.relative_to(copy))
    assert result.returncode in (1, 2), output_of(result)
    assert name in output_of(result) or f"{name}/" in output_of(result), output_of(result)
    if result.returncode == 2:
        assert result.stdout == b""
        assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "odd", [*ODD, _waiting_terminal, _link_to_itself], ids=lambda odd: odd.__name__.strip("_")
)
@pytest.mark.parametrize("name", ["log.sqlite", "checkpoint", "fold.lock", "hub.lock"])
def test_who_only_looks_does_not_wait_either(
    name: str, odd: Callable[[Path], None], copy: Path
) -> None:
    (copy / name).unlink()
    odd(copy / name)

    with bounded():
        result = lienthong("log", "show", copy)

    assert result.returncode in (0, 2), output_of(result)


def test_a_link_on_the_way_to_a_file_is_not_followed(copy: Path, tmp_path: Path) -> None:
    (copy / "tile").rename(tmp_path / "elsewhere")
    (copy / "tile").symlink_to(tmp_path / "elsewhere")

    result = audited(copy)

    assert result.returncode == 1
    assert "link" in output_of(result)


# --- locks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["verify"], ["show"]])
def test_a_lock_that_somebody_holds_is_waited_for_and_told(
    command: list[str], copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files.FolderLock.wait_shared, "__defaults__", (0.2,))
    with (copy / "fold.lock").open("rb") as held, bounded():
        fcntl.flock(held, fcntl.LOCK_EX)
        result = lienthong("log", *command, copy)

    assert result.returncode == 2
    assert "fold.lock: somebody holds this lock" in output_of(result)


def test_the_hub_s_lock_held_by_somebody_is_no_reason_to_wait(copy: Path) -> None:
    with (copy / "hub.lock").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        result = audited(copy)

    assert result.returncode in (0, 2), output_of(result)


# --- more than there should be --------------------------------------------------------------------


@pytest.mark.parametrize("below", ["tile", "attachments", "timestamp"])
def test_folders_without_end_are_a_finding(below: str, copy: Path) -> None:
    here = Path.cwd()
    os.chdir(copy / below)
    try:
        for _ in range(1500):
            Path("d").mkdir()
            os.chdir("d")
    finally:
        os.chdir(here)

    try:
        result = audited(copy)
    finally:
        # Python's own way of removing folders does not come to their end either.
        subprocess.run(["rm", "-rf", copy / below], check=True)

    assert result.returncode == 1, output_of(result)
    assert f"{below}/d" in output_of(result)


def test_names_without_end_are_counted_and_not_listed(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3000):
        (copy / "tile" / f"x{number}").touch()

    assert "more names that no file of this log has" in output_of(audited(copy))

    monkeypatch.setattr(found_files, "FILES_MAX", 100)
    result = audited(copy)
    assert result.returncode == 2
    assert "more than 100 files" in output_of(result)


def test_a_database_whose_pages_lead_back_to_themselves_ends(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_folder, "_STEPS_FREE", 0)
    monkeypatch.setattr(log_folder, "_STEPS_A_BYTE", 0)
    monkeypatch.setattr(log_folder, "_STEPS_AT_ONCE", 5)

    result = audited(copy)

    assert result.returncode == 1
    assert "the database cannot be read from here on: interrupted" in output_of(result)


def test_a_statement_without_end_is_ended(copy: Path) -> None:
    connection = sqlite3.connect(":memory:")
    log_folder.bound_work(connection, copy)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) FROM n"

    with bounded(), pytest.raises(sqlite3.OperationalError, match="interrupted"):
        connection.execute(endless).fetchone()


def test_a_row_larger_than_any_message_is_not_read(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_folder, "VALUE_BYTES_MAX", 200)

    result = audited(copy)

    assert result.returncode == 1
    assert "cannot be read from here on" in output_of(result)


def test_a_checkpoint_over_any_number_of_entries_does_not_make_us_look_for_them(
    copy: Path,
) -> None:
    # Whoever writes the folder signs what they like, under the key that lies in it.
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from bus.core.log.checkpoint import Checkpoint
    from signing.signed_note import SigningKey

    key = SigningKey("lienthong.example/vn", Ed25519PrivateKey.from_private_bytes(bytes(32)))
    (copy / "checkpoint.vkey").write_text(f"{key.verifying_key}\n")
    (copy / "checkpoint").write_bytes(Checkpoint(key.name, 1 << 50, bytes(32)).sign(key))
    with sqlite3.connect(copy / "log.sqlite") as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("DROP TRIGGER IF EXISTS entries_follow")
        last = connection.execute("SELECT max(idx) FROM entries").fetchone()[0]
        for trigger in connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'trigger'"
        ).fetchall():
            connection.execute(f"DROP TRIGGER {trigger[0]}")
        connection.execute("UPDATE entries SET idx = ? WHERE idx = ?", (1 << 49, last))
    connection.close()

    result = audited(copy)

    assert result.returncode == 1
    assert "too many to look for" in output_of(result)


# --- files that change while they are read --------------------------------------------------------


def test_of_a_file_that_grows_no_more_is_read_than_was_said_to_be_enough(tmp_path: Path) -> None:
    path = tmp_path / "growing"
    path.write_bytes(bytes(100))

    assert found_files.read_file(path, 100) == bytes(100)
    with pytest.raises(OSError, match="more than 99 bytes"):
        found_files.read_file(path, 99)


def test_a_write_ahead_log_that_is_cut_short_while_it_is_read_does_no_harm(
    tmp_path: Path,
) -> None:
    path = tmp_path / "wal"
    path.write_bytes(bytes(100_000))

    with found_files.copied(path) as content:
        path.write_bytes(b"")
        assert content[-1] == 0
        assert len(content) == 100_000


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("name", ["log.sqlite", "checkpoint", "pages", "tile", "attachments"])
def test_what_may_not_be_read_is_told(name: str, copy: Path) -> None:
    (copy / name).chmod(0)
    try:
        result = audited(copy)
    finally:
        (copy / name).chmod(0o700)
    assert result.returncode in (1, 2)
    assert name in output_of(result)
