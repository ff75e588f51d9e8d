"""Count how long things took, in classes: cheap enough for every message."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate


@dataclass(frozen=True, slots=True)
class SecondsCounts:
    """What took how long, at one moment."""

    bounds: tuple[float, ...]
    """In seconds."""
    up_to: tuple[int, ...]
    """How many took at most so long, for each bound and in all."""
    seconds_sum: float


class SecondsHistogram:
    """What took how long, since the start. Owned by one event loop."""

    __slots__ = ("bounds", "class_counts", "seconds_sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        """`bounds` are the upper bounds of the classes, in seconds, in order; the last has none."""
        self.bounds = bounds
        self.class_counts = [0] * (len(bounds) + 1)
        self.seconds_sum = 0.0

    def count(self, seconds: float) -> None:
        """Count one thing that took so long; a clock that was set back makes it 0."""
        seconds = max(seconds, 0.0)
        self.class_counts[bisect_left(self.bounds, seconds)] += 1
        self.seconds_sum += seconds

    def read(self) -> SecondsCounts:
        """As it is now."""
        return SecondsCounts(self.bounds, tuple(accumulate(self.class_counts)), self.seconds_sum)
