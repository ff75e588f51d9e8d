"""Say whether a hub can take a message now: a probe goes through its judging and its log."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime

from bus.core.errors import LogUnavailable
from bus.judging.process import Decider
from bus.log.message_log import HubLog
from bus.log.timestamping import Timestamper

FRESH_SECONDS = 1.0
"""What was found is told again for so long: whoever asks often costs no more."""
LOG_SECONDS_MAX = 3.0
"""A log that takes longer to write and sync one page is stuck."""


class HubHealth:
    """Looks when somebody asks, once for all who ask meanwhile. Used from one event loop."""

    def __init__(
        self,
        judges: Decider,
        log: HubLog,
        timestamper: Timestamper | None,
        clock: Callable[[], datetime],
    ) -> None:
        self._judges = judges
        self._log = log
        self._timestamper = timestamper
        self._clock = clock
        self._looking: asyncio.Task[tuple[str, ...]] | None = None
        self._looked_at = -FRESH_SECONDS
        self._proving: asyncio.Task[None] | None = None
        """A page that the log was asked to write; it may not come back."""
        self.troubles: tuple[str, ...] = ()
        """What was found last: why the hub can take no message, each in a sentence."""

    async def look(self) -> tuple[str, ...]:
        """Why the hub can take no message now; empty: it can, a probe went through just now."""
        if self._looking is None:
            if time.monotonic() - self._looked_at < FRESH_SECONDS:
                return self.troubles
            self._looking = asyncio.get_running_loop().create_task(self._look())
        return await asyncio.shield(self._looking)

    async def _look(self) -> tuple[str, ...]:
        try:
            log, judging = await asyncio.gather(
                self._log_trouble(), self._judges.troubles(self._clock())
            )
            found = [log, *judging]
            if self._timestamper is not None and self._timestamper.is_overdue(self._clock()):
                found.append("no timestamp for too long")
            self.troubles = tuple(trouble for trouble in found if trouble)
            self._looked_at = time.monotonic()
            return self.troubles
        finally:
            self._looking = None

    async def _log_trouble(self) -> str:
        if self._proving is None:
            self._proving = asyncio.get_running_loop().create_task(self._log.prove())
        proving = self._proving
        done, _ = await asyncio.wait({proving}, timeout=LOG_SECONDS_MAX)
        if not done:
            return "the message log does not answer"
        self._proving = None
        try:
            proving.result()
        except LogUnavailable as error:
            return f"the message log is in trouble: {error.detail}"
        # What publishes checkpoints may be stuck while entries are written.
        return f"the message log is in trouble: {self._log.trouble}" if self._log.trouble else ""

    async def close(self) -> None:
        """Look no more."""
        for task in (self._looking, self._proving):
            if task is not None:
                task.cancel()
