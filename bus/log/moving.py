"""Move a log from SQLite into a PostgreSQL database, and close what it leaves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from bus.core.errors import ConfigurationError, LogCorrupt, Problem
from bus.core.log.merkle import hash_leaf
from bus.core.log.tiles import TILE_WIDTH, TiledTree
from bus.log.postgres.arriving import ArrivingLog, differing, open_arriving
from bus.log.postgres.attachments import bring_files
from bus.log.sqlite.leaving import LeavingLog, open_leaving
from bus.settings.postgres import PostgresSettings

_TABLES = (
    *("entries", "payloads", "inbox", "texts"),
    *("deliveries", "carried", "related", "receipts"),
)


@dataclass(frozen=True, slots=True)
class MovedLog:
    """What arrived, compared with what left."""

    entries: int
    root: bytes
    """Of the tree over all of them."""
    rows: dict[str, int]
    """Of each table."""


def move_log(
    folder: Path, database: PostgresSettings, origin: str, *, verified: tuple[int, bytes]
) -> MovedLog:
    """Move the log in `folder` under its origin's name, in one transaction of the database.

    `verified` are the entries and the root that somebody found sound: it must be this very log.
    Stopped in between, either nothing is there, or the same command finishes.
    Raises LogUnavailable, LogCorrupt (damaged, or it is not what was verified, or something
    arrived that did not leave), ConfigurationError (no tables, another log of the name).
    """
    with open_leaving(folder) as leaving:
        with open_arriving(database, origin) as arriving:
            if arriving.size == 0:
                _put_all(leaving, arriving)
            elif arriving.size != leaving.size:
                problem = f"it has a log {origin} of {arriving.size} entries already"
                raise ConfigurationError([Problem(database.shown, "", problem)])
            moved = _compare(leaving, arriving, origin)
            if (moved.entries, moved.root) != verified:
                raise LogCorrupt(f"{folder}: this is not the log that was verified before")
        bring_files(folder, database, origin)
        # If we stop here, both have it; a hub opens neither, and the next move comes here again.
        leaving.close_behind()
    return moved


def _put_all(leaving: LeavingLog, arriving: ArrivingLog) -> None:
    for table in _TABLES:
        arriving.put(table, leaving.rows(table))
    arriving.set_size(leaving.size)


def _compare(leaving: LeavingLog, arriving: ArrivingLog, origin: str) -> MovedLog:
    """What is there against what left, row counts and every leaf."""
    counts = {}
    for table in _TABLES:
        if table == "texts":
            digests = [digest for digest, _ in leaving.rows(table)]
            counts[table], there = len(digests), sum(map(arriving.has_text, digests))
        else:
            counts[table], there = _count(leaving.rows(table)), arriving.count(table)
        if counts[table] != there:
            raise differing(origin, table, counts[table], there)
    here = _root_of(leaf for _, leaf in leaving.rows("entries"))
    there_too = _root_of(arriving.leaves())
    if here != there_too:
        raise differing(origin, "the root", here.hex(), there_too.hex())
    return MovedLog(leaving.size, here, counts)


def _root_of(leaves: Iterator[bytes]) -> bytes:
    tree = TiledTree()
    while some := list(islice(leaves, TILE_WIDTH)):
        tree.append(map(hash_leaf, some))  # the tiles are not kept: there may be many
    return tree.root()


def _count(rows: Iterator[tuple[Any, ...]]) -> int:
    return sum(1 for _ in rows)
