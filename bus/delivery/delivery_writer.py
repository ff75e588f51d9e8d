"""Write what becomes of deliveries: entry and row, in one transaction.

What is decided (bus.delivery.lifecycle) comes in, and stands when this returns; if the row was not
as it was seen, nothing was done, and it is to be decided anew.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog

from bus.core.deliveries import DeliveryChange, DeliveryKey, DeliveryRow, DeliveryState, Moved
from bus.core.errors import (
    BusError,
    DeliveryExpired,
    DeliveryGivenUp,
    DeliveryInDoubt,
    LogCorrupt,
)
from bus.core.exchange_leaves import DELIVERED
from bus.core.identifiers import ServiceId
from bus.core.log.leaf import Event, read_leaf
from bus.core.ports.message_log import Appended, KeptAttachments, LogWrite
from bus.core.registry import MemberRegistry, SubmissionRule
from bus.delivery.lanes import Lanes
from bus.delivery.leaves import DeliveryFacts, delivery_leaf
from bus.delivery.lifecycle import (
    Change,
    Closed,
    Closing,
    DeadReason,
    GivenUp,
    Reopened,
    give_up,
)
from bus.delivery.order_forms import ProvedReport
from bus.log.entry_writer import EntryWriter
from bus.runtime.seconds_histogram import SecondsHistogram

_log = structlog.get_logger()
_GIVEN_UP = {
    DeadReason.GIVEN_UP: DeliveryGivenUp.code,
    DeadReason.IN_DOUBT: DeliveryInDoubt.code,
}
SENDERS_KEPT_MAX = 16_384
"""Of so many messages it is kept who sent them; of others it is looked up when a delivery ends."""
CLOSING_SECONDS_BOUNDS = (
    *(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
    *(300.0, 1800.0, 3600.0, 21600.0, 86400.0, 259200.0),
)
_AS_IT_WAS = SubmissionRule()
"""For deliveries of a service that the routes name no more."""


@dataclass(frozen=True, slots=True)
class Why:
    """What led to a change."""

    attempt: int
    """Number of the attempt; 0: it is about none."""
    code: str = ""
    """Error code; empty: delivered."""
    proved: ProvedReport | None = field(default=None, repr=False)
    """What the recipient's agency signed; None: nobody said anything."""
    signed: bytes = field(default=b"", repr=False)
    """The signed request by which it said so itself, where it fetched the message."""

    @property
    def evidence(self) -> bytes:
        """What the log keeps of it; empty: nothing was said."""
        return self.signed if self.proved is None else self.proved.evidence


@dataclass(frozen=True, slots=True)
class DeliveryWriter:
    """Appends and changes; used from one event loop."""

    writer: EntryWriter
    lanes: Lanes
    registry: MemberRegistry
    clock: Callable[[], datetime]
    closing_seconds: SecondsHistogram = field(
        default_factory=lambda: SecondsHistogram(CLOSING_SECONDS_BOUNDS)
    )
    """How long deliveries took from their acceptance, or from when an operator sent them again."""
    _senders: OrderedDict[int, str] = field(
        default_factory=OrderedDict[int, str], init=False, repr=False
    )
    """Who sent the messages that were accepted last, by the entries that received them."""
    _rules: dict[str, SubmissionRule] = field(default_factory=dict, init=False, repr=False)
    """What was found of services, by their ids as rows have them."""

    def note_sender(self, received_index: int, sender: str) -> None:
        """Who is to hear how deliveries of a message end: it need not be looked up then."""
        self._senders[received_index] = sender
        if len(self._senders) > SENDERS_KEPT_MAX:
            self._senders.popitem(last=False)

    async def _sender_of(self, received_index: int) -> str:
        """Who sent a message. Raises LogUnavailable."""
        sender = self._senders.get(received_index)
        if sender is None:
            entry = await self.writer.log.read(received_index)
            sender = read_leaf(entry.leaf).client or ""
        return sender

    def rule_of(self, row: DeliveryRow) -> SubmissionRule:
        """How the service of a delivery has it delivered, by the rules of today."""
        rule = self._rules.get(row.service)
        if rule is None:
            service = self.registry.services.get(ServiceId.parse(row.service))
            rule = (service.submission if service is not None else None) or _AS_IT_WAS
            if service is not None:  # as many as the routes name
                self._rules[row.service] = rule
        return rule

    async def write(self, row: DeliveryRow, change: Change, why: Why) -> Appended | Moved:
        """Append what became of a delivery and change its row.

        Whatever attempt was out is, unless it still is, on its way no more. Raises LogUnavailable.
        """
        event, verdict = _event(change), _verdict(change, why)
        becomes = _becomes(row, change)
        facts = DeliveryFacts(
            row.key, row.recipient, row.service, why.attempt, verdict, _doubt(change)
        )
        frees_next = becomes is None or (
            isinstance(change, GivenUp) and self.rule_of(row).skips_dead_letters
        )
        row_change = DeliveryChange(row, becomes, frees_next=frees_next)
        sender = await self._sender_of(row.key.received_index) if event is Event.OUTCOME else ""
        with self.lanes.committing():
            changes = row_change if becomes != row else None
            result = await self._append(event, facts, why, changes, receipt_for=sender)
        if isinstance(result, Appended):
            self._count(row, becomes, result.freed)
            if isinstance(change, Closed):
                lasts = timedelta(seconds=self.rule_of(row).retry.expires_after_seconds)
                seconds = (self.clock() - (row.delivery.expires - lasts)).total_seconds()
                self.closing_seconds.count(seconds)
            if isinstance(change, GivenUp):
                place = {"entry": row.key.received_index, "position": row.key.position}
                _log.warning("delivery.dead", **place, code=why.code, reason=change.reason.value)
        return result

    async def change(self, row: DeliveryRow, becomes: DeliveryRow) -> DeliveryRow | None:
        """Change a row, and say nothing in the log; give it as it stands then. None: it was another
        than was seen, and nothing was done. Raises LogUnavailable."""
        with self.lanes.committing():
            result = await self.writer.log.change(DeliveryChange(row, becomes))
        return None if isinstance(result, Moved) else result.row

    async def give_up(self, row: DeliveryRow, error: BusError) -> None:
        """A dead letter of what cannot be sent or handed out, ever. Raises LogUnavailable."""
        written = await self.write(
            row, give_up(row.delivery), Why(row.delivery.attempt, error.code)
        )
        # Of a row that was closed meanwhile the message is gone, as it should be.
        if isinstance(written, Appended) and isinstance(error, LogCorrupt):
            _log.error("delivery.message-gone", detail=error.diagnostic)

    async def hand_out(self, row: DeliveryRow, held: DeliveryRow) -> Appended | Moved:
        """Append that a recipient fetched what lies in its mailbox, and hold it for it.

        Raises LogUnavailable.
        """
        attempt, doubt = held.delivery.attempt, held.delivery.doubt
        facts = DeliveryFacts(row.key, row.recipient, row.service, attempt, "", doubt)
        with self.lanes.committing():
            result = await self._append(
                Event.HANDED_OUT, facts, Why(attempt), DeliveryChange(row, held)
            )
        if isinstance(result, Appended):
            self._count(row, held, None)
        return result

    async def note_late(self, key: DeliveryKey, recipient: str, why: Why) -> None:
        """Append what was told of a delivery that is closed. Raises LogUnavailable."""
        facts = DeliveryFacts(key, recipient, "", why.attempt, why.code or DELIVERED)
        await self._append(Event.LATE, facts, why, None)

    async def note_late_answer(
        self, key: DeliveryKey, recipient: str, service: str, proved: ProvedReport
    ) -> None:
        """Append what was answered to a query of which its sender was told already that nobody
        answered. Raises LogUnavailable."""
        code = proved.report.code
        facts = DeliveryFacts(key, recipient, service, 0, code or DELIVERED, is_query=True)
        await self._append(Event.LATE, facts, Why(0, code, proved), None)

    async def operate(
        self, row: DeliveryRow, becomes: DeliveryRow | None, act: str, says: bytes
    ) -> Appended | Moved:
        """Append what an operator did, and change the row. Raises LogUnavailable."""
        delivery = row.delivery
        facts = DeliveryFacts(
            row.key, row.recipient, row.service, delivery.attempt, act, delivery.doubt
        )
        change = DeliveryChange(row, becomes, frees_next=becomes is None)
        with self.lanes.committing():
            result = await self._append_sealed(Event.OPERATED, facts, says, change)
        if isinstance(result, Appended):
            self._count(row, becomes, result.freed)
        return result

    async def note(self, facts: DeliveryFacts, says: bytes) -> None:
        """Append what an operator did that changes no row. Raises LogUnavailable."""
        await self._append_sealed(Event.OPERATED, facts, says, None)

    async def _append_sealed(
        self, event: Event, facts: DeliveryFacts, content: bytes, change: DeliveryChange | None
    ) -> Appended | Moved:
        time, payload = self.clock(), await self.writer.seal(content)

        def make_write(_: KeptAttachments | None) -> LogWrite:
            leaf = delivery_leaf(event, facts, time, payload)
            return LogWrite(leaf, payload.sealed, change=change)

        return await self.writer.append_change(make_write)

    async def _append(
        self,
        event: Event,
        facts: DeliveryFacts,
        why: Why,
        change: DeliveryChange | None,
        *,
        receipt_for: str = "",
    ) -> Appended | Moved:
        time, proved, evidence = self.clock(), why.proved, why.evidence
        payload = await self.writer.seal(evidence) if evidence else None

        def make_write(kept: KeptAttachments | None) -> LogWrite:
            leaf = delivery_leaf(event, facts, time, payload, kept)
            sealed = payload.sealed if payload else None
            return LogWrite(leaf, sealed, change=change, receipt_for=receipt_for)

        attachments = proved.report.attachments if proved is not None else ()
        return await self.writer.append_change(make_write, attachments)

    def _count(
        self, row: DeliveryRow, becomes: DeliveryRow | None, freed: DeliveryKey | None
    ) -> None:
        was_dead = row.delivery.state is DeliveryState.DEAD
        is_dead = becomes is None or becomes.delivery.state is DeliveryState.DEAD
        if becomes is None or becomes.delivery.state is not DeliveryState.OUT:
            self.lanes.ended(row.recipient, row.key)
        if is_dead and not was_dead:
            self.lanes.closed(row.recipient)
        if was_dead and not is_dead:
            self.lanes.opened([row.recipient])
        lane = self.lanes.of(row.recipient)
        lane.dead += (becomes is not None and is_dead) - was_dead
        if freed is not None:
            # It is of the same conversation, which is with one recipient.
            self.lanes.want_look(row.recipient)


def _event(change: Change) -> Event:
    if isinstance(change, Closed | GivenUp):
        return Event.OUTCOME
    return Event.ATTEMPT if isinstance(change, Reopened) else Event.LATE


def _verdict(change: Change, why: Why) -> str:
    if isinstance(change, GivenUp):
        return _GIVEN_UP[change.reason]
    if isinstance(change, Closed) and change.closing is Closing.EXPIRED:
        return DeliveryExpired.code
    return why.code or DELIVERED


def _doubt(change: Change) -> bool:
    if isinstance(change, Closed):
        return change.doubt
    return change.delivery is not None and change.delivery.doubt


def _becomes(row: DeliveryRow, change: Change) -> DeliveryRow | None:
    if isinstance(change, Closed):
        return None
    assert change.delivery is not None  # there is a row
    return replace(row, delivery=change.delivery)
