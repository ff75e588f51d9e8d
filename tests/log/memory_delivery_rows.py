"""Open deliveries in memory, for tests: what `DeliveryRows` promises, by looking at every row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from bus.core.deliveries import (
    DeliveryChange,
    DeliveryKey,
    DeliveryRow,
    DeliveryState,
    Moved,
    NewDelivery,
    ReceiptRemoval,
    ReceiptRow,
    RecipientCounts,
)
from bus.core.ports.message_log import LogWrite, SealedPayload

_WAITING = {DeliveryState.WAITING}
_OUT = {DeliveryState.OUT}
_DEAD = {DeliveryState.DEAD}
_OFFERED = {DeliveryState.OFFERED, DeliveryState.HELD}
_WITH_DEADLINE = {DeliveryState.OUT, DeliveryState.HELD}
_EXPIRING = {DeliveryState.WAITING, DeliveryState.BLOCKED, DeliveryState.OFFERED}


@dataclass(slots=True)
class MemoryDeliveries:
    """The rows, and how commits change them."""

    rows: dict[DeliveryKey, DeliveryRow] = field(default_factory=dict)
    carried: dict[int, SealedPayload] = field(default_factory=dict)
    related: dict[int, list[int]] = field(default_factory=dict)
    receipts: dict[str, dict[int, DeliveryKey]] = field(default_factory=dict)

    def copy(self) -> MemoryDeliveries:
        """Another that may be changed; what both hold never changes."""
        related = {index: list(indexes) for index, indexes in self.related.items()}
        receipts = {sender: dict(rows) for sender, rows in self.receipts.items()}
        return MemoryDeliveries(dict(self.rows), dict(self.carried), related, receipts)

    def moved(self, change: DeliveryChange) -> Moved | None:
        row = self.rows.get(change.seen.key)
        return None if row and row.version == change.seen.version else Moved(row)

    def apply(self, change: DeliveryChange) -> tuple[DeliveryRow | None, DeliveryKey | None]:
        """The row as it is then, and what was freed."""
        seen, becomes = change.seen, change.becomes
        if becomes is None:
            del self.rows[seen.key]
            if not self._of_message(seen.key.received_index):
                self.carried.pop(seen.key.received_index, None)
            return None, self._free(seen.conversation)
        row = replace(becomes, version=seen.version + 1, lets_pass=change.frees_next)
        self.rows[seen.key] = row
        return row, self._free(seen.conversation) if change.frees_next else None

    def add(self, index: int, write: LogWrite) -> tuple[int, ...]:
        """Add what an entry brings; give the positions that are blocked."""
        if write.change is not None:
            received_index = write.change.seen.key.received_index
            self.related.setdefault(received_index, []).append(index)
            if write.receipt_for:
                self.receipts.setdefault(write.receipt_for, {})[index] = write.change.seen.key
        added = [self._add(DeliveryKey(index, at), new) for at, new in enumerate(write.deliveries)]
        if write.carried is not None and added:
            self.carried[index] = write.carried
        return tuple(
            row.key.position for row in added if row.delivery.state is DeliveryState.BLOCKED
        )

    def remove_receipts(self, removal: ReceiptRemoval) -> int:
        """Give how many lay there."""
        rows = self.receipts.get(removal.sender, {})
        gone = [one for one in rows if one < removal.below or one in removal.entries]
        for entry in gone:
            del rows[entry]
        if not rows:
            self.receipts.pop(removal.sender, None)
        return len(gone)

    def _add(self, key: DeliveryKey, new: NewDelivery) -> DeliveryRow:
        before = self._in_conversation(new.conversation)
        delivery = new.delivery
        if any(not row.lets_pass for row in before):
            blocked = DeliveryState.BLOCKED
            delivery = replace(delivery, state=blocked, attempt=0, deadline=None)
        place = max((row.place for row in before), default=0) + 1 if new.conversation else 0
        row = DeliveryRow(
            key, new.recipient, new.service, delivery, new.is_urgent, new.conversation, place
        )
        self.rows[key] = row
        return row

    def _free(self, conversation: bytes | None) -> DeliveryKey | None:
        first = next(
            (one for one in self._in_conversation(conversation) if not one.lets_pass), None
        )
        if first is None or first.delivery.state is not DeliveryState.BLOCKED:
            return None
        waiting = replace(first.delivery, state=DeliveryState.WAITING)
        self.rows[first.key] = replace(first, delivery=waiting, version=first.version + 1)
        return first.key

    def _in_conversation(self, conversation: bytes | None) -> list[DeliveryRow]:
        if conversation is None:
            return []
        rows = [row for row in self.rows.values() if row.conversation == conversation]
        return sorted(rows, key=lambda row: row.place)

    def _of_message(self, index: int) -> list[DeliveryRow]:
        return [row for key, row in self.rows.items() if key.received_index == index]


class MemoryDeliveryRows:
    """Implements `bus.core.ports.delivery_rows.DeliveryRows`."""

    def __init__(self, committed: Callable[[], MemoryDeliveries]) -> None:
        """`committed` gives the rows as they are then."""
        self._committed = committed

    @property
    def _table(self) -> MemoryDeliveries:
        return self._committed()

    def delivery(self, key: DeliveryKey) -> DeliveryRow | None:
        return self._table.rows.get(key)

    def due_recipients(self, now: datetime) -> Sequence[str]:
        return sorted({row.recipient for row in self._all(_WAITING) if row.delivery.due <= now})

    def due(self, recipient: str, now: datetime, limit: int) -> Sequence[DeliveryRow]:
        due = [row for row in self._all(_WAITING, recipient) if row.delivery.due <= now]
        return sorted(due, key=lambda row: (not row.is_urgent, row.delivery.due, row.key))[:limit]

    def next_due(self) -> datetime | None:
        return min((row.delivery.due for row in self._all(_WAITING)), default=None)

    def lapsed(self, now: datetime, limit: int) -> Sequence[DeliveryRow]:
        return self._passed(_WITH_DEADLINE, lambda row: row.delivery.deadline, now, limit)

    def expired(self, now: datetime, limit: int) -> Sequence[DeliveryRow]:
        return self._passed(_EXPIRING, lambda row: row.delivery.expires, now, limit)

    def out(self, limit: int, after: DeliveryKey | None = None) -> Sequence[DeliveryRow]:
        return self._all(_OUT, None, after)[:limit]

    def offered(
        self, recipient: str, after: DeliveryKey | None, limit: int
    ) -> Sequence[DeliveryRow]:
        return self._all(_OFFERED, recipient, after)[:limit]

    def dead(
        self, recipient: str | None, after: DeliveryKey | None, limit: int
    ) -> Sequence[DeliveryRow]:
        return self._all(_DEAD, recipient, after)[:limit]

    def open_of(self, received_index: int) -> Sequence[DeliveryRow]:
        every = self._all(set(DeliveryState))
        return [row for row in every if row.key.received_index == received_index]

    def stuck(self, after: bytes, limit: int) -> tuple[Sequence[DeliveryRow], bytes | None]:
        rows = [row for row in self._table.rows.values() if (row.conversation or b"") > after]
        names = sorted({row.conversation for row in rows if row.conversation is not None})[:limit]
        firsts = [
            min(
                (row for row in rows if row.conversation == name and not row.lets_pass),
                key=lambda row: row.place,
                default=None,
            )
            for name in names
        ]
        blocked = [
            row for row in firsts if row is not None and row.delivery.state is DeliveryState.BLOCKED
        ]
        return blocked, names[-1] if len(names) == limit else None

    def counts(self) -> Mapping[str, RecipientCounts]:
        by_recipient: dict[str, list[DeliveryRow]] = {}
        for row in self._table.rows.values():
            by_recipient.setdefault(row.recipient, []).append(row)
        return {recipient: _counted(rows) for recipient, rows in by_recipient.items()}

    def carried(self, received_index: int) -> SealedPayload | None:
        return self._table.carried.get(received_index)

    def related(self, received_index: int, after: int, limit: int) -> Sequence[int]:
        every = self._table.related.get(received_index, [])
        return [index for index in every if index > after][:limit]

    def receipts(self, sender: str, after: int, limit: int) -> Sequence[ReceiptRow]:
        rows = sorted(self._table.receipts.get(sender, {}).items())
        return [ReceiptRow(entry, key) for entry, key in rows if entry > after][:limit]

    def receipt_senders(self) -> Sequence[str]:
        return sorted(self._table.receipts)

    def receipts_beyond(self, sender: str, count: int) -> int:
        newest = sorted(self._table.receipts.get(sender, {}), reverse=True)
        return newest[count] + 1 if len(newest) > count else 0

    def _all(
        self,
        states: set[DeliveryState],
        recipient: str | None = None,
        after: DeliveryKey | None = None,
    ) -> list[DeliveryRow]:
        """In order of keys."""
        found = (
            row
            for row in self._table.rows.values()
            if row.delivery.state in states
            and recipient in (None, row.recipient)
            and (after is None or row.key > after)
        )
        return sorted(found, key=lambda row: row.key)

    def _passed(
        self,
        states: set[DeliveryState],
        moment_of: Callable[[DeliveryRow], datetime | None],
        now: datetime,
        limit: int,
    ) -> list[DeliveryRow]:
        found: list[Any] = [
            (moment, row.key, row)
            for row in self._all(states)
            if (moment := moment_of(row)) is not None and moment <= now
        ]
        return [row for _, _, row in sorted(found, key=lambda one: one[:2])[:limit]]


def _counted(rows: list[DeliveryRow]) -> RecipientCounts:
    by_state = Counter(row.delivery.state for row in rows)
    due = [row.delivery.due for row in rows if row.delivery.state is DeliveryState.WAITING]
    return RecipientCounts(by_state, min(due, default=None))
