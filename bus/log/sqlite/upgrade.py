"""Bring a log that an older program wrote to the present format, in place.

Nothing of what is stored changes: tables are added, in one transaction. Stopped before it is
committed, the log is as it was; stopped after it, the next start of a hub finishes the fold.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from bus.core.errors import LogCorrupt, LogUnavailable
from bus.log.files import DATABASE, take_hub_lock
from bus.log.sqlite.database import (
    FORMAT,
    SCHEMA_OF_DELIVERIES,
    Fold,
    close_writing,
    entry_count,
    open_writing,
    read_format,
)
from bus.log.sqlite.pages import PageSlots, first_damaged_page
from bus.log.sqlite.store import failures_of

_BEFORE_DELIVERIES = 1
"""The format without rows of deliveries."""


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What was done to a log."""

    was: int
    """Its format before; FORMAT: nothing was to be done."""
    entries: int


def upgrade_database(folder: Path) -> Upgrade:
    """Bring the log in `folder` to the present format; a log that has it stays as it is.

    Every page is compared with its digest before. Raises LogUnavailable (no log, another hub holds
    it, somebody reads it, not writable), LogCorrupt (damaged; nothing was changed),
    ConfigurationError (a format that this program does not know).
    """
    folder = folder.absolute()
    if not (folder / DATABASE).exists():
        raise LogUnavailable(f"{folder}: no message log lies here")
    with contextlib.ExitStack() as resources, failures_of(folder / DATABASE):
        resources.callback(take_hub_lock(folder).close)
        PageSlots(folder).recover()
        connection = open_writing(folder)
        resources.callback(close_writing, folder, connection)
        fold = Fold(folder, connection)
        resources.callback(fold.close)
        _fold(fold)
        was = read_format(connection, known=(_BEFORE_DELIVERIES, FORMAT))
        done = Upgrade(was, entry_count(connection))
        if was == FORMAT:
            return done
        damaged = first_damaged_page(folder)
        if damaged is not None:
            raise LogCorrupt(f"{DATABASE}: page {damaged} is damaged; nothing was changed")
        connection.execute("BEGIN IMMEDIATE")
        with connection:
            for statement in SCHEMA_OF_DELIVERIES.split(";"):
                connection.execute(statement)
            connection.execute("UPDATE meta SET value = ? WHERE name = 'format'", (FORMAT,))
        _fold(fold)
        return done


def _fold(fold: Fold) -> None:
    if not fold.fold(is_checked=True):
        raise LogUnavailable("somebody reads the log; try again when that is done")
