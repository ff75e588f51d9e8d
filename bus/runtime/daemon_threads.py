"""Run work that may never end on threads that never hold the process.

The threads of an executor are waited for when the interpreter ends, for as long as it takes. What
others wrote, and what waits for a device or a disk, may take for ever.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

Result = TypeVar("Result")
_Task = tuple["Future[Any]", Callable[[], Any]]


def run_aside(work: Callable[[], Result], name: str) -> asyncio.Future[Result]:
    """Do work on a thread of its own; whoever waits may give up, the thread then goes on."""
    future: Future[Result] = Future()
    thread = threading.Thread(target=_do, args=(future, work), name=name, daemon=True)
    thread.start()
    return asyncio.wrap_future(future)


class DaemonThreads:
    """So many threads, started as they are needed. Safe to use from several threads."""

    def __init__(
        self, count: int, name: str, *, is_worn: Callable[[], bool] = lambda: False
    ) -> None:
        """`is_worn`, asked on a thread after each task, ends it; another one is started in time."""
        self._count_max = count
        self._name = name
        self._is_worn = is_worn
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._lock = threading.Lock()
        """Guards what follows."""
        self._count = 0
        self._unfinished = 0
        """Tasks that wait or are being done."""
        self._is_shut = False

    def submit(self, work: Callable[[], Result]) -> Future[Result]:
        """Have work done as soon as a thread is free. Raises RuntimeError: shut down."""
        future: Future[Result] = Future()
        with self._lock:
            if self._is_shut:
                raise RuntimeError("these threads take no more work")
            self._tasks.put((future, work))
            self._unfinished += 1
            self._start_if_needed()
        return future

    def _start_if_needed(self) -> None:
        if self._unfinished > self._count < self._count_max:
            self._count += 1
            threading.Thread(target=self._run, name=self._name, daemon=True).start()

    def shutdown(self) -> None:
        """Take no more work, cancel what waits; nobody waits for what is being done."""
        with self._lock:
            self._is_shut = True
            while not self._tasks.empty():
                task = self._tasks.get_nowait()
                if task is not None:
                    task[0].cancel()
            for _ in range(self._count):
                self._tasks.put(None)

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            _do(*task)
            del task  # what was done must not live here until the next comes
            with self._lock:
                self._unfinished -= 1
                if self._is_worn() and not self._is_shut:
                    self._count -= 1
                    self._start_if_needed()
                    return


def _do(future: Future[Any], work: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = work()
    except BaseException as error:
        future.set_exception(error)
        # The error knows this frame: what it holds must not hold the error.
        del future, work
    else:
        future.set_result(result)
