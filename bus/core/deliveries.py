"""What each recipient is still owed, as rows beside the log's entries: values, and no rules.

A row stands for one recipient of one received message. It comes in the transaction of the entry
that received the message, changes in transactions of its own or with entries, and goes with its
closing entry; a dead letter keeps its row. The log alone tells what became of each delivery: rows
say what is open, and a verifier compares both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple


class DeliveryState(StrEnum):
    """Where an open delivery stands. A closed one has no row."""

    WAITING = "waiting"
    """For its time, or for room."""
    BLOCKED = "blocked"
    """Behind an open delivery of its conversation."""
    OUT = "out"
    """An attempt is on its way."""
    OFFERED = "offered"
    """In a mailbox, for the recipient to fetch."""
    HELD = "held"
    """Fetched, and hidden from others until it is acknowledged or its time is up."""
    DEAD = "dead"
    """Given up; an operator decides."""


class AttemptEnd(StrEnum):
    """How an attempt ended, as far as anybody knows."""

    DELIVERED = "delivered"
    """The recipient acted, and said so."""
    REFUSED = "refused"
    """The recipient refused for good, and did not act."""
    FAILED = "failed"
    """It failed for a while, and the recipient did not act."""
    UNKNOWN = "unknown"
    """Nobody knows whether the recipient acted: timeout, broken off, worker lost."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """An open delivery, or a dead letter: what the rules of its life ask for."""

    state: DeliveryState
    attempt: int
    """Number of the last attempt; 0: none was made. A number is never used again."""
    attempt_max: int
    """Number of the last attempt that may be made."""
    doubt: bool
    """An attempt has ended of which nobody knows whether the recipient acted."""
    due: datetime
    """Not before this."""
    expires: datetime
    key: bytes
    """Names this delivery to its recipient: the same in every attempt; SHA-256, 32 bytes."""
    deadline: datetime | None = None
    """Of an attempt that is out: nothing of it is acted upon after this."""


@dataclass(frozen=True, slots=True)
class AttemptOutcome:
    """What was told about an attempt."""

    attempt: int
    end: AttemptEnd
    is_redelivered: bool = False
    """Somebody else had this attempt before, and what came of that is not known."""
    retry_after: timedelta | None = None
    """The recipient asked for this much patience."""


class DeliveryKey(NamedTuple):
    """Names one delivery."""

    received_index: int
    """Of the entry that received the message."""
    position: int
    """Among the message's recipients, from 0."""


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A delivery that comes into being with the entry that receives its message.

    With a conversation it takes the place behind all rows of it. Where one of these does not let
    it pass, the store makes it BLOCKED whatever its state says, with no attempt made.
    """

    recipient: str
    """The subsystem that is owed: `VN/GOV/H41/motcua`."""
    service: str
    """Which of its services carries it."""
    delivery: Delivery
    is_urgent: bool = False
    """Goes before what is not, to the same recipient."""
    conversation: bytes | None = None
    """16 bytes, keyed pseudonym: deliveries of one conversation go one after the other."""


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """A delivery as it stands in the store."""

    key: DeliveryKey
    recipient: str
    service: str
    delivery: Delivery
    is_urgent: bool = False
    conversation: bytes | None = None
    place: int = 0
    """In its conversation, from 1; 0: it has none."""
    generation: int = 0
    """How often an operator gave it another key."""
    holder: bytes | None = None
    """SHA-256 of the token of whoever holds it, where it was fetched."""
    version: int = 0
    """Grows with each change."""
    lets_pass: bool = False
    """What stands behind it in its conversation does not wait for it: its last change said that it
    frees the next."""


@dataclass(frozen=True, slots=True)
class DeliveryChange:
    """Change or remove a row, if it still is what was seen.

    Together with an entry it is part of the entry's transaction; alone it is a transaction of its
    own, which says nothing in the log.
    """

    seen: DeliveryRow
    """As it was read: where the row is gone or its version is another, nothing is done."""
    becomes: DeliveryRow | None
    """The same key, conversation and place; the store gives it the next version, and says whether
    it lets pass. None: it goes."""
    frees_next: bool = False
    """Those behind it in its conversation need not wait for it any more: the first row that does
    not let others pass becomes WAITING where it is BLOCKED, due as it was when it came. A row that
    goes frees the next in any case."""


@dataclass(frozen=True, slots=True)
class Changed:
    """The change alone is on disk and synced."""

    row: DeliveryRow | None
    """As it stands now."""
    freed: DeliveryKey | None = None
    """What waited for it in its conversation and does not any more."""


@dataclass(frozen=True, slots=True)
class Moved:
    """The row was not as it was seen; nothing was done, and no entry appended."""

    row: DeliveryRow | None
    """As it stands; None: there is none."""


@dataclass(frozen=True, slots=True)
class ReceiptRow:
    """That a delivery ended, for the sender of its message to hear of."""

    entry: int
    """Index of the entry that ended it."""
    key: DeliveryKey


@dataclass(frozen=True, slots=True)
class ReceiptRemoval:
    """Receipts that their sender has, or that lay there for long enough."""

    sender: str
    entries: tuple[int, ...] = ()
    below: int = 0
    """All before this entry, too."""


@dataclass(frozen=True, slots=True)
class RecipientCounts:
    """What is open for one recipient."""

    by_state: Mapping[DeliveryState, int]
    oldest_due: datetime | None = field(default=None)
    """The earliest due time of what waits."""

    @property
    def pending(self) -> int:
        """All that is open but dead letters."""
        dead = self.by_state.get(DeliveryState.DEAD, 0)
        return sum(self.by_state.values()) - dead
