"""Keep the message log in one folder: SQLite for the entries, files for tree and checkpoint."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from bus.core.errors import BusError, ConfigurationError, LogCorrupt, LogUnavailable, Problem
from bus.core.limits import Limits
from bus.core.ports import AlreadyTaken, Appended, LogWrite, SealedPayload, StoredEntry
from bus.edge.log_batches import OPEN_NUMBER, commit_batch, insert_text
from bus.edge.log_database import (
    Fold,
    entry_count,
    make_database,
    open_reading,
    open_writing,
    take_over,
)
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
from signing.signed_note import SigningKey

FOLD_BYTES = 8 * 1024 * 1024
"""Size of the write-ahead log from which on it is folded into the database file."""
BATCH_BYTES_MAX = 8 * 1024 * 1024
"""Payload bytes that share one commit; a single larger message is a batch of its own."""
PUBLISH_SECONDS = 0.5
"""Least time between two checkpoints."""

_LogFailure = (sqlite3.Error, OSError, LogUnavailable, LogCorrupt)


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A message that was taken and whose outcome an earlier run did not record."""

    key: bytes
    """The key of its claim."""
    received_index: int


@dataclass(frozen=True, slots=True)
class _Pending:
    """What waits for the writer's thread, and who waits for it."""

    work: LogWrite | bytes
    """An entry, or a text to be kept."""
    future: asyncio.Future[Any]

    @property
    def payload_bytes(self) -> int:
        """About how much it adds to a transaction."""
        if isinstance(self.work, bytes):
            return len(self.work)
        return len(self.work.sealed.ciphertext) if self.work.sealed else 0


class SqliteLog:
    """The message log of one hub: implements `bus.core.ports.MessageLog`.

    Two threads: the writer owns the writing connection and the fold; the publisher owns tree,
    tiles and checkpoint. `append` may be called from one event loop or several.
    """

    def __init__(
        self, folder: Path, key: SigningKey, *, guard: Path | None, limits: Limits
    ) -> None:
        """Use `SqliteLog.open`."""
        self._folder = folder
        self._limits = limits
        self._queue: SimpleQueue[_Pending | None] = SimpleQueue()
        self._reading = threading.Lock()
        """Guards `_reader`, which serves one `read` at a time."""
        self._has_news = threading.Event()
        self._is_stopping = threading.Event()
        self._is_closed = False
        self._failure = ""
        """Why the last commit failed; empty while the log works. Written by the writer."""
        self._publish_failure = ""
        """Why the last publishing failed; empty while it works. Written by the publisher."""
        self._tail_is_doubtful = True
        """The write-ahead log may end in frames of a failed commit. Owned by the writer."""
        self._fold_from_bytes = FOLD_BYTES
        with contextlib.ExitStack() as resources:
            self._lock = _take_hub_lock(folder)
            resources.callback(self._lock.close)
            _make_missing_files(folder, key, guard)
            PageSlots(folder).recover()
            self._writing = open_writing(folder)
            resources.callback(self._writing.close)
            self._fold = Fold(folder, self._writing)
            resources.callback(self._fold.close)
            self._epoch = take_over(self._writing)
            self._fold_now()
            self._size = entry_count(self._writing)
            """Committed entries. Written by the writer alone."""
            self._interrupted = _find_interrupted(self._writing)
            self._reader = open_reading(folder)
            resources.callback(self._reader.close)
            self._publishing = open_reading(folder)
            resources.callback(self._publishing.close)
            self._publisher = Publisher(folder, self._publishing, key, guard)
            self._publisher.recover(self._size)
            self._publisher.publish(self._size)
            self._resources = resources.pop_all()
        self._writer_thread = threading.Thread(target=self._write, name="log-writer")
        self._publisher_thread = threading.Thread(target=self._publish, name="log-publisher")
        self._writer_thread.start()
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
        except sqlite3.DatabaseError as error:
            failure = LogCorrupt if _is_damage(error) else LogUnavailable
            raise failure(f"{folder / DATABASE}: {error}") from error
        except OSError as error:
            raise LogUnavailable(f"{error.filename or folder}: {error.strerror}") from error

    @property
    def size(self) -> int:
        """Committed entries."""
        return self._size

    @property
    def published_size(self) -> int:
        """Entries under the last signed checkpoint."""
        return self._publisher.published_size

    @property
    def trouble(self) -> str:
        """Why the log cannot commit or publish at the moment; empty while it can."""
        return self._failure or self._publish_failure

    def interrupted(self) -> list[Interrupted]:
        """What earlier runs took and left without an outcome, oldest first."""
        return list(self._interrupted)

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
        if self._queue.qsize() >= self._limits.log_queue_entries_max:
            raise LogUnavailable("too many entries wait for the log")
        future = asyncio.get_running_loop().create_future()
        self._queue.put(_Pending(work, future))
        return future

    async def read(self, index: int) -> StoredEntry:
        """The entry at `index`. Raises LogCorrupt if there is none, LogUnavailable."""
        return await asyncio.to_thread(self._read, index)

    async def read_text(self, digest: bytes) -> bytes:
        """The text with this SHA-256. Raises LogCorrupt if there is none, LogUnavailable."""
        row = await asyncio.to_thread(self._fetch, _TEXT, digest)
        if row is None:
            raise LogCorrupt(f"no text has the digest {digest.hex()}")
        return bytes(row[0])

    async def close(self) -> None:
        """Write what is queued, publish a last checkpoint, release every file."""
        if self._is_closed:
            return
        self._is_closed = True
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

    # --- the writer's thread ------------------------------------------------------------------

    def _write(self) -> None:
        while True:
            first = self._queue.get()
            if first is None:
                return
            batch, is_last = self._gather(first)
            self._commit(batch)
            self._has_news.set()
            self._fold_if_large()
            if is_last:
                return

    def _gather(self, first: _Pending) -> tuple[list[_Pending], bool]:
        """Whatever waits, up to the batch's bounds: no timer, the last sync was the timer."""
        batch = [first]
        batch_bytes = first.payload_bytes
        while len(batch) < self._limits.log_batch_entries_max and batch_bytes < BATCH_BYTES_MAX:
            try:
                pending = self._queue.get_nowait()
            except Empty:
                break
            if pending is None:
                return batch, True
            batch.append(pending)
            batch_bytes += pending.payload_bytes
        return batch, False

    def _commit(self, batch: list[_Pending]) -> None:
        try:
            if self._tail_is_doubtful:
                # After a failed commit: put the files in order before anything is promised again.
                self._fold_now()
                self._size = entry_count(self._writing)
            results = self._commit_all(batch)
        except _LogFailure as error:
            self._failure = str(error) or type(error).__name__
            self._tail_is_doubtful = True
            self._roll_back()
            results = [LogUnavailable(self._failure) for _ in batch]
        else:
            self._failure = ""
        _deliver(batch, results)

    def _commit_all(self, batch: list[_Pending]) -> list[Any]:
        digests = {}
        for place, pending in enumerate(batch):
            if isinstance(pending.work, bytes):
                # Rare and before the entries that cite it: a transaction of its own.
                digests[place] = insert_text(self._writing, pending.work)
        writes = [pending.work for pending in batch if isinstance(pending.work, LogWrite)]
        if not writes:
            return list(digests.values())
        appended = commit_batch(self._writing, writes, self._size, self._epoch)
        self._size += sum(isinstance(result, Appended) for result in appended)
        if any(write.erases is not None for write in writes):
            self._fold_from_bytes = 0  # what was erased must leave the write-ahead log too
        entries = iter(appended)
        return [digests[at] if at in digests else next(entries) for at in range(len(batch))]

    def _roll_back(self) -> None:
        # Some errors roll back by themselves; a second rollback would be an error of its own.
        if self._writing.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self._writing.execute("ROLLBACK")

    def _fold_if_large(self) -> None:
        try:
            wal_bytes = self._fold.wal_bytes()
            if wal_bytes < self._fold_from_bytes:
                return
            # Not possible now (a reader, a full disk): tried again when it has grown as much.
            self._fold_from_bytes = wal_bytes + FOLD_BYTES
            if self._fold.fold(is_checked=self._tail_is_doubtful):
                self._fold_from_bytes = FOLD_BYTES
        except _LogFailure as error:
            self._failure = str(error)
            self._tail_is_doubtful = True

    def _fold_now(self) -> None:
        if not self._fold.fold(is_checked=True):
            raise LogUnavailable("a reader keeps the log from being put in order")
        self._tail_is_doubtful = False

    # --- the publisher's thread ---------------------------------------------------------------

    def _publish(self) -> None:
        while not self._is_stopping.is_set():
            self._has_news.wait()
            self._has_news.clear()
            self._publish_once()
            self._is_stopping.wait(PUBLISH_SECONDS)

    def _publish_once(self) -> None:
        size = self._size
        if size == self._publisher.published_size:
            return
        try:
            self._publisher.publish(size)
        except _LogFailure as error:
            # Entries are safe without it; the next commit, or the next start, tries again.
            self._publish_failure = str(error)
            return
        self._publish_failure = ""

    def _shut(self) -> None:
        self._queue.put(None)
        self._writer_thread.join()
        self._is_stopping.set()
        self._has_news.set()
        self._publisher_thread.join()
        self._publish_once()
        try:
            self._fold.fold(is_checked=self._tail_is_doubtful)
        except _LogFailure as error:
            # The next start folds; nothing is lost.
            self._failure = str(error)
        self._resources.close()


_ENTRY = (
    "SELECT leaf, ciphertext, wrapped_key FROM entries LEFT JOIN payloads USING (idx) WHERE idx = ?"
)
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


def _find_interrupted(connection: sqlite3.Connection) -> list[Interrupted]:
    rows = connection.execute(
        f"SELECT key, received_idx FROM inbox WHERE state = {OPEN_NUMBER} ORDER BY received_idx"  # noqa: S608 - a number of ours
    )
    return [Interrupted(bytes(key), index) for key, index in rows]


def _deliver(batch: list[_Pending], results: list[Any]) -> None:
    """Wake everybody who waits for this batch, with one call for each event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
    for pending, result in zip(batch, results, strict=True):
        by_loop.setdefault(pending.future.get_loop(), []).append((pending.future, result))
    for loop, told in by_loop.items():
        # A loop that is closed has nobody left who waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_resolve, told)


def _resolve(told: list[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, result in told:
        if future.done():  # whoever waited gave up; the entry stands all the same
            continue
        if isinstance(result, BusError):
            future.set_exception(result)
        else:
            future.set_result(result)
