"""Threads that read what strangers send, and are renewed before the names they met fill memory.

libxml2 keeps every name that it has read, of elements, attributes and prefixes, for each thread,
until the thread ends. Whoever sends new names with each message would fill the memory of a thread
that never does, and nothing of it could be given back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeVar, cast

READ_BYTES_MAX = 4 * 1024 * 1024
"""So many bytes of messages are read on one thread; the next message goes to its successor. A name
takes up to eight times the bytes that it has in a message."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class _Task:
    byte_count: int
    work: Callable[[], Any]
    future: Future[Any]


class RecycledThreads:
    """Runs work on so many threads at once, each of which is followed by another in time.

    With one thread, work is done in the order in which it came, and never two at a time.
    """

    def __init__(self, count: int, name: str, *, bytes_max: int = READ_BYTES_MAX) -> None:
        self._count_max = count
        self._name = name
        self._bytes_max = bytes_max
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._lock = threading.Lock()
        """Guards what follows."""
        self._threads: set[threading.Thread] = set()
        self._idle = 0
        self._waiting = 0
        self._is_shut = False

    def read(self, byte_count: int, work: Callable[[], Result]) -> Future[Result]:
        """Have work done that reads so many bytes of a message. Raises RuntimeError: shut down."""
        future: Future[Result] = Future()
        with self._lock:
            if self._is_shut:
                raise RuntimeError("these threads take no more work")
            self._tasks.put(_Task(byte_count, work, future))
            self._waiting += 1
            if self._waiting > self._idle and len(self._threads) < self._count_max:
                self._start()
        return future

    def shutdown(self, *, wait: bool, cancel: bool = False) -> None:
        """Take no more work; `cancel` what waits, or `wait` until all of it is done."""
        with self._lock:
            self._is_shut = True
            threads = list(self._threads)
            if cancel:
                self._cancel_waiting()
            for _ in threads:
                self._tasks.put(None)
        while wait and threads:
            for thread in threads:
                thread.join()
            with self._lock:  # a thread that was followed by another has ended
                threads = list(self._threads)

    def _cancel_waiting(self) -> None:
        while not self._tasks.empty():
            task = self._tasks.get_nowait()
            if task is not None:
                self._waiting -= 1
                task.future.cancel()

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._threads.add(thread)
        thread.start()

    def _run(self) -> None:
        read_bytes = 0
        self._rest()
        while (task := self._next()) is not None:
            read_bytes += task.byte_count
            is_spent = read_bytes >= self._bytes_max
            # Who has a result finds this thread idle: what comes next starts no other.
            _do(task, before_telling=_end if is_spent else self._rest)
            del task  # what it gave must not outlive it here: it may hold a whole tree
            if is_spent:
                break
        with self._lock:
            self._threads.discard(threading.current_thread())
            # What this thread knows goes with it, as soon as nobody holds a tree that it read.
            if read_bytes >= self._bytes_max and (self._waiting or not self._is_shut):
                self._start()

    def _rest(self) -> None:
        with self._lock:
            self._idle += 1

    def _next(self) -> _Task | None:
        task = self._tasks.get()
        with self._lock:
            self._idle -= 1
            if task is not None:
                self._waiting -= 1
        return task


def _end() -> None:
    """A thread that ends is not idle."""


def _do(task: _Task, *, before_telling: Callable[[], None]) -> None:
    if not task.future.set_running_or_notify_cancel():
        before_telling()
        return
    future = task.future
    try:
        result = task.work()
    except BaseException as error:
        before_telling()
        future.set_exception(error)
        # The error knows this frame: what it holds must not hold the error.
        del future, task
    else:
        before_telling()
        future.set_result(cast(Any, result))
