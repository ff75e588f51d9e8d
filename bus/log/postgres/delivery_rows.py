"""Look at open deliveries of one log in PostgreSQL."""

from __future__ import annotations

from typing import Any, LiteralString

from bus.log.postgres.connection import ReadingConnection
from bus.log.stored_delivery_rows import RowQuestions, StoredDeliveryRows
from bus.settings.postgres import PostgresSettings

_ROWS: LiteralString = """
SELECT received_idx, position, recipient, service, state, attempt, attempt_max, doubt, due, expires,
    key, deadline, urgent, conversation, place, generation, holder, version, lets_pass
FROM deliveries WHERE origin = %s
"""
_ONE = f"{_ROWS} AND received_idx = %s AND position = %s"
_OF_MESSAGE = f"{_ROWS} AND received_idx = %s ORDER BY position"
_DUE = f"{_ROWS} AND state = 0 AND recipient = %s AND due <= %s"
_DUE_ORDER = "ORDER BY due, received_idx, position LIMIT %s"
_DUE_URGENT = f"{_DUE} AND urgent {_DUE_ORDER}"
_DUE_OTHERS = f"{_DUE} AND NOT urgent {_DUE_ORDER}"
_LAPSED = (
    f"{_ROWS} AND state IN (2, 4) AND deadline <= %s "
    "ORDER BY deadline, received_idx, position LIMIT %s"
)
_EXPIRED = (
    f"{_ROWS} AND state IN (0, 1, 3) AND expires <= %s "
    "ORDER BY expires, received_idx, position LIMIT %s"
)
_AFTER = "(received_idx, position) > (%s, %s) ORDER BY received_idx, position LIMIT %s"
_OUT = f"{_ROWS} AND state IN (2, 4) AND state = 2 AND {_AFTER}"
_OFFERED = f"{_ROWS} AND state IN (3, 4) AND recipient = %s AND {_AFTER}"
_DEAD = f"{_ROWS} AND state = 5 AND {_AFTER}"
_DEAD_OF = f"{_ROWS} AND state = 5 AND recipient = %s AND {_AFTER}"
_COUNTS = (
    "SELECT recipient, state, count(*), min(due) FROM deliveries "
    "WHERE origin = %s GROUP BY recipient, state"
)
_CARRIED = "SELECT ciphertext, wrapped_key FROM carried WHERE origin = %s AND received_idx = %s"
_RELATED = (
    "SELECT idx FROM related WHERE origin = %s AND received_idx = %s AND idx > %s "
    "ORDER BY idx LIMIT %s"
)
_RECEIPTS = (
    "SELECT idx, received_idx, position FROM receipts WHERE origin = %s AND sender = %s "
    "AND idx > %s ORDER BY idx LIMIT %s"
)
_BEYOND = (
    "SELECT idx + 1 FROM receipts WHERE origin = %s AND sender = %s "
    "ORDER BY idx DESC LIMIT 1 OFFSET %s"
)
_SENDERS = """
WITH RECURSIVE senders(name) AS (
    SELECT min(sender) FROM receipts WHERE origin = %s
    UNION ALL
    SELECT (SELECT min(sender) FROM receipts WHERE origin = %s AND sender > senders.name)
    FROM senders WHERE senders.name IS NOT NULL
)
SELECT name FROM senders WHERE name IS NOT NULL
"""
# From one recipient to the next along the index, however many rows each has.
_FIRST_DUE = """
WITH RECURSIVE waiting(recipient) AS (
    SELECT min(recipient) FROM deliveries WHERE origin = %s AND state = 0
    UNION ALL
    SELECT (SELECT min(recipient) FROM deliveries
            WHERE origin = %s AND state = 0 AND recipient > waiting.recipient)
    FROM waiting WHERE waiting.recipient IS NOT NULL
)
SELECT recipient,
    (SELECT min(due) FROM deliveries
     WHERE origin = %s AND state = 0 AND recipient = waiting.recipient AND urgent),
    (SELECT min(due) FROM deliveries
     WHERE origin = %s AND state = 0 AND recipient = waiting.recipient AND NOT urgent)
FROM waiting WHERE recipient IS NOT NULL ORDER BY recipient
"""
# From one conversation to the next, too: each is one for all logs. Of each, what goes first in it.
_QUEUED: LiteralString = """
WITH RECURSIVE ours(origin) AS (SELECT %s::integer), queued(conversation, number) AS (
    (SELECT conversation, 1 FROM deliveries WHERE conversation > %s ORDER BY conversation LIMIT 1)
    UNION ALL
    SELECT (SELECT conversation FROM deliveries WHERE conversation > queued.conversation
            ORDER BY conversation LIMIT 1), number + 1
    FROM queued WHERE queued.conversation IS NOT NULL AND number < %s
)
"""
_CONVERSATIONS = f"""
{_QUEUED}
SELECT (SELECT conversation FROM queued WHERE conversation IS NOT NULL
    ORDER BY number DESC LIMIT 1), count(conversation) FROM queued
"""  # noqa: S608 - names of ours
_STUCK = f"""
{_QUEUED}
SELECT received_idx, position, recipient, service, state, attempt, attempt_max, doubt, due, expires,
    key, deadline, urgent, first.conversation, place, generation, holder, version, lets_pass
FROM queued CROSS JOIN LATERAL (
    SELECT * FROM deliveries
    WHERE deliveries.conversation = queued.conversation AND NOT lets_pass ORDER BY place LIMIT 1
) AS first JOIN ours ON ours.origin = first.origin
WHERE first.state = 1
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


class PostgresDeliveryRows(StoredDeliveryRows):
    """Owns one reading connection."""

    questions = _QUESTIONS

    def __init__(self, settings: PostgresSettings, origin: int) -> None:
        """Of the log with this number. Raises LogUnavailable."""
        self._reader = ReadingConnection(settings, "deliveries")
        self._origin = origin

    def close(self) -> None:
        """Let go of the connection."""
        self._reader.close()

    def _fetch(self, statement: LiteralString, *values: int | str | bytes) -> list[tuple[Any, ...]]:
        return self._reader.fetch(statement, (self._origin, *values))

    def _fetch_all(self, statement: LiteralString) -> list[tuple[Any, ...]]:
        # It names the log in each of its parts.
        return self._reader.fetch(statement, (self._origin,) * statement.count("%s"))
