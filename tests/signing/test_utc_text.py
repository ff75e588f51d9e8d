"""Moments as text are those of the standard library, whatever the zone."""

from __future__ import annotations

from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from signing.utc_text import text_in_microseconds, text_in_milliseconds

zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(timezones=st.just(UTC) | zones).filter(
    lambda moment: MINYEAR < moment.year < MAXYEAR  # at either end another zone has no such year
)


@given(moments)
def test_a_moment_is_written_as_the_standard_library_writes_it(moment: datetime) -> None:
    in_utc = moment.astimezone(UTC).replace(tzinfo=None)

    assert text_in_microseconds(moment) == f"{in_utc.isoformat(timespec='microseconds')}Z"
    assert text_in_milliseconds(moment) == f"{in_utc.isoformat(timespec='milliseconds')}Z"
