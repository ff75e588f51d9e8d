"""Read what must be known of rows before a batch that concerns deliveries is worked out."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence

from bus.core.deliveries import DeliveryKey, DeliveryRow
from bus.log.row_plan import Queue, RowPlan, Work, changes_of, conversations_of
from bus.log.row_values import ROW_COLUMNS, row_of

_ROWS = f"SELECT {', '.join(ROW_COLUMNS)} FROM deliveries"  # noqa: S608 - names of ours
_ONE = f"{_ROWS} WHERE received_idx = ? AND position = ?"
_LAST = "SELECT max(place) FROM deliveries WHERE conversation = ? AND lets_pass = ?"
_FIRST = f"{_ROWS} WHERE conversation = ? AND lets_pass = 0 ORDER BY place LIMIT ?"


def read_plan(
    connection: sqlite3.Connection, works: Sequence[Work], *, is_exact: bool = False
) -> RowPlan:
    """A plan for a batch; `is_exact`: nothing is believed of rows. Raises sqlite3.Error."""
    changes = changes_of(works)
    queues = _read_queues(connection, conversations_of(works), len(changes) + 1)
    if not is_exact:
        return RowPlan(queues)
    keys = {change.seen.key for change in changes}
    return RowPlan(queues, {key: _read_row(connection, key) for key in keys})


def _read_queues(
    connection: sqlite3.Connection, conversations: Collection[bytes], limit: int
) -> dict[bytes, Queue]:
    queues = {}
    for conversation in conversations:
        places = (
            connection.execute(_LAST, (conversation, lets_pass)).fetchone()[0]
            for lets_pass in (0, 1)
        )
        last_place = max(place or 0 for place in places)
        rows = connection.execute(_FIRST, (conversation, limit)).fetchall()
        queues[conversation] = Queue(last_place, [row_of(row) for row in rows])
    return queues


def _read_row(connection: sqlite3.Connection, key: DeliveryKey) -> DeliveryRow | None:
    found = connection.execute(_ONE, (key.received_index, key.position)).fetchone()
    return None if found is None else row_of(found)
