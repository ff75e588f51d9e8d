"""Spare a recipient that fails: after failures in a row it is only probed, ever more rarely.

One for each recipient, in memory; a hub that starts anew finds out again. Pure: times are given.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

FAILURES_MAX = 5
"""Failures in a row after which a recipient is only probed."""
PROBE_SECONDS_FIRST = 5.0
PROBE_SECONDS_MAX = 300.0


class BreakerState(StrEnum):
    """Whether a recipient gets what is due."""

    CLOSED = "closed"
    """It does."""
    OPEN = "open"
    """It failed too often; nothing goes until the next probe."""
    PROBING = "probing"
    """One delivery is on its way, and tells."""


@dataclass(slots=True)
class Breaker:
    """Counts what a recipient's attempts came to, and says how many may be out."""

    state: BreakerState = BreakerState.CLOSED
    failures: int = 0
    """In a row."""
    probe_at: datetime | None = None
    """When the next probe may go, while it is open."""
    _probe_seconds: float = PROBE_SECONDS_FIRST
    _window: int = 0
    """How many may be out while it recovers; 0: it has recovered."""

    def room(self, out: int, window_max: int, now: datetime) -> int:
        """How many more attempts may leave now, beside `out` that are on their way."""
        if self.state is BreakerState.CLOSED:
            window = min(self._window, window_max) if self._window else window_max
            return max(window - out, 0)
        if self.state is BreakerState.OPEN and self.probe_at is not None and self.probe_at <= now:
            return 1
        return 0

    def left(self) -> None:
        """An attempt left: if it is open, that is the probe."""
        if self.state is BreakerState.OPEN:
            self.state = BreakerState.PROBING

    def reached(self, now: datetime) -> bool:
        """It can be reached again, though no delivery has said so: the next one may go now.

        Gives whether that lets anything leave.
        """
        if self.state is BreakerState.OPEN:
            self.probe_at = now
        return self.state is BreakerState.OPEN

    def not_sent(self, now: datetime) -> None:
        """What left came back without having been tried: a probe has still to be made."""
        if self.state is BreakerState.PROBING:
            self.state = BreakerState.OPEN
            self.probe_at = now + timedelta(seconds=PROBE_SECONDS_FIRST)

    def succeeded(self) -> None:
        """The recipient took a delivery, or refused it: it is there."""
        self.failures = 0
        if self.state is not BreakerState.CLOSED:
            # All that waited for it does not come at once.
            self.state, self.probe_at, self._window = BreakerState.CLOSED, None, 1
            self._probe_seconds = PROBE_SECONDS_FIRST
        elif self._window:
            self._window = 0 if self._window > 2**16 else self._window * 2

    def failed(self, now: datetime) -> None:
        """An attempt failed for a while, or nobody knows what came of it."""
        self.failures += 1
        if self.state is BreakerState.CLOSED and self.failures < FAILURES_MAX:
            return
        if self.state is BreakerState.OPEN:
            return  # one that left before: it says nothing new
        if self.state is BreakerState.PROBING:
            self._probe_seconds = min(self._probe_seconds * 2, PROBE_SECONDS_MAX)
        self.state = BreakerState.OPEN
        self.probe_at = now + timedelta(seconds=self._probe_seconds)
