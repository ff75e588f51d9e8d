"""What a hub orders a worker to do, and what the worker says came of it: values.

An order is one attempt at one delivery, or the one question of a query. The hub signs it, the
agency signs the report; how both look as bytes is the business of order_notes and report_notes
beside this.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from bus.core.decision import Accepted
from bus.core.deliveries import AttemptOutcome, DeliveryKey
from bus.core.registry import Mode
from signing.attachments import Attachment

ORIGIN_CHARACTERS_MAX = 255
DETAIL_CHARACTERS_MAX = 500


class OrderInvalid(ValueError):
    """These bytes are no order, or none of a hub that is known."""


class ReportInvalid(ValueError):
    """These bytes are no report, or none of the agency that could say so."""


@dataclass(frozen=True, slots=True)
class Order:
    """Deliver this message to that recipient, or ask it this, now or not at all."""

    origin: str
    """Of the hub's log; names who orders."""
    key: DeliveryKey
    """Of a query: the entry that received it, position 0."""
    attempt: int
    """Of a query 1: it is asked once."""
    recipient: str
    """The subsystem that is owed, or asked: `VN/GOV/H41/motcua`."""
    service: str
    """Which of its services carries it."""
    idempotency_key: str
    """Names the delivery, or the question, to its recipient; the same in every attempt; 43
    characters."""
    sent_at: datetime
    """By the hub's clock."""
    begin_before: datetime
    """Whoever takes it later does nothing of it."""
    accepted: Accepted
    """As the hub decided."""
    raw: bytes = field(repr=False)
    """The message as its sender signed it, for whoever wants to verify it again."""
    attachments: tuple[Attachment, ...] = ()

    @property
    def is_query(self) -> bool:
        """Whether it is to be answered, and not delivered."""
        return self.accepted.mode is Mode.QUERY


@dataclass(frozen=True, slots=True)
class AttemptReport:
    """What came of an order."""

    origin: str
    """Of the order."""
    key: DeliveryKey
    recipient: str
    message_digest: bytes
    """Names the message, attachments too: SHA-256, as the order's facts have it."""
    outcome: AttemptOutcome
    time: datetime
    """By the worker's clock."""
    code: str = ""
    """Error code (docs/errors.md); empty: delivered."""
    detail: str = ""
    """What the recipient may be told to have said; bounded, one line."""
    answer: bytes = field(default=b"", repr=False)
    """The recipient's signed answer, or its own fault; empty: it gave none."""
    attachments: tuple[Attachment, ...] = ()
    note: bytes = field(default=b"", repr=False)
    """The report as its agency signed it: what goes into the log as evidence."""
    is_query: bool = False
    """Whether it is what came of a question, and not of a delivery."""
