"""Take a whole log into a PostgreSQL database, in one transaction."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg

from bus.core.errors import ConfigurationError, LogCorrupt, Problem
from bus.log.postgres.connection import Connection, connect, failures_of
from bus.log.postgres.upgrade import require_durability, require_version
from bus.log.row_values import ROW_COLUMNS
from bus.settings.postgres import PostgresSettings


@dataclass(frozen=True, slots=True)
class _Table:
    name: LiteralString
    columns: tuple[LiteralString, ...]
    """Those of a row as it arrives."""
    types: tuple[str, ...]


_SEALED: tuple[LiteralString, LiteralString] = ("ciphertext", "wrapped_key")
_TABLES = {
    one.name: one
    for one in (
        _Table("entries", ("idx", "leaf"), ("int8", "bytea")),
        _Table("payloads", ("idx", *_SEALED), ("int8", "bytea", "bytea")),
        _Table(
            "inbox",
            ("key", "digest", "state", "received_idx", "outcome_idx"),
            ("bytea", "bytea", "int2", "int8", "int8"),
        ),
        _Table("texts", ("digest", "text"), ("bytea", "bytea")),
        _Table(
            "deliveries",
            ROW_COLUMNS,
            (
                *("int8", "int4", "text", "text", "int2", "int4", "int4", "bool", "int8", "int8"),
                *("bytea", "int8", "bool", "bytea", "int8", "int4", "bytea", "int8", "bool"),
            ),
        ),
        _Table(
            "carried", ("received_idx", "ciphertext", "wrapped_key"), ("int8", "bytea", "bytea")
        ),
        _Table("related", ("received_idx", "idx"), ("int8", "int8")),
        _Table(
            "receipts",
            ("sender", "idx", "received_idx", "position"),
            ("text", "int8", "int8", "int4"),
        ),
    )
}
_ARRIVED_TEXTS = "CREATE TEMP TABLE arrived_texts (digest bytea, text bytea) ON COMMIT DROP"
_KEEP_TEXTS = "INSERT INTO texts SELECT digest, text FROM arrived_texts ON CONFLICT DO NOTHING"
_ADD = "INSERT INTO origins (name) VALUES (%s) ON CONFLICT (name) DO NOTHING"
_LOCK = "SELECT number, size FROM origins WHERE name = %s FOR UPDATE"
_SET_SIZE = "UPDATE origins SET size = %s, owner = NULL, lease = '-infinity' WHERE number = %s"
_LEAVES = "SELECT leaf FROM entries WHERE origin = %s ORDER BY idx"


class ArrivingLog:
    """A place for one log in a database; what is put there stands when this is closed well."""

    def __init__(self, connection: Connection, number: int, size: int) -> None:
        """Use `open_arriving`."""
        self._connection = connection
        self._number = number
        self.size = size
        """Entries that were there before: more than none after a move that was not finished."""

    def put(self, table: str, rows: Iterator[Sequence[Any]]) -> int:
        """Put every row of a table there; give how many. Raises psycopg.Error."""
        shape = _TABLES[table]
        columns: LiteralString = ", ".join(shape.columns)
        if table == "texts":
            # Other logs may have kept the same.
            self._connection.execute(_ARRIVED_TEXTS)
            count = self._copy("arrived_texts", columns, shape.types, (), rows)
            self._connection.execute(_KEEP_TEXTS)
            return count
        with_origin: LiteralString = f"origin, {columns}"
        return self._copy(shape.name, with_origin, ("int4", *shape.types), (self._number,), rows)

    def _copy(
        self,
        name: LiteralString,
        columns: LiteralString,
        types: Sequence[str],
        before: tuple[int, ...],
        rows: Iterator[Sequence[Any]],
    ) -> int:
        count = 0
        is_truth = [one == "bool" for one in types[len(before) :]]
        statement: LiteralString = f"COPY {name} ({columns}) FROM STDIN (FORMAT BINARY)"
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types(types)
            for row in rows:
                values = (
                    bool(value) if is_bool else value
                    for value, is_bool in zip(row, is_truth, strict=True)
                )
                copy.write_row((*before, *values))
                count += 1
        return count

    def count(self, table: str) -> int:
        """How many rows of the log a table has, seen from here. Raises psycopg.Error."""
        name = _TABLES[table].name
        statement: LiteralString = f"SELECT count(*) FROM {name} WHERE origin = %s"  # noqa: S608
        row = self._connection.execute(statement, (self._number,)).fetchone()
        assert row is not None
        return int(row[0])

    def has_text(self, digest: bytes) -> bool:
        """Whether a text lies there. Raises psycopg.Error."""
        statement = "SELECT 1 FROM texts WHERE digest = %s"
        return self._connection.execute(statement, (digest,)).fetchone() is not None

    def leaves(self) -> Iterator[bytes]:
        """Of every entry that is there now, in order. Raises psycopg.Error."""
        with self._connection.cursor(name="arrived") as cursor:
            cursor.itersize = 4096
            cursor.execute(_LEAVES, (self._number,), binary=True)
            for (leaf,) in cursor:
                yield leaf

    def set_size(self, size: int) -> None:
        """Say how many entries there are. Raises psycopg.Error."""
        self._connection.execute(_SET_SIZE, (size, self._number))


@contextlib.contextmanager
def open_arriving(settings: PostgresSettings, origin: str) -> Iterator[ArrivingLog]:
    """A transaction for one log: nothing of it stands if anything is raised.

    Raises LogUnavailable, LogCorrupt, ConfigurationError.
    """
    with failures_of(settings), connect(settings, "move") as connection:
        require_version(settings, connection)
        require_durability(connection)
        with connection.transaction():
            connection.execute(_ADD, (origin,))
            row = connection.execute(_LOCK, (origin,)).fetchone()
            assert row is not None
            try:
                yield ArrivingLog(connection, *row)
            except psycopg.errors.UniqueViolation as error:
                problem = "another log of this database has taken an id of this one, too"
                raise ConfigurationError([Problem(settings.shown, "", problem)]) from error


def differing(origin: str, what: str, here: object, there: object) -> LogCorrupt:
    """What arrived is not what left."""
    return LogCorrupt(f"{origin}: {what}: {there} arrived, {here} were sent; nothing was moved")
