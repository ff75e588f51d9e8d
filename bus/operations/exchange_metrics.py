"""Count exchanges by what came of them, and how long they took. Cheap: every message does it."""

from __future__ import annotations

from time import perf_counter
from types import TracebackType
from typing import Self

from bus.core.exchange_leaves import ACCEPTED
from bus.runtime.seconds_histogram import SecondsHistogram

SECONDS_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the histogram's classes; the last class has none."""


class ExchangeMetrics:
    """What happened since the start. Owned by the hub's event loop."""

    __slots__ = ("accepted", "by_outcome", "in_work", "seconds")

    def __init__(self) -> None:
        self.in_work = 0
        self.by_outcome: dict[str, int] = {}
        """By `delivered`, `answered-again`, or an error's code: a closed list."""
        self.seconds = SecondsHistogram(SECONDS_BOUNDS)
        self.accepted = SecondsHistogram(SECONDS_BOUNDS)
        """Of these, submissions that were accepted."""

    def count(self, outcome: str, seconds: float) -> None:
        """Count an exchange that is done."""
        self.by_outcome[outcome] = self.by_outcome.get(outcome, 0) + 1
        self.seconds.count(seconds)
        if outcome == ACCEPTED:
            self.accepted.count(seconds)


class CountedExchange:
    """Count one exchange while it is in work, and when it is done by its outcome.

    One that ends by an exception has no outcome and is counted as in work only.
    """

    __slots__ = ("_metrics", "_start", "outcome")

    def __init__(self, metrics: ExchangeMetrics) -> None:
        self._metrics = metrics
        self._start = 0.0
        self.outcome = ""

    def __enter__(self) -> Self:
        self._start = perf_counter()
        self._metrics.in_work += 1
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._metrics.in_work -= 1
        if kind is None:
            self._metrics.count(self.outcome, perf_counter() - self._start)
