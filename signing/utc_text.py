"""Write moments as text in UTC: in less than half of what `datetime.isoformat` takes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND_MICROSECONDS = 1000


def text_in_microseconds(moment: datetime) -> str:
    """An aware moment as `2026-11-30T09:00:00.000000Z`.

    >>> text_in_microseconds(datetime(2026, 11, 30, 9, 0, 0, 42, tzinfo=UTC))
    '2026-11-30T09:00:00.000042Z'
    """
    since = moment - _EPOCH
    return f"{_second(since.days, since.seconds)}.{since.microseconds:06d}Z"


def text_in_milliseconds(moment: datetime) -> str:
    """An aware moment as `2026-11-30T09:00:00.000Z`: what is finer is cut off.

    >>> text_in_milliseconds(datetime(2026, 11, 30, 9, 0, 0, 42_999, tzinfo=UTC))
    '2026-11-30T09:00:00.042Z'
    """
    since = moment - _EPOCH
    thousandth = since.microseconds // _MILLISECOND_MICROSECONDS
    return f"{_second(since.days, since.seconds)}.{thousandth:03d}Z"


@lru_cache(maxsize=64)
def _second(days: int, seconds: int) -> str:
    """What moments of one second have in common."""
    return (_EPOCH + timedelta(days, seconds)).isoformat()[:19]
