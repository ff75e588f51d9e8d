"""The store in PostgreSQL passes the contract of every store, on a server of the tests' own."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from bus.log.postgres import batches, origins, store
from bus.log.postgres.connection import Connection
from bus.log.postgres.origins import Ownership
from bus.log.postgres.store import PostgresEntryStore
from bus.settings.postgres import PostgresSettings
from tests.log.delivery_rows_contract import DeliveryRowsContract
from tests.log.entry_store_contract import EntryStoreContract, StoreDisk


class _PostgresDisk(StoreDisk):
    """One hub that comes again and again: it waits for no lease of its own."""

    def __init__(self, settings: PostgresSettings, monkeypatch: pytest.MonkeyPatch) -> None:
        self._settings = settings
        self._monkeypatch = monkeypatch
        self._commit_batch = batches.commit_batch
        self._renew = origins.renew

    def open(self) -> PostgresEntryStore:
        return PostgresEntryStore(self._settings, "log.example/a", "hub-a")

    def fail(self, *, is_done: bool) -> None:
        def commit_batch(connection: Connection, *arguments: Any) -> Any:
            if is_done:
                self._commit_batch(connection, *arguments)
            # What a server that goes away leaves us with.
            connection.close()
            raise psycopg.OperationalError("server closed the connection unexpectedly")

        def renew(connection: Connection, owned: Ownership) -> None:
            if is_done:
                self._renew(connection, owned)
            connection.close()
            raise psycopg.OperationalError("server closed the connection unexpectedly")

        self._monkeypatch.setattr(store, "commit_batch", commit_batch)
        self._monkeypatch.setattr(store, "renew", renew)

    def recover(self) -> None:
        self._monkeypatch.setattr(store, "commit_batch", self._commit_batch)
        self._monkeypatch.setattr(store, "renew", self._renew)


class TestPostgresEntryStore(EntryStoreContract, DeliveryRowsContract):
    """A server's tables."""

    @pytest.fixture
    def disk(self, log_database: PostgresSettings, monkeypatch: pytest.MonkeyPatch) -> StoreDisk:
        return _PostgresDisk(log_database, monkeypatch)
