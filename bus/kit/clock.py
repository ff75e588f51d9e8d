"""Read the clocks for adapters: the wall clock agencies want in a header, and a deadline."""

from __future__ import annotations

import time

from bus.runtime.deadline import Deadline

__all__ = [
    "Deadline",
    "epoch_milliseconds",
]


def epoch_milliseconds() -> int:
    """The time now, as agencies write it in a Timestamp header."""
    return time.time_ns() // 1_000_000
