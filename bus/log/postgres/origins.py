"""Own a log among several hubs: a lease by the server's clock, and an epoch that fences.

The row of an origin says who writes its log. Each batch renews the lease and is refused under
another epoch; whoever takes a log over raises the epoch. Only where the lease is over, where it was
given back, or where the same hub comes again, is a log taken over.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from bus.core.errors import LogUnavailable
from bus.core.ports.entry_store import Fenced
from bus.log.postgres.connection import Connection

LEASE_SECONDS = 10
"""So long nobody else takes a log whose hub is silent."""

_ADD = "INSERT INTO origins (name) VALUES (%s) ON CONFLICT (name) DO NOTHING"
_OWN = """
UPDATE origins SET epoch = epoch + 1, owner = %(owner)s, hub = %(hub)s,
    home = CASE WHEN %(adopts)s THEN home ELSE %(hub)s END,
    wanted_by = CASE WHEN wanted_by = %(hub)s THEN NULL ELSE wanted_by END,
    lease = clock_timestamp() + make_interval(secs => %(seconds)s)
WHERE name = %(name)s
    AND (owner IS NULL OR lease < clock_timestamp() OR hub = %(hub)s)
RETURNING number, epoch, size
"""
_HELD = """
SELECT hub, CASE WHEN isfinite(lease)
    THEN greatest(0, extract(epoch FROM lease - clock_timestamp()))::float8 ELSE 0 END
FROM origins WHERE name = %s
"""
_RESUME = """
UPDATE origins SET epoch = epoch + 1,
    lease = clock_timestamp() + make_interval(secs => %s)
WHERE number = %s AND owner = %s RETURNING epoch, size
"""
_RENEW = """
UPDATE origins SET lease = clock_timestamp() + make_interval(secs => %s)
WHERE number = %s AND owner = %s
"""
_RELEASE = """
UPDATE origins SET owner = NULL, lease = '-infinity' WHERE number = %s AND owner = %s
"""


_ASK_BACK = """
UPDATE origins SET wanted_by = %(hub)s
WHERE name = %(name)s AND owner IS NOT NULL AND hub <> %(hub)s AND lease > clock_timestamp()
"""


class OriginHeld(LogUnavailable):
    """Another hub writes this log now."""

    hub: str = ""
    """Which one."""
    seconds: float = 0.0
    """How long its lease lasts still, if it is not renewed."""


@dataclass(frozen=True, slots=True)
class Ownership:
    """What proves to the database that a log is ours to write."""

    number: int
    """Of the origin's row."""
    owner: uuid.UUID
    """Of one opening of the log; never used again."""
    epoch: int


def own(
    connection: Connection, name: str, hub: str, *, adopts: bool = False
) -> tuple[Ownership, int]:
    """Take a log, or make it; whoever wrote it before is fenced off. Gives its size, too.

    `hub` names who asks, the same in each of its runs; if it `adopts`, the log stays that of
    another hub. Raises OriginHeld, psycopg.Error.
    """
    owner = uuid.uuid4()
    connection.execute(_ADD, (name,))
    facts = {
        "name": name,
        "hub": hub,
        "adopts": adopts,
        "owner": owner,
        "seconds": LEASE_SECONDS,
    }
    row = connection.execute(_OWN, facts).fetchone()
    if row is None:
        raise held_by(connection, name)
    number, epoch, size = row
    return Ownership(number, owner, epoch), size


def resume(connection: Connection, owned: Ownership) -> tuple[Ownership, int]:
    """Go on where a connection broke: what it may still bring is fenced off, too.

    Gives the log's size, too. Raises Fenced, psycopg.Error.
    """
    row = connection.execute(_RESUME, (LEASE_SECONDS, owned.number, owned.owner)).fetchone()
    if row is None:
        raise Fenced("another hub took over this log")
    epoch, size = row
    return Ownership(owned.number, owned.owner, epoch), size


def renew(connection: Connection, owned: Ownership) -> None:
    """Say that we are there; synced. Raises Fenced, psycopg.Error."""
    if not connection.execute(_RENEW, (LEASE_SECONDS, owned.number, owned.owner)).rowcount:
        raise Fenced("another hub took over this log")


def ask_back(connection: Connection, name: str, hub: str) -> bool:
    """Ask whoever writes a log to give it back; False: no living hub but ourselves has it.

    Raises psycopg.Error.
    """
    return bool(connection.execute(_ASK_BACK, {"name": name, "hub": hub}).rowcount)


def release(connection: Connection, owned: Ownership) -> None:
    """Let others have it; nothing happens where they have it already. Raises psycopg.Error."""
    connection.execute(_RELEASE, (owned.number, owned.owner))


def held_by(connection: Connection, name: str) -> OriginHeld:
    """Who writes it; its lease may just have ended, or been given back. Raises psycopg.Error."""
    row = connection.execute(_HELD, (name,)).fetchone()
    assert row is not None  # origins are not removed
    error = OriginHeld(f"another hub writes the log {name}: {row[0]}")
    error.hub, error.seconds = row[0], float(row[1])
    return error
