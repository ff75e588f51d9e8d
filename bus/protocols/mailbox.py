"""What an agency asks of its mailbox, and what it is told: values.

How they look on the wire is the business of soap_xroad.mailbox beside this.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime

from bus.core.deliveries import DeliveryKey
from signing.attachments import Attachment

LISTED_MAX = 100
"""Most messages, or receipts, of one page."""
LEASE_SECONDS = 300
"""How long what is fetched is held, where its fetcher does not say."""
LEASE_SECONDS_MIN = 10
LEASE_SECONDS_MAX = 3600
REASON_CHARACTERS_MAX = 500
_KEY = re.compile(r"(0|[1-9][0-9]{0,17})-(0|[1-9][0-9]{0,8})\Z")


def delivery_name(key: DeliveryKey) -> str:
    """A delivery as mailboxes call it: `17-0`."""
    return f"{key.received_index}-{key.position}"


def read_delivery_name(text: str) -> DeliveryKey | None:
    """The delivery of that name; None: it is none."""
    found = _KEY.match(text)
    return DeliveryKey(int(found[1]), int(found[2])) if found else None


@dataclass(frozen=True, slots=True)
class MessageListRequest:
    """A page of messages, the oldest first."""

    after: DeliveryKey | None
    """Behind this one; None: from the start."""
    count: int


@dataclass(frozen=True, slots=True)
class MessageFetchRequest:
    """Hold so many messages for me, for so long."""

    count: int
    lease_seconds: int


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What became of a message that was fetched."""

    key: DeliveryKey
    lease: str
    is_refused: bool
    """It was not acted upon, and will not be."""
    code: str = ""
    """Of a refusal: the recipient's own."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ReceiptListRequest:
    """A page of receipts, the oldest first."""

    after: int | None
    """Behind the entry of this index; None: from the start."""
    count: int


@dataclass(frozen=True, slots=True)
class ReceiptRequest:
    """One receipt, with what the recipient said."""

    entry: int


@dataclass(frozen=True, slots=True)
class ReceiptsAcknowledged:
    """The client has the receipts of these entries, and needs them no more."""

    entries: tuple[int, ...]


MailboxRequest = (
    MessageListRequest
    | MessageFetchRequest
    | Acknowledgement
    | ReceiptListRequest
    | ReceiptRequest
    | ReceiptsAcknowledged
)


@dataclass(frozen=True, slots=True)
class ListedMessage:
    """What lies in a mailbox, without its content."""

    key: DeliveryKey
    idempotency_key: str
    """The same however often it is fetched; 43 characters."""
    client: str
    """Who sent it."""
    service: str
    received_at: datetime
    expires_at: datetime
    envelope_bytes: int
    is_held: bool
    """Somebody fetched it, and has not acknowledged it yet."""
    fetched: int
    """How often that was."""


@dataclass(frozen=True, slots=True)
class BesideMessage:
    """An attachment of a message that was fetched."""

    content_id: str
    """As it came: its sender's signature names it so."""
    attachment: Attachment
    """As it stands beside the answer, under an id of its own."""


@dataclass(frozen=True, slots=True)
class FetchedMessage:
    """A message as it is handed out."""

    listed: ListedMessage
    message_id: str
    may_be_known: bool
    """Somebody fetched it before and did not acknowledge it: look whether you have it already."""
    purpose: str
    legal_basis: str
    envelope: bytes | Attachment = field(repr=False)
    """As its sender signed it; where it is large, it stands beside the answer."""
    receipt: bytes = field(repr=False)
    """The hub's signed note about its acceptance."""
    attachments: tuple[BesideMessage, ...] = ()
    """Those that came with it."""


@dataclass(frozen=True, slots=True)
class HandedOut:
    """Messages under one lease."""

    lease: str
    until: datetime
    """They are held until then."""
    messages: tuple[FetchedMessage, ...]
    """Empty: there is nothing to fetch."""


@dataclass(frozen=True, slots=True)
class ListedReceipt:
    """How a delivery ended."""

    entry: int
    """Index of the entry that says so."""
    key: DeliveryKey
    recipient: str
    service: str
    verdict: str
    """`delivered`, or an error code."""
    closed_at: datetime
    receipt: bytes = field(repr=False)
    """The hub's signed note."""


@dataclass(frozen=True, slots=True)
class ClosedDelivery:
    """A receipt with what the recipient said."""

    listed: ListedReceipt
    message_id: str
    said: bytes = field(default=b"", repr=False)
    """What the recipient's agency signed, as the log keeps it; empty: it said nothing."""
    answer: bytes = field(default=b"", repr=False)
    """Its signed answer; empty: it gave none."""
    attachments: tuple[Attachment, ...] = ()
    """Beside the answer."""
