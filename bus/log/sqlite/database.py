"""Make, open and fold the log's SQLite database."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from bus.core.errors import ConfigurationError, LogCorrupt, Problem
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

FORMAT = 2
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
# What is open, by the entry that received it. Each index holds the rows of some states alone, so
# that a delivery that is out from its first moment to its last touches the smallest one only.
SCHEMA_OF_DELIVERIES = """
CREATE TABLE deliveries (
    received_idx INTEGER NOT NULL, position INTEGER NOT NULL, recipient TEXT NOT NULL,
    service TEXT NOT NULL, state INTEGER NOT NULL, attempt INTEGER NOT NULL,
    attempt_max INTEGER NOT NULL, doubt INTEGER NOT NULL, due INTEGER NOT NULL,
    expires INTEGER NOT NULL, key BLOB NOT NULL, deadline INTEGER, urgent INTEGER NOT NULL,
    conversation BLOB, place INTEGER NOT NULL, generation INTEGER NOT NULL, holder BLOB,
    version INTEGER NOT NULL, lets_pass INTEGER NOT NULL,
    PRIMARY KEY (received_idx, position)
) WITHOUT ROWID;
CREATE INDEX deliveries_due ON deliveries (recipient, urgent, due) WHERE state = 0;
CREATE INDEX deliveries_begun ON deliveries (deadline) WHERE state IN (2, 4);
CREATE INDEX deliveries_expiring ON deliveries (expires) WHERE state IN (0, 1, 3);
CREATE INDEX deliveries_offered ON deliveries (recipient) WHERE state IN (3, 4);
CREATE INDEX deliveries_dead ON deliveries (received_idx) WHERE state = 5;
CREATE INDEX deliveries_dead_of ON deliveries (recipient) WHERE state = 5;
CREATE INDEX deliveries_queued ON deliveries (conversation, lets_pass, place)
    WHERE conversation IS NOT NULL;
CREATE TABLE carried (
    received_idx INTEGER PRIMARY KEY, ciphertext BLOB NOT NULL, wrapped_key BLOB NOT NULL
);
CREATE TABLE related (
    received_idx INTEGER NOT NULL, idx INTEGER NOT NULL, PRIMARY KEY (received_idx, idx)
) WITHOUT ROWID;
CREATE TABLE mailbox (
    recipient TEXT NOT NULL, number INTEGER NOT NULL, kind INTEGER NOT NULL,
    received_idx INTEGER NOT NULL, position INTEGER NOT NULL, idx INTEGER NOT NULL,
    PRIMARY KEY (recipient, number)
) WITHOUT ROWID;
CREATE TABLE recipients (
    recipient TEXT PRIMARY KEY, paused INTEGER NOT NULL, reason TEXT NOT NULL
) WITHOUT ROWID;
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
        connection.executescript(_SCHEMA + SCHEMA_OF_DELIVERIES)
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

    Raises sqlite3.Error, LogCorrupt, ConfigurationError: it has another format than ours, or its
    entries were moved to another database.
    """
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        read_format(connection, known=(FORMAT,))
        if _is_marked_moved(connection):
            problem = "its entries were moved to another database, and a hub goes on there"
            raise ConfigurationError([Problem(DATABASE, "", problem)])
        connection.execute("UPDATE meta SET value = value + 1 WHERE name = 'epoch'")
        (epoch,) = connection.execute("SELECT value FROM meta WHERE name = 'epoch'").fetchone()
        return int(epoch)


def mark_moved(connection: sqlite3.Connection) -> None:
    """Say that a hub goes on in another database: none opens this one any more.

    Raises sqlite3.Error.
    """
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('moved', 1)")


def is_moved(folder: Path) -> bool:
    """Whether a database says that its entries were moved. Raises sqlite3.Error."""
    with contextlib.closing(open_reading(folder)) as connection:
        return _is_marked_moved(connection)


def _is_marked_moved(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("SELECT 1 FROM meta WHERE name = 'moved'").fetchone())


def read_format(connection: sqlite3.Connection, *, known: Sequence[int]) -> int:
    """The format of a database. Raises sqlite3.Error, LogCorrupt (it says none), ConfigurationError
    (none of those known)."""
    row = connection.execute("SELECT value FROM meta WHERE name = 'format'").fetchone()
    if row is None:
        raise LogCorrupt(f"{DATABASE}: it says no format")
    if row[0] in known:
        return int(row[0])
    is_older = isinstance(row[0], int) and row[0] < FORMAT
    helps = (
        "`lienthong db upgrade FOLDER` brings it to ours" if is_older else "a newer program made it"
    )
    what = f"this log is of format {row[0]}, this program writes {FORMAT}; {helps}"
    raise ConfigurationError([Problem(DATABASE, "", what)])


def check_format(folder: Path) -> None:
    """Raises ConfigurationError: the log there has a format that is not ours. Where there is none,
    or somebody is just making it, nothing is said."""
    database = folder / DATABASE
    if not database.is_file():
        return
    with contextlib.suppress(sqlite3.Error, LogCorrupt):
        # What a hub is writing meanwhile lies elsewhere; this touches nothing.
        connection = sqlite3.connect(f"{database.as_uri()}?mode=ro&immutable=1", uri=True)
        with contextlib.closing(connection):
            read_format(connection, known=(FORMAT,))


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
