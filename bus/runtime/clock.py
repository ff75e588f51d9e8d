"""Read the clock: the one place that does."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """The time now, in UTC with microseconds."""
    return datetime.now(UTC)
