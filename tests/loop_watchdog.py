"""Measure the longest stretch in which an event loop did not turn, by what it worked, not waited.

Each callback of asyncio's own loop is measured by the processor time of the loop's thread, so that
a busy machine makes no test fail. A callback that waits costs no processor time: to wait for
another thread is forbidden there, however short it is.
"""

from __future__ import annotations

import asyncio
import asyncio.events
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

WORK_SECONDS_MAX = 0.05
"""So long one callback may work, of what came from outside: generous, for slow machines."""


@dataclass(slots=True)
class Watched:
    """What a loop's callbacks took."""

    longest_seconds: float = 0.0
    longest: str = ""
    """The callback that worked the longest."""
    callbacks: int = 0
    waits: list[str] = field(default_factory=list)
    """Places at which a callback waited for another thread."""

    def require_turning(self, seconds_max: float = WORK_SECONDS_MAX) -> None:
        """The loop has turned at least so often, as far as it was for its own work."""
        assert self.callbacks > 0, "nothing was watched: the loop is not asyncio's own"
        assert self.longest_seconds <= seconds_max, (
            f"{self.longest} kept the event loop for {self.longest_seconds * 1000:.0f} ms"
        )
        assert self.waits == [], "the event loop waited for a thread"


@contextmanager
def watching() -> Iterator[Watched]:
    """Watch the callbacks of every asyncio loop of this thread."""
    watched = Watched()
    loop_thread = threading.get_ident()
    run, wait = asyncio.events.Handle._run, threading.Condition.wait
    is_in_callback = False

    def measured(handle: Any) -> None:
        nonlocal is_in_callback
        if threading.get_ident() != loop_thread:
            run(handle)
            return
        begun = time.thread_time()
        is_in_callback = True
        try:
            run(handle)
        finally:
            is_in_callback = False
            seconds = time.thread_time() - begun
            watched.callbacks += 1
            if seconds > watched.longest_seconds:
                watched.longest_seconds, watched.longest = seconds, repr(handle)

    def noted(condition: threading.Condition, timeout: float | None = None) -> bool:
        if is_in_callback and threading.get_ident() == loop_thread:
            names = [frame.name for frame in traceback.extract_stack()[:-1]]
            # A thread that is started says so at once; without any time nobody waits.
            if timeout != 0 and names[-2:] != ["start", "wait"]:
                watched.waits.append(" < ".join(reversed(names[-8:])))
        return wait(condition, timeout)

    asyncio.events.Handle._run = measured  # type: ignore[method-assign, assignment]
    threading.Condition.wait = noted  # type: ignore[method-assign, assignment]
    try:
        yield watched
    finally:
        asyncio.events.Handle._run = run  # type: ignore[method-assign]
        threading.Condition.wait = wait  # type: ignore[method-assign]
