"""Let members send so many messages a second, on the average: what is more comes later."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bus.core.errors import RateLimited
from bus.core.identifiers import MemberId

BURST_SECONDS = 1.0
"""What a member did not send for so long it may send at once."""


@dataclass(slots=True)
class TokenBucket:
    """Holds a token for each message that may come now; pure: times are given, in seconds.

    It holds what a second brings, and at least one. A clock that goes back brings nothing.
    """

    per_second: float
    tokens: float
    filled_at: float

    @property
    def tokens_max(self) -> float:
        """How many it holds."""
        return max(self.per_second * BURST_SECONDS, 1.0)

    def take(self, now: float) -> float:
        """Take a token; 0.0: there was one, else the seconds until there is."""
        if now > self.filled_at:
            brought = (now - self.filled_at) * self.per_second
            self.tokens = min(self.tokens + brought, self.tokens_max)
        self.filled_at = now
        if self.tokens >= 1.0:
            self.tokens -= 1.0
            return 0.0
        return (1.0 - self.tokens) / self.per_second


class MemberRates:
    """One bucket for each member whose rate was agreed; used from one event loop."""

    def __init__(
        self, per_second: Mapping[MemberId, float], monotonic: Callable[[], float]
    ) -> None:
        """`monotonic` gives seconds, as `time.monotonic` does. Buckets are full at first."""
        self._monotonic = monotonic
        now = monotonic()
        self._of = {member: TokenBucket(rate, math.inf, now) for member, rate in per_second.items()}
        for bucket in self._of.values():
            bucket.tokens = bucket.tokens_max
        self.refused: dict[MemberId, int] = {}
        """Since the start, by member; whoever was not refused is missing."""

    def take(self, member: MemberId) -> None:
        """A message of a proved sender came. Raises RateLimited: it is one too many."""
        bucket = self._of.get(member)
        if bucket is None:
            return
        seconds = bucket.take(self._monotonic())
        if seconds > 0:
            self.refused[member] = self.refused.get(member, 0) + 1
            raise RateLimited(
                f"more than {bucket.per_second:g} a second", retry_after_seconds=seconds
            )
