"""Name the files of a log's folder, and write files so that a crash leaves the old or the new."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterable
from pathlib import Path

from bus.core.errors import LogUnavailable
from bus.runtime.found_files import FileUnfit, open_file

DATABASE = "log.sqlite"
WAL = "log.sqlite-wal"
CHECKPOINT = "checkpoint"
VERIFIER_KEY = "checkpoint.vkey"
PAGES = "pages"
FOLD = "pages.fold"
TILES = "tile"
ATTACHMENTS = "attachments"
HUB_NAME = "hub.name"
"""Names the hub of this folder to a database that several share."""
HUB_LOCK = "hub.lock"
"""Empty; held by the hub that writes this log."""
FOLD_LOCK = "fold.lock"
"""Empty; shared by readers who need the database file to stand still, taken alone to change it."""
OPERATOR_SOCKET = "operator.sock"
"""Where a running hub is told what to do by whoever may open the folder."""
NOTE_BYTES_MAX = 64 * 1024
"""Largest checkpoint or verifier key that is read: a signed note with many cosignatures."""
LOCK_SECONDS_MAX = 20.0
"""How long a reader waits for a lock that somebody else has."""
_LOCK_LOOK_SECONDS = 0.02
NEW = ".new"
"""Ends the name of a file that is not yet what it will be; left behind by a crash, holds nothing
that counts."""


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, durably. Raises OSError."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def store_files(files: Iterable[tuple[Path, bytes]]) -> None:
    """Write these files; when this returns, all of them are on disk. Raises OSError.

    If we stop in between, each file is either whole or as it was before.
    """
    folders = set()
    for path, content in files:
        make_folder(path.parent)
        new = path.with_name(path.name + NEW)
        with new.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        new.replace(path)
        folders.add(path.parent)
    for folder in folders:
        sync_folder(folder)


class FolderLock:
    """A lock on an empty file, given back by the system when its holder dies."""

    __slots__ = ("_descriptor", "is_held", "path")

    def __init__(self, path: Path, *, is_made: bool) -> None:
        """Open the lock file. Raises OSError."""
        self.path = path
        self.is_held = False
        if is_made:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        else:
            self._descriptor = open_file(path)

    def take_alone(self) -> bool:
        """Take it for ourselves if nobody else has it; say whether."""
        return self._take(fcntl.LOCK_EX | fcntl.LOCK_NB)

    def take_shared(self) -> bool:
        """Share it with other readers if no one has it alone; say whether."""
        return self._take(fcntl.LOCK_SH | fcntl.LOCK_NB)

    def wait_shared(self, seconds_max: float = LOCK_SECONDS_MAX) -> None:
        """Share it with other readers as soon as no one has it alone.

        Raises FileUnfit: somebody has it for longer than anybody of ours would.
        """
        until = time.monotonic() + seconds_max
        while not self.take_shared():
            if time.monotonic() >= until:
                what = f"somebody holds this lock for more than {seconds_max:g} s"
                raise FileUnfit(errno.EAGAIN, what, str(self.path))
            time.sleep(_LOCK_LOOK_SECONDS)

    def _take(self, operation: int) -> bool:
        try:
            fcntl.flock(self._descriptor, operation)
        except BlockingIOError:
            return False
        self.is_held = True
        return True

    def give_back(self) -> None:
        """Let others have it."""
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        self.is_held = False

    def close(self) -> None:
        """Give it back for good."""
        os.close(self._descriptor)
        self.is_held = False


def take_hub_lock(folder: Path) -> FolderLock:
    """The lock of the one who writes the log. Raises LogUnavailable, OSError."""
    lock = FolderLock(folder / HUB_LOCK, is_made=True)
    if not lock.take_alone():
        lock.close()
        raise LogUnavailable(f"{folder}: another hub holds this log")
    return lock
