"""See which logs of a database their hubs have left behind, and which are wanted back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bus.log.postgres.connection import ReadingConnection
from bus.log.postgres.origins import LEASE_SECONDS
from bus.settings.postgres import PostgresSettings

# A hub that gave back its own log was stopped by an operator, and is not gone. Who adopted a log,
# and gave it back to nobody who asked, leaves it to the next one. While the server itself was away
# nobody could renew a lease: each hub has the time of one to do so.
_LEFT_BEHIND = """
SELECT name FROM origins
WHERE pg_postmaster_start_time() + make_interval(secs => %s) < clock_timestamp()
    AND name = ANY(%s) AND CASE WHEN owner IS NULL THEN hub <> home AND wanted_by IS NULL
    ELSE lease < clock_timestamp() END ORDER BY lease
"""
_STATES = """
SELECT name, size, epoch, home, hub, owner IS NOT NULL,
    CASE WHEN owner IS NULL THEN 0
        ELSE greatest(0, extract(epoch FROM lease - clock_timestamp()))::float8 END,
    coalesce(wanted_by, '')
FROM origins ORDER BY name
"""
_UNDER_WAY = "SELECT count(*) FROM deliveries WHERE state < 3"
_WANTED = "SELECT name FROM origins WHERE hub = %s AND owner IS NOT NULL AND wanted_by <> hub"


@dataclass(frozen=True, slots=True)
class OriginState:
    """A log of a database, and who writes it."""

    name: str
    entries: int
    epoch: int
    """Raised whenever somebody takes it, or goes on after a broken connection."""
    home: str
    """The hub whose log it is, as the file `hub.name` of its folder names it."""
    hub: str
    """Who wrote it last."""
    is_owned: bool
    """Somebody took it and did not give it back."""
    lease_seconds: float
    """How long whoever has it keeps it still, if nothing is heard of it."""
    wanted_by: str
    """The hub that asks for it; empty: none does."""

    @property
    def is_written(self) -> bool:
        """Somebody has it, and was heard of lately."""
        return self.is_owned and self.lease_seconds > 0

    @property
    def is_adopted(self) -> bool:
        """Another hub than its own goes on with it."""
        return self.is_owned and self.hub != self.home


class OriginWatch:
    """Owns a connection that only looks; from any thread."""

    def __init__(self, settings: PostgresSettings) -> None:
        """Raises LogUnavailable, ConfigurationError."""
        self._reader = ReadingConnection(settings, "watch")

    def states(self) -> list[OriginState]:
        """Every log of the database, by name. Raises LogUnavailable."""
        return [OriginState(*row) for row in self._reader.fetch(_STATES)]

    def deliveries_under_way(self) -> int:
        """Deliveries of every log that a hub is to make still: neither dead letters nor what
        waits in mailboxes. All rows are read. Raises LogUnavailable."""
        (count,) = self._reader.fetch(_UNDER_WAY)[0]
        return int(count)

    def left_behind(
        self, names: Sequence[str], *, server_seconds_min: float = LEASE_SECONDS
    ) -> list[str]:
        """Which of these logs nobody writes though nobody gave them back: the longest first.

        None, before the server has run for so long. Raises LogUnavailable.
        """
        facts = (server_seconds_min, list(names))
        return [name for (name,) in self._reader.fetch(_LEFT_BEHIND, facts)]

    def wanted_back(self, hub: str) -> list[str]:
        """Which of the logs that `hub` writes another hub asks for. Raises LogUnavailable."""
        return [name for (name,) in self._reader.fetch(_WANTED, (hub,))]

    def close(self) -> None:
        """Let go of it."""
        self._reader.close()
