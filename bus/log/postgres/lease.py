"""Keep the lease of a log that has nothing to write, and wait for one that another hub leaves."""

from __future__ import annotations

import contextlib
import threading
import time

import psycopg

from bus.core.errors import BusError
from bus.core.ports.entry_store import Fenced
from bus.log.postgres.connection import Connection, connect, failures_of
from bus.log.postgres.origins import LEASE_SECONDS, OriginHeld, ask_back, renew
from bus.log.postgres.store import PostgresEntryStore
from bus.log.postgres.upgrade import require_version
from bus.settings.postgres import PostgresSettings

RENEW_SECONDS = 3.0
"""Between two renewals: two may be lost before the lease is over."""
_LOOK_SECONDS = 0.5


def open_when_free(
    settings: PostgresSettings,
    origin: str,
    hub: str,
    *,
    adopts: bool = False,
    seconds_max: float = LEASE_SECONDS + 2.0,
) -> PostgresEntryStore:
    """Open a log as soon as nobody has it: a hub that died leaves it when its lease is over.

    Raises OriginHeld: another hub is there; LogUnavailable, LogCorrupt, ConfigurationError.
    """
    until = time.monotonic() + seconds_max
    while True:
        try:
            return PostgresEntryStore(settings, origin, hub, adopts=adopts)
        except OriginHeld:
            if time.monotonic() >= until:
                raise
        time.sleep(_LOOK_SECONDS)


def ask_for(settings: PostgresSettings, origin: str, hub: str) -> bool:
    """Ask another hub that goes on with our log to give it back; False: none does.

    Raises LogUnavailable, ConfigurationError.
    """
    with failures_of(settings), connect(settings, "writer") as connection:
        require_version(settings, connection)
        return ask_back(connection, origin, hub)


class LeaseKeeper:
    """Renews a store's lease on a thread and a connection of its own, however busy it is.

    A hub that finds that another one has its log fences itself off, before it writes again.
    """

    def __init__(
        self, settings: PostgresSettings, store: PostgresEntryStore, seconds: float = RENEW_SECONDS
    ) -> None:
        """Begin."""
        self._settings = settings
        self._store = store
        self._seconds = seconds
        self._is_ending = threading.Event()
        self._connection: Connection | None = None
        self._thread = threading.Thread(target=self._run, name="log-lease", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Renew it no more."""
        self._is_ending.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._is_ending.wait(self._seconds):
                # A server that is away is away for other hubs, too; commits tell of it.
                with contextlib.suppress(psycopg.Error, BusError):
                    self._renew()
                if self._store.is_fenced:
                    return
        finally:
            if self._connection is not None:
                self._connection.close()

    def _renew(self) -> None:
        if self._connection is None or self._connection.broken:
            self._connection = connect(self._settings, "lease")
        try:
            renew(self._connection, self._store.ownership)
        except Fenced:
            self._store.fence_off()
