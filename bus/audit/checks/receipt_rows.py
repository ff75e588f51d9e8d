"""Hold what lies ready for senders to the entries that it is about."""

from __future__ import annotations

from typing import Any

from bus.core.errors import LogCorrupt
from bus.core.log.leaf import Event, LeafInvalid, read_leaf_facts
from bus.core.ports.log_source import LogRows, UnseenReceipt


def is_explained(row: UnseenReceipt, rows: LogRows) -> bool:
    """Whether the log says of a receipt what its row says."""
    closing, received = _facts_at(row.entry, rows), _facts_at(row.received, rows)
    about = (closing.get("event"), closing.get("continues"), closing.get("position"))
    return (
        about == (Event.OUTCOME, row.received, row.position)
        and received.get("event") == Event.RECEIVED
        and received.get("client") == row.sender
    )


def _facts_at(index: int, rows: LogRows) -> dict[str, Any]:
    """The facts of one entry; none: it is not there, or is no leaf."""
    try:
        return next((read_leaf_facts(one.leaf) for one in rows.entries(index, index + 1)), {})
    except (LeafInvalid, LogCorrupt):
        return {}  # a finding of its own
