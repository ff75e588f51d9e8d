"""Work out what a batch does to the rows of deliveries, before a database is asked to do it.

Nobody else writes meanwhile: a store is written under its epoch. What is not known of a row is
believed as whoever changes it saw it; the database compares, and where it was another, the batch
is planned again with every row of it known.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bus.core.deliveries import (
    DeliveryChange,
    DeliveryKey,
    DeliveryRow,
    DeliveryState,
    Moved,
    NewDelivery,
)
from bus.core.ports.message_log import LogWrite

Work = LogWrite | DeliveryChange


@dataclass(frozen=True, slots=True)
class RowStep:
    """One thing to be done to one row."""

    row: DeliveryRow
    """As it is to be; if it goes, as it was."""
    seen_version: int | None
    """The version that it must have; None: it is new."""
    goes: bool = False


@dataclass(slots=True)
class Queue:
    """A conversation, as far as a batch may need it."""

    last_place: int = 0
    waiting: list[DeliveryRow] = field(default_factory=list)
    """The first of those that do not let others pass, in order of places: more than the batch has
    changes, or all."""


class RowPlan:
    """The rows as they are in the course of a batch."""

    def __init__(
        self,
        queues: Mapping[bytes, Queue],
        known: Mapping[DeliveryKey, DeliveryRow | None] | None = None,
    ) -> None:
        """`queues` are those of `conversations_of` the batch; `known` are rows, None: gone."""
        self._queues = {
            name: Queue(one.last_place, list(one.waiting)) for name, one in queues.items()
        }
        self._known = dict(known or {})
        for queue in self._queues.values():
            self._known |= {row.key: row for row in queue.waiting}

    def moved(self, change: DeliveryChange) -> Moved | None:
        """Whether a change comes too late, as far as is known."""
        seen = change.seen
        row = self._known.get(seen.key, seen)
        return None if row is not None and row.version == seen.version else Moved(row)

    def apply(self, change: DeliveryChange) -> list[RowStep]:
        """What a change that is not too late does: to its row, then to the one that it frees."""
        seen = change.seen
        if change.becomes is None:
            step = RowStep(seen, seen.version, goes=True)
            self._note(seen.key, seen.conversation, None)
        else:
            version, lets_pass = seen.version + 1, change.frees_next
            row = replace(change.becomes, version=version, lets_pass=lets_pass)
            step = RowStep(row, seen.version)
            self._note(row.key, row.conversation, row)
        frees = change.frees_next or change.becomes is None
        freed = self._free(seen.conversation) if frees else None
        return [step] if freed is None else [step, freed]

    def add(self, index: int, deliveries: Sequence[NewDelivery]) -> list[RowStep]:
        """The rows of the message that is received at `index`."""
        return [
            RowStep(self._added(DeliveryKey(index, position), new), None)
            for position, new in enumerate(deliveries)
        ]

    def _added(self, key: DeliveryKey, new: NewDelivery) -> DeliveryRow:
        delivery, place = new.delivery, 0
        if new.conversation is not None:
            queue = self._queues[new.conversation]
            queue.last_place = place = queue.last_place + 1
            if queue.waiting:
                blocked = DeliveryState.BLOCKED
                delivery = replace(delivery, state=blocked, attempt=0, deadline=None)
        row = DeliveryRow(
            key, new.recipient, new.service, delivery, new.is_urgent, new.conversation, place
        )
        self._note(key, new.conversation, row)
        return row

    def _free(self, conversation: bytes | None) -> RowStep | None:
        if conversation is None:
            return None
        waiting = self._queues[conversation].waiting
        if not waiting or waiting[0].delivery.state is not DeliveryState.BLOCKED:
            return None
        row = waiting[0]
        delivery = replace(row.delivery, state=DeliveryState.WAITING)
        freed = replace(row, delivery=delivery, version=row.version + 1)
        self._note(row.key, conversation, freed)
        return RowStep(freed, row.version)

    def _note(self, key: DeliveryKey, conversation: bytes | None, row: DeliveryRow | None) -> None:
        self._known[key] = row
        if conversation is None:
            return
        waiting = self._queues[conversation].waiting
        waiting[:] = [one for one in waiting if one.key != key]
        if row is not None and not row.lets_pass:
            insort(waiting, row, key=lambda one: one.place)


def changes_of(works: Iterable[Work]) -> list[DeliveryChange]:
    """What a batch changes."""
    changes = (work if isinstance(work, DeliveryChange) else work.change for work in works)
    return [change for change in changes if change is not None]


def conversations_of(works: Sequence[Work]) -> set[bytes]:
    """The conversations that a batch concerns."""
    found = {change.seen.conversation for change in changes_of(works)}
    for work in works:
        if isinstance(work, LogWrite):
            found.update(new.conversation for new in work.deliveries)
    return {conversation for conversation in found if conversation is not None}
