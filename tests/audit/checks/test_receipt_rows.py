"""What lies ready for a sender is what two entries say, or it is not explained."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from bus.audit.checks.receipt_rows import is_explained
from bus.core.errors import LogCorrupt
from bus.core.log.leaf import Event, build_leaf
from bus.core.ports.log_source import LogRows, UnseenReceipt
from bus.core.ports.message_log import StoredEntry
from tests.log.log_stories import START

SENDER = "VN/GOV/H41/motcua"
LEAVES = {
    0: build_leaf(Event.RECEIVED, START, client=SENDER, recipients=2),
    1: build_leaf(Event.HEARTBEAT, START),
    2: build_leaf(Event.OUTCOME, START, continues=0, position=1, verdict="delivered"),
    3: build_leaf(Event.OUTCOME, START, continues=1, position=1, verdict="delivered"),
    4: b"no leaf",
}
EXPLAINED = UnseenReceipt(SENDER, 2, 0, 1)


class _Rows:
    """Of the rows of a log what is asked here: its entries, one of which is damaged."""

    def entries(self, first: int, _end: int) -> Any:
        if first == 5:
            raise LogCorrupt("a page cannot be read")
        return iter([StoredEntry(first, LEAVES[first], None)] if first in LEAVES else [])


def test_a_receipt_is_explained_by_the_entry_that_closed_the_delivery() -> None:
    assert is_explained(EXPLAINED, cast(LogRows, _Rows()))


@pytest.mark.parametrize(
    "changes",
    [
        {"sender": "VN/GOV/H27/khac"},
        {"position": 0},
        {"received": 1},
        {"received": 1, "entry": 3},
        *({"entry": entry} for entry in (0, 1, 3, 4, 5, 6)),
    ],
    ids=str,
)
def test_any_other_is_not(changes: dict[str, Any]) -> None:
    assert not is_explained(replace(EXPLAINED, **changes), cast(LogRows, _Rows()))
