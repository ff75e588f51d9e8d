"""Rows of deliveries and states of claims as databases have them, and as values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from bus.core.deliveries import Delivery, DeliveryKey, DeliveryRow, DeliveryState
from bus.core.ports.message_log import AlreadyTaken, Claim, InboxState

NUMBER_OF_STATE = {
    DeliveryState.WAITING: 0,
    DeliveryState.BLOCKED: 1,
    DeliveryState.OUT: 2,
    DeliveryState.OFFERED: 3,
    DeliveryState.HELD: 4,
    DeliveryState.DEAD: 5,
}
"""As the schema's indexes have them."""
STATE_OF_NUMBER = {number: state for state, number in NUMBER_OF_STATE.items()}

NUMBER_OF_INBOX_STATE = {
    InboxState.OPEN: 0,
    InboxState.ANSWERED: 1,
    InboxState.RETRYABLE: 2,
    InboxState.ACCEPTED: 3,
}
INBOX_STATE_OF_NUMBER = {number: state for state, number in NUMBER_OF_INBOX_STATE.items()}

ROW_COLUMNS = (
    "received_idx",
    "position",
    "recipient",
    "service",
    "state",
    "attempt",
    "attempt_max",
    "doubt",
    "due",
    "expires",
    "key",
    "deadline",
    "urgent",
    "conversation",
    "place",
    "generation",
    "holder",
    "version",
    "lets_pass",
)
"""In the order of the table."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def met_claim(
    claim: Claim,
    digest: bytes,
    state: int,
    received_index: int,
    outcome_index: int | None,
    origin: str | None = None,
) -> AlreadyTaken | None:
    """What a claim meets in a row of the inbox; None: it takes it over."""
    is_same = digest == claim.digest
    found = INBOX_STATE_OF_NUMBER[state]
    if is_same and found is InboxState.RETRYABLE:
        return None
    return AlreadyTaken(is_same, found, received_index, outcome_index, origin)


def microseconds_of(moment: datetime) -> int:
    """Since 1970, UTC."""
    return (moment - _EPOCH) // _MICROSECOND


def moment_of(microseconds: int) -> datetime:
    """The moment so long after the start of 1970, UTC."""
    return _EPOCH + timedelta(microseconds=microseconds)


def values_of(row: DeliveryRow) -> tuple[Any, ...]:
    """A row as its columns."""
    delivery = row.delivery
    deadline = delivery.deadline
    return (
        row.key.received_index,
        row.key.position,
        row.recipient,
        row.service,
        NUMBER_OF_STATE[delivery.state],
        delivery.attempt,
        delivery.attempt_max,
        delivery.doubt,
        microseconds_of(delivery.due),
        microseconds_of(delivery.expires),
        delivery.key,
        None if deadline is None else microseconds_of(deadline),
        row.is_urgent,
        row.conversation,
        row.place,
        row.generation,
        row.holder,
        row.version,
        row.lets_pass,
    )


def row_of(values: tuple[Any, ...]) -> DeliveryRow:
    """A row out of its columns. Raises KeyError, TypeError, OverflowError, for what none is."""
    (
        received_index,
        position,
        recipient,
        service,
        state,
        attempt,
        attempt_max,
        doubt,
        due,
        expires,
        key,
        deadline,
        urgent,
        conversation,
        place,
        generation,
        holder,
        version,
        lets_pass,
    ) = values
    delivery = Delivery(
        STATE_OF_NUMBER[state],
        attempt,
        attempt_max,
        bool(doubt),
        moment_of(due),
        moment_of(expires),
        key,
        None if deadline is None else moment_of(deadline),
    )
    return DeliveryRow(
        DeliveryKey(received_index, position),
        recipient,
        service,
        delivery,
        bool(urgent),
        conversation,
        place,
        generation,
        holder,
        version,
        bool(lets_pass),
    )
