"""Say until when something must be done, and how much time is left."""

from __future__ import annotations

import time
from dataclasses import dataclass

from bus.core.errors import RecipientTimeout


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
