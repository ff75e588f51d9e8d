"""A log of an older program is read as it is, is not written to, and is upgraded in place."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from bus.audit.checks.entry_checks import LogReport
from bus.audit.folder import verify_log
from bus.core.errors import ConfigurationError, LogCorrupt, LogUnavailable
from bus.core.ports.message_log import AlreadyTaken, Appended, InboxState
from bus.log.files import DATABASE, FOLD_LOCK, PAGES, FolderLock, take_hub_lock
from bus.log.opening import open_log
from bus.log.sqlite import upgrade
from bus.log.sqlite.database import FORMAT, SCHEMA_OF_DELIVERIES
from bus.log.sqlite.upgrade import Upgrade, upgrade_database
from tests.log.delivery_stories import accepted, new
from tests.log.log_stories import KEY, READ_KEY, received
from tests.log.recorded_logs import format_1_log

ENTRIES = 8
BYTES_OF_A_PAGE = 4096


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return format_1_log(tmp_path)


def told(report: LogReport) -> tuple[object, ...]:
    return report.findings, report.entries, report.root, report.pending, report.erased


def table_rows(folder: Path, table: str) -> list[object]:
    connection = sqlite3.connect(f"file:{folder / DATABASE}?immutable=1", uri=True)
    rows = connection.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()
    connection.close()
    return rows


def write_on(folder: Path) -> None:
    """Take a message and a submission, and the one that was interrupted before."""

    async def story() -> None:
        log = open_log(folder, key=KEY)
        assert [one.received_index for one in log.interrupted()] == [ENTRIES - 1]
        assert await log.append(received("interrupted")) == AlreadyTaken(
            True, InboxState.OPEN, ENTRIES - 1, None
        )
        assert await log.append(accepted("m", new())) == Appended(ENTRIES)
        assert log.deliveries.open_of(ENTRIES)
        await log.close()

    asyncio.run(story())


def test_an_old_log_is_verified_as_it_is(old: Path) -> None:
    report = verify_log(old, read_key=READ_KEY)
    assert report.findings == []
    assert (report.entries, report.pending, report.erased) == (ENTRIES, 1, 1)
    assert report.payloads_opened == 3


def test_a_hub_says_what_helps_and_leaves_an_old_log_as_it_is(old: Path) -> None:
    before = (old / DATABASE).read_bytes()
    with pytest.raises(ConfigurationError, match="`lienthong db upgrade FOLDER`"):
        open_log(old, key=KEY)
    assert (old / DATABASE).read_bytes() == before
    assert verify_log(old).findings == []


def test_an_upgraded_log_holds_what_it_held_and_is_written_on(old: Path) -> None:
    before = told(verify_log(old, read_key=READ_KEY))
    tables = ("entries", "payloads", "inbox", "texts")
    rows = {table: table_rows(old, table) for table in tables}

    assert upgrade_database(old) == Upgrade(was=1, entries=ENTRIES)

    assert told(verify_log(old, read_key=READ_KEY)) == before
    assert {table: table_rows(old, table) for table in tables} == rows
    write_on(old)
    report = verify_log(old, read_key=READ_KEY)
    assert (report.findings, report.entries) == ([], ENTRIES + 1)


def test_what_has_the_format_stays_as_it_is(old: Path) -> None:
    upgrade_database(old)
    before = (old / DATABASE).read_bytes()
    assert upgrade_database(old) == Upgrade(was=FORMAT, entries=ENTRIES)
    assert (old / DATABASE).read_bytes() == before


def test_stopped_before_the_fold_the_next_start_finishes_it(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folds = []

    def fold(one: object) -> None:
        folds.append(one)
        if len(folds) > 1:
            raise LogUnavailable("stopped")

    monkeypatch.setattr(upgrade, "_fold", fold)
    with pytest.raises(LogUnavailable, match="stopped"):
        upgrade_database(old)
    assert verify_log(old).findings == []
    write_on(old)
    assert verify_log(old).findings == []


def test_stopped_within_the_transaction_nothing_was_done(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = SCHEMA_OF_DELIVERIES + "CREATE TABLE entries (idx INTEGER)"
    monkeypatch.setattr(upgrade, "SCHEMA_OF_DELIVERIES", broken)
    before = (old / DATABASE).read_bytes()
    with pytest.raises(LogUnavailable, match="already exists"):
        upgrade_database(old)
    assert (old / DATABASE).read_bytes() == before
    monkeypatch.undo()
    assert upgrade_database(old).was == 1


@pytest.mark.parametrize("page", range(1, 12))
def test_a_damaged_page_is_refused_and_nothing_is_changed(old: Path, page: int) -> None:
    pages = len((old / PAGES).read_bytes()) // 16
    assert pages == 11
    with (old / DATABASE).open("r+b") as stream:
        # In the middle of a page, where SQLite itself reads over it.
        stream.seek((page - 1) * BYTES_OF_A_PAGE + 1500)
        stream.write(b"\x55")
    before = (old / DATABASE).read_bytes()
    with pytest.raises(LogCorrupt, match=f"page {page} is damaged; nothing was changed"):
        upgrade_database(old)
    assert (old / DATABASE).read_bytes() == before


def test_a_database_that_was_cut_short_is_refused(old: Path) -> None:
    raw = (old / DATABASE).read_bytes()
    (old / DATABASE).write_bytes(raw[:-BYTES_OF_A_PAGE])
    with pytest.raises(LogCorrupt):
        upgrade_database(old)


def test_a_log_that_a_hub_holds_is_left_alone(old: Path) -> None:
    lock = take_hub_lock(old)
    with pytest.raises(LogUnavailable, match="another hub holds this log"):
        upgrade_database(old)
    lock.close()
    assert upgrade_database(old).was == 1


def test_a_log_that_somebody_reads_is_left_alone(old: Path) -> None:
    # Without frames in the write-ahead log only the fold at the end needs the files alone.
    lock = FolderLock(old / FOLD_LOCK, is_made=False)
    assert lock.take_shared()
    with pytest.raises(LogUnavailable, match="somebody reads the log"):
        upgrade_database(old)
    lock.close()
    assert upgrade_database(old).was in (1, FORMAT)
    assert verify_log(old).findings == []


def test_where_no_log_lies_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(LogUnavailable, match="no message log lies here"):
        upgrade_database(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("statement", "failure", "words"),
    [
        ("UPDATE meta SET value = 3 WHERE name = 'format'", ConfigurationError, "newer program"),
        ("DELETE FROM meta WHERE name = 'format'", LogCorrupt, "says no format"),
    ],
)
def test_a_format_that_nobody_knows_is_refused(
    old: Path, statement: str, failure: type[Exception], words: str
) -> None:
    connection = sqlite3.connect(old / DATABASE, isolation_level=None)
    connection.execute(statement)
    connection.close()
    with pytest.raises(failure, match=words):
        upgrade_database(old)
