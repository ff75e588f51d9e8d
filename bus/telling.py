"""Tell senders what happened: signed faults, and the hub's receipt on everything."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime

from bus.core.errors import Blame, BusError, Recovery
from bus.core.exchange_entries import Entry
from bus.core.faults import fault_of
from bus.core.merkle import hash_leaf
from bus.core.nation import FaultStyle
from bus.core.pipeline import Refusal
from bus.core.receipts import Receipt
from bus.protocols.soap_xroad.faults import fault_element
from bus.protocols.soap_xroad.write import SigningTime, with_receipt, write_fault_message
from signing.keys import Signer
from signing.signed_note import SigningKey, sign_note

HTTP_OK = 200
HTTP_UNAVAILABLE = 503
XML_CONTENT_TYPE = "text/xml; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back to the sender."""

    status: int
    body: bytes = field(repr=False)
    is_retryable: bool = False
    content_type: str = XML_CONTENT_TYPE


@dataclass(frozen=True, slots=True)
class Telling:
    """The hub's voice: its keys and the style of its faults."""

    hub_signer: Signer = field(repr=False)
    receipt_key: SigningKey = field(repr=False)
    style: FaultStyle
    show_precise_faults: bool

    def fault(self, refusal: Refusal, raw: bytes, fault_id: str, time: datetime) -> bytes:
        """A signed fault message, without receipt yet."""
        envelope = refusal.envelope
        fault = fault_of(
            refusal.error,
            fault_id=fault_id,
            message_id=envelope.message_id if envelope else "",
            request_digest=envelope.digest if envelope else hashlib.sha256(raw).digest(),
            show_precise_faults=self.show_precise_faults,
        )
        element = fault_element(fault, self.style.spelling)
        return write_fault_message(element, self.hub_signer, SigningTime(time))

    def receipted(
        self, body: bytes, received: Entry, outcome: Entry, raw_digest: bytes, time: datetime
    ) -> bytes:
        """The message with the hub's receipt: the same for the same entries, whenever made."""
        receipt = Receipt(
            origin=self.receipt_key.name,
            time=time,
            received_index=received.index,
            received_hash=hash_leaf(received.leaf),
            outcome_index=outcome.index,
            outcome_hash=hash_leaf(outcome.leaf),
            request_digest=raw_digest,
            answer_digest=hashlib.sha256(body).digest(),
        )
        return with_receipt(body, sign_note(receipt.text(), [self.receipt_key]))

    def fault_reply(self, error: BusError, body: bytes) -> Reply:
        """The reply that carries a fault; 503 where the hub itself asks for patience."""
        is_later = error.recovery is Recovery.LATER
        is_unavailable = is_later and error.blame is Blame.HUB
        status = HTTP_UNAVAILABLE if is_unavailable else self.style.http_status
        return Reply(status, body, is_retryable=is_later)
