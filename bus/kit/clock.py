"""Read the clocks for adapters: the wall clock agencies want in a header, and a deadline."""

from __future__ import annotations

import time
from dataclasses import dataclass

from bus.core.errors import RecipientTimeout


def epoch_milliseconds() -> int:
    """The time now, as agencies write it in a Timestamp header."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Deadline:
    """The moment after which the hub answers without the agency."""

    monotonic_seconds: float

    @classmethod
    def after(cls, timeout_seconds: float) -> Deadline:
        return cls(time.monotonic() + timeout_seconds)

    def remaining_seconds(self) -> float:
        """What is left, more than zero; raise RecipientTimeout when nothing is."""
        remaining = self.monotonic_seconds - time.monotonic()
        if remaining <= 0:
            raise RecipientTimeout("the time for this query is used up")
        return remaining
