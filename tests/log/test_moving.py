"""A log goes from SQLite into PostgreSQL whole, once, and goes on there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bus.audit.folder import verify_log
from bus.audit.postgres.source import LogDatabase
from bus.core.deliveries import DeliveryKey, ReceiptRow
from bus.core.errors import ConfigurationError, LogCorrupt, LogUnavailable
from bus.core.ports.message_log import AlreadyTaken, Appended, InboxState, LogWrite
from bus.log.message_log import HubLog
from bus.log.moving import MovedLog, move_log
from bus.log.opening import open_log
from bus.log.postgres.arriving import ArrivingLog
from bus.log.postgres.connection import connect
from bus.log.postgres.store import PostgresEntryStore
from bus.log.sqlite.leaving import LeavingLog
from bus.settings.postgres import PostgresSettings
from tests.log.delivery_stories import CARRIED, CASE, accepted, closing, entry, new
from tests.log.log_stories import (
    CLIENT,
    CONFIGURATION,
    CONFIGURATION_DIGEST,
    KEY,
    READ_KEY,
    heartbeat,
    outcome,
    received,
)

ENTRIES = 305


async def _write(log: HubLog, *writes: LogWrite) -> list[object]:
    return [await log.append(write) for write in writes]


def opened_for(folder: Path, database: PostgresSettings | None, *writes: LogWrite) -> list[object]:
    async def story() -> list[object]:
        log = open_log(folder, key=KEY, guard=folder.parent / "guard", database=database)
        told = await _write(log, *writes)
        await log.close()
        return told

    return asyncio.run(story())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log in SQLite with all that a log may hold."""
    folder = tmp_path / "log"

    async def story() -> None:
        log = open_log(folder, key=KEY, guard=tmp_path / "guard")
        await log.append_text(CONFIGURATION)
        await _write(log, received("answered"), outcome("answered", 0), received("open"))
        await _write(log, accepted("owed", new(conversation=CASE), new(conversation=CASE)))
        row = log.deliveries.delivery(DeliveryKey(3, 0))
        assert row is not None
        await _write(log, entry(closing(row)))
        await asyncio.gather(*(log.append(heartbeat(one)) for one in range(ENTRIES - 5)))
        await log.close()

    asyncio.run(story())
    return folder


def move(folder: Path, database: PostgresSettings) -> MovedLog:
    report = verify_log(folder, read_key=READ_KEY)
    return move_log(folder, database, KEY.name, verified=(report.entries, report.root))


def test_all_of_a_log_is_there_and_a_hub_goes_on(
    folder: Path, log_database: PostgresSettings
) -> None:
    before = verify_log(folder, read_key=READ_KEY)
    moved = move(folder, log_database)
    assert (moved.entries, moved.root) == (ENTRIES, before.root)
    assert moved.rows == {
        "entries": ENTRIES, "payloads": 4, "inbox": 3, "texts": 1,
        "deliveries": 1, "carried": 1, "related": 1, "receipts": 1,
    }  # fmt: skip

    async def story() -> list[object]:
        log = open_log(folder, key=KEY, guard=folder.parent / "guard", database=log_database)
        assert [one.received_index for one in log.interrupted()] == [2]
        assert await log.read_text(CONFIGURATION_DIGEST) == CONFIGURATION
        assert log.deliveries.carried(3) == CARRIED
        assert list(log.deliveries.related(3, -1, 9)) == [4]
        assert log.deliveries.receipts(CLIENT, -1, 9) == [ReceiptRow(4, DeliveryKey(3, 0))]
        row = log.deliveries.delivery(DeliveryKey(3, 1))
        assert row is not None
        told = await _write(log, received("answered"), entry(closing(row)), heartbeat(999))
        await log.close()
        return told

    assert asyncio.run(story()) == [
        AlreadyTaken(True, InboxState.ANSWERED, 0, 1),
        Appended(ENTRIES),
        Appended(ENTRIES + 1),
    ]
    report = verify_log(folder, read_key=READ_KEY, database=LogDatabase(log_database, KEY.name))
    assert (report.entries, report.signed_size) == (ENTRIES + 2, ENTRIES + 2)
    assert [one for one in report.findings if "deliver" not in one.what] == []


def test_what_was_left_is_opened_and_moved_no_more(
    folder: Path, log_database: PostgresSettings
) -> None:
    move(folder, log_database)
    with pytest.raises(ConfigurationError, match="moved to another database"):
        opened_for(folder, None, heartbeat())
    with pytest.raises(ConfigurationError, match="moved already"):
        move(folder, log_database)


@pytest.mark.parametrize("table", ["entries", "related"])
def test_a_move_that_is_stopped_before_the_end_has_moved_nothing(
    folder: Path,
    log_database: PostgresSettings,
    table: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = LeavingLog.rows

    def rows(log: LeavingLog, name: str) -> Iterator[tuple[Any, ...]]:
        yield from real(log, name)
        if name == table:
            raise LogUnavailable("the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr(LeavingLog, "rows", rows)
        with pytest.raises(LogUnavailable, match="the disk is gone"):
            move(folder, log_database)
    with connect(log_database, "test") as connection:
        assert connection.execute("SELECT count(*) FROM entries").fetchone() == (0,)
    assert opened_for(folder, None, heartbeat()) == [Appended(ENTRIES)]
    assert move(folder, log_database).entries == ENTRIES + 1


def test_a_move_that_was_stopped_before_the_source_was_closed_is_finished(
    folder: Path, log_database: PostgresSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_: LeavingLog) -> None:
        raise LogUnavailable("the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr(LeavingLog, "close_behind", stop)
        with pytest.raises(LogUnavailable):
            move(folder, log_database)
    with pytest.raises(ConfigurationError, match="lienthong db move"):
        opened_for(folder, log_database)
    assert move(folder, log_database).entries == ENTRIES
    assert opened_for(folder, log_database, heartbeat()) == [Appended(ENTRIES)]


def test_what_arrives_otherwise_is_not_taken(
    folder: Path, log_database: PostgresSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = ArrivingLog.put

    def put(log: ArrivingLog, table: str, rows: Iterator[Any]) -> int:
        if table == "entries":
            rows = ((index, b"{}" if index == 7 else leaf) for index, leaf in rows)
        if table == "related":
            rows = iter(())
        return real(log, table, rows)

    monkeypatch.setattr(ArrivingLog, "put", put)
    with pytest.raises(LogCorrupt, match="related: 0 arrived, 1 were sent"):
        move(folder, log_database)

    def put_all(log: ArrivingLog, table: str, rows: Iterator[Any]) -> int:
        return put(log, table, rows) if table == "entries" else real(log, table, rows)

    monkeypatch.setattr(ArrivingLog, "put", put_all)
    with pytest.raises(LogCorrupt, match="the root"):
        move(folder, log_database)
    with connect(log_database, "test") as connection:
        assert connection.execute("SELECT count(*) FROM entries").fetchone() == (0,)


def test_a_log_that_is_not_the_verified_one_is_not_moved(
    folder: Path, log_database: PostgresSettings
) -> None:
    with pytest.raises(LogCorrupt, match="not the log that was verified"):
        move_log(folder, log_database, KEY.name, verified=(ENTRIES, bytes(32)))


def test_a_database_with_another_log_of_the_name_is_left_alone(
    folder: Path, log_database: PostgresSettings
) -> None:
    store = PostgresEntryStore(log_database, KEY.name, "another")
    store.commit([heartbeat()])
    store.close()
    with pytest.raises(ConfigurationError, match="of 1 entries already"):
        move(folder, log_database)


def test_a_log_that_a_hub_writes_is_not_moved(folder: Path, log_database: PostgresSettings) -> None:
    async def story() -> None:
        log = open_log(folder, key=KEY, guard=folder.parent / "guard")
        with pytest.raises(LogUnavailable, match="another hub holds"):
            await asyncio.to_thread(
                move_log, folder, log_database, KEY.name, verified=(ENTRIES, bytes(32))
            )
        await log.close()

    asyncio.run(story())


def test_logs_of_hubs_that_took_the_same_id_do_not_go_together(
    folder: Path, log_database: PostgresSettings
) -> None:
    store = PostgresEntryStore(log_database, "log.example/other", "another")
    store.commit([received("answered")])
    store.close()
    with pytest.raises(ConfigurationError, match="has taken an id of this one"):
        move(folder, log_database)
