"""Open the message log that lies in one folder: SQLite for the entries, files for the tree."""

from __future__ import annotations

import contextlib
from pathlib import Path

from bus.core.errors import ConfigurationError, LogCorrupt, LogUnavailable, Problem
from bus.core.limits import Limits
from bus.log.files import (
    CHECKPOINT,
    DATABASE,
    HUB_LOCK,
    VERIFIER_KEY,
    FolderLock,
    make_folder,
    store_files,
)
from bus.log.message_log import HubLog
from bus.log.publisher import Publisher
from bus.log.sqlite.database import make_database
from bus.log.sqlite.pages import PageSlots
from bus.log.sqlite.store import SqliteEntryStore, failures_of
from signing.signed_note import SigningKey


def open_log(
    folder: Path, *, key: SigningKey, guard: Path | None = None, limits: Limits | None = None
) -> HubLog:
    """Open the log in `folder`, or make it; finish what an earlier run left half done.

    `key` signs checkpoints; its name is the log's origin. `guard` is a file outside the folder
    that a restore of the folder does not roll back.
    Raises LogUnavailable (not writable, or another hub holds it), LogCorrupt (rows, tiles,
    checkpoint and guard do not tell one story), ConfigurationError (made under another key).
    """
    folder = folder.absolute()
    with contextlib.ExitStack() as resources, failures_of(folder / DATABASE):
        resources.callback(_take_hub_lock(folder).close)
        _make_missing_files(folder, key, guard)
        PageSlots(folder).recover()
        store = SqliteEntryStore(folder)
        resources.callback(store.close)
        publisher = Publisher(folder, store, key, guard)
        publisher.recover(store.size)
        publisher.publish(store.size)
        return HubLog(store, publisher, limits=limits or Limits(), resources=resources.pop_all())


def _take_hub_lock(folder: Path) -> FolderLock:
    make_folder(folder)
    lock = FolderLock(folder / HUB_LOCK, is_made=True)
    if not lock.take_alone():
        lock.close()
        raise LogUnavailable(f"{folder}: another hub holds this log")
    return lock


def _make_missing_files(folder: Path, key: SigningKey, guard: Path | None) -> None:
    if not (folder / DATABASE).exists():
        for witness in (folder / CHECKPOINT, guard):
            if witness is not None and witness.exists():
                raise LogCorrupt(f"{folder / DATABASE}: missing, but {witness} speaks of it")
        make_database(folder)
    path = folder / VERIFIER_KEY
    expected = f"{key.verifying_key}\n".encode()
    if not path.exists():
        store_files([(path, expected)])
    if path.read_bytes() != expected:
        problem = f"this log belongs to another key than {key.verifying_key}"
        raise ConfigurationError([Problem(str(path), "", problem)])
