"""Read the rows of one log of a PostgreSQL database, whatever they hold, as one snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, LiteralString

import psycopg

from bus.audit.row_forms import entry_of, inbox_row_of, open_row_of, receipt_of, text_of
from bus.core.errors import LogCorrupt
from bus.core.ports.log_source import InboxRow, OpenRow, RowsLost, UnseenReceipt
from bus.core.ports.message_log import StoredEntry
from bus.log.postgres.connection import Connection, words_of

_ROWS_AT_ONCE = 32
"""A payload may be as large as a message."""
_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_COLUMNS = (
    "SELECT idx, leaf, ciphertext, wrapped_key FROM entries LEFT JOIN payloads USING (origin, idx) "
    "WHERE origin = %s"
)
_SCAN = f"{_COLUMNS} ORDER BY idx"
_RANGE = f"{_COLUMNS} AND idx >= %s AND idx < %s ORDER BY idx"
_HOLDING = f"{_COLUMNS} AND position(%s IN leaf) > 0 AND idx >= %s ORDER BY idx"
_SIZE = "SELECT coalesce(max(idx) + 1, 0) FROM entries WHERE origin = %s"
_COUNT = "SELECT count(*) FROM entries WHERE origin = %s"
_INBOX = "SELECT received_idx, outcome_idx, state FROM inbox WHERE origin = %s"
_DELIVERIES = (
    "SELECT received_idx, position, recipient, state, attempt, doubt FROM deliveries "
    "WHERE origin = %s"
)
_RECEIPTS: LiteralString = (
    "SELECT sender, idx, received_idx, position FROM receipts WHERE origin = %s"
)
_TEXTS = "SELECT digest, text FROM texts"
_TEXT = "SELECT text FROM texts WHERE digest = %s"
_ORPHANS = (
    "SELECT idx FROM payloads p WHERE origin = %s AND NOT EXISTS (SELECT 1 FROM entries e "
    "WHERE e.origin = p.origin AND e.idx = p.idx) ORDER BY idx"
)


class PostgresRows:
    """Implements `bus.core.ports.log_source.LogRows` in one transaction of its own connection."""

    def __init__(self, connection: Connection, origin: int) -> None:
        """Of the log with this number. Raises psycopg.Error."""
        self._connection = connection
        self._origin = origin
        self._cursors = 0
        connection.execute(_SNAPSHOT)
        # The snapshot is that of the first question.
        connection.execute("SELECT 1 FROM origins LIMIT 1")

    @property
    def size(self) -> int:
        """One more than the largest index of an entry. Raises LogCorrupt."""
        for (size,) in self._looked_up(_SIZE, self._origin):
            return int(size)
        return 0

    # --- a check of all ---------------------------------------------------------------------------

    def count(self) -> int:
        """How many entries there are. Raises RowsLost."""
        ((total,),) = self._scanned(_COUNT, self._origin)
        return int(total)

    def scan(self) -> Iterator[StoredEntry | None]:
        """Every entry in order. Raises RowsLost."""
        return map(entry_of, self._scanned(_SCAN, self._origin))

    def inbox(self) -> Iterator[InboxRow | None]:
        """Every row of the inbox. Raises RowsLost."""
        return map(inbox_row_of, self._scanned(_INBOX, self._origin))

    def deliveries(self) -> Iterator[OpenRow | None]:
        """Every row of an open delivery. Raises RowsLost."""
        return map(open_row_of, self._scanned(_DELIVERIES, self._origin))

    def receipts(self) -> Iterator[UnseenReceipt | None]:
        """Every row of a receipt. Raises RowsLost."""
        return map(receipt_of, self._scanned(_RECEIPTS, self._origin))

    def texts(self) -> Iterator[tuple[bytes, bytes] | None]:
        """Every text with its digest, of all logs of the database. Raises RowsLost."""
        return map(text_of, self._scanned(_TEXTS))

    def orphans(self) -> Iterator[int]:
        """Payloads without an entry. Raises RowsLost."""
        for (index,) in self._scanned(_ORPHANS, self._origin):
            yield index or 0

    def _scanned(self, statement: LiteralString, *values: Any) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._rows(statement, values)
        except psycopg.Error as error:
            words = f"the database cannot be read from here on: {words_of(error)}"
            raise RowsLost(words) from error

    # --- looking something up ---------------------------------------------------------------------

    def entries(self, first: int, end: int) -> Iterator[StoredEntry]:
        """Entries [first, end). Raises LogCorrupt."""
        return map(_sound_entry, self._looked_up(_RANGE, self._origin, first, end))

    def entries_holding(self, mark: bytes, first: int = 0) -> Iterator[StoredEntry]:
        """Entries whose leaf holds these bytes. Raises LogCorrupt."""
        return map(_sound_entry, self._looked_up(_HOLDING, self._origin, mark, first))

    def text(self, digest: bytes) -> bytes | None:
        """The text under this digest. Raises LogCorrupt."""
        for (text,) in self._looked_up(_TEXT, digest):
            if type(text) is not bytes:
                raise LogCorrupt("texts: a configuration text is not stored as bytes")
            return text
        return None

    def _looked_up(self, statement: LiteralString, *values: Any) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._rows(statement, values)
        except psycopg.Error as error:
            raise LogCorrupt(f"the database cannot be read: {words_of(error)}") from error

    def _rows(self, statement: LiteralString, values: tuple[Any, ...]) -> Iterator[Any]:
        self._cursors += 1
        with self._connection.cursor(name=f"rows_{self._cursors}") as cursor:
            cursor.itersize = _ROWS_AT_ONCE
            yield from cursor.execute(statement, values, binary=True)


def _sound_entry(row: tuple[Any, ...]) -> StoredEntry:
    entry = entry_of(row)
    if entry is None:
        raise LogCorrupt("entries: a row does not hold what it should")
    return entry
