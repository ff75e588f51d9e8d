"""Fold the entries of a log into what became of each delivery, and compare it with the rows.

A received entry that names N recipients opens the deliveries 0 to N-1; each is closed by one entry:

    accepted = delivered + refused + dead-lettered + expired + pending

for each recipient and in all. Nothing but leaves is needed, and of those only plain facts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import Any

from bus.audit.checks.index_sets import IndexSet
from bus.core.errors import DeliveryExpired, DeliveryGivenUp, DeliveryInDoubt
from bus.core.exchange_leaves import DELIVERED
from bus.core.log.findings import Finding
from bus.core.log.leaf import Event
from bus.core.ports.log_source import OpenRow

UNNAMED = ""
"""Stands for the recipients that neither entry nor row names."""
RECIPIENTS_MAX = 10_000
"""Recipients that are told apart; those of whoever writes more are counted together."""
POSITIONS_SHOWN = 8
"""Of one message's deliveries that lack a row, so many are named."""


class DeliveryClass(StrEnum):
    """What became of a delivery, as the log tells."""

    PENDING = "pending"
    DELIVERED = "delivered"
    REFUSED = "refused"
    DEAD = "dead-lettered"
    """Given up, and no operator has sent it again since; a discarded one, too."""
    EXPIRED = "expired"


_CLASS_OF_VERDICT = {
    DELIVERED: DeliveryClass.DELIVERED,
    DeliveryExpired.code: DeliveryClass.EXPIRED,
    DeliveryGivenUp.code: DeliveryClass.DEAD,
    DeliveryInDoubt.code: DeliveryClass.DEAD,
}
"""Every other verdict of a closing entry is a refusal."""
_MAY_DOUBT = (DELIVERED, DeliveryInDoubt.code)
_SAID_BY_RECIPIENTS = (DeliveryClass.DELIVERED, DeliveryClass.REFUSED)
"""Nobody but the recipient can know: its word is the entry's payload."""
_REOPENING = ("resend", "resubmit")
_DISCARD = "discard"
_STATE_BLOCKED, _STATE_HELD, _STATE_DEAD, _STATES = 1, 4, 5, range(6)


@dataclass(slots=True)
class DeliveryAccounts:
    """How many deliveries ended how."""

    by_recipient: dict[str, Counter[DeliveryClass]] = field(default_factory=dict)
    submissions: int = 0
    """Received entries that opened deliveries."""

    @property
    def totals(self) -> Counter[DeliveryClass]:
        """Of all recipients together."""
        return sum(self.by_recipient.values(), Counter[DeliveryClass]())

    @property
    def named(self) -> list[tuple[str, Counter[DeliveryClass]]]:
        """Each recipient with what became of its deliveries, by name; those that have any."""
        found = ((name, +counts) for name, counts in sorted(self.by_recipient.items()))
        return [(name, counts) for name, counts in found if counts]

    def add(self, recipient: str, kind: DeliveryClass, count: int) -> None:
        """So many more, or fewer."""
        if recipient not in self.by_recipient and len(self.by_recipient) >= RECIPIENTS_MAX:
            recipient = UNNAMED
        self.by_recipient.setdefault(recipient, Counter())[kind] += count


def equation(counts: Counter[DeliveryClass]) -> str:
    """How many were accepted, and what became of them, as it is read."""
    kinds = [kind for kind in DeliveryClass if kind is not DeliveryClass.PENDING]
    parts = [f"{counts[kind]:,} {kind}" for kind in (*kinds, DeliveryClass.PENDING)]
    return f"{counts.total():,} accepted = {' + '.join(parts)}"


@dataclass(slots=True)
class _Delivery:
    """One that an entry has spoken of."""

    recipient: str = UNNAMED
    kind: DeliveryClass = DeliveryClass.PENDING
    attempt: int = 0
    """Number of the last attempt that ended."""
    doubt: bool = False
    is_discarded: bool = False
    is_held: bool = False
    """Its recipient fetched it, and nothing has been said of that since."""

    @property
    def is_open(self) -> bool:
        """It has a row: it is pending, or a dead letter that was not discarded."""
        if self.kind is DeliveryClass.DEAD:
            return not self.is_discarded
        return self.kind is DeliveryClass.PENDING


@dataclass(slots=True)
class _Message:
    """A submission with deliveries that are open."""

    count: int
    touched: dict[int, _Delivery] = field(default_factory=dict)
    """Those that entries spoke of, closed ones too; of all others nothing was said."""
    with_row: set[int] = field(default_factory=set)
    closed: int = 0

    @property
    def open_count(self) -> int:
        """How many are open."""
        return self.count - self.closed

    def without_row(self) -> Iterator[int]:
        """Positions that are open and were not found among the rows."""
        for position in range(self.count):
            known = self.touched.get(position)
            if position not in self.with_row and (known is None or known.is_open):
                yield position


class Conservation:
    """Give it every entry in order, then every row, then `finish`."""

    def __init__(self, *, place: str) -> None:
        """`place` is where findings say that entries and rows lie."""
        self._place = place
        self._messages: dict[int, _Message] = {}
        """With deliveries that are open."""
        self._single = IndexSet()
        """Submissions with one delivery; with `_counts`, what is left when all are closed."""
        self._counts: dict[int, int] = {}
        """How many deliveries each other submission has."""
        self.accounts = DeliveryAccounts()

    def is_submission(self, index: int) -> bool:
        """Whether the entry at `index` opened deliveries."""
        return self._count_of(index) is not None

    def _count_of(self, index: int) -> int | None:
        return 1 if index in self._single else self._counts.get(index)

    # --- entries ----------------------------------------------------------------------------------

    def observe(self, index: int, facts: Mapping[str, Any]) -> Iterator[Finding]:
        """Take in the facts of one leaf; give what is wrong with them."""
        event = facts["event"]
        if event == Event.RECEIVED:
            if "recipients" in facts:
                self._open(index, facts["recipients"])
        elif event in _HANDLERS:
            yield from self._take(index, event, facts)

    def _open(self, index: int, count: int) -> None:
        if count == 1:
            self._single.add(index)
        else:
            self._counts[index] = count
        self.accounts.submissions += 1
        if count:
            self._messages[index] = _Message(count)
            self.accounts.add(UNNAMED, DeliveryClass.PENDING, count)

    def _take(self, index: int, event: str, facts: Mapping[str, Any]) -> Iterator[Finding]:
        received, position = facts.get("continues", -1), facts.get("position")
        if event == Event.OPERATED and position is None:
            return  # about a recipient as a whole
        count = self._count_of(received)
        if count is None:
            # A query has no positions: it has an outcome, and perhaps an answer that came late.
            if event not in (Event.OUTCOME, Event.LATE) or position is not None:
                what = f"speaks of a delivery of entry {received}, which opened none"
                yield Finding(index, self._place, what)
            return
        if position is None or position >= count:
            which = "no delivery" if position is None else f"delivery {position}"
            what = f"speaks of {which} of entry {received}, which opened {count}"
            yield Finding(index, self._place, what)
            return
        message = self._messages.get(received)
        if message is None:
            what = _HANDLERS[event](_Delivery(kind=_SOME_CLOSED), facts)
        else:
            what = self._take_of(message, position, event, facts)
            if not message.open_count:
                del self._messages[received]
        if what:
            yield Finding(index, self._place, f"{what} (delivery {position} of entry {received})")

    def _take_of(
        self, message: _Message, position: int, event: str, facts: Mapping[str, Any]
    ) -> str:
        delivery = message.touched.setdefault(position, _Delivery())
        recipient = facts.get("recipient", UNNAMED)
        if delivery.recipient not in (UNNAMED, recipient):
            return f"names the recipient {recipient!r}, an earlier entry {delivery.recipient!r}"
        before, was_open = delivery.kind, delivery.is_open
        what = _HANDLERS[event](delivery, facts)
        message.closed += was_open - delivery.is_open
        self.accounts.add(delivery.recipient, before, -1)
        delivery.recipient = recipient
        self.accounts.add(recipient, delivery.kind, 1)
        return what

    # --- rows -------------------------------------------------------------------------------------

    def compare(self, row: OpenRow) -> Iterator[Finding]:
        """Take in one row; give what the entries do not explain of it."""
        message = self._messages.get(row.received)
        delivery = message.touched.get(row.position) if message else None
        is_open = message is not None and row.position in range(message.count)
        if message is None or not is_open or (delivery is not None and not delivery.is_open):
            what = f"a row says that delivery {row.position} of it is open, and it is not"
            yield Finding(row.received, self._place, what)
            return
        if row.position in message.with_row:
            yield Finding(row.received, self._place, f"two rows of delivery {row.position} of it")
            return
        message.with_row.add(row.position)
        what = _unexplained(row, delivery or _Delivery(row.recipient))
        if what:
            what = f"the row of delivery {row.position} of it {what}"
            yield Finding(row.received, self._place, what)
        if delivery is None:
            self.accounts.add(UNNAMED, DeliveryClass.PENDING, -1)
            self.accounts.add(row.recipient, DeliveryClass.PENDING, 1)

    def finish(self) -> Iterator[Finding]:
        """What only all rows tell."""
        for received, message in self._messages.items():
            missing = message.open_count - len(message.with_row)
            if missing > 0:
                positions = islice(message.without_row(), POSITIONS_SHOWN)
                named = ", ".join(map(str, positions)) + (
                    ", …" if missing > POSITIONS_SHOWN else ""
                )
                what = f"{missing} of its deliveries are open and no row carries them: {named}"
                yield Finding(received, self._place, what)
        self._messages.clear()


_SOME_CLOSED = DeliveryClass.DELIVERED
"""Of a message whose deliveries are all closed it is not kept how each of them was."""


def _attempt(delivery: _Delivery, facts: Mapping[str, Any]) -> str:
    delivery.is_held = False
    if delivery.kind is not DeliveryClass.PENDING:
        return "is an attempt at a delivery that is not open"
    return _count_attempt(delivery, facts) or _count_doubt(delivery, facts)


def _count_attempt(delivery: _Delivery, facts: Mapping[str, Any]) -> str:
    number, last = facts.get("attempt", 0), delivery.attempt
    delivery.attempt = max(number, last)
    return "" if number > last else f"is attempt {number} after attempt {last}"


def _count_doubt(delivery: _Delivery, facts: Mapping[str, Any]) -> str:
    was = delivery.doubt
    delivery.doubt = was or "doubt" in facts
    return "forgets the doubt of an earlier attempt" if was and "doubt" not in facts else ""


def _outcome(delivery: _Delivery, facts: Mapping[str, Any]) -> str:
    verdict = facts.get("verdict", "")
    kind = _CLASS_OF_VERDICT.get(verdict, DeliveryClass.REFUSED)
    # That the recipient acted closes a dead letter, too, whenever it is told.
    is_told_late = delivery.kind is DeliveryClass.DEAD and kind is DeliveryClass.DELIVERED
    if delivery.kind is not DeliveryClass.PENDING and not (is_told_late and delivery.is_open):
        return "closes a delivery that is not open"
    doubt = delivery.doubt or "doubt" in facts
    delivery.kind, delivery.doubt, delivery.is_held = kind, doubt, False
    delivery.attempt = max(delivery.attempt, facts.get("attempt", 0))
    if doubt and verdict not in _MAY_DOUBT:
        return f"says {verdict} of a delivery of which an attempt is in doubt"
    if kind in _SAID_BY_RECIPIENTS and "payload" not in facts:
        return f"says {verdict}, and keeps nothing that its recipient said"
    return ""


def _operated(delivery: _Delivery, facts: Mapping[str, Any]) -> str:
    verdict = facts.get("verdict", "")
    if delivery.kind is not DeliveryClass.DEAD or not delivery.is_open:
        return f"is an operator's {verdict} of what is no dead letter"
    if verdict in _REOPENING:
        delivery.kind = DeliveryClass.PENDING
        return ""
    delivery.is_discarded = verdict == _DISCARD
    return "" if delivery.is_discarded else f"is an operator's {verdict}, which is not known"


def _handed_out(delivery: _Delivery, facts: Mapping[str, Any]) -> str:
    number, last, was_held = facts.get("attempt", 0), delivery.attempt, delivery.is_held
    if delivery.kind is not DeliveryClass.PENDING:
        return "hands out a delivery that is not open"
    delivery.is_held = True
    if was_held:
        return "hands out a delivery that somebody holds"
    # It is an attempt, which ends with another entry.
    return "" if number > last else f"hands it out as attempt {number} after attempt {last}"


def _late(delivery: _Delivery, facts: Mapping[str, Any]) -> str:
    delivery.doubt = delivery.doubt or "doubt" in facts
    return ""


_HANDLERS: Mapping[str, Callable[[_Delivery, Mapping[str, Any]], str]] = {
    Event.ATTEMPT: _attempt,
    Event.OUTCOME: _outcome,
    Event.OPERATED: _operated,
    Event.HANDED_OUT: _handed_out,
    Event.LATE: _late,
}


def _unexplained(row: OpenRow, delivery: _Delivery) -> str:
    """What of a row the entries do not explain; empty if all is."""
    is_dead = delivery.kind is DeliveryClass.DEAD
    if row.state not in _STATES or (row.state == _STATE_DEAD) != is_dead:
        return f"has the state {row.state}, where the log says {delivery.kind}"
    if row.recipient != delivery.recipient:
        return f"is of {row.recipient!r}, where the log says {delivery.recipient!r}"
    if (row.state == _STATE_HELD) != delivery.is_held:
        held = "is held" if delivery.is_held else "is not held"
        return f"has the state {row.state}, where the log says that it {held}"
    if row.attempt < delivery.attempt or (row.state == _STATE_BLOCKED and row.attempt):
        return f"says {row.attempt} attempts, where the log says {delivery.attempt}"
    if delivery.doubt and not row.doubt:
        return "says nothing of a doubt that the log tells"
    return ""
