"""Commit requests with their answers in shared synced transactions: the floor's one table."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
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


class FloorStore:
    """Owns the database and the thread that writes it; used from one event loop."""

    def __init__(self, path: Path) -> None:
        self._waiting: list[Stored] = []
        """What the loop's present turn has brought."""
        self._queue: SimpleQueue[list[Stored]] = SimpleQueue()
        """Turn by turn; an empty list is the end."""
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
        """Queue an exchange; its `report` is called when both messages are on disk and synced."""
        # One hand-over for each turn of the loop: else the writer would commit one by one.
        if not self._waiting:
            self._loop.call_soon(self._hand_over)
        self._waiting.append(stored)

    def close(self) -> None:
        """Write what is queued; release the file."""
        self._hand_over()
        self._queue.put([])
        self._thread.join()
        self._database.close()

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
        rows = ",".join(["(?,?)"] * len(batch))
        values = [value for one in batch for value in (one.request, one.answer)]
        # One statement is one transaction: a single step gives up the interpreter, not one a row.
        self._database.execute(f"INSERT INTO exchanges VALUES {rows}", values)
        self._loop.call_soon_threadsafe(_report, batch)


def _report(batch: list[Stored]) -> None:
    for one in batch:
        one.report(one.answer)
