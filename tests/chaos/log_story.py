"""What a log says of submissions, folded from its entries: what was owed, and what became of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bus.core.deliveries import DeliveryKey, DeliveryRow, DeliveryState
from bus.core.errors import DeliveryExpired, DeliveryGivenUp, DeliveryInDoubt
from bus.core.exchange_leaves import DELIVERED
from bus.core.log.leaf import Event, Leaf
from bus.core.log.merkle import hash_leaf

_MESSAGE_ID = re.compile(rb"<xrd:id(?: [^>]*)?>([^<]+)</xrd:id>")
_DEAD = (DeliveryGivenUp.code, DeliveryInDoubt.code)
_SUBMITS_AGAIN, _DISCARDS = "resubmit", "discard"
_OPENS_AGAIN = ("resend", _SUBMITS_AGAIN)


class Ended(StrEnum):
    """What the log says of one delivery."""

    OPEN = "open"
    DELIVERED = "delivered"
    REFUSED = "refused"
    EXPIRED = "expired"
    DEAD = "dead"
    DISCARDED = "discarded"


@dataclass(slots=True)
class Owed:
    """One delivery, as entries tell of it."""

    message: str
    recipient: str = ""
    """Known from its first entry on."""
    ended: Ended = Ended.OPEN
    attempt: int = 0
    was_dead: bool = False
    has_late: bool = False
    """An entry says that something was told too late."""
    has_doubt: bool = False
    was_resent: bool = False
    """An operator had it sent again."""
    resubmits: int = 0
    """So often an operator had it sent as another message."""


@dataclass(slots=True)
class LogStory:
    """Fold of a log, or of several; `take` is given every entry of each in order."""

    owed: dict[DeliveryKey, Owed] = field(default_factory=dict)
    received: dict[int, str] = field(default_factory=dict)
    """Messages of received entries."""
    named: set[str] = field(default_factory=set)
    """All of them."""
    hashes: dict[int, str] = field(default_factory=dict)
    """Leaf hashes of all entries, hexadecimal."""
    committed_at: dict[str, int] = field(default_factory=dict)
    """When the counter of the journals stood where a message was on disk, if that is known."""
    faults: list[tuple[str, str]] = field(default_factory=list)
    """What entries must not say: kind and sentence."""
    rows: dict[DeliveryKey, DeliveryRow] = field(default_factory=dict)
    """What is open in the store."""
    late: int = 0
    has_rows: bool = True
    """Whether `rows` says what is open; else whoever verifies the log compares both."""

    base: int = 0
    """Added to what the next log calls an index, where several are told as one story."""

    def take(self, index: int, leaf_bytes: bytes, leaf: Leaf, raw: bytes | None) -> None:
        """One entry; `raw` is its payload."""
        index += self.base
        self.hashes[index] = hash_leaf(leaf_bytes).hex()
        if leaf.event is Event.RECEIVED and leaf.recipients:
            found = _MESSAGE_ID.search(raw or b"")
            assert found is not None, f"entry {index} has no message"
            message = found[1].decode()
            if message in self.named:
                self.faults.append(("doubled", f"{message} was received twice, again in {index}"))
            self.received[index] = message
            self.named.add(message)
            for position in range(leaf.recipients):
                self.owed[DeliveryKey(index, position)] = Owed(message)
        elif leaf.position is not None and leaf.continues is not None:
            self._change(index, DeliveryKey(self.base + leaf.continues, leaf.position), leaf)

    def _change(self, index: int, key: DeliveryKey, leaf: Leaf) -> None:
        owed = self.owed.get(key)
        if owed is None:
            self.faults.append(("unverifiable", f"entry {index} continues nothing that is owed"))
            return
        owed.recipient = leaf.recipient or owed.recipient
        owed.has_doubt = owed.has_doubt or bool(leaf.doubt)
        if leaf.event is Event.OUTCOME:
            self._close(index, owed, leaf)
        elif leaf.event is Event.ATTEMPT:
            if owed.ended is not Ended.OPEN:
                self.faults.append(("unverifiable", f"entry {index}: an attempt after the end"))
            if (leaf.attempt or 0) < owed.attempt:
                self.faults.append(("unverifiable", f"entry {index}: attempts go back"))
            owed.attempt = leaf.attempt or 0
        elif leaf.event is Event.LATE:
            self.late += 1
            owed.has_late = True
        elif leaf.event is Event.OPERATED and leaf.verdict in _OPENS_AGAIN:
            owed.ended, owed.was_resent = Ended.OPEN, True
            owed.resubmits += leaf.verdict == _SUBMITS_AGAIN
        elif leaf.event is Event.OPERATED and leaf.verdict == _DISCARDS:
            owed.ended = Ended.DISCARDED

    def _close(self, index: int, owed: Owed, leaf: Leaf) -> None:
        ended = ended_by(leaf.verdict)
        is_open = owed.ended is Ended.OPEN
        # That the recipient acted closes a dead letter, too.
        if not is_open and not (owed.ended is Ended.DEAD and ended is Ended.DELIVERED):
            self.faults.append(("unverifiable", f"entry {index}: a second end of {owed.message}"))
        if leaf.doubt and ended in (Ended.REFUSED, Ended.EXPIRED):
            self.faults.append(("denied", f"entry {index}: {ended.value}, and in doubt"))
        owed.ended = ended
        owed.was_dead = owed.was_dead or ended is Ended.DEAD

    @property
    def classes(self) -> Counter[Ended]:
        """Conservation: all that was accepted, by what became of it."""
        return Counter(one.ended for one in self.owed.values())

    def unmatched_rows(self) -> Iterable[tuple[str, str]]:
        """Where the store and the log say different things: kind and sentence."""
        for key, owed in self.owed.items() if self.has_rows else ():
            row = self.rows.get(key)
            is_dead = row is not None and row.delivery.state is DeliveryState.DEAD
            place = f"{owed.message} ({key.received_index}/{key.position})"
            if owed.ended is Ended.OPEN and (row is None or is_dead):
                yield "lost", f"{place} is open in the log, and no row carries it"
            if owed.ended is Ended.DEAD and not is_dead:
                yield "lost", f"{place} is a dead letter, and has no row of one"
            if owed.ended not in (Ended.OPEN, Ended.DEAD) and row is not None:
                yield "unverifiable", f"{place} is closed, and has a row"
        for key in self.rows.keys() - self.owed.keys():
            yield "unverifiable", f"a row of {key}, which the log does not know"


def ended_by(verdict: str | None) -> Ended:
    """What a closing entry says by its verdict."""
    if verdict == DELIVERED:
        return Ended.DELIVERED
    if verdict in _DEAD:
        return Ended.DEAD
    return Ended.EXPIRED if verdict == DeliveryExpired.code else Ended.REFUSED


def rows_by_key(rows: Iterable[DeliveryRow]) -> Mapping[DeliveryKey, DeliveryRow]:
    return {row.key: row for row in rows}
