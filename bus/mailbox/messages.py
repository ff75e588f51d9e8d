"""Hand out what lies in a recipient's mailbox, and end deliveries by what it says of them.

What is handed out is on disk as held, with its entry, before a byte leaves; it is held by one
fetcher at a time, and lies there again when that one said nothing in time. The lease is the
idempotency key of the request that fetched: the same request again, after the hub stopped in
between, finds what it holds.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from weakref import WeakValueDictionary

import structlog

from bus.core import errors
from bus.core.deliveries import (
    AttemptEnd,
    AttemptOutcome,
    DeliveryKey,
    DeliveryRow,
    DeliveryState,
    Moved,
)
from bus.core.log.leaf import Leaf, read_leaf
from bus.core.ports.delivery_rows import DeliveryRows
from bus.core.registry import Repeats
from bus.core.routing import delivery_idempotency_key
from bus.delivery.carried_messages import CarriedMessage, CarriedMessages
from bus.delivery.delivery_writer import DeliveryWriter, Why
from bus.delivery.lifecycle import hand_out, settle
from bus.kit.made_attachments import attachment_of_bytes
from bus.log.entry_writer import EntryWriter
from bus.mailbox.closings import Closings, EndedDelivery
from bus.mailbox.notes import ReceiptNotes
from bus.protocols.mailbox import (
    Acknowledgement,
    BesideMessage,
    FetchedMessage,
    HandedOut,
    ListedMessage,
    MessageFetchRequest,
    MessageListRequest,
    delivery_name,
)
from signing.attachments import Attachment

FETCHED_BYTES_MAX = 4 * 1024 * 1024
"""Of the envelopes in one answer; one that is larger comes alone, and beside it."""
BESIDE_BYTES_MAX = 256 * 1024 * 1024
"""Of the attachments beside one answer; a message that has more comes alone."""
ROWS_AT_ONCE_MAX = 64
"""Rows that are looked at in one turn."""

_log = structlog.get_logger()
ReadAcknowledgement = Callable[[bytes], Acknowledgement | None]
"""From what a recipient signed; None: it is no acknowledgement."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    """What may be handed out, its message at hand."""

    row: DeliveryRow
    message: CarriedMessage


@dataclass(frozen=True, slots=True)
class Mailboxes:
    """The mailboxes of all recipients in one log; used from one event loop.

    Each raises LogUnavailable, LogCorrupt.
    """

    rows: DeliveryRows
    writer: DeliveryWriter
    messages: CarriedMessages
    entries: EntryWriter
    closings: Closings
    notes: ReceiptNotes
    read_acknowledgement: ReadAcknowledgement
    clock: Callable[[], datetime]
    _turns: WeakValueDictionary[str, asyncio.Lock] = field(
        default_factory=WeakValueDictionary[str, asyncio.Lock], init=False, repr=False
    )
    """Of those that fetch from one mailbox at one time."""

    # --- list ----------------------------------------------------------------------------------

    async def page(self, box: str, asked: MessageListRequest) -> tuple[list[ListedMessage], bool]:
        """What lies there, and whether there may be more."""
        rows = await asyncio.to_thread(self.rows.offered, box, asked.after, asked.count)
        entries = [await self.entries.log.read(row.key.received_index) for row in rows]
        listed = [_listed(row, read_leaf(one.leaf)) for row, one in zip(rows, entries, strict=True)]
        return listed, len(rows) == asked.count

    # --- fetch ---------------------------------------------------------------------------------

    async def fetch(self, box: str, lease: str, asked: MessageFetchRequest) -> HandedOut:
        """Hold what nobody holds; the oldest first, as far as one answer takes it."""
        now = self.clock()
        until, holder = now + timedelta(seconds=asked.lease_seconds), _holder(lease)
        held: list[_Candidate] = []
        if not self.writer.lanes.is_paused(box):
            # In turns, so that each finds what the one before left; a row is had once in any case.
            async with self._turns.setdefault(box, asyncio.Lock()):
                candidates = await self._candidates(box, holder, asked.count, now)
                work = [self._hand_out(one, holder, until) for one in candidates]
                held = [one for one in await asyncio.gather(*work) if one is not None]
        deadlines = [one.row.delivery.deadline or until for one in held]
        fetched = [await self._fetched(one) for one in held]
        return HandedOut(lease, min(deadlines, default=until), tuple(fetched))

    async def _candidates(
        self, box: str, holder: bytes, count: int, now: datetime
    ) -> list[_Candidate]:
        """What nobody else holds, as much as one answer takes."""
        after: DeliveryKey | None = None
        taken: list[_Candidate] = []
        while True:
            rows = await asyncio.to_thread(self.rows.offered, box, after, ROWS_AT_ONCE_MAX)
            for row in rows:
                if not _may_have(row, holder, now):
                    continue
                candidate = await self._opened(row)
                if candidate is None:
                    continue
                if not _fits(candidate, taken):
                    return taken
                taken.append(candidate)
                if len(taken) == count:
                    return taken
            if len(rows) < ROWS_AT_ONCE_MAX:
                return taken
            after = rows[-1].key

    async def _opened(self, row: DeliveryRow) -> _Candidate | None:
        try:
            return _Candidate(row, await self.messages.of(row.key.received_index))
        except errors.LogCorrupt as error:
            await self.writer.give_up(row, error)
            return None

    async def _hand_out(self, one: _Candidate, holder: bytes, until: datetime) -> _Candidate | None:
        """The same, held; None: somebody else was sooner."""
        if one.row.delivery.state is DeliveryState.HELD:
            return one  # by this very request, when the hub stopped
        held = replace(one.row, delivery=hand_out(one.row.delivery, until), holder=holder)
        result = await self.writer.hand_out(one.row, held)
        return None if isinstance(result, Moved) else _Candidate(held, one.message)

    async def _fetched(self, one: _Candidate) -> FetchedMessage:
        accepted, name = one.message.accepted, delivery_name(one.row.key)
        entry = await self.entries.log.read(one.row.key.received_index)
        leaf = read_leaf(entry.leaf)
        envelope: bytes | Attachment = one.message.raw
        if len(one.message.raw) > FETCHED_BYTES_MAX:
            envelope = attachment_of_bytes(
                one.message.raw,
                content_id=f"envelope.{name}",
                media_type="application/octet-stream",
            )
        return FetchedMessage(
            listed=_listed(one.row, leaf),
            message_id=accepted.facts.message_id,
            may_be_known=one.row.delivery.doubt,
            purpose=accepted.purpose,
            legal_basis=accepted.legal_basis,
            envelope=envelope,
            receipt=await self.notes.accepted(entry, leaf, one.message),
            attachments=tuple(
                BesideMessage(came.content_id, _renamed(came, f"{number}.{name}"))
                for number, came in enumerate(one.message.attachments, start=1)
            ),
        )

    # --- acknowledge -----------------------------------------------------------------------------

    async def acknowledge(self, box: str, said: Acknowledgement, signed: bytes) -> EndedDelivery:
        """End a delivery by what its recipient signed; give how it ended.

        Raises NotInMailbox; LeaseLost: it is noted as late.
        """
        why = Why(0, errors.RecipientRefused.code if said.is_refused else "", signed=signed)
        holder = _holder(said.lease)
        while True:
            row = await asyncio.to_thread(self.rows.delivery, said.key)
            if row is None:
                return await self._acknowledged_before(box, said, why)
            if row.recipient != box:
                raise errors.NotInMailbox("it is somebody else's")
            if row.holder != holder:
                await self.writer.note_late(row.key, box, why)
                raise errors.LeaseLost("it is not held under this lease")
            moved = await self._settle(row, said, replace(why, attempt=row.delivery.attempt))
            if not moved:
                break
        closing = await self.closings.last_of(said.key)
        if closing is None or closing.said != signed:
            raise errors.LeaseLost("an attempt is in doubt, and an operator decides")
        return closing

    async def _settle(self, row: DeliveryRow, said: Acknowledgement, why: Why) -> bool:
        """Decide and write; whether the row was another than was seen."""
        rule = self.writer.rule_of(row)
        end = AttemptEnd.REFUSED if said.is_refused else AttemptEnd.DELIVERED
        change = settle(
            row.delivery,
            AttemptOutcome(row.delivery.attempt, end),
            rule.retry,
            self.clock(),
            is_repeatable=rule.repeats is not Repeats.NEVER,
        )
        return isinstance(await self.writer.write(row, change, why), Moved)

    async def _acknowledged_before(
        self, box: str, said: Acknowledgement, why: Why
    ) -> EndedDelivery:
        """The end of a delivery that is closed, where this acknowledgement says the same."""
        closing = await self.closings.last_of(said.key)
        if closing is None or closing.leaf.recipient != box:
            raise errors.NotInMailbox("no such delivery is or was there")
        before = self.read_acknowledgement(closing.said)
        if before is not None and (before.lease, before.is_refused) == (
            said.lease,
            said.is_refused,
        ):
            return closing
        await self.writer.note_late(said.key, box, why)
        raise errors.LeaseLost("its delivery has ended")


def _holder(lease: str) -> bytes:
    return hashlib.sha256(lease.encode()).digest()


def _listed(row: DeliveryRow, leaf: Leaf) -> ListedMessage:
    """A row, and the leaf of the entry that received its message."""
    return ListedMessage(
        key=row.key,
        idempotency_key=delivery_idempotency_key(row.delivery.key),
        client=leaf.client or "",
        service=row.service,
        received_at=leaf.time,
        expires_at=row.delivery.expires,
        envelope_bytes=leaf.raw_bytes or 0,
        is_held=row.delivery.state is DeliveryState.HELD,
        fetched=row.delivery.attempt,
    )


def _may_have(row: DeliveryRow, holder: bytes, now: datetime) -> bool:
    """Whether a row is to be had by whoever is this holder."""
    if row.delivery.state is DeliveryState.HELD:
        return row.holder == holder and (row.delivery.deadline or now) > now
    return row.delivery.expires > now


def _fits(one: _Candidate, taken: Sequence[_Candidate]) -> bool:
    """Whether it fits behind these; the first one always does."""
    if not taken:
        return True
    envelopes = len(one.message.raw) + sum(len(other.message.raw) for other in taken)
    beside = _beside_bytes(one) + sum(map(_beside_bytes, taken))
    return envelopes <= FETCHED_BYTES_MAX and beside <= BESIDE_BYTES_MAX


def _beside_bytes(one: _Candidate) -> int:
    return sum(attachment.bytes_count for attachment in one.message.attachments)


def _renamed(came: Attachment, content_id: str) -> Attachment:
    """The same under another id, so that those of several messages are told apart."""
    headers = tuple(
        (name, f"<{content_id}>" if name.lower() == "content-id" else value)
        for name, value in came.headers
    )
    return replace(came, content_id=content_id, headers=headers)
