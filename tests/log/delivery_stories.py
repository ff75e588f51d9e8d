"""Write logs of submissions with real parts: what is owed, and what became of it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta

from bus.core.deliveries import (
    Delivery,
    DeliveryChange,
    DeliveryKey,
    DeliveryRow,
    DeliveryState,
    NewDelivery,
)
from bus.core.log.leaf import Event, build_leaf
from bus.core.ports.entry_store import LogStore
from bus.core.ports.message_log import InboxState, LogWrite, SealedPayload
from tests.log.log_stories import (
    CLIENT,
    CONFIGURATION_DIGEST,
    NAMES,
    SEALER,
    START,
    claim_of,
)
from tests.log.memory_delivery_rows import MemoryDeliveries

A, B, C = "VN/GOV/H41/motcua", "VN/GOV/H42/motcua", "VN/GOV/H43/motcua"
SERVICE = "VN/GOV/H41/motcua/NhanHoSo/v1"
CASE, OTHER_CASE = bytes(range(16)), bytes(16)
CARRIED = SealedPayload(b"carried" * 40, b"key")
WAITING, BLOCKED, OUT = DeliveryState.WAITING, DeliveryState.BLOCKED, DeliveryState.OUT
OFFERED, HELD, DEAD = DeliveryState.OFFERED, DeliveryState.HELD, DeliveryState.DEAD


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def new(
    recipient: str = A,
    state: DeliveryState = OUT,
    *,
    due: float = 0,
    expires: float = 1000,
    deadline: float | None = None,
    conversation: bytes | None = None,
    is_urgent: bool = False,
) -> NewDelivery:
    is_begun = state in (OUT, HELD)
    if is_begun and deadline is None:
        deadline = 60
    delivery = Delivery(
        state,
        attempt=1 if is_begun else 0,
        attempt_max=7,
        doubt=False,
        due=at(due),
        expires=at(expires),
        key=hashlib.sha256(recipient.encode()).digest(),
        deadline=None if deadline is None else at(deadline),
    )
    return NewDelivery(recipient, SERVICE, delivery, is_urgent, conversation)


def accepted(name: str, *deliveries: NewDelivery, carried: SealedPayload = CARRIED) -> LogWrite:
    """A submission that is received."""
    raw = b"<x/>"
    sealed, commitment, digest = SEALER.seal(raw)
    leaf = build_leaf(
        Event.RECEIVED,
        START,
        client=CLIENT,
        message=NAMES.of(name, START),
        config=CONFIGURATION_DIGEST,
        verdict="accepted",
        payload=commitment,
        sealed=digest,
        raw_bytes=len(raw),
        recipients=len(deliveries),
    )
    claim = replace(claim_of(name, raw), state=InboxState.ACCEPTED)
    return LogWrite(leaf, sealed, claim, deliveries=deliveries, carried=carried)


def entry(
    change: DeliveryChange,
    event: Event | None = None,
    verdict: str = "",
    attempt: int | None = None,
    *,
    doubt: bool | None = None,
) -> LogWrite:
    """A change with its entry: unless told, the attempt that failed, or the closing as delivered.

    Doubt is what the row says.
    """
    row = change.becomes or change.seen
    is_open = change.becomes is not None and change.becomes.delivery.state is not DEAD
    event = event or (Event.ATTEMPT if is_open else Event.OUTCOME)
    if not verdict:
        dead = "delivery.in-doubt" if row.delivery.doubt else "delivery.given-up"
        closed = "delivered" if change.becomes is None else dead
        verdict = "delivery.recipient-unavailable" if is_open else closed
    is_said = verdict in ("delivered", "delivery.refused")
    sealed, commitment, digest = SEALER.seal(b"what its recipient said")
    leaf = build_leaf(
        event,
        START,
        payload=commitment if is_said else None,
        sealed=digest if is_said else None,
        raw_bytes=23 if is_said else None,
        continues=row.key.received_index,
        position=row.key.position,
        recipient=row.recipient,
        attempt=row.delivery.attempt if attempt is None else attempt,
        doubt=row.delivery.doubt if doubt is None else doubt,
        verdict=verdict,
    )
    told = CLIENT if event is Event.OUTCOME else ""
    return LogWrite(leaf, sealed if is_said else None, change=change, receipt_for=told)


def row_at(store: LogStore, index: int, position: int = 0) -> DeliveryRow:
    row = store.deliveries.delivery(DeliveryKey(index, position))
    assert row is not None
    return row


def becoming(row: DeliveryRow, state: DeliveryState, **facts: object) -> DeliveryRow:
    facts = {"deadline": at(60) if state in (OUT, HELD) else None, **facts}
    return replace(row, delivery=replace(row.delivery, state=state, **facts))  # type: ignore[arg-type]


def to(row: DeliveryRow, state: DeliveryState, **facts: object) -> DeliveryChange:
    return DeliveryChange(row, becoming(row, state, **facts))


def closing(row: DeliveryRow) -> DeliveryChange:
    return DeliveryChange(row, None, frees_next=True)


def submissions(first_index: int = 0) -> list[LogWrite]:
    """Three submissions and what became of them, as the first entries of a log, or from there on.

    Of the first, to A, B and C: delivered after a failed attempt, refused, given up. The second, to
    A and B: pending after an attempt in doubt, expired. The third, to A: untouched.
    """
    owed = MemoryDeliveries()
    writes: list[LogWrite] = []

    def write(one: LogWrite) -> None:
        if one.change is not None:
            owed.apply(one.change)
        owed.add(first_index + len(writes), one)
        writes.append(one)

    def row(message: int, position: int) -> DeliveryRow:
        return owed.rows[DeliveryKey(first_index + message, position)]

    write(accepted("s-1", new(A), new(B), new(C)))
    write(accepted("s-2", new(A), new(B, WAITING)))
    write(entry(to(row(0, 0), WAITING)))
    write(entry(closing(row(0, 1)), verdict="delivery.refused"))
    write(entry(to(row(0, 2), DEAD)))
    write(entry(closing(row(0, 0)), attempt=2))
    write(entry(to(row(1, 0), WAITING, doubt=True)))
    write(entry(closing(row(1, 1)), verdict="delivery.expired"))
    write(accepted("s-3", new(A)))
    return writes
