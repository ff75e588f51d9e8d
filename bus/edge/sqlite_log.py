"""Keep the message log in one folder: SQLite for the entries, files for tree and checkpoint."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

from bus.core.errors import ConfigurationError, LogCorrupt, LogUnavailable, Problem
from bus.core.limits import Limits
from bus.core.log_entries import text_of_digest
from bus.core.ports import AlreadyTaken, Appended, LogWrite, SealedPayload, StoredEntry
from bus.edge.log_database import make_database, open_reading
from bus.edge.log_files import (
    CHECKPOINT,
    DATABASE,
    HUB_LOCK,
    VERIFIER_KEY,
    FolderLock,
    make_folder,
    store_files,
)
from bus.edge.log_pages import PageSlots
from bus.edge.log_publisher import Publisher
from bus.edge.log_writer import Interrupted, LogFailure, LogWriter
from signing.signed_note import SigningKey

PUBLISH_SECONDS = 0.5
"""Least time between two checkpoints."""


class SqliteLog:
    """The message log of one hub: implements `bus.core.ports.MessageLog`.

    Two threads: the writer owns the writing connection and the fold; the publisher owns tree,
    tiles and checkpoint. `append` may be called from one event loop or several.
    """

    def __init__(
        self, folder: Path, key: SigningKey, *, guard: Path | None, limits: Limits
    ) -> None:
        """Use `SqliteLog.open`."""
        self._reading = threading.Lock()
        """Guards `_reader`, which serves one `read` at a time."""
        self._is_stopping = threading.Event()
        self._is_closed = False
        self._publish_failure = ""
        """Why the last publishing failed; empty while it works. Written by the publisher."""
        with contextlib.ExitStack() as resources:
            resources.callback(_take_hub_lock(folder).close)
            _make_missing_files(folder, key, guard)
            PageSlots(folder).recover()
            self._writer = LogWriter(folder, limits)
            resources.callback(self._writer.close)
            self._reader = open_reading(folder)
            resources.callback(self._reader.close)
            publishing = open_reading(folder)
            resources.callback(publishing.close)
            self._publisher = Publisher(folder, publishing, key, guard)
            self._publisher.recover(self._writer.size)
            self._publisher.publish(self._writer.size)
            self._published_at = time.monotonic()
            self._resources = resources.pop_all()
        self._publisher_thread = threading.Thread(
            target=self._publish, name="log-publisher", daemon=True
        )
        self._writer.start()
        self._publisher_thread.start()

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        key: SigningKey,
        guard: Path | None = None,
        limits: Limits | None = None,
    ) -> SqliteLog:
        """Open the log in `folder`, or make it; finish what an earlier run left half done.

        `key` signs checkpoints; its name is the log's origin. `guard` is a file outside the folder
        that a restore of the folder does not roll back.
        Raises LogUnavailable (not writable, or another hub holds it), LogCorrupt (rows, tiles,
        checkpoint and guard do not tell one story), ConfigurationError (made under another key).
        """
        try:
            return cls(folder.absolute(), key, guard=guard, limits=limits or Limits())
        except sqlite3.Error as error:
            failure = LogCorrupt if _is_damage(error) else LogUnavailable
            raise failure(f"{folder / DATABASE}: {error}") from error
        except OSError as error:
            raise LogUnavailable(f"{error.filename or folder}: {error.strerror}") from error

    @property
    def size(self) -> int:
        """Committed entries."""
        return self._writer.size

    @property
    def published_size(self) -> int:
        """Entries under the last signed checkpoint."""
        return self._publisher.published_size

    @property
    def checkpoint_age_seconds(self) -> float:
        """Since the last checkpoint was published."""
        return time.monotonic() - self._published_at

    @property
    def trouble(self) -> str:
        """Why the log cannot commit or publish at the moment; empty while it can."""
        return self._writer.failure or self._publish_failure

    def interrupted(self) -> list[Interrupted]:
        """What earlier runs took and left without an outcome, oldest first."""
        return list(self._writer.interrupted)

    async def append(self, write: LogWrite) -> Appended | AlreadyTaken:
        """Append one entry; see `MessageLog.append`. Raises LogUnavailable."""
        if b"\n" in write.leaf:
            raise ValueError("a leaf is canonical JSON and holds no newline")
        result: Appended | AlreadyTaken = await self._enqueue(write)
        return result

    async def append_text(self, text: bytes) -> bytes:
        """Keep a text, once; give its SHA-256. It is on disk then. Raises LogUnavailable."""
        digest: bytes = await self._enqueue(text)
        return digest

    def _enqueue(self, work: LogWrite | bytes) -> asyncio.Future[Any]:
        if self._is_closed:
            raise LogUnavailable("the log is closed")
        return self._writer.enqueue(work)

    async def read(self, index: int) -> StoredEntry:
        """The entry at `index`. Raises LogCorrupt if there is none, LogUnavailable."""
        return await asyncio.to_thread(self._read, index)

    async def read_text(self, digest: bytes) -> bytes:
        """The text with this SHA-256. Raises LogCorrupt if there is none, LogUnavailable."""
        row = await asyncio.to_thread(self._fetch, _TEXT, digest)
        if row is None:
            raise LogCorrupt(f"no text has the digest {digest.hex()}")
        return bytes(row[0])

    async def names_attachments(self, stored: bytes) -> bool:
        """Whether an entry names attachments that are stored under this digest.

        It looks at every leaf. Raises LogCorrupt, LogUnavailable.
        """
        mark = f'"stored":"{text_of_digest(stored)}"'.encode()
        return await asyncio.to_thread(self._fetch, _NAMING, mark) is not None

    async def close(self) -> None:
        """Write what is queued, publish a last checkpoint, release every file."""
        if self._is_closed:
            return
        self._is_closed = True
        self._writer.hand_over(asyncio.get_running_loop())
        await asyncio.to_thread(self._shut)

    def _read(self, index: int) -> StoredEntry:
        row = self._fetch(_ENTRY, index)
        if row is None:
            raise LogCorrupt(f"there is no entry {index}")
        leaf, ciphertext, wrapped_key = row
        sealed = None if ciphertext is None else SealedPayload(ciphertext, wrapped_key)
        return StoredEntry(index, leaf, sealed)

    def _fetch(self, statement: str, key: int | bytes) -> tuple[Any, ...] | None:
        try:
            with self._reading:
                row: tuple[Any, ...] | None = self._reader.execute(statement, (key,)).fetchone()
        except sqlite3.Error as error:
            failure = LogCorrupt if _is_damage(error) else LogUnavailable
            raise failure(f"{DATABASE}: {error}") from error
        return row

    def _publish(self) -> None:
        while not self._is_stopping.is_set():
            self._writer.has_news.wait()
            self._writer.has_news.clear()
            self._publish_once()
            self._is_stopping.wait(PUBLISH_SECONDS)

    def _publish_once(self) -> None:
        size = self._writer.size
        if self._writer.is_fenced or size == self._publisher.published_size:
            return
        try:
            self._publisher.publish(size)
        except LogFailure as error:
            # Entries are safe without it; the next commit, or the next start, tries again.
            self._publish_failure = str(error)
            return
        self._publish_failure = ""
        self._published_at = time.monotonic()

    def _shut(self) -> None:
        self._writer.drain()
        self._is_stopping.set()
        self._writer.has_news.set()
        self._publisher_thread.join()
        self._publish_once()
        self._resources.close()


_ENTRY = (
    "SELECT leaf, ciphertext, wrapped_key FROM entries LEFT JOIN payloads USING (idx) WHERE idx = ?"
)
_NAMING = "SELECT 1 FROM entries WHERE instr(leaf, ?) > 0 LIMIT 1"
_TEXT = "SELECT text FROM texts WHERE digest = ?"


def _is_damage(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


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
