"""Read all of a log that leaves its SQLite database, and close the database behind it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, LiteralString

from bus.core.errors import ConfigurationError, LogCorrupt, LogUnavailable, Problem
from bus.log.files import DATABASE, take_hub_lock
from bus.log.row_values import ROW_COLUMNS
from bus.log.sqlite.database import (
    FORMAT,
    Fold,
    close_writing,
    entry_count,
    mark_moved,
    open_writing,
    read_format,
)
from bus.log.sqlite.pages import PageSlots, first_damaged_page
from bus.log.sqlite.store import failures_of

_COLUMNS: LiteralString = ", ".join(ROW_COLUMNS)
_TABLES: dict[str, LiteralString] = {
    "entries": "SELECT idx, leaf FROM entries ORDER BY idx",
    "payloads": "SELECT idx, ciphertext, wrapped_key FROM payloads ORDER BY idx",
    "inbox": "SELECT key, digest, state, received_idx, outcome_idx FROM inbox "
    "ORDER BY received_idx",
    "texts": "SELECT digest, text FROM texts",
    "deliveries": f"SELECT {_COLUMNS} FROM deliveries ORDER BY received_idx, position",  # noqa: S608
    "carried": "SELECT received_idx, ciphertext, wrapped_key FROM carried ORDER BY received_idx",
    "related": "SELECT received_idx, idx FROM related ORDER BY received_idx, idx",
    "receipts": "SELECT recipient, number, received_idx, position FROM mailbox "
    "ORDER BY recipient, number",
}


class LeavingLog:
    """A log that no hub writes as long as this is open."""

    def __init__(self, folder: Path, connection: sqlite3.Connection, fold: Fold) -> None:
        """Use `open_leaving`."""
        self._folder = folder
        self._connection = connection
        self._fold = fold
        self.size = entry_count(connection)

    def rows(self, table: str) -> Iterator[tuple[Any, ...]]:
        """Every row of a table, in order of its entries. Raises LogCorrupt, LogUnavailable."""
        with failures_of(self._folder / DATABASE):
            yield from self._connection.execute(_TABLES[table])

    def close_behind(self) -> None:
        """Let no hub open it any more. Raises LogUnavailable, LogCorrupt."""
        with failures_of(self._folder / DATABASE):
            mark_moved(self._connection)
            _fold(self._fold)


@contextlib.contextmanager
def open_leaving(folder: Path) -> Iterator[LeavingLog]:
    """Take a log out of use, every page compared with its digest.

    Raises LogUnavailable (no log, a hub holds it, somebody reads it), LogCorrupt (damaged),
    ConfigurationError (of another format, or moved already).
    """
    folder = folder.absolute()
    path = folder / DATABASE
    if not path.exists():
        raise LogUnavailable(f"{folder}: no message log lies here")
    with contextlib.ExitStack() as resources:
        with failures_of(path):
            resources.callback(take_hub_lock(folder).close)
            PageSlots(folder).recover()
            connection = open_writing(folder)
            resources.callback(close_writing, folder, connection)
            fold = Fold(folder, connection)
            resources.callback(fold.close)
            _fold(fold)
            read_format(connection, known=(FORMAT,))
            if connection.execute("SELECT 1 FROM meta WHERE name = 'moved'").fetchone():
                raise ConfigurationError([Problem(str(path), "", "this log was moved already")])
            damaged = first_damaged_page(folder)
            if damaged is not None:
                raise LogCorrupt(f"{DATABASE}: page {damaged} is damaged; nothing was moved")
            log = LeavingLog(folder, connection, fold)
        yield log


def _fold(fold: Fold) -> None:
    if not fold.fold(is_checked=True):
        raise LogUnavailable("somebody reads the log; try again when that is done")
