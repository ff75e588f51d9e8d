"""Append what waits to the log, in shared synced commits: the writer's thread."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from dataclasses import dataclass
from enum import Enum
from queue import Empty, SimpleQueue
from typing import Any

from bus.core.deliveries import DeliveryChange, ReceiptRemoval
from bus.core.errors import BusError, LogCorrupt, LogUnavailable
from bus.core.limits import Limits
from bus.core.ports.entry_store import EntryStore
from bus.core.ports.message_log import LogWrite

BATCH_BYTES_MAX = 8 * 1024 * 1024
"""Payload bytes that share one commit; a single larger message is a batch of its own."""

HAND_OVER_ENTRIES = 32
"""So many entries are handed to the writer's thread before a turn of the loop is done, so that it
commits while the loop goes on."""


class Proof(Enum):
    """Work that says nothing, and shows whether the log can be written."""

    WRITE = "write"


Work = LogWrite | DeliveryChange | ReceiptRemoval | bytes | Proof
"""An entry, a change without one, receipts to be removed, a text to be kept, or a proof."""


@dataclass(slots=True)
class _Pending:
    """What waits for the writer's thread, and who waits for it."""

    work: Work
    future: asyncio.Future[Any]

    @property
    def payload_bytes(self) -> int:
        """About how much it adds to a transaction."""
        if isinstance(self.work, LogWrite):
            sealed, carried = self.work.sealed, self.work.carried
            carried_bytes = len(carried.ciphertext) if carried else 0
            return carried_bytes + (len(sealed.ciphertext) if sealed else 0)
        return len(self.work) if isinstance(self.work, bytes) else 0


class GroupCommit:
    """Commits what queued during the last sync in one transaction: one thread, one at a time."""

    def __init__(self, store: EntryStore, limits: Limits) -> None:
        self._store = store
        self._limits = limits
        self._queue: SimpleQueue[list[_Pending] | None] = SimpleQueue()
        self._gathered: dict[asyncio.AbstractEventLoop, list[_Pending]] = {}
        """What each event loop queued in its present turn. Owned by that loop's thread."""
        self._waiting = 0
        """Entries that are queued and not told of yet; a bound, exact with one event loop."""
        self._backlog: deque[_Pending] = deque()
        """Taken from the queue, not yet committed. Owned by the writer's thread."""
        self.commits = 0
        """Transactions that appended entries or changed rows, since the start."""
        self._is_ending = False
        self._has_stopped = False
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

    def enqueue(self, work: Work) -> asyncio.Future[Any]:
        """Queue work; the future tells when it is on disk. Raises LogUnavailable."""
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
                self._store.tend()
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
            results = self._commit_all(batch)
        except (LogUnavailable, LogCorrupt) as error:
            results = [LogUnavailable(error.detail) for _ in batch]
        finally:
            self._deliver(batch, results)

    def _commit_all(self, batch: list[_Pending]) -> list[Any]:
        apart: dict[int, bytes | int | None] = {}
        for place, pending in enumerate(batch):
            if isinstance(pending.work, bytes):
                # Rare and before the entries that cite it: a transaction of its own.
                apart[place] = self._store.keep_text(pending.work)
            elif isinstance(pending.work, ReceiptRemoval):
                apart[place] = self._store.remove_receipts(pending.work)
            elif isinstance(pending.work, Proof):
                self._store.prove()
                apart[place] = None
        works = [
            pending.work for pending in batch if isinstance(pending.work, LogWrite | DeliveryChange)
        ]
        if not works:
            return list(apart.values())
        committed = iter(self._store.commit(works))
        self.commits += 1
        return [apart[at] if at in apart else next(committed) for at in range(len(batch))]

    def _deliver(self, batch: list[_Pending], results: list[Any]) -> None:
        """Wake everybody who waits for this batch, with one call for each event loop."""
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
        for pending, result in zip(batch, results, strict=True):
            by_loop.setdefault(pending.future.get_loop(), []).append((pending.future, result))
        for loop, settled in by_loop.items():
            # A loop that is closed has nobody left who waits.
            try:
                loop.call_soon_threadsafe(self._resolve, settled)
            except RuntimeError:
                self._waiting -= len(settled)

    def _resolve(self, settled: list[tuple[asyncio.Future[Any], Any]]) -> None:
        self._waiting -= len(settled)
        for future, result in settled:
            if future.done():  # whoever waited gave up; the entry stands all the same
                continue
            if isinstance(result, BusError):
                future.set_exception(result)
            else:
                future.set_result(result)
