"""Open deliveries of one log, to be looked at, as an interface: beside its store of entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from bus.core.deliveries import DeliveryKey, DeliveryRow, ReceiptRow, RecipientCounts
from bus.core.ports.message_log import SealedPayload


class DeliveryRows(Protocol):
    """The rows of one log, to look at; may be asked from any thread. Each looks at committed rows
    only, is bounded by `limit`, and costs no more when a million others are open.

    All raise LogUnavailable.
    """

    def delivery(self, key: DeliveryKey) -> DeliveryRow | None:
        """One row; None: it is closed, or never was."""
        ...

    def due_recipients(self, now: datetime) -> Sequence[str]:
        """Recipients with a delivery that is WAITING and due."""
        ...

    def due(self, recipient: str, now: datetime, limit: int) -> Sequence[DeliveryRow]:
        """What is WAITING and due for a recipient: urgent first, then by time."""
        ...

    def next_due(self) -> datetime | None:
        """When the next delivery that is WAITING comes due; None: none waits."""
        ...

    def lapsed(self, now: datetime, limit: int) -> Sequence[DeliveryRow]:
        """OUT or HELD, and their deadline has passed: the longest ago first."""
        ...

    def expired(self, now: datetime, limit: int) -> Sequence[DeliveryRow]:
        """Neither DEAD nor out, and their time is up."""
        ...

    def out(self, limit: int, after: DeliveryKey | None = None) -> Sequence[DeliveryRow]:
        """OUT, in order of keys: asked when a hub starts, for those of its earlier run."""
        ...

    def offered(
        self, recipient: str, after: DeliveryKey | None, limit: int
    ) -> Sequence[DeliveryRow]:
        """OFFERED or HELD for a recipient, in order of keys."""
        ...

    def dead(
        self, recipient: str | None, after: DeliveryKey | None, limit: int
    ) -> Sequence[DeliveryRow]:
        """Dead letters of one recipient, or of all, in order of keys."""
        ...

    def open_of(self, received_index: int) -> Sequence[DeliveryRow]:
        """Every row of one message, in order of positions."""
        ...

    def stuck(self, after: bytes, limit: int) -> tuple[Sequence[DeliveryRow], bytes | None]:
        """BLOCKED, though nothing stands before them in their conversation: there are none unless
        something went wrong.

        It looks at `limit` conversations behind the one of the name `after` (empty: the first),
        and gives the last of them; None: there are no more.
        """
        ...

    def counts(self) -> Mapping[str, RecipientCounts]:
        """What is open, by recipient. Looks at every row: once at the start."""
        ...

    def receipts(self, sender: str, after: int, limit: int) -> Sequence[ReceiptRow]:
        """How deliveries of a sender ended, by entries above `after`, in order: those that it has
        not acknowledged."""
        ...

    def receipt_senders(self) -> Sequence[str]:
        """Senders that have receipts."""
        ...

    def receipts_beyond(self, sender: str, count: int) -> int:
        """The entry below which receipts of a sender lie beyond its newest `count`; 0: none do."""
        ...

    def carried(self, received_index: int) -> SealedPayload | None:
        """What the deliveries of a message need of it, as its entry's write gave it in `carried`;
        None: none of them is open."""
        ...

    def related(self, received_index: int, after: int, limit: int) -> Sequence[int]:
        """Indexes above `after` of entries that changed deliveries of a message, in order; also
        when all are closed."""
        ...
