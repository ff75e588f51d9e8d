"""Own what was opened: close all of it, the last first, each within its time, whatever fails."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from bus.runtime.daemon_threads import run_aside
from bus.runtime.telemetry import places_of

CLOSE_SECONDS_MAX = 5.0
"""How long closing one thing may take, where nothing else is said."""

Close = Callable[[], Any]
"""Called on the event loop if it is a coroutine function, else on a thread of its own."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Step:
    """What is closed at the same time."""

    closings: Mapping[str, Close]
    seconds_max: float


class Resources:
    """Owns what was opened, in that order. Used from one event loop.

    Whatever fails to close is told to the operator by its name and the kind of error, and the rest
    is closed all the same. What is not closed in its time is left to the end of the process.
    """

    def __init__(self) -> None:
        self._steps: list[_Step] = []

    def own(
        self,
        name: str,
        close: Close,
        *,
        seconds_max: float = CLOSE_SECONDS_MAX,
        closed_after: str = "",
    ) -> None:
        """Close it later: before everything that was opened earlier, or `closed_after` one of
        these."""
        place = len(self._steps)
        if closed_after:
            place = next(at for at, one in enumerate(self._steps) if closed_after in one.closings)
        self._steps.insert(place, _Step({name: close}, seconds_max))

    def own_together(
        self, closings: Mapping[str, Close], *, seconds_max: float = CLOSE_SECONDS_MAX
    ) -> None:
        """Close these by name, all at the same time and within one time: none waits for another.

        What is put into `closings` later is closed, too.
        """
        self._steps.append(_Step(closings, seconds_max))

    async def close(self) -> None:
        """Close everything, once. When this returns, every step was done or was told as failed."""
        cancelled: asyncio.CancelledError | None = None
        while self._steps:
            step = self._steps.pop()
            closing = [_close(name, one, step.seconds_max) for name, one in step.closings.items()]
            try:
                await asyncio.gather(*closing)
            except asyncio.CancelledError as error:
                cancelled = error  # whoever is in a hurry gets away when the rest is closed, too
        if cancelled is not None:
            raise cancelled


@asynccontextmanager
async def opening() -> AsyncIterator[Resources]:
    """What is opened within; when a step fails, everything that was opened before it is closed."""
    resources = Resources()
    try:
        yield resources
    except BaseException:
        await resources.close()
        raise


async def _close(name: str, close: Close, seconds_max: float) -> None:
    try:
        async with asyncio.timeout(seconds_max) as timer:
            if inspect.iscoroutinefunction(close):
                await close()
            else:
                await run_aside(close, f"close-{name}")
    except Exception as error:  # it may be anybody's code: the rest must be closed all the same
        if timer.expired():
            _log.error("close.late", resource=name, seconds_max=seconds_max)
        else:
            kind = type(error).__name__
            _log.error("close.failed", resource=name, error=kind, places=places_of(error))
