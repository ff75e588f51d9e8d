"""Append what waits to the log, in shared synced commits: the writer's thread."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from bus.core.errors import BusError, LogCorrupt, LogUnavailable
from bus.core.limits import Limits
from bus.core.ports import Appended, LogWrite
from bus.edge.log_batches import (
    OPEN_NUMBER,
    Fenced,
    commit_batch,
    insert_text,
    prepare_batches,
)
from bus.edge.log_database import (
    Fold,
    close_writing,
    entry_count,
    open_writing,
    take_over,
)

FOLD_BYTES = 8 * 1024 * 1024
"""Size of the write-ahead log from which on it is folded into the database file."""
BATCH_BYTES_MAX = 8 * 1024 * 1024
"""Payload bytes that share one commit; a single larger message is a batch of its own."""

HAND_OVER_ENTRIES = 32
"""So many entries are handed to the writer's thread before a turn of the loop is done, so that it
commits while the loop goes on."""

LogFailure = (sqlite3.Error, OSError, LogUnavailable, LogCorrupt)
"""What can go wrong between us and the disk."""


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


class LogWriter:
    """Owns the writing connection and the fold: one thread, one transaction at a time."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        """Open the database, finish what an earlier run left, fence off other writers.

        Raises sqlite3.Error, OSError, LogUnavailable, LogCorrupt.
        """
        self._limits = limits
        self._queue: SimpleQueue[list[_Pending] | None] = SimpleQueue()
        self._gathered: dict[asyncio.AbstractEventLoop, list[_Pending]] = {}
        """What each event loop queued in its present turn. Owned by that loop's thread."""
        self._waiting = 0
        """Entries that are queued and not told of yet; a bound, exact with one event loop."""
        self._backlog: deque[_Pending] = deque()
        """Taken from the queue, not yet committed. Owned by the writer's thread."""
        self._is_ending = False
        self.failure = ""
        """Why the last commit failed; empty while the log works."""
        self.is_fenced = False
        self._tail_is_doubtful = True
        """The write-ahead log may end in frames of a failed commit."""
        self._fold_from_bytes = FOLD_BYTES
        self._has_stopped = False
        with contextlib.ExitStack() as resources:
            self._writing = open_writing(folder)
            resources.callback(close_writing, folder, self._writing)
            self._fold = Fold(folder, self._writing)
            resources.callback(self._fold.close)
            self._fold_now()
            self._epoch = take_over(self._writing)
            self.size = entry_count(self._writing)
            """Committed entries."""
            self.interrupted = _find_interrupted(self._writing)
            self._open_claims = {one.key: one.received_index for one in self.interrupted}
            prepare_batches(self._writing)
            self._resources = resources.pop_all()
        self.has_news = threading.Event()
        """Set after each commit."""
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)

    def start(self) -> None:
        """Begin to commit what is queued."""
        self._thread.start()

    def drain(self) -> None:
        """Commit what is queued and stop."""
        self._queue.put(None)
        self._thread.join()

    def close(self) -> None:
        """Fold what was committed and release every file."""
        try:
            if not self.is_fenced:
                self._fold.fold(is_checked=self._tail_is_doubtful)
        except LogFailure as error:
            # The next start folds; nothing is lost.
            self.failure = str(error)
        try:
            self._resources.close()
        except LogFailure as error:
            # The disk is gone: what was promised is on it, and there is nothing more to be done.
            self.failure = str(error)

    def enqueue(self, work: LogWrite | bytes) -> asyncio.Future[Any]:
        """Queue an entry or a text; the future tells when it is on disk. Raises LogUnavailable."""
        if self._waiting >= self._limits.log_queue_entries_max:
            raise LogUnavailable("too many entries wait for the log")
        loop = asyncio.get_running_loop()
        gathered = self._gathered.setdefault(loop, [])
        if not gathered:
            # Handed over when this turn of the loop is done: what one turn brings shares one
            # commit, and the two threads pass the interpreter to each other once a turn and not
            # once an entry. An idle loop hands over at once.
            loop.call_soon(self.hand_over, loop)
        future = loop.create_future()
        gathered.append(_Pending(work, future))
        self._waiting += 1
        if len(gathered) >= HAND_OVER_ENTRIES:
            self.hand_over(loop)
        return future

    def hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give the writer's thread what `loop` has gathered; called in that loop's thread."""
        gathered = self._gathered.pop(loop, None)
        if gathered:
            self._queue.put(gathered)
        if self._has_stopped:
            self._refuse_rest()

    def _run(self) -> None:
        try:
            while batch := self._gather():
                self._commit(batch)
                self.has_news.set()
                self._fold_if_large()
        finally:
            # Also after an error that nobody foresaw: nobody waits for ever.
            self._has_stopped = True
            self._refuse_rest()

    def _refuse_rest(self) -> None:
        with contextlib.suppress(Empty):
            while True:
                self._backlog.extend(self._queue.get_nowait() or ())
        rest = list(self._backlog)
        self._backlog.clear()
        self._deliver(rest, [LogUnavailable("the log's writer has stopped") for _ in rest])

    def _gather(self) -> list[_Pending]:
        """Whatever waits, up to the batch's bounds; nothing at the end.

        No timer: the last sync was the timer.
        """
        if not self._backlog and not self._is_ending:
            self._take_over(self._queue.get())
        while not self._queue.empty():
            self._take_over(self._queue.get_nowait())
        batch: list[_Pending] = []
        batch_bytes = 0
        while self._backlog and len(batch) < self._limits.log_batch_entries_max:
            batch_bytes += self._backlog[0].payload_bytes
            if batch and batch_bytes > BATCH_BYTES_MAX:
                break
            batch.append(self._backlog.popleft())
        return batch

    def _take_over(self, gathered: list[_Pending] | None) -> None:
        if gathered is None:
            self._is_ending = True
        else:
            self._backlog.extend(gathered)

    def _commit(self, batch: list[_Pending]) -> None:
        results: list[Any] = [LogUnavailable("the log's writer has stopped") for _ in batch]
        try:
            if self.is_fenced:
                raise Fenced("another hub took over this log")
            if self._tail_is_doubtful:
                # After a failed commit: put the files in order before anything is promised again.
                self._fold_now()
                self.size = entry_count(self._writing)
                self._open_claims = {}  # a commit may have been lost, or only its confirmation
            results = self._commit_all(batch)
        except LogFailure as error:
            self.failure = str(error) or type(error).__name__
            self.is_fenced = isinstance(error, Fenced)
            self._tail_is_doubtful = True
            self._roll_back()
            results = [LogUnavailable(self.failure) for _ in batch]
        else:
            self.failure = ""
        finally:
            self._deliver(batch, results)

    def _commit_all(self, batch: list[_Pending]) -> list[Any]:
        digests = {}
        for place, pending in enumerate(batch):
            if isinstance(pending.work, bytes):
                # Rare and before the entries that cite it: a transaction of its own.
                digests[place] = insert_text(self._writing, pending.work)
        writes = [pending.work for pending in batch if isinstance(pending.work, LogWrite)]
        if not writes:
            return list(digests.values())
        appended = commit_batch(self._writing, writes, self.size, self._epoch, self._open_claims)
        self.size += sum(isinstance(result, Appended) for result in appended)
        if any(write.erases is not None for write in writes):
            self._fold_from_bytes = 0  # what was erased must leave the write-ahead log too
        entries = iter(appended)
        return [digests[at] if at in digests else next(entries) for at in range(len(batch))]

    def _deliver(self, batch: list[_Pending], results: list[Any]) -> None:
        """Wake everybody who waits for this batch, with one call for each event loop."""
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
        for pending, result in zip(batch, results, strict=True):
            by_loop.setdefault(pending.future.get_loop(), []).append((pending.future, result))
        for loop, told in by_loop.items():
            # A loop that is closed has nobody left who waits.
            try:
                loop.call_soon_threadsafe(self._resolve, told)
            except RuntimeError:
                self._waiting -= len(told)

    def _resolve(self, told: list[tuple[asyncio.Future[Any], Any]]) -> None:
        self._waiting -= len(told)
        for future, result in told:
            if future.done():  # whoever waited gave up; the entry stands all the same
                continue
            if isinstance(result, BusError):
                future.set_exception(result)
            else:
                future.set_result(result)

    def _roll_back(self) -> None:
        # Some errors roll back by themselves; a second rollback would be an error of its own.
        if self._writing.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self._writing.execute("ROLLBACK")

    def _fold_if_large(self) -> None:
        try:
            if self.is_fenced:
                return
            wal_bytes = self._fold.wal_bytes()
            if wal_bytes < self._fold_from_bytes:
                return
            # Not possible now (a reader, a full disk): tried again when it has grown as much.
            self._fold_from_bytes = wal_bytes + FOLD_BYTES
            if self._fold.fold(is_checked=self._tail_is_doubtful):
                self._fold_from_bytes = FOLD_BYTES
        except LogFailure as error:
            self.failure = str(error)
            self._tail_is_doubtful = True

    def _fold_now(self) -> None:
        # A verifier may hold the pages for minutes; only a torn tail cannot wait for it.
        if not self._fold.fold(is_checked=True) and not self._fold.is_whole():
            raise LogUnavailable("a reader keeps the log from being put in order")
        self._tail_is_doubtful = False


def _find_interrupted(connection: sqlite3.Connection) -> list[Interrupted]:
    rows = connection.execute(
        f"SELECT key, received_idx FROM inbox WHERE state = {OPEN_NUMBER} ORDER BY received_idx"  # noqa: S608 - a number of ours
    )
    return [Interrupted(bytes(key), index) for key, index in rows]
