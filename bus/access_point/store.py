"""Keep what an access point must not forget: signed requests for repeats, receipts, bad answers.

One SQLite file below a folder that only its owner may read. A signed request is kept while its
signature holds and then erased, for it holds personal data; a receipt is kept for years.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bus.core.errors import ConfigurationError, EvidenceUnavailable, Problem
from bus.core.log.receipts import Receipt
from bus.core.log.submission_receipts import AcceptanceReceipt
from bus.runtime.found_files import why_unfit

FILE = "exchanges.sqlite"
KEPT_REQUESTS_MAX = 100_000
"""Signed requests that are kept at one time; the oldest go first."""
_BUSY_SECONDS = 5.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_TABLES = """
CREATE TABLE IF NOT EXISTS requests (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    client TEXT NOT NULL, message_id TEXT NOT NULL, plain_digest BLOB NOT NULL,
    signed BLOB NOT NULL, expires INTEGER NOT NULL,
    UNIQUE (client, message_id, plain_digest)
);
CREATE INDEX IF NOT EXISTS requests_by_expiry ON requests (expires);
CREATE TABLE IF NOT EXISTS receipts (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    time INTEGER NOT NULL, client TEXT NOT NULL, message_id TEXT NOT NULL,
    request_digest BLOB NOT NULL, outcome_index INTEGER NOT NULL, note TEXT NOT NULL,
    UNIQUE (request_digest, outcome_index)
);
CREATE TABLE IF NOT EXISTS rejected (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    time INTEGER NOT NULL, client TEXT NOT NULL, message_id TEXT NOT NULL,
    reason TEXT NOT NULL, request BLOB NOT NULL, answer BLOB NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class ExchangeName:
    """A plain request: who sent it under which id, and the digest of its bytes."""

    client: str
    message_id: str
    plain_digest: bytes


@dataclass(frozen=True, slots=True)
class StoreBounds:
    """How much is kept."""

    receipts_max: int
    rejected_answers_max: int


@dataclass(frozen=True, slots=True)
class KeptReceipt:
    """A receipt with what it is about."""

    client: str
    message_id: str
    time: datetime
    note: bytes = field(repr=False)


class ExchangeStore:
    """Owns one connection; safe to use from several threads."""

    def __init__(self, connection: sqlite3.Connection, bounds: StoreBounds) -> None:
        """Use `open`."""
        self._connection = connection
        self._bounds = bounds
        self._lock = threading.Lock()

    @classmethod
    def open(cls, folder: Path, bounds: StoreBounds) -> ExchangeStore:
        """Open or make the store of a folder. Raises ConfigurationError."""
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            (folder / FILE).touch(mode=0o600)
            connection = sqlite3.connect(
                folder / FILE,
                timeout=_BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"):
                connection.execute(f"PRAGMA {pragma}")
            connection.executescript(_TABLES)
        except (OSError, sqlite3.Error) as error:
            message = f"cannot keep evidence here: {error}"
            raise ConfigurationError([Problem(str(folder), "", message)]) from error
        return cls(connection, bounds)

    @classmethod
    def open_to_read(cls, folder: Path) -> ExchangeStore:
        """Open the store of an access point that may be at work. Raises ConfigurationError."""
        if not os.path.lexists(folder / FILE):
            message = "no access point kept anything here"
            raise ConfigurationError([Problem(str(folder / FILE), "", message)])
        for suffix in ("", "-wal", "-shm", "-journal"):
            path = folder / f"{FILE}{suffix}"
            if why := why_unfit(path):
                raise ConfigurationError([Problem(str(path), "", why)])
        # Only what is written is held to bounds; nothing is written here.
        return cls.open(folder, StoreBounds(receipts_max=0, rejected_answers_max=0))

    def find_request(self, name: ExchangeName, now: datetime) -> bytes | None:
        """The signed bytes of an earlier try, as long as their signature holds."""
        with self._reading() as connection:
            row = connection.execute(
                "SELECT signed FROM requests WHERE client = ? AND message_id = ?"
                " AND plain_digest = ? AND expires > ?",
                (name.client, name.message_id, name.plain_digest, _seconds(now)),
            ).fetchone()
        return None if row is None else bytes(row[0])

    def keep_request(
        self, name: ExchangeName, signed: bytes, *, now: datetime, expires: datetime
    ) -> bytes:
        """The signed bytes to send: these, or those that another thread kept a moment before.

        They are on disk and synced: if we stop after they were sent, a repeated request finds
        them, and the hub gives the first answer again.
        """
        with self._transaction() as connection:
            # What has expired goes here and now: it holds what somebody asked about somebody.
            connection.execute("DELETE FROM requests WHERE expires <= ?", (_seconds(now),))
            connection.execute(
                "INSERT OR IGNORE INTO requests"
                " (client, message_id, plain_digest, signed, expires) VALUES (?, ?, ?, ?, ?)",
                (name.client, name.message_id, name.plain_digest, signed, _seconds(expires)),
            )
            _keep_newest(connection, "requests", KEPT_REQUESTS_MAX)
            row = connection.execute(
                "SELECT signed FROM requests WHERE client = ? AND message_id = ?"
                " AND plain_digest = ?",
                (name.client, name.message_id, name.plain_digest),
            ).fetchone()
        return bytes(row[0])

    def keep_receipt(
        self, name: ExchangeName, receipt: Receipt | AcceptanceReceipt, note: bytes
    ) -> None:
        """Keep a receipt; the same one is kept once. It is on disk and synced."""
        # A message that was accepted is known by the entry that holds it.
        index = receipt.outcome_index if isinstance(receipt, Receipt) else receipt.received_index
        with self._transaction() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO receipts"
                " (time, client, message_id, request_digest, outcome_index, note)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    _seconds(receipt.time),
                    name.client,
                    name.message_id,
                    receipt.request_digest,
                    index,
                    note.decode("utf-8"),
                ),
            )
            _keep_newest(connection, "receipts", self._bounds.receipts_max)

    def keep_rejected(
        self, name: ExchangeName, request: bytes, answer: bytes, reason: str, now: datetime
    ) -> None:
        """Keep an answer that was not proved, with what it should have answered."""
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO rejected (time, client, message_id, reason, request, answer)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (_seconds(now), name.client, name.message_id, reason, request, answer),
            )
            _keep_newest(connection, "rejected", self._bounds.rejected_answers_max)

    def receipts(self, message_id: str = "") -> list[KeptReceipt]:
        """Every receipt that is kept, or those of one message, oldest first."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT client, message_id, time, note FROM receipts"
                " WHERE ? IN ('', message_id) ORDER BY number",
                (message_id,),
            ).fetchall()
        try:
            return [
                KeptReceipt(client, one, _EPOCH + seconds * _SECOND, note.encode("utf-8"))
                for client, one, seconds, note in rows
            ]
        except (AttributeError, TypeError, ValueError, OverflowError) as error:
            raise EvidenceUnavailable("a row does not hold what it should") from error

    def rejected_count(self) -> int:
        """How many answers that were not proved are kept."""
        with self._reading() as connection:
            count: int = connection.execute("SELECT count(*) FROM rejected").fetchone()[0]
        return count

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """One statement that only reads: it waits for nobody else's write. Raises
        EvidenceUnavailable."""
        with self._lock:
            try:
                yield self._connection
            except sqlite3.Error as error:
                raise EvidenceUnavailable(str(error)) from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """One transaction; when the block ends it is on disk and synced.

        Raises EvidenceUnavailable.
        """
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self._connection
                    self._connection.execute("COMMIT")
                except BaseException:
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise EvidenceUnavailable(str(error)) from error


def _keep_newest(connection: sqlite3.Connection, table: str, rows_max: int) -> None:
    newest = f"SELECT max(number) FROM {table}"  # noqa: S608 - our own table names
    connection.execute(
        f"DELETE FROM {table} WHERE number <= ({newest}) - ?",  # noqa: S608
        (rows_max,),
    )


def _seconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _SECOND
