"""No stored byte of the log can change unseen, and no sound log is called damaged."""

from __future__ import annotations

import asyncio
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from bus.audit.folder import verify_log
from bus.audit.sqlite.damage import ROOT_PAGES
from bus.audit.sqlite.folder import hold_folder
from bus.core.errors import LogCorrupt, LogUnavailable
from bus.core.log.leaf import Event
from bus.core.ports.message_log import Appended
from bus.log.files import PAGES
from bus.log.opening import open_log
from bus.log.sqlite import pages, store
from bus.log.sqlite.database import make_database
from bus.log.sqlite.pages import digest_database
from bus.log.sqlite.upgrade import upgrade_database
from tests.audit.verify_elsewhere import findings_elsewhere
from tests.log.delivery_stories import (
    DEAD,
    HELD,
    OFFERED,
    OUT,
    WAITING,
    accepted,
    entry,
    new,
    submissions,
    to,
)
from tests.log.log_stories import KEY, READ_KEY, fill, write_log
from tests.log.recorded_logs import format_1_log

ROOT = Path(__file__).parents[2]
LOCKS = ("log.sqlite-shm",)
"""SQLite's shared lock area: rebuilt at every opening, holds no record."""


def stored_files(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.rglob("*") if path.is_file() and path.stat().st_size
        and path.name not in LOCKS and not path.name.endswith(".new")
    )  # fmt: skip


def flip(path: Path, offset: int, mask: int) -> None:
    with path.open("r+b") as stream:
        stream.seek(offset)
        byte = stream.read(1)[0]
        stream.seek(offset)
        stream.write(bytes([byte ^ mask]))


def must_find_flips(folder: Path, seed: int, flips_a_file: int) -> None:
    """Flip one byte at a time, everywhere; each must be found, with an entry of the log."""
    luck = random.Random(seed)
    entries = verify_log(folder).entries
    for path in stored_files(folder):
        size = path.stat().st_size
        offsets = {0, size - 1, *(luck.randrange(size) for _ in range(flips_a_file))}
        if path.name == "log.sqlite":
            # The headers of pages: where a changed byte leads SQLite itself astray.
            offsets |= {luck.randrange(size // 4096) * 4096 + luck.randrange(120) for _ in "12345"}
        for offset in offsets:
            mask = 1 << luck.randrange(8)
            flip(path, offset, mask)
            report = verify_log(folder)
            flip(path, offset, mask)
            where = f"seed {seed}: {path.relative_to(folder)} byte {offset} mask {mask}"
            assert report.findings, where
            indexes = [finding.index for finding in report.findings]
            assert all(0 <= index <= entries for index in indexes), f"{where}: {indexes}"
    assert verify_log(folder).findings == []


@pytest.fixture(scope="module")
def closed_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("closed") / "log"
    write_log(folder, 150)
    write_log(folder, 40, b"<big>" * 3000)
    write_submissions(folder)
    return folder


@pytest.fixture(scope="module")
def upgraded_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its trees of deliveries lie elsewhere than in a new one."""
    folder = format_1_log(tmp_path_factory.mktemp("upgraded"))
    upgrade_database(folder)
    write_submissions(folder)
    write_log(folder, 40, b"<big>" * 3000)
    return folder


def write_submissions(folder: Path) -> None:
    """What became of some, then many rows of every state, with all that they carry."""

    async def story() -> None:
        log = open_log(folder, key=KEY)
        await asyncio.gather(*(log.append(write) for write in submissions(log.size)))
        states = [OUT, WAITING, OFFERED, OFFERED, DEAD]
        for number in range(60):
            owed = [
                new(recipient, states[(number + at) % 5]) for at, recipient in enumerate("ABCDE")
            ]
            chained = new("F", WAITING, conversation=bytes([number % 3]) * 16)
            taken = await log.append(accepted(f"d-{number}", *owed, chained))
            assert isinstance(taken, Appended)
            for row in log.deliveries.open_of(taken.index):
                if row.delivery.state is DEAD:
                    await log.append(entry(to(row, DEAD)))
                if row.delivery.state is OFFERED and (number + row.key.position) % 5 == 3:
                    held = to(row, HELD, attempt=row.delivery.attempt + 1)
                    await log.append(entry(held, Event.HANDED_OUT))
        await log.close()

    asyncio.run(story())


@pytest.mark.parametrize("seed", range(3))
def test_a_flipped_byte_in_a_closed_log_is_found(
    closed_log: Path, tmp_path: Path, seed: int
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(closed_log, folder)
    must_find_flips(folder, seed, 12)


def start_writer(folder: Path, fold_bytes: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.log.log_stories", str(folder), str(fold_bytes)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        bufsize=1,
    )


def kill_after(process: subprocess.Popen[str], confirmed_min: int) -> list[int]:
    """Kill it once that many appends were confirmed; give every confirmed index."""
    confirmed: list[int] = []
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip().isdecimal():
            confirmed.append(int(line))
            if len(confirmed) == confirmed_min:
                process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    return confirmed


@pytest.mark.parametrize("seed", range(6))
def test_a_hub_killed_at_any_moment_keeps_what_it_confirmed(tmp_path: Path, seed: int) -> None:
    luck = random.Random(seed)
    folder = tmp_path / "log"
    confirmed: list[int] = []
    for _ in range(2):
        # A small write-ahead log makes it fold all the time, so that kills hit folds too.
        process = start_writer(folder, luck.choice([1, 100_000, 2_000_000]))
        confirmed += kill_after(process, luck.randrange(1, 600))
        before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
        report = verify_log(folder, read_key=READ_KEY)
        assert report.findings == []
        assert set(confirmed) <= set(range(report.entries))
        assert len(confirmed) == len(set(confirmed))
        assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    log = open_log(folder, key=KEY, guard=tmp_path / "guard")
    assert len(log.interrupted()) == report.pending
    asyncio.run(log.close())
    report = verify_log(folder, read_key=READ_KEY)
    assert report.findings == []
    assert report.entries == report.signed_size


@pytest.mark.parametrize("seed", range(2))
def test_a_flipped_byte_in_the_log_of_a_killed_hub_is_found(tmp_path: Path, seed: int) -> None:
    process = start_writer(tmp_path / "log", 2_000_000)
    kill_after(process, 100 + 200 * seed)
    assert (tmp_path / "log" / "log.sqlite-wal").stat().st_size > 0
    must_find_flips(tmp_path / "log", seed, 12)


def test_a_running_hub_is_verified_while_it_writes(tmp_path: Path) -> None:
    process = start_writer(tmp_path / "log", 20_000)
    seen = 0
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip().isdecimal() and int(line) % 400 == 0:
            report = verify_log(tmp_path / "log", read_key=READ_KEY)
            assert report.findings == []
            assert report.entries > int(line)
            seen += 1
            if seen == 4:
                process.kill()
    process.wait()
    process.stdout.close()
    assert seen >= 4


def test_a_copy_that_cannot_be_written_is_verified(closed_log: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(closed_log, folder)
    everything = [folder, *folder.rglob("*")]
    for path in everything:
        path.chmod(path.stat().st_mode & ~0o222)
    try:
        assert verify_log(folder, checkpoint_key=KEY.verifying_key).findings == []
    finally:
        for path in everything:
            path.chmod(path.stat().st_mode | 0o200)


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        ("UPDATE entries SET leaf = replace(leaf, 'accepted', 'acceptee') WHERE idx = 100", 100),
        ("DELETE FROM entries WHERE idx = 57", 57),
        ("DELETE FROM entries WHERE idx >= 300", 300),
        ("UPDATE payloads SET ciphertext = zeroblob(length(ciphertext)) WHERE idx = ?", None),
        ("DELETE FROM payloads WHERE idx = ?", None),
        ("UPDATE payloads SET wrapped_key = zeroblob(60) WHERE idx = ?", None),
        ("DELETE FROM texts", None),
    ],
)
def test_a_row_changed_by_someone_who_knows_sqlite_is_named(
    closed_log: Path, tmp_path: Path, statement: str, index: int | None
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(closed_log, folder)
    connection = sqlite3.connect(folder / "log.sqlite", isolation_level=None)
    if index is None:
        (index,) = connection.execute("SELECT min(idx) FROM payloads WHERE idx > 5").fetchone()
        if "texts" in statement:
            index = 0
    connection.execute(statement, (index,) if "?" in statement else ())
    connection.close()
    # He also makes the page digests anew: what finds him is the tree.
    (folder / PAGES).write_bytes(digest_database(folder / "log.sqlite"))
    report = verify_log(folder, read_key=READ_KEY)
    assert index in {finding.index for finding in report.findings}
    assert index == report.findings[0].index


def test_a_flipped_payload_byte_names_its_entry(closed_log: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(closed_log, folder)
    connection = sqlite3.connect(f"file:{folder / 'log.sqlite'}?immutable=1", uri=True)
    rows = connection.execute("SELECT idx, ciphertext FROM payloads").fetchall()
    connection.close()
    stored = (folder / "log.sqlite").read_bytes()
    for index, ciphertext in random.Random(1).sample(rows, 10):
        offset = stored.index(ciphertext[:64]) + 32
        flip(folder / "log.sqlite", offset, 4)
        report = verify_log(folder)
        flip(folder / "log.sqlite", offset, 4)
        assert index in {finding.index for finding in report.findings}


def test_a_database_restored_from_an_old_copy_is_not_opened(tmp_path: Path) -> None:
    folder, guard = tmp_path / "log", tmp_path / "guard"

    def write(exchanges: int) -> None:
        async def story() -> None:
            log = open_log(folder, key=KEY, guard=guard)
            await fill(log, exchanges)
            await log.close()

        asyncio.run(story())

    write(3)
    shutil.copytree(folder, tmp_path / "old")
    write(2)
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "old", folder)
    with pytest.raises(LogCorrupt, match="10 entries were signed, the log has 6"):
        write(1)
    guard.unlink()
    with pytest.raises(LogCorrupt, match="guard"):
        write(1)


def test_a_log_rewritten_under_the_guard_is_not_opened(tmp_path: Path) -> None:
    guard = tmp_path / "guard"

    def write(folder: Path) -> None:
        async def story() -> None:
            log = open_log(folder, key=KEY, guard=guard)
            await fill(log, 3)
            await log.close()

        asyncio.run(story())

    write(tmp_path / "log")
    kept = guard.read_bytes()
    guard.unlink()
    write(tmp_path / "other")
    guard.write_bytes(kept)
    with pytest.raises(LogCorrupt, match="another root"):
        write(tmp_path / "other")


def test_the_trees_of_a_new_database_start_where_the_search_begins(tmp_path: Path) -> None:
    make_database(tmp_path)
    connection = sqlite3.connect(tmp_path / "log.sqlite")
    roots = dict(connection.execute("SELECT name, rootpage FROM sqlite_schema"))
    connection.close()
    assert roots.items() >= ROOT_PAGES.items()


def test_a_fold_that_was_interrupted_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stop before each step of a fold, verify, open, verify."""

    class Stopped(OSError):
        pass

    def stop(*arguments: object) -> None:
        raise Stopped(5, "stopped here")

    for step in ("begin_fold", "_write_slots", "end_fold"):
        folder = tmp_path / step

        async def story(folder: Path = folder, step: str = step) -> None:
            log = open_log(folder, key=KEY)
            await fill(log, 20)
            with monkeypatch.context() as patch:
                patch.setattr(pages.PageSlots, step, stop)
                await log.close()
            assert verify_log(folder, read_key=READ_KEY).findings == []
            if step != "begin_fold":
                assert (folder / "pages.fold").exists()
                must_find_flips(folder, 1, 6)
            log = open_log(folder, key=KEY)
            assert not (folder / "pages.fold").exists()
            try:
                await fill(log, 5)
            except LogUnavailable as error:
                pytest.fail(str(error))
            await log.close()
            assert verify_log(folder, read_key=READ_KEY).findings == []

        asyncio.run(story())


def test_a_hub_starts_and_writes_while_somebody_verifies(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    wal = folder / "log.sqlite-wal"

    async def story() -> None:
        log = open_log(folder, key=KEY)
        await fill(log, 20)
        with hold_folder(folder):
            await log.close()
            log = open_log(folder, key=KEY)
            await fill(log, 20)
            await log.close()
            assert wal.stat().st_size > 0
            with wal.open("ab") as stream:
                stream.write(bytes(5000))
            # What a power cut left at the end must go before the next entry is promised.
            with pytest.raises(LogUnavailable, match="reader"):
                open_log(folder, key=KEY)
        log = open_log(folder, key=KEY)
        await fill(log, 5)
        await log.close()

    asyncio.run(story())
    report = verify_log(folder, read_key=READ_KEY)
    assert (report.entries, report.findings) == (90, [])


def test_a_foreign_reader_delays_the_fold_and_spoils_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "FOLD_BYTES", 50_000)
    folder = tmp_path / "log"

    async def story() -> None:
        log = open_log(folder, key=KEY)
        await fill(log, 30)
        reader = sqlite3.connect(folder / "log.sqlite", isolation_level=None)
        for _ in range(3):
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM entries").fetchone()
            await fill(log, 30)
            assert findings_elsewhere(folder) == []
            reader.execute("COMMIT")
            await fill(log, 5)
            assert findings_elsewhere(folder) == []
        reader.close()
        await log.close()

    asyncio.run(story())
    assert not (folder / "pages.fold").exists()
    must_find_flips(folder, 3, 5)
