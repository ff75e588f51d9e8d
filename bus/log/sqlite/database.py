"""Make, open and fold the log's SQLite database."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from bus.core.errors import LogCorrupt
from bus.log.files import (
    DATABASE,
    FOLD_LOCK,
    NEW,
    PAGES,
    WAL,
    FolderLock,
    store_files,
    sync_folder,
)
from bus.log.sqlite.pages import PageSlots, digest_database, digest_wal
from bus.log.sqlite.wal import FRAME_BYTES, WAL_HEADER_BYTES, mapped, scan_wal

FORMAT = 1
"""Of the database, the pages file and the leaves; a hub refuses a log of another format."""
CACHE_KIBIBYTES = 4 * 1024
"""What the writing connection keeps of the database, whatever the log's size."""
_BUSY_SECONDS = 0.2

# Keys of the inbox are random: each claim touches another page of its index. Everything else is in
# the order of entries, so that it touches the same few pages however large the log is.
_SCHEMA = """
CREATE TABLE entries (idx INTEGER PRIMARY KEY, leaf BLOB NOT NULL);
CREATE TABLE payloads (
    idx INTEGER PRIMARY KEY, ciphertext BLOB NOT NULL, wrapped_key BLOB NOT NULL
);
CREATE TABLE inbox (
    received_idx INTEGER PRIMARY KEY, key BLOB NOT NULL, digest BLOB NOT NULL,
    state INTEGER NOT NULL, outcome_idx INTEGER
);
CREATE UNIQUE INDEX inbox_key ON inbox (key);
CREATE INDEX inbox_open ON inbox (received_idx) WHERE state = 0;
CREATE TABLE texts (digest BLOB PRIMARY KEY, text BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""


def make_database(folder: Path) -> None:
    """Make an empty database and its `pages`. Raises OSError, sqlite3.Error."""
    path = folder / DATABASE
    new = path.with_name(path.name + NEW)
    new.unlink(missing_ok=True)
    connection = sqlite3.connect(new, isolation_level=None)
    try:
        connection.execute("PRAGMA page_size = 4096")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(_SCHEMA)
        connection.execute("INSERT INTO meta VALUES ('epoch', 0), ('format', ?)", (FORMAT,))
    finally:
        connection.close()
    store_files([(folder / PAGES, digest_database(new))])
    # If we stop here, there is no database yet, and the next start makes both again.
    new.replace(path)
    sync_folder(folder)


def open_writing(folder: Path) -> sqlite3.Connection:
    """The one connection that writes. Raises sqlite3.Error."""
    connection = sqlite3.connect(
        f"{(folder / DATABASE).as_uri()}?mode=rw",
        uri=True,
        isolation_level=None,
        check_same_thread=False,  # opened by the caller, then used by the writer's thread alone
        timeout=_BUSY_SECONDS,
        cached_statements=256,
    )
    for pragma in (
        "synchronous = FULL",  # NORMAL would lose acknowledged entries in a power cut
        "wal_autocheckpoint = 0",  # the database file changes in `Fold` only
        "secure_delete = ON",  # an erased payload leaves nothing behind in its pages
        "cell_size_check = ON",
        "trusted_schema = OFF",
        "cache_spill = OFF",  # nothing of a transaction reaches a file before its commit
        f"cache_size = -{CACHE_KIBIBYTES}",
    ):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def open_reading(folder: Path) -> sqlite3.Connection:
    """A connection that only reads, beside the one that writes. Raises sqlite3.Error."""
    connection = sqlite3.connect(
        f"{(folder / DATABASE).as_uri()}?mode=ro",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=_BUSY_SECONDS,
    )
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def close_writing(folder: Path, connection: sqlite3.Connection) -> None:
    """Close the writing connection without moving a page.

    The last connection to a database moves the write-ahead log when it closes, without regard to
    `pages`. If the log is not folded, a connection that cannot write is made the last one.
    Raises sqlite3.Error, OSError.
    """
    wal = folder / WAL
    if not wal.exists() or wal.stat().st_size == 0:
        connection.close()
        return
    last = open_reading(folder)
    last.execute("SELECT 1 FROM sqlite_schema").fetchone()
    connection.close()
    last.close()


def entry_count(connection: sqlite3.Connection) -> int:
    """How many entries are committed. Raises sqlite3.Error."""
    (last,) = connection.execute("SELECT max(idx) FROM entries").fetchone()
    return 0 if last is None else int(last) + 1


def take_over(connection: sqlite3.Connection) -> int:
    """Raise the fence: from here on a writer of an earlier epoch is refused; give the epoch.

    Raises sqlite3.Error, LogCorrupt.
    """
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        rows = dict(connection.execute("SELECT name, value FROM meta").fetchall())
        if rows.get("format") != FORMAT:
            raise LogCorrupt(f"{DATABASE}: format {rows.get('format')}, expected {FORMAT}")
        connection.execute("UPDATE meta SET value = value + 1 WHERE name = 'epoch'")
        return int(rows["epoch"]) + 1


class Fold:
    """Moves the write-ahead log into the database file. Used by the writer's thread alone."""

    __slots__ = ("_connection", "_folder", "_lock", "_slots", "_unsettled")

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        """Open the lock. Raises OSError."""
        self._folder = folder
        self._connection = connection
        self._slots = PageSlots(folder)
        self._lock = FolderLock(folder / FOLD_LOCK, is_made=True)
        self._unsettled: dict[int, bytes] = {}

    def wal_bytes(self) -> int:
        """How large the write-ahead log is. Raises OSError."""
        try:
            return (self._folder / WAL).stat().st_size
        except FileNotFoundError:
            return 0

    def fold(self, *, is_checked: bool) -> bool:
        """Move every commit into the database file and empty the write-ahead log.

        False: a reader needs both files as they are; try again later. `is_checked` proves the
        frames first, for a write-ahead log that may end in frames of a failed commit.
        Raises OSError, sqlite3.Error.
        """
        if self.wal_bytes() == 0:
            return True
        if not self._lock.take_alone():
            return False
        try:
            coming, page_count = digest_wal(self._folder / WAL, is_checked=is_checked)
            if coming:
                self._slots.begin_fold(coming)
            # Syncs the write-ahead log, writes the pages, syncs the database, cuts the log off.
            (busy, _, _) = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            self._unsettled |= coming
            if busy:
                return False
            if coming:
                self._slots.end_fold(self._unsettled, page_count)
                self._unsettled.clear()
            return True
        finally:
            self._lock.give_back()

    def is_whole(self) -> bool:
        """The write-ahead log ends with a commit, so that appending to it leaves nothing between.

        Raises OSError.
        """
        if self.wal_bytes() == 0:
            return True
        with mapped(self._folder / WAL) as wal:
            scan = scan_wal(wal, is_checked=True)
            return len(wal) == WAL_HEADER_BYTES + scan.committed_frames * FRAME_BYTES

    def close(self) -> None:
        """Release the lock's file."""
        self._lock.close()
