"""Prove what was fetched from a mailbox: that its sender signed it, and that the hub accepted it.

(1) The receipt is signed under the log's key, and is one of an acceptance.
(2) It names the digest of the envelope, and of each attachment.
(3) One signature reaches the Body, the timestamp, every routing header block and every attachment,
    under a certificate that led to a trust anchor when the hub accepted the message.
(4) The certificate belongs to the member that the envelope names as its client.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from bus.core.envelope import Envelope
from bus.core.errors import BusError
from bus.core.limits import Limits
from bus.core.log.receipts import ReceiptInvalid
from bus.core.log.submission_receipts import AcceptanceReceipt, parse_any_receipt, part_digests
from bus.protocols.mime.signed_part import read_xml_attachment
from bus.protocols.soap_xroad.read_answer import AnswerRejected
from bus.protocols.soap_xroad.verify_answer import KnownHub
from bus.protocols.soap_xroad.wire import SOAP_XROAD
from signing.attachments import Attachment
from signing.errors import SignatureError
from signing.names import TIMESTAMP
from signing.pki.certificates import ValidatedCertificate
from signing.signed_note import NoteInvalid, verify_note
from signing.wss.verify import SignedPart, VerifiedSignature, verify_signature


@dataclass(frozen=True, slots=True)
class ProvedMessage:
    """A message that was fetched. Made by `verify_fetched` only."""

    envelope: Envelope
    receipt: AcceptanceReceipt
    certificate: ValidatedCertificate = field(repr=False)
    """The sender's."""


def verify_fetched(
    raw: bytes, note: bytes, known: KnownHub, attachments: Sequence[Attachment] = ()
) -> ProvedMessage:
    """Prove a message by its receipt and its own signature; attachments are such as they came.

    Raises AnswerRejected.
    """
    receipt = _receipt(note, known)
    # (2)
    beside = tuple(attachments)
    if (receipt.request_digest, receipt.part_digests) != (
        hashlib.sha256(raw).digest(),
        part_digests(beside),
    ):
        raise AnswerRejected("the receipt is about another message")
    limits = replace(Limits(), envelope_bytes_max=max(len(raw), Limits().envelope_bytes_max))
    try:
        envelope = SOAP_XROAD.parse(raw, limits, beside)
        # (3)
        signature = _signature(envelope, receipt, known)
    except (BusError, SignatureError) as error:
        raise AnswerRejected(f"the message is not proved: {error}") from error
    # (4)
    member = envelope.client.member
    if signature.certificate.subject_identifier != known.certificate_subjects.get(
        member, str(member)
    ):
        raise AnswerRejected("the message is signed by another member than the one it names")
    return ProvedMessage(envelope, receipt, signature.certificate)


def _receipt(note: bytes, known: KnownHub) -> AcceptanceReceipt:
    # (1)
    try:
        receipt = parse_any_receipt(verify_note(note, [known.receipt_key]).text.decode())
    except (NoteInvalid, ReceiptInvalid) as error:
        raise AnswerRejected(f"the receipt does not hold: {error}") from error
    if not isinstance(receipt, AcceptanceReceipt) or receipt.origin != known.receipt_key.name:
        raise AnswerRejected("the receipt is none of an acceptance by this hub")
    return receipt


def _signature(
    envelope: Envelope, receipt: AcceptanceReceipt, known: KnownHub
) -> VerifiedSignature:
    if envelope.security is None:
        raise AnswerRejected("the message is not signed")
    timestamps = envelope.security.findall(TIMESTAMP)
    required = [
        SignedPart("Body", envelope.body),
        *(SignedPart("Timestamp", one) for one in timestamps),
        *envelope.routing_blocks,
    ]
    return verify_signature(
        envelope.security,
        required,
        known.policy,
        known.trust,
        receipt.time,
        attachments=envelope.attachments,
        read_xml=read_xml_attachment,
    )
