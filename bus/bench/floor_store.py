"""Commit requests with their answers in shared synced transactions: the floor's one table."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

BATCH_EXCHANGES_MAX = 256
_STATEMENTS_KEPT = 512


@dataclass(frozen=True, slots=True)
class Stored:
    """A request with its answer, and who waits for both to be on disk."""

    request: bytes = field(repr=False)
    answer: bytes = field(repr=False)
    report: Callable[[bytes], None]


class FloorWriter(ABC):
    """Owns the thread that writes; used from one event loop. Begin it when all else is there."""

    def __init__(self) -> None:
        self.stored = 0
        """Rows on disk. Written by the thread that writes them, as is the next."""
        self.commits = 0
        self._waiting: list[Stored] = []
        """What the loop's present turn has brought."""
        self._queue: SimpleQueue[list[Stored]] = SimpleQueue()
        """Turn by turn; an empty list is the end."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="floor-writer")
        self._thread.start()

    @abstractmethod
    def _write(self, batch: list[Stored]) -> None:
        """Commit rows in one transaction, on the thread that writes."""

    @abstractmethod
    def _release(self) -> None:
        """Let go of the database: nothing is written any more."""

    def put(self, stored: Stored) -> None:
        """Queue a row; its `report` is called when it is on disk and synced."""
        # One hand-over for each turn of the loop: else the writer would commit one by one.
        if not self._waiting:
            self._loop.call_soon(self._hand_over)
        self._waiting.append(stored)

    def close(self) -> None:
        """Write what is queued; let go."""
        self._hand_over()
        self._queue.put([])
        self._thread.join()
        self._release()

    def _hand_over(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._queue.put(waiting)

    def _run(self) -> None:
        while batch := self._queue.get():
            is_last = False
            while len(batch) < BATCH_EXCHANGES_MAX and not self._queue.empty():
                more = self._queue.get()
                is_last = not more
                batch += more
            self._commit(batch)
            if is_last:
                return

    def _commit(self, batch: list[Stored]) -> None:
        self._write(batch)
        self.stored += len(batch)
        self.commits += 1
        self._loop.call_soon_threadsafe(_report, batch)


class FloorStore(FloorWriter):
    """Owns the file that it writes."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, cached_statements=_STATEMENTS_KEPT
        )
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "wal_autocheckpoint = 2000"):
            self._database.execute(f"PRAGMA {pragma}")
        self._database.execute("CREATE TABLE exchanges (request BLOB, answer BLOB)")
        super().__init__()

    def _write(self, batch: list[Stored]) -> None:
        rows = ",".join(["(?,?)"] * len(batch))
        values = [value for one in batch for value in (one.request, one.answer)]
        # One statement is one transaction: a single step gives up the interpreter, not one a row.
        self._database.execute(f"INSERT INTO exchanges VALUES {rows}", values)

    def _release(self) -> None:
        self._database.close()


def _report(batch: list[Stored]) -> None:
    for one in batch:
        one.report(one.answer)
