"""Read the rows of a log's database, whatever it holds."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bus.audit.row_forms import entry_of, inbox_row_of, open_row_of, receipt_of, text_of
from bus.audit.sqlite.folder import bound_work
from bus.core.errors import LogCorrupt
from bus.core.ports.log_source import InboxRow, OpenRow, RowsLost, UnseenReceipt
from bus.core.ports.message_log import StoredEntry
from bus.log.files import DATABASE
from bus.log.sqlite.database import entry_count

DAMAGED = (sqlite3.Error, UnicodeDecodeError)
"""What reading a damaged database raises; the second: a message about damage."""
_COLUMNS = "SELECT idx, leaf, ciphertext, wrapped_key FROM entries LEFT JOIN payloads USING (idx)"
_SCAN = f"{_COLUMNS} ORDER BY idx"
_RANGE = f"{_COLUMNS} WHERE idx >= ? AND idx < ? ORDER BY idx"
_HOLDING = f"{_COLUMNS} WHERE instr(leaf, ?) > 0 AND idx >= ? ORDER BY idx"
_COUNT = "SELECT coalesce(sum(1), 0) FROM entries"
"""count(*) would be counted in one step, which no bound ends."""
_INBOX = "SELECT received_idx, outcome_idx, state FROM inbox"
_DELIVERIES = "SELECT received_idx, position, recipient, state, attempt, doubt FROM deliveries"
_HAS_DELIVERIES = "SELECT 1 FROM sqlite_schema WHERE name = 'deliveries'"
"""A log of format 1 has none."""
_RECEIPTS = "SELECT recipient, number, received_idx, position FROM mailbox"
_TEXTS = "SELECT digest, text FROM texts"
_TEXT = "SELECT text FROM texts WHERE digest = ?"
_ORPHANS = (
    "SELECT idx FROM payloads WHERE NOT EXISTS (SELECT 1 FROM entries "
    "WHERE entries.idx = payloads.idx) ORDER BY idx"
)


class SqliteRows:
    """Implements `bus.core.ports.log_source.LogRows` in one transaction."""

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        """Raises sqlite3.Error."""
        self._folder = folder
        self._connection = connection
        self._bound()
        connection.execute("BEGIN")
        connection.execute("SELECT 1 FROM sqlite_schema").fetchone()

    @property
    def size(self) -> int:
        """One more than the largest index of an entry. Raises LogCorrupt."""
        try:
            return entry_count(self._connection)
        except DAMAGED as error:
            raise LogCorrupt(f"{DATABASE}: {error}") from error

    # --- a check of all: one bound for it ---------------------------------------------------------

    def count(self) -> int:
        """How many entries there are. Raises RowsLost."""
        ((total,),) = self._scanned(_COUNT)
        return int(total)

    def scan(self) -> Iterator[StoredEntry | None]:
        """Every entry in order. Raises RowsLost."""
        # One row at a time: a payload may be as large as a message.
        return map(entry_of, self._scanned(_SCAN))

    def inbox(self) -> Iterator[InboxRow | None]:
        """Every row of the inbox. Raises RowsLost."""
        return map(inbox_row_of, self._scanned(_INBOX))

    def deliveries(self) -> Iterator[OpenRow | None]:
        """Every row of an open delivery. Raises RowsLost."""
        if not list(self._scanned(_HAS_DELIVERIES)):
            return
        yield from map(open_row_of, self._scanned(_DELIVERIES))

    def receipts(self) -> Iterator[UnseenReceipt | None]:
        """Every row of a receipt. Raises RowsLost."""
        if not list(self._scanned(_HAS_DELIVERIES)):
            return
        yield from map(receipt_of, self._scanned(_RECEIPTS))

    def texts(self) -> Iterator[tuple[bytes, bytes] | None]:
        """Every text with its digest. Raises RowsLost."""
        return map(text_of, self._scanned(_TEXTS))

    def orphans(self) -> Iterator[int]:
        """Payloads without an entry. Raises RowsLost."""
        for (index,) in self._scanned(_ORPHANS):
            yield index or 0

    def _scanned(self, statement: str) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._connection.execute(statement)
        except DAMAGED as error:
            raise RowsLost(f"the database cannot be read from here on: {error}") from error

    # --- looking something up: a bound for each ---------------------------------------------------

    def entries(self, first: int, end: int) -> Iterator[StoredEntry]:
        """Entries [first, end). Raises LogCorrupt."""
        return self._looked_up(_RANGE, (first, end))

    def entries_holding(self, mark: bytes, first: int = 0) -> Iterator[StoredEntry]:
        """Entries whose leaf holds these bytes. Raises LogCorrupt."""
        return self._looked_up(_HOLDING, (mark, first))

    def text(self, digest: bytes) -> bytes | None:
        """The text under this digest. Raises LogCorrupt."""
        self._bound()
        try:
            row = self._connection.execute(_TEXT, (digest,)).fetchone()
        except DAMAGED as error:
            raise LogCorrupt(f"{DATABASE}: {error}") from error
        if row is not None and type(row[0]) is not bytes:
            raise LogCorrupt(f"{DATABASE}: a configuration text is not stored as bytes")
        return None if row is None else bytes(row[0])

    def _looked_up(self, statement: str, values: tuple[object, ...]) -> Iterator[StoredEntry]:
        self._bound()
        try:
            for row in self._connection.execute(statement, values):
                entry = entry_of(row)
                if entry is None:
                    raise LogCorrupt(f"{DATABASE}: a row does not hold what it should")
                yield entry
        except DAMAGED as error:
            raise LogCorrupt(f"{DATABASE}: {error}") from error

    def _bound(self) -> None:
        bound_work(self._connection, self._folder)
