"""Look at open deliveries in a log's SQLite database."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bus.core.errors import LogUnavailable
from bus.log.files import DATABASE
from bus.log.row_values import ROW_COLUMNS
from bus.log.sqlite.database import open_reading
from bus.log.stored_delivery_rows import RowQuestions, StoredDeliveryRows

_ROWS = f"SELECT {', '.join(ROW_COLUMNS)} FROM deliveries"  # noqa: S608 - names of ours
_ONE = f"{_ROWS} WHERE received_idx = ? AND position = ?"
_OF_MESSAGE = f"{_ROWS} WHERE received_idx = ? ORDER BY position"
_DUE_ORDER = "AND due <= ? ORDER BY due, received_idx, position LIMIT ?"
_DUE_URGENT = f"{_ROWS} WHERE state = 0 AND recipient = ? AND urgent = 1 {_DUE_ORDER}"
_DUE_OTHERS = f"{_ROWS} WHERE state = 0 AND recipient = ? AND urgent = 0 {_DUE_ORDER}"
_LAPSED = (
    f"{_ROWS} WHERE state IN (2, 4) AND deadline <= ? "
    "ORDER BY deadline, received_idx, position LIMIT ?"
)
_EXPIRED = (
    f"{_ROWS} WHERE state IN (0, 1, 3) AND expires <= ? "
    "ORDER BY expires, received_idx, position LIMIT ?"
)
_AFTER = "(received_idx, position) > (?, ?) ORDER BY received_idx, position LIMIT ?"
# Without being told, SQLite goes through all rows for the sake of their order.
_OUT = f"{_ROWS} INDEXED BY deliveries_begun WHERE state IN (2, 4) AND state = 2 AND {_AFTER}"
_OFFERED = f"{_ROWS} WHERE state IN (3, 4) AND recipient = ? AND {_AFTER}"
_DEAD = f"{_ROWS} WHERE state = 5 AND {_AFTER}"
_DEAD_OF = f"{_ROWS} WHERE state = 5 AND recipient = ? AND {_AFTER}"
_COUNTS = "SELECT recipient, state, count(*), min(due) FROM deliveries GROUP BY recipient, state"
_CARRIED = "SELECT ciphertext, wrapped_key FROM carried WHERE received_idx = ?"
_RELATED = "SELECT idx FROM related WHERE received_idx = ? AND idx > ? ORDER BY idx LIMIT ?"
_RECEIPTS = (
    "SELECT number, received_idx, position FROM mailbox WHERE recipient = ? AND number > ? "
    "ORDER BY number LIMIT ?"
)
_BEYOND = "SELECT number + 1 FROM mailbox WHERE recipient = ? ORDER BY number DESC LIMIT 1 OFFSET ?"
_SENDERS = """
WITH RECURSIVE senders(name) AS (
    SELECT min(recipient) FROM mailbox
    UNION ALL
    SELECT (SELECT min(recipient) FROM mailbox WHERE recipient > senders.name)
    FROM senders WHERE senders.name IS NOT NULL
)
SELECT name FROM senders WHERE name IS NOT NULL
"""
# From one recipient to the next along the index, however many rows each has.
_FIRST_DUE = """
WITH RECURSIVE waiting(recipient) AS (
    SELECT min(recipient) FROM deliveries WHERE state = 0
    UNION ALL
    SELECT (SELECT min(recipient) FROM deliveries
            WHERE state = 0 AND recipient > waiting.recipient)
    FROM waiting WHERE waiting.recipient IS NOT NULL
)
SELECT recipient,
    (SELECT min(due) FROM deliveries
     WHERE state = 0 AND recipient = waiting.recipient AND urgent = 1),
    (SELECT min(due) FROM deliveries
     WHERE state = 0 AND recipient = waiting.recipient AND urgent = 0)
FROM waiting WHERE recipient IS NOT NULL ORDER BY recipient
"""
# From one conversation to the next, too; of each, what goes first in it.
_QUEUED = """
WITH RECURSIVE queued(conversation, number) AS (
    SELECT min(conversation), 1 FROM deliveries WHERE conversation > ?
    UNION ALL
    SELECT (SELECT min(conversation) FROM deliveries WHERE conversation > queued.conversation),
        number + 1
    FROM queued WHERE queued.conversation IS NOT NULL AND number < ?
)
"""
_CONVERSATIONS = f"{_QUEUED} SELECT max(conversation), count(conversation) FROM queued"  # noqa: S608
_STUCK = f"""
{_QUEUED}
SELECT received_idx, position, recipient, service, state, attempt, attempt_max, doubt, due, expires,
    key, deadline, urgent, deliveries.conversation, place, generation, holder, version, lets_pass
FROM queued JOIN deliveries ON deliveries.conversation = queued.conversation
    AND deliveries.lets_pass = 0 AND deliveries.place = (
        SELECT min(place) FROM deliveries AS earlier
        WHERE earlier.conversation = queued.conversation AND earlier.lets_pass = 0)
WHERE deliveries.state = 1
"""  # noqa: S608 - names of ours
_QUESTIONS = RowQuestions(
    one=_ONE,
    of_message=_OF_MESSAGE,
    due_urgent=_DUE_URGENT,
    due_others=_DUE_OTHERS,
    lapsed=_LAPSED,
    expired=_EXPIRED,
    out=_OUT,
    offered=_OFFERED,
    dead=_DEAD,
    dead_of=_DEAD_OF,
    counts=_COUNTS,
    carried=_CARRIED,
    related=_RELATED,
    receipts=_RECEIPTS,
    receipts_beyond=_BEYOND,
    receipt_senders=_SENDERS,
    conversations=_CONVERSATIONS,
    stuck=_STUCK,
    first_due=_FIRST_DUE,
)


class SqliteDeliveryRows(StoredDeliveryRows):
    """Owns one reading connection."""

    questions = _QUESTIONS

    def __init__(self, folder: Path) -> None:
        """Raises sqlite3.Error."""
        self._database = folder / DATABASE
        self._reading = threading.Lock()
        self._reader = open_reading(folder)

    def close(self) -> None:
        """Let go of the connection. Raises sqlite3.Error."""
        self._reader.close()

    def _fetch(self, statement: str, *values: int | str | bytes) -> list[tuple[Any, ...]]:
        with self._failures(), self._reading:
            return self._reader.execute(statement, values).fetchall()

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise LogUnavailable(f"{self._database}: {error}") from error
