"""Tell senders what happened: signed faults, and the hub's receipt on everything."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from bus.core.attachments import message_digest
from bus.core.envelope import SoapVersion
from bus.core.errors import Blame, BusError, Recovery, SenderBusy
from bus.core.exchange_leaves import Entry
from bus.core.faults import fault_of
from bus.core.log.merkle import hash_leaf
from bus.core.log.receipts import Receipt
from bus.core.pipeline import Refusal
from bus.core.registry import FaultStyle
from bus.protocols.reply import HTTP_UNAVAILABLE, Reply
from bus.protocols.soap_xroad.faults import fault_element, fault_header
from bus.protocols.soap_xroad.names import CONTENT_TYPES, likely_version
from bus.protocols.soap_xroad.write import SigningTime, with_receipt, write_fault_message
from signing.attachments import Attachment
from signing.pki.keys import SignerInTime
from signing.signed_note import SigningKey, sign_note

HTTP_TOO_MANY = 429
_TEXT_CONTENT_TYPE = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Replies:
    """The hub's voice: its keys and the style of its faults."""

    hub_signer: SignerInTime = field(repr=False)
    receipt_key: SigningKey = field(repr=False)
    style: FaultStyle
    show_precise_faults: bool

    def fault(
        self,
        refusal: Refusal,
        raw: bytes,
        fault_id: str,
        time: datetime,
        *,
        attachments: tuple[Attachment, ...] = (),
    ) -> bytes:
        """A signed fault message, without receipt yet."""
        envelope = refusal.envelope
        fault = fault_of(
            refusal.error,
            fault_id=fault_id,
            message_id=envelope.message_id if envelope else "",
            request_digest=envelope.digest if envelope else message_digest(raw, attachments),
            show_precise_faults=self.show_precise_faults,
        )
        version = version_of(refusal, raw)
        return write_fault_message(
            fault_element(fault, self.style.spelling, version),
            self.hub_signer.at(time),
            SigningTime(time),
            soap_version=version,
            unsigned_block=fault_header(fault, version),
            # In SOAP 1.2 the code is a value with a prefix, too.
            holds_values=bool(fault.detail_content) or version is SoapVersion.SOAP_1_2,
        )

    def receipted(
        self,
        body: bytes,
        received: Entry,
        outcome: Entry,
        raw_digest: bytes,
        time: datetime,
        *,
        attachments: tuple[Attachment, ...] = (),
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
            answer_digest=message_digest(body, attachments),
        )
        return with_receipt(body, sign_note(receipt.text(), [self.receipt_key]))

    def fault_reply(self, error: BusError, body: bytes) -> Reply:
        """The reply that carries a fault; 503 where the hub itself asks for patience, 429 where
        its sender asks for too much at once."""
        content_type = CONTENT_TYPES[likely_version(body)]
        is_later = error.recovery is Recovery.LATER
        is_unavailable = is_later and error.blame is Blame.HUB
        status = HTTP_UNAVAILABLE if is_unavailable else self.style.http_status
        if isinstance(error, SenderBusy):
            status = HTTP_TOO_MANY
        return Reply(
            status, body, is_retryable=is_later, content_type=content_type, outcome=error.code
        )

    def unsigned_reply(self, error: BusError) -> Reply:
        """The one reply without a signature: what signs faults cannot be reached."""
        body = f"{error.public_reason}\n".encode()
        return Reply(
            HTTP_UNAVAILABLE,
            body,
            is_retryable=True,
            content_type=_TEXT_CONTENT_TYPE,
            outcome=error.code,
        )


def version_of(refusal: Refusal, raw: bytes) -> SoapVersion:
    """The SOAP version of the fault: that of the request, as far as it shows."""
    if refusal.envelope is not None:
        return refusal.envelope.soap_version
    return refusal.soap_version or likely_version(raw)
