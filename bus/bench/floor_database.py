"""Commit messages and outcomes in shared transactions of PostgreSQL: the floor's one table."""

from __future__ import annotations

import psycopg

from bus.bench.floor_store import FloorWriter, Stored

_TABLE = "CREATE TABLE exchanges (place bigserial PRIMARY KEY, request bytea, answer bytea)"
_INSERT = "INSERT INTO exchanges (request, answer) SELECT * FROM unnest(%b::bytea[], %b::bytea[])"


class FloorDatabase(FloorWriter):
    """As FloorStore, in a database that is empty. Owns its connection."""

    def __init__(self, dsn: str) -> None:
        # Each statement is a transaction: one round trip for each batch, prepared once.
        self._connection = psycopg.connect(dsn, autocommit=True, prepare_threshold=0)
        self._connection.execute(_TABLE)
        super().__init__()

    def _write(self, batch: list[Stored]) -> None:
        values = [one.request for one in batch], [one.answer for one in batch]
        self._connection.execute(_INSERT, values)

    def _release(self) -> None:
        self._connection.close()
