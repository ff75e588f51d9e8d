"""Read in the log of a hub that has ended what became of its deliveries, and how soon."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from datetime import datetime
from pathlib import Path

from bus.bench.programs import ProgramFailed
from bus.core.exchange_leaves import DELIVERED
from bus.core.log.leaf import Event, read_leaf
from bus.log.postgres.connection import connect
from bus.log.sqlite.database import entry_count, open_reading
from bus.log.sqlite.store import read_leaves
from bus.settings.postgres import PostgresSettings

_LEAVES = "SELECT idx, leaf FROM entries WHERE idx >= %s ORDER BY idx"
_OPEN = "SELECT count(*) FROM deliveries"


def closing_seconds(folder: Path, first: int, pending_expected: int) -> list[float]:
    """From the acceptance of each message, of those from entry `first` on, to the closing of each
    of its deliveries.

    Raises ProgramFailed: a delivery is open, or one was not delivered.
    """
    with closing(open_reading(folder)) as connection:
        (pending,) = connection.execute(_OPEN).fetchone()
        if pending != pending_expected:
            raise ProgramFailed(f"{pending - pending_expected} deliveries were not closed")
        return _seconds(read_leaves(connection, first, entry_count(connection)), first)


def closing_seconds_in_database(settings: PostgresSettings, first: int) -> list[float]:
    """The same of the one log of a database, of which nothing was pending before."""
    with connect(settings, "bench") as connection:
        found = connection.execute("SELECT count(*) FROM deliveries").fetchone()
        if found != (0,):
            raise ProgramFailed(f"{found} deliveries were not closed")
        rows = connection.execute(_LEAVES, (first,)).fetchall()
    return _seconds([leaf for _, leaf in rows], first)


def _seconds(leaves: Iterable[bytes], first: int) -> list[float]:
    accepted_at: dict[int, datetime] = {}
    seconds = []
    for index, raw in enumerate(leaves, start=first):
        leaf = read_leaf(raw)
        if leaf.event is Event.RECEIVED:
            accepted_at[index] = leaf.time
        elif leaf.event is Event.OUTCOME:
            assert leaf.continues is not None  # every outcome has it
            if leaf.verdict != DELIVERED:
                raise ProgramFailed(f"entry {index}: a delivery ended with {leaf.verdict}")
            if leaf.continues in accepted_at:
                seconds.append((leaf.time - accepted_at[leaf.continues]).total_seconds())
        elif leaf.event is Event.ATTEMPT:
            raise ProgramFailed(f"entry {index}: an attempt came to nothing: {leaf.verdict}")
    return seconds
