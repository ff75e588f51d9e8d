"""Keep entries and what stands beside them in a log's SQLite database: implements `LogStore`."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bus.core.deliveries import DeliveryChange, ReceiptRemoval
from bus.core.errors import LogCorrupt, LogUnavailable
from bus.core.log.leaf import text_of_digest
from bus.core.ports.delivery_rows import DeliveryRows
from bus.core.ports.entry_store import CommitResult, Fenced, OpenClaim
from bus.core.ports.message_log import (
    AlreadyTaken,
    Appended,
    Claim,
    LogWrite,
    SealedPayload,
    StoredEntry,
)
from bus.log.files import DATABASE, WAL
from bus.log.row_values import met_claim
from bus.log.sqlite.batches import (
    OPEN_NUMBER,
    commit_batch,
    delete_receipts,
    insert_text,
    prepare_batches,
    rewrite_epoch,
)
from bus.log.sqlite.database import (
    Fold,
    close_writing,
    entry_count,
    open_reading,
    open_writing,
    take_over,
)
from bus.log.sqlite.delivery_rows import SqliteDeliveryRows

FOLD_BYTES = 8 * 1024 * 1024
"""Size of the write-ahead log from which on it is folded into the database file."""
_ROWS_AT_ONCE = 4096

_ENTRY = (
    "SELECT leaf, ciphertext, wrapped_key FROM entries LEFT JOIN payloads USING (idx) WHERE idx = ?"
)
_NAMING = "SELECT 1 FROM entries WHERE instr(leaf, ?) > 0 LIMIT 1"
_CLAIMED = "SELECT digest, state, received_idx, outcome_idx FROM inbox WHERE key = ?"
_TEXT = "SELECT text FROM texts WHERE digest = ?"
_OPEN_CLAIMS = "SELECT key, received_idx FROM inbox WHERE state = ? ORDER BY received_idx"
# One row for thousands of leaves: each row fetched is a chance to wait for the interpreter.
# A leaf is canonical JSON and holds no raw newline.
_LEAVES = (
    "SELECT CAST(group_concat(leaf, x'0a') AS BLOB) "
    "FROM (SELECT leaf FROM entries WHERE idx >= ? AND idx < ? ORDER BY idx)"
)


class SqliteEntryStore:
    """Owns the connections to one database and its fold.

    The writing connection serves the thread that commits; the reading ones serve whoever reads
    entries, whoever reads leaves, and whoever looks at deliveries, one call at a time each.
    """

    def __init__(self, folder: Path) -> None:
        """Open the database, finish what an earlier run left, fence off other writers.

        The caller holds the folder's lock. Raises LogUnavailable, LogCorrupt.
        """
        self._folder = folder
        self._trouble = ""
        self._is_fenced = False
        self._tail_is_doubtful = True
        """The write-ahead log may end in frames of a failed commit."""
        self._fold_from_bytes = FOLD_BYTES
        self._reading = threading.Lock()
        """Guards `_reader`."""
        with contextlib.ExitStack() as resources, failures_of(folder / DATABASE):
            self._writing = open_writing(folder)
            resources.callback(close_writing, folder, self._writing)
            self._fold = Fold(folder, self._writing)
            resources.callback(self._fold.close)
            self._fold_now()
            self._epoch = take_over(self._writing)
            self._size = entry_count(self._writing)
            rows = self._writing.execute(_OPEN_CLAIMS, (OPEN_NUMBER,))
            self._left_open = [OpenClaim(bytes(key), index) for key, index in rows]
            self._received_of = {one.key: one.received_index for one in self._left_open}
            """Entries that received the claims without an outcome."""
            prepare_batches(self._writing)
            resources.callback(self._fold_at_last)
            self._reader = open_reading(folder)
            resources.callback(self._reader.close)
            self._leaf_reader = open_reading(folder)
            resources.callback(self._leaf_reader.close)
            self._deliveries = SqliteDeliveryRows(folder)
            resources.callback(self._deliveries.close)
            self._resources = resources.pop_all()

    @property
    def size(self) -> int:
        """Committed entries."""
        return self._size

    @property
    def stored_bytes(self) -> int:
        """Of the database and its write-ahead log."""
        return sum(_bytes_of(self._folder / name) for name in (DATABASE, WAL))

    @property
    def trouble(self) -> str:
        """Why the last commit or fold failed; empty since the last commit."""
        return self._trouble

    @property
    def is_fenced(self) -> bool:
        """Another store has the log."""
        return self._is_fenced

    @property
    def deliveries(self) -> DeliveryRows:
        """What is open, to be looked at, from any thread."""
        return self._deliveries

    def open_claims(self) -> list[OpenClaim]:
        """What was left without an outcome when the store was opened, oldest first."""
        return list(self._left_open)

    def commit(self, works: Sequence[LogWrite | DeliveryChange]) -> list[CommitResult]:
        """Append a batch; see `EntryStore.commit`. Raises LogUnavailable, Fenced."""
        with self._committing():
            results = commit_batch(self._writing, works, self._size, self._epoch, self._received_of)
        self._size += sum(isinstance(result, Appended) for result in results)
        if any(isinstance(one, LogWrite) and one.erases is not None for one in works):
            self._fold_from_bytes = 0  # what was erased must leave the write-ahead log too
        return results

    def keep_text(self, text: bytes) -> bytes:
        """Keep a text, once; see `EntryStore.keep_text`. Raises LogUnavailable, Fenced."""
        with self._committing():
            return insert_text(self._writing, text)

    def remove_receipts(self, removal: ReceiptRemoval) -> int:
        """Remove receipts; see `EntryStore.remove_receipts`. Raises LogUnavailable, Fenced."""
        with self._committing():
            return delete_receipts(self._writing, removal, self._epoch)

    def prove(self) -> None:
        """Write the epoch as it is; see `EntryStore.prove`. Raises LogUnavailable, Fenced."""
        with self._committing():
            rewrite_epoch(self._writing, self._epoch)

    def tend(self) -> None:
        """Fold the write-ahead log into the database file when it has grown."""
        if self._is_fenced:
            return
        try:
            wal_bytes = self._fold.wal_bytes()
            if wal_bytes < self._fold_from_bytes:
                return
            # Not possible now (a reader, a full disk): tried again when it has grown as much.
            self._fold_from_bytes = wal_bytes + FOLD_BYTES
            if self._fold.fold(is_checked=self._tail_is_doubtful):
                self._fold_from_bytes = FOLD_BYTES
        except _FAILURES as error:
            self._trouble = _words_of(error)
            self._tail_is_doubtful = True

    def entry(self, index: int) -> StoredEntry | None:
        """The entry at `index`; None: there is none. Raises LogCorrupt, LogUnavailable."""
        row = self._fetch(_ENTRY, index)
        if row is None:
            return None
        leaf, ciphertext, wrapped_key = row
        sealed = None if ciphertext is None else SealedPayload(ciphertext, wrapped_key)
        return StoredEntry(index, leaf, sealed)

    def claimed(self, claim: Claim) -> AlreadyTaken | None:
        """What would meet a claim; see `EntryStore.claimed`. Raises LogUnavailable."""
        row = self._fetch(_CLAIMED, claim.key)
        return None if row is None else met_claim(claim, *row)

    def entry_elsewhere(self, origin: str, index: int) -> StoredEntry | None:
        """None: one log lies in a folder."""
        return None

    def leaves(self, first: int, end: int) -> Iterator[bytes]:
        """The leaves of entries [first, end). Raises LogCorrupt, LogUnavailable."""
        with failures_of(self._folder / DATABASE):
            yield from read_leaves(self._leaf_reader, first, end)

    def text(self, digest: bytes) -> bytes | None:
        """The text with this SHA-256; None: there is none. Raises LogCorrupt, LogUnavailable."""
        row = self._fetch(_TEXT, digest)
        return None if row is None else bytes(row[0])

    def names_attachments(self, stored: bytes) -> bool:
        """Whether an entry names this digest. Raises LogCorrupt, LogUnavailable."""
        mark = f'"stored":"{text_of_digest(stored)}"'.encode()
        return self._fetch(_NAMING, mark) is not None

    def close(self) -> None:
        """Fold what was committed and release every file."""
        try:
            self._resources.close()
        except _FAILURES as error:
            # The disk is gone: what was promised is on it, and there is nothing more to be done.
            self._trouble = _words_of(error)

    @contextlib.contextmanager
    def _committing(self) -> Iterator[None]:
        """One transaction: whatever fails in it is ours to tell, and leaves no half of it."""
        if self._is_fenced:
            raise Fenced("another hub took over this log")
        try:
            if self._tail_is_doubtful:
                # After a failed commit: put the files in order before anything is promised again.
                self._fold_now()
                self._size = entry_count(self._writing)
                self._received_of = {}  # a commit may have been lost, or only its confirmation
            yield
        except Fenced as error:
            self._trouble = _words_of(error)
            self._is_fenced = True
            self._roll_back()
            raise
        except _FAILURES as error:
            self._trouble = _words_of(error)
            self._tail_is_doubtful = True
            self._roll_back()
            raise LogUnavailable(self._trouble) from error
        self._trouble = ""

    def _roll_back(self) -> None:
        # Some errors roll back by themselves; a second rollback would be an error of its own.
        if self._writing.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self._writing.execute("ROLLBACK")

    def _fold_now(self) -> None:
        # A verifier may hold the pages for minutes; only a torn tail cannot wait for it.
        if not self._fold.fold(is_checked=True) and not self._fold.is_whole():
            raise LogUnavailable("a reader keeps the log from being put in order")
        self._tail_is_doubtful = False

    def _fold_at_last(self) -> None:
        # If it fails, the next start folds; nothing is lost.
        if not self._is_fenced:
            self._fold.fold(is_checked=self._tail_is_doubtful)

    def _fetch(self, statement: str, key: int | bytes) -> tuple[Any, ...] | None:
        with failures_of(self._folder / DATABASE), self._reading:
            row: tuple[Any, ...] | None = self._reader.execute(statement, (key,)).fetchone()
        return row


_FAILURES = (sqlite3.Error, OSError, LogUnavailable, LogCorrupt)
"""What can go wrong between us and the disk."""


def read_leaves(connection: sqlite3.Connection, first: int, end: int) -> Iterator[bytes]:
    """The leaves of entries [first, end). Raises sqlite3.Error, LogCorrupt."""
    for start in range(first, end, _ROWS_AT_ONCE):
        stop = min(start + _ROWS_AT_ONCE, end)
        (joined,) = connection.execute(_LEAVES, (start, stop)).fetchone()
        leaves = (joined or b"").split(b"\n")
        if len(leaves) != stop - start:
            raise LogCorrupt(f"entries {start} to {stop - 1}: a row is missing or is no leaf")
        yield from leaves


@contextlib.contextmanager
def failures_of(database: Path) -> Iterator[None]:
    """Turn what SQLite and the system say into what the log says."""
    try:
        yield
    except sqlite3.Error as error:
        failure = LogCorrupt if _is_damage(error) else LogUnavailable
        raise failure(f"{database}: {error}") from error
    except OSError as error:
        raise LogUnavailable(f"{error.filename or database}: {error.strerror}") from error


def _is_damage(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _words_of(error: Exception) -> str:
    if isinstance(error, LogUnavailable | LogCorrupt):
        return error.detail or type(error).__name__
    return str(error) or type(error).__name__


def _bytes_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
