"""Say in leaves what became of a delivery: its attempts, its closing, what came late."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bus.core.deliveries import DeliveryKey
from bus.core.exchange_leaves import SealedFacts
from bus.core.log.leaf import Event, build_leaf
from bus.core.ports.message_log import KeptAttachments


@dataclass(frozen=True, slots=True)
class DeliveryFacts:
    """What a leaf says of one delivery, whatever happened to it."""

    key: DeliveryKey | None
    """None: it is about all that goes to the recipient."""
    recipient: str
    service: str
    """Which of its services carries it; empty: it is not known any more."""
    attempt: int
    """Number of the attempt that it is about; 0: of none."""
    verdict: str
    """`delivered`, or an error code; of an operator what was done; empty: it came to no end."""
    doubt: bool = False
    is_query: bool = False
    """It is about a query, which has no positions and no attempts."""


def delivery_leaf(
    event: Event,
    facts: DeliveryFacts,
    time: datetime,
    payload: SealedFacts | None = None,
    kept: KeptAttachments | None = None,
) -> bytes:
    """The leaf of something that happened to a delivery: ATTEMPT, HANDED_OUT, OUTCOME, LATE,
    OPERATED."""
    key = facts.key
    return build_leaf(
        event,
        time,
        service=facts.service or None,
        continues=key.received_index if key else None,
        position=key.position if key and not facts.is_query else None,
        recipient=facts.recipient,
        attempt=None if facts.is_query else facts.attempt or None,
        doubt=facts.doubt or None,
        verdict=facts.verdict or None,
        payload=payload.commitment if payload else None,
        sealed=payload.sealed_digest if payload else None,
        raw_bytes=payload.raw_bytes if payload else None,
        attachments=kept.commitment if kept else None,
        stored=kept.stored if kept else None,
    )
