"""Open a log's folder to read it, whoever writes it, without writing into it.

Live (a hub holds it), closed, killed, or copied to a place where nothing can be written: the same
rows come out. `-shm` beside a live database is SQLite's lock area; it holds no record.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import struct
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bus.core.errors import LogUnavailable
from bus.log.files import DATABASE, FOLD_LOCK, HUB_LOCK, WAL, FolderLock
from bus.log.sqlite.database import open_reading
from bus.runtime.found_files import allocated_bytes, copy_to, open_stream, why_unfit

_SHARED_FRAMES_AT = 16
"""Where SQLite's wal-index holds the count of whole frames. https://www.sqlite.org/walformat.html"""
_OPENED_BY_SQLITE = (DATABASE, WAL, f"{DATABASE}-shm", f"{DATABASE}-journal")
"""What SQLite may open by its name, and would wait for or follow."""
VALUE_BYTES_MAX = 256 * 1024 * 1024
"""Largest value of a row that is read; the largest payload is a quarter of it."""
_STEPS_A_BYTE = 4
_STEPS_FREE = 20_000_000
"""Steps of SQLite's machine that reading may take: more than a sound database of its size needs,
with every row read by each of our statements. Pages that lead back to themselves need no end."""
_STEPS_AT_ONCE = 100_000


@dataclass(frozen=True, slots=True)
class ReadableFolder:
    """A log's folder whose database file stands still as long as this is open."""

    folder: Path
    is_live: bool
    frames_whole: int | None
    """While a hub writes: how many frames of the write-ahead log were whole when we came."""


@contextlib.contextmanager
def hold_folder(folder: Path) -> Iterator[ReadableFolder]:
    """Keep the hub from moving pages while we read. Raises LogUnavailable.

    Do not use it in the process of the hub that writes this folder: closing a file of an SQLite
    database gives up the locks of the whole process (POSIX, https://www.sqlite.org/howtocorrupt.html
    §2.2).
    """
    with contextlib.ExitStack() as resources:
        try:
            if not _is_there(folder / DATABASE):
                raise LogUnavailable(f"{folder}: no message log lies here")
            for name in _OPENED_BY_SQLITE:
                if why := why_unfit(folder / name):
                    raise LogUnavailable(f"{folder / name}: {why}")
            if _is_there(folder / FOLD_LOCK):
                fold_lock = FolderLock(folder / FOLD_LOCK, is_made=False)
                resources.callback(fold_lock.close)
                fold_lock.wait_shared()
            is_live = _is_held(folder / HUB_LOCK)
            yield ReadableFolder(folder, is_live, _whole_frames(folder) if is_live else None)
        except OSError as error:
            raise LogUnavailable(f"{error.filename or folder}: {error.strerror}") from error


@contextlib.contextmanager
def connect_reading(readable: ReadableFolder) -> Iterator[sqlite3.Connection]:
    """A connection to the rows of a held folder. Raises sqlite3.Error, OSError."""
    folder = readable.folder.absolute()
    with contextlib.ExitStack() as resources:
        if readable.is_live:
            with contextlib.suppress(sqlite3.OperationalError):
                connection = open_reading(folder)
                resources.callback(connection.close)
                connection.execute("SELECT 1 FROM sqlite_schema").fetchone()
                yield connection
                return
        wal = folder / WAL
        if not readable.is_live and not (wal.exists() and wal.stat().st_size):
            uri = f"{(folder / DATABASE).as_uri()}?mode=ro&immutable=1"
        else:
            # Read where it lies, SQLite would write beside it; so it reads a copy.
            temporary = Path(resources.enter_context(tempfile.TemporaryDirectory()))
            copy_to(folder / DATABASE, temporary / DATABASE)
            if _is_there(wal):
                copy_to(wal, temporary / WAL)
            uri = f"{(temporary / DATABASE).as_uri()}?mode=rw"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None)
        resources.callback(connection.close)
        connection.execute("PRAGMA cell_size_check = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        yield connection


def bound_work(connection: sqlite3.Connection, folder: Path) -> None:
    """Let what is asked of this connection from now on end, whatever the database holds.

    The statement that goes beyond raises sqlite3.OperationalError: interrupted.
    """
    stored = allocated_bytes(folder / DATABASE) + allocated_bytes(folder / WAL)
    left = (_STEPS_FREE + _STEPS_A_BYTE * stored) // _STEPS_AT_ONCE

    def is_too_much() -> bool:
        nonlocal left
        left -= 1
        return left < 0

    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX)
    connection.set_progress_handler(is_too_much, _STEPS_AT_ONCE)


def _is_there(path: Path) -> bool:
    return os.path.lexists(path)


def _is_held(path: Path) -> bool:
    if not _is_there(path):
        return False
    lock = FolderLock(path, is_made=False)
    try:
        return not lock.take_shared()
    finally:
        lock.close()


def _whole_frames(folder: Path) -> int:
    with open_stream(folder / f"{DATABASE}-shm") as shared:
        shared.seek(_SHARED_FRAMES_AT)
        count = shared.read(4)
    if len(count) < 4:
        raise LogUnavailable(f"{folder / DATABASE}-shm: it is cut short")
    (frames,) = struct.unpack("=I", count)
    return int(frames)
