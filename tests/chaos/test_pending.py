"""However much waits: a hub holds no more in memory for it, and makes each delivery once."""

from __future__ import annotations

import pytest

from tests.chaos.pending import measure_pending

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

FEW, MANY = 300, 6_000
BYTES_OF_ROW_MAX = 2_000
"""Less than the message of one row is: they cannot all be held."""


def test_what_waits_costs_no_memory() -> None:
    few = measure_pending(FEW, FEW)
    many = measure_pending(MANY, 3 * FEW)
    for one in (few, many):
        assert one.taken == one.keys > 0, one.told
    more = many.rss_bytes_max - few.rss_bytes_max
    assert more < BYTES_OF_ROW_MAX * (MANY - FEW), (few.told, many.told)
