"""Every store passes one contract: the real one, and the one in memory of the tests."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from bus.log.sqlite import batches, store
from bus.log.sqlite.database import make_database
from bus.log.sqlite.pages import PageSlots
from bus.log.sqlite.store import SqliteEntryStore
from tests.log.delivery_rows_contract import DeliveryRowsContract
from tests.log.entry_store_contract import EntryStoreContract, StoreDisk
from tests.log.memory_entry_store import MemoryDisk, MemoryEntryStore


class _MemoryDisk(StoreDisk):
    def __init__(self) -> None:
        self._disk = MemoryDisk()

    def open(self) -> MemoryEntryStore:
        return MemoryEntryStore(self._disk)

    def fail(self, *, is_done: bool) -> None:
        self._disk.fails_before, self._disk.fails_after = not is_done, is_done

    def recover(self) -> None:
        self._disk.fails_before = self._disk.fails_after = False


class TestMemoryEntryStore(EntryStoreContract, DeliveryRowsContract):
    """The one that stands in for a database in tests."""

    @pytest.fixture
    def disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoreDisk:
        return _MemoryDisk()


class _SqliteDisk(StoreDisk):
    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder.mkdir()
        make_database(folder)
        PageSlots(folder).recover()
        self._folder = folder
        self._monkeypatch = monkeypatch
        self._real = batches.commit_batch
        self._rewrite_epoch = batches.rewrite_epoch

    def open(self) -> SqliteEntryStore:
        return SqliteEntryStore(self._folder)

    def fail(self, *, is_done: bool) -> None:
        def commit_batch(connection: sqlite3.Connection, *arguments: Any) -> Any:
            if is_done:
                self._real(connection, *arguments)
            else:
                # Half of it is in the transaction when the disk fails.
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("INSERT INTO entries VALUES (?, ?)", (arguments[1], b"{}"))
            raise sqlite3.OperationalError("disk I/O error")

        def rewrite_epoch(connection: sqlite3.Connection, epoch: int) -> None:
            if is_done:
                self._rewrite_epoch(connection, epoch)
            raise sqlite3.OperationalError("disk I/O error")

        self._monkeypatch.setattr(store, "commit_batch", commit_batch)
        self._monkeypatch.setattr(store, "rewrite_epoch", rewrite_epoch)

    def recover(self) -> None:
        self._monkeypatch.setattr(store, "commit_batch", self._real)
        self._monkeypatch.setattr(store, "rewrite_epoch", self._rewrite_epoch)


class TestSqliteEntryStore(EntryStoreContract, DeliveryRowsContract):
    """The embedded default."""

    @pytest.fixture
    def disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoreDisk:
        return _SqliteDisk(tmp_path / "log", monkeypatch)
