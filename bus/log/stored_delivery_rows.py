"""Look at open deliveries in a database: what SQLite and PostgreSQL are asked, and by whom.

Every question goes along an index that holds only rows of the states it asks for. Recipients are
few and rows may be many: what concerns all recipients steps from one to the next.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

from bus.core.deliveries import (
    DeliveryKey,
    DeliveryRow,
    DeliveryState,
    ReceiptRow,
    RecipientCounts,
)
from bus.core.ports.message_log import SealedPayload
from bus.log.row_values import (
    NUMBER_OF_STATE,
    STATE_OF_NUMBER,
    microseconds_of,
    moment_of,
    row_of,
)

_WAITING = NUMBER_OF_STATE[DeliveryState.WAITING]
_BEFORE_ALL = DeliveryKey(-1, -1)


@dataclass(frozen=True, slots=True)
class RowQuestions:
    """The statements of one kind of database; each gives rows in the order of `ROW_COLUMNS`, where
    nothing else is said. Limits come last."""

    one: LiteralString
    """By index and position."""
    of_message: LiteralString
    """By index."""
    due_urgent: LiteralString
    """By recipient, up to a moment."""
    due_others: LiteralString
    lapsed: LiteralString
    """Up to a moment."""
    expired: LiteralString
    """Up to a moment."""
    out: LiteralString
    """Behind an index and position."""
    offered: LiteralString
    """By recipient, behind an index and position."""
    dead: LiteralString
    """Behind an index and position."""
    dead_of: LiteralString
    """By recipient, behind an index and position."""
    counts: LiteralString
    """Recipient, state, how many, the first that is due."""
    carried: LiteralString
    """Of an index: ciphertext and wrapped key."""
    related: LiteralString
    """Of an index, behind another: indexes."""
    receipts: LiteralString
    """Of a sender, behind an index: index, and the delivery's key."""
    receipts_beyond: LiteralString
    """Of a sender, behind its newest so many: the index after the first of them."""
    receipt_senders: LiteralString
    conversations: LiteralString
    """Behind a conversation, so many of them: the last, and how many there are."""
    stuck: LiteralString
    """Of the same: what goes first in its conversation and is blocked."""
    first_due: LiteralString
    """Recipient, when the first urgent and the first other one is due."""


class StoredDeliveryRows(ABC):
    """Implements `bus.core.ports.delivery_rows.DeliveryRows`, for one call at a time."""

    questions: RowQuestions

    @abstractmethod
    def _fetch(self, statement: LiteralString, *values: int | str | bytes) -> list[tuple[Any, ...]]:
        """Every row of the answer. Raises LogUnavailable."""

    def _fetch_all(self, statement: LiteralString) -> list[tuple[Any, ...]]:
        """The same of a statement about all of the log. Raises LogUnavailable."""
        return self._fetch(statement)

    def delivery(self, key: DeliveryKey) -> DeliveryRow | None:
        """One row. Raises LogUnavailable."""
        rows = self._rows(self.questions.one, key.received_index, key.position)
        return rows[0] if rows else None

    def due_recipients(self, now: datetime) -> Sequence[str]:
        """Recipients with what is due. Raises LogUnavailable."""
        moment = microseconds_of(now)
        return [name for name, first in self._first_due() if first <= moment]

    def due(self, recipient: str, now: datetime, limit: int) -> Sequence[DeliveryRow]:
        """What is due for a recipient. Raises LogUnavailable."""
        moment = microseconds_of(now)
        urgent = self._rows(self.questions.due_urgent, recipient, moment, limit)
        if len(urgent) >= limit:
            return urgent
        rest = limit - len(urgent)
        return urgent + self._rows(self.questions.due_others, recipient, moment, rest)

    def next_due(self) -> datetime | None:
        """When the next comes due. Raises LogUnavailable."""
        first = min((first for _, first in self._first_due()), default=None)
        return None if first is None else moment_of(first)

    def lapsed(self, now: datetime, limit: int) -> Sequence[DeliveryRow]:
        """Whose deadline has passed. Raises LogUnavailable."""
        return self._rows(self.questions.lapsed, microseconds_of(now), limit)

    def expired(self, now: datetime, limit: int) -> Sequence[DeliveryRow]:
        """Whose time is up. Raises LogUnavailable."""
        return self._rows(self.questions.expired, microseconds_of(now), limit)

    def out(self, limit: int, after: DeliveryKey | None = None) -> Sequence[DeliveryRow]:
        """What is out. Raises LogUnavailable."""
        start = after or _BEFORE_ALL
        return self._rows(self.questions.out, start.received_index, start.position, limit)

    def stuck(self, after: bytes, limit: int) -> tuple[Sequence[DeliveryRow], bytes | None]:
        """What is blocked by nothing. Raises LogUnavailable."""
        ((last, count),) = self._fetch(self.questions.conversations, after, limit)
        rows = self._rows(self.questions.stuck, after, limit)
        return rows, bytes(last) if count == limit else None

    def offered(
        self, recipient: str, after: DeliveryKey | None, limit: int
    ) -> Sequence[DeliveryRow]:
        """What lies in a recipient's mailbox. Raises LogUnavailable."""
        behind = after or _BEFORE_ALL
        place = (behind.received_index, behind.position)
        return self._rows(self.questions.offered, recipient, *place, limit)

    def dead(
        self, recipient: str | None, after: DeliveryKey | None, limit: int
    ) -> Sequence[DeliveryRow]:
        """Dead letters. Raises LogUnavailable."""
        behind = after or _BEFORE_ALL
        place = (behind.received_index, behind.position)
        if recipient is None:
            return self._rows(self.questions.dead, *place, limit)
        return self._rows(self.questions.dead_of, recipient, *place, limit)

    def open_of(self, received_index: int) -> Sequence[DeliveryRow]:
        """Every row of one message. Raises LogUnavailable."""
        return self._rows(self.questions.of_message, received_index)

    def counts(self) -> Mapping[str, RecipientCounts]:
        """What is open, by recipient. Raises LogUnavailable."""
        by_recipient: dict[str, dict[DeliveryState, int]] = {}
        oldest: dict[str, datetime] = {}
        for recipient, state, count, due in self._fetch(self.questions.counts):
            by_recipient.setdefault(recipient, {})[STATE_OF_NUMBER[state]] = count
            if state == _WAITING:
                oldest[recipient] = moment_of(due)
        return {
            recipient: RecipientCounts(counts, oldest.get(recipient))
            for recipient, counts in by_recipient.items()
        }

    def carried(self, received_index: int) -> SealedPayload | None:
        """What deliveries of a message need of it. Raises LogUnavailable."""
        found = self._fetch(self.questions.carried, received_index)
        return SealedPayload(*found[0]) if found else None

    def related(self, received_index: int, after: int, limit: int) -> Sequence[int]:
        """Entries that changed deliveries of a message. Raises LogUnavailable."""
        found = self._fetch(self.questions.related, received_index, after, limit)
        return [index for (index,) in found]

    def receipts(self, sender: str, after: int, limit: int) -> Sequence[ReceiptRow]:
        """How deliveries of a sender ended. Raises LogUnavailable."""
        found = self._fetch(self.questions.receipts, sender, after, limit)
        return [ReceiptRow(entry, DeliveryKey(*key)) for entry, *key in found]

    def receipt_senders(self) -> Sequence[str]:
        """Senders that have receipts. Raises LogUnavailable."""
        return [sender for (sender,) in self._fetch_all(self.questions.receipt_senders)]

    def receipts_beyond(self, sender: str, count: int) -> int:
        """Below which entry there are more than `count`. Raises LogUnavailable."""
        found = self._fetch(self.questions.receipts_beyond, sender, count)
        return int(found[0][0]) if found else 0

    def _first_due(self) -> Iterator[tuple[str, int]]:
        for recipient, urgent, other in self._fetch_all(self.questions.first_due):
            yield recipient, min(due for due in (urgent, other) if due is not None)

    def _rows(self, statement: LiteralString, *values: int | str | bytes) -> list[DeliveryRow]:
        return [row_of(found) for found in self._fetch(statement, *values)]
