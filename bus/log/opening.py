"""Open a message log: SQLite or PostgreSQL for the entries, files of one folder for the tree."""

from __future__ import annotations

import contextlib
import time
import uuid
from pathlib import Path

from bus.core.errors import ConfigurationError, LogCorrupt, LogUnavailable, Problem
from bus.core.limits import Limits
from bus.core.ports.entry_store import LogStore
from bus.log.files import (
    CHECKPOINT,
    DATABASE,
    HUB_NAME,
    NOTE_BYTES_MAX,
    VERIFIER_KEY,
    FolderLock,
    make_folder,
    store_files,
    take_hub_lock,
)
from bus.log.message_log import HubLog
from bus.log.publisher import Publisher
from bus.log.sqlite.database import is_moved, make_database
from bus.log.sqlite.pages import PageSlots
from bus.log.sqlite.store import SqliteEntryStore, failures_of
from bus.runtime.found_files import read_file
from bus.settings.postgres import PostgresSettings
from signing.signed_note import SigningKey

GIVE_BACK_SECONDS_MAX = 60.0
"""How long a hub that comes back waits for another one to give its log back, drained."""
_LOOK_SECONDS = 0.2


def open_log(
    folder: Path,
    *,
    key: SigningKey,
    guard: Path | None = None,
    limits: Limits | None = None,
    database: PostgresSettings | None = None,
    adopter: str = "",
) -> HubLog:
    """Open the log in `folder`, or make it; finish what an earlier run left half done.

    `key` signs checkpoints; its name is the log's origin. `guard` is a file outside the folder
    that a restore of the folder does not roll back. With a `database` the entries lie there, under
    the origin's name, and the tree in the folder. `adopter` names a hub that goes on with the log
    of another one: it takes it only if that one is gone, and waits for nobody; whoever comes back
    to its own log asks for it, and waits.
    Raises LogUnavailable (not writable, or another hub holds it), LogCorrupt (rows, tiles,
    checkpoint and guard do not tell one story), ConfigurationError (made under another key, or in
    another format, or no database for it).
    """
    folder = folder.absolute()
    with contextlib.ExitStack() as resources, failures_of(folder / DATABASE):
        make_folder(folder)
        store: LogStore
        if database is None:
            resources.callback(_locked(folder, 0.0).close)
            store = _open_sqlite(folder, guard)
            resources.callback(store.close)
        else:
            store = _open_postgres(folder, key.name, database, adopter, resources)
        _make_verifier_key(folder, key)
        if adopter and guard is not None:
            _trust_first(folder, guard)
        publisher = Publisher(folder, store, key, guard)
        publisher.recover(store.size)
        publisher.publish(store.size)
        return HubLog(store, publisher, limits=limits or Limits(), resources=resources.pop_all())


def _open_sqlite(folder: Path, guard: Path | None) -> SqliteEntryStore:
    if not (folder / DATABASE).exists():
        for witness in (folder / CHECKPOINT, guard):
            if witness is not None and witness.exists():
                raise LogCorrupt(f"{folder / DATABASE}: missing, but {witness} speaks of it")
        make_database(folder)
    PageSlots(folder).recover()
    return SqliteEntryStore(folder)


def _open_postgres(
    folder: Path,
    origin: str,
    database: PostgresSettings,
    adopter: str,
    resources: contextlib.ExitStack,
) -> LogStore:
    # Here, and not above: what SQLite is enough for holds no client of a server in memory.
    from bus.log.postgres.kept_files import KeptFiles
    from bus.log.postgres.lease import LeaseKeeper, ask_for, open_when_free
    from bus.log.postgres.origins import LEASE_SECONDS

    is_asked = not adopter and ask_for(database, origin, hub_name(folder))
    resources.callback(_locked(folder, GIVE_BACK_SECONDS_MAX if is_asked else 0.0).close)
    _require_moved(folder)
    if adopter:
        store = open_when_free(database, origin, adopter, adopts=True, seconds_max=0.0)
    else:
        seconds_max = GIVE_BACK_SECONDS_MAX if is_asked else LEASE_SECONDS + 2.0
        store = open_when_free(database, origin, hub_name(folder), seconds_max=seconds_max)
    resources.callback(store.close)
    resources.callback(LeaseKeeper(database, store).close)
    KeptFiles(database, origin, adopter or hub_name(folder), folder).restore()
    return store


def _require_moved(folder: Path) -> None:
    """Raises ConfigurationError: entries lie in the folder still."""
    if (folder / DATABASE).exists() and not is_moved(folder):
        problem = "a log lies here in SQLite; `lienthong db move` brings it to the database"
        raise ConfigurationError([Problem(str(folder / DATABASE), "", problem)])


def _trust_first(folder: Path, guard: Path) -> None:
    """Whoever adopts a log for the first time has no guard of it, and remembers what is signed."""
    checkpoint = folder / CHECKPOINT
    if checkpoint.exists() and not guard.exists():
        store_files([(guard, read_file(checkpoint, NOTE_BYTES_MAX, within=folder))])


def _locked(folder: Path, seconds_max: float) -> FolderLock:
    """The folder's lock, as soon as whoever has it gives it back. Raises LogUnavailable."""
    until = time.monotonic() + seconds_max
    while True:
        try:
            return take_hub_lock(folder)
        except LogUnavailable:
            if time.monotonic() >= until:
                raise
        time.sleep(_LOOK_SECONDS)


def hub_name(folder: Path) -> str:
    """Names whoever holds this folder's lock: an earlier run of the same is over, then.

    Raises OSError.
    """
    make_folder(folder)
    path = folder / HUB_NAME
    if not path.exists():
        store_files([(path, uuid.uuid4().hex.encode())])
    return path.read_text("ascii", "replace")[:64]


def _make_verifier_key(folder: Path, key: SigningKey) -> None:
    path = folder / VERIFIER_KEY
    expected = f"{key.verifying_key}\n".encode()
    if not path.exists():
        store_files([(path, expected)])
    if path.read_bytes() != expected:
        problem = f"this log belongs to another key than {key.verifying_key}"
        raise ConfigurationError([Problem(str(path), "", problem)])
