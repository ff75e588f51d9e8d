"""Commit requests with their answers in shared synced transactions: the floor's one table."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue

BATCH_EXCHANGES_MAX = 256
_STATEMENTS_KEPT = 512


@dataclass(frozen=True, slots=True)
class Stored:
    """A request with its answer, and who waits for both to be on disk."""

    request: bytes = field(repr=False)
    answer: bytes = field(repr=False)
    tell: Callable[[bytes], None]


class FloorStore:
    """Owns the database and the thread that writes it; used from one event loop."""

    def __init__(self, path: Path) -> None:
        self._queue: SimpleQueue[Stored | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._database = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, cached_statements=_STATEMENTS_KEPT
        )
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "wal_autocheckpoint = 2000"):
            self._database.execute(f"PRAGMA {pragma}")
        self._database.execute("CREATE TABLE exchanges (request BLOB, answer BLOB)")
        self._thread = threading.Thread(target=self._run, name="floor-writer")
        self._thread.start()

    def put(self, stored: Stored) -> None:
        """Queue an exchange; its `tell` is called when both messages are on disk and synced."""
        self._queue.put(stored)

    def close(self) -> None:
        """Write what is queued; release the file."""
        self._queue.put(None)
        self._thread.join()
        self._database.close()

    def _run(self) -> None:
        while True:
            batch = [self._queue.get()]
            while len(batch) < BATCH_EXCHANGES_MAX:
                try:
                    batch.append(self._queue.get_nowait())
                except Empty:
                    break
            stored = [one for one in batch if one is not None]
            if stored:
                self._commit(stored)
            if len(stored) < len(batch):
                return

    def _commit(self, batch: list[Stored]) -> None:
        rows = ",".join(["(?,?)"] * len(batch))
        values = [value for one in batch for value in (one.request, one.answer)]
        # One statement is one transaction: a single step gives up the interpreter, not one a row.
        self._database.execute(f"INSERT INTO exchanges VALUES {rows}", values)
        self._loop.call_soon_threadsafe(_tell, batch)


def _tell(batch: list[Stored]) -> None:
    for one in batch:
        one.tell(one.answer)
