"""Verify that an answer, or a fault, is the one to what was sent, and that the hub recorded it.

The checks, in order (WSS = WS-Security 1.1.1, MESS = X-Road Message Protocol 4.0):

 (1) One signature reaches the Body, the timestamp, every routing header block and every
     attachment, each at its position, under a certificate that leads to a trust anchor now
     (signing.wss.verify). WSS §8.
 (2) The certificate belongs to the provider of the service; that of a fault, and of the acceptance
     of a submission, to the hub.
 (3) An answer repeats every routing header of the request, in order, and nothing else but the
     request's hash. MESS §2.2.
 (4) The request's hash is that of the bytes that were sent. MESS §2.4. A fault names their digest.
 (5) The receipt is signed under the log's key, and names the digest of the request and that of
     the answer as it was signed; that of an acceptance names the request and what the acceptance
     says. Only where the log itself failed, there is no receipt.

Age is not checked: (4) binds an answer to one request, and a copy gets the first answer again.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from lxml import etree

from bus.core.attachments import message_digest
from bus.core.envelope import Envelope, HeaderBlock
from bus.core.errors import BusError, LogUnavailable
from bus.core.faults import Fault
from bus.core.identifiers import MemberId
from bus.core.log.receipts import Receipt, ReceiptInvalid
from bus.core.log.submission_receipts import (
    AcceptanceReceipt,
    AnyReceipt,
    parse_any_receipt,
    part_digests,
)
from bus.protocols.mime.signed_part import read_xml_attachment
from bus.protocols.soap_xroad import names
from bus.protocols.soap_xroad.acceptance import Acceptance, read_acceptance
from bus.protocols.soap_xroad.read_answer import AnswerEnvelope, AnswerRejected, read_answer
from bus.protocols.soap_xroad.write import takes_receipt, without_receipt
from signing.attachments import Attachment
from signing.errors import SignatureError
from signing.names import TIMESTAMP
from signing.pki.certificates import TrustStore, ValidatedCertificate
from signing.policy import SignaturePolicy
from signing.signed_note import NoteInvalid, VerifyingKey, verify_note
from signing.wss.verify import SignedPart, VerifiedSignature, verify_signature


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSigners:
    """Whose signatures are believed."""

    trust: TrustStore = field(repr=False)
    member: MemberId
    """Who signs faults: the hub."""
    policy: SignaturePolicy = field(default_factory=SignaturePolicy)
    certificate_subjects: Mapping[MemberId, str] = field(default_factory=dict)
    """organizationIdentifier in the certificates of members for whom it is not their id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownHub(KnownSigners):
    """What a sender knows of a hub before it sends anything."""

    receipt_key: VerifyingKey
    receipt_keys_elsewhere: tuple[VerifyingKey, ...] = ()
    """Of other hubs of the same operator: each tells a copy what the first was told, under the
    receipt of whoever told it."""

    @property
    def receipt_keys(self) -> list[VerifyingKey]:
        """Every key that a receipt may be signed with."""
        return [self.receipt_key, *self.receipt_keys_elsewhere]


@dataclass(frozen=True, slots=True)
class VerifiedAnswer:
    """An answer that is proved. Made by `verify_answer` only."""

    payload: etree._Element = field(repr=False)
    """The one element of the signed Body."""
    receipt: Receipt
    signer: MemberId
    raw: bytes = field(repr=False)
    """The bytes as received; those of the SOAP part where attachments came with it."""
    certificate: ValidatedCertificate = field(repr=False)
    """Of whoever signed it, for whoever asks whether it is revoked."""
    attachments: tuple[Attachment, ...] = ()
    """What came beside it, in order; each was signed with it."""


@dataclass(frozen=True, slots=True)
class VerifiedFault:
    """A fault that is proved. Made by `verify_answer` only."""

    fault: Fault
    receipt: Receipt | None
    """None: the hub could not write its log, and says so."""
    raw: bytes = field(repr=False)
    """The bytes as received."""
    certificate: ValidatedCertificate = field(repr=False)
    """Of whoever signed it: the hub."""


@dataclass(frozen=True, slots=True)
class VerifiedAcceptance:
    """The acceptance of a submission, proved. Made by `verify_reply` only."""

    acceptance: Acceptance
    payload: etree._Element = field(repr=False)
    """The one element of the signed Body, which says the same."""
    receipt: AcceptanceReceipt
    raw: bytes = field(repr=False)
    """The bytes as received."""
    certificate: ValidatedCertificate = field(repr=False)
    """Of whoever signed it: the hub."""


def verify_answer(
    raw: bytes,
    request: Envelope,
    known: KnownHub,
    now: datetime,
    attachments: tuple[Attachment, ...] = (),
) -> VerifiedAnswer | VerifiedFault:
    """Prove what came back for the query `request` (as `parse_with_attachments` reads what was
    sent).

    `attachments` came beside the answer. Raises AnswerRejected: of an acceptance, too.
    """
    verified = verify_reply(raw, request, known, now, attachments)
    if isinstance(verified, VerifiedAcceptance):
        raise AnswerRejected("it is no answer: the message was accepted, to be delivered later")
    return verified


def verify_reply(
    raw: bytes,
    request: Envelope,
    known: KnownHub,
    now: datetime,
    attachments: tuple[Attachment, ...] = (),
) -> VerifiedAnswer | VerifiedFault | VerifiedAcceptance:
    """Prove what came back for a message of either mode. Raises AnswerRejected."""
    answer = read_answer(raw)
    # (1) to (4)
    signer, certificate = _check_answer(answer, request, known, now, attachments)
    # (5)
    if answer.fault is not None:
        fault_receipt = _fault_receipt(answer, request, known)
        return VerifiedFault(answer.fault, fault_receipt, raw, certificate)
    if answer.payload.tag == names.ACCEPTANCE:
        acceptance = _checked_acceptance(answer, request)
        proof = _acceptance_receipt(answer, acceptance, request, known)
        return VerifiedAcceptance(acceptance, answer.payload, proof, raw, certificate)
    receipt = _verified_receipt(answer, request, known, attachments)
    return VerifiedAnswer(answer.payload, receipt, signer, raw, certificate, attachments)


def verify_recorded(
    raw: bytes,
    request: Envelope,
    known: KnownSigners,
    now: datetime,
    attachments: tuple[Attachment, ...] = (),
) -> Fault | None:
    """Prove an answer as the log keeps it, without receipt: (1) to (4). None: it is no fault.

    Raises AnswerRejected.
    """
    answer = read_answer(raw)
    _check_answer(answer, request, known, now, attachments)
    return answer.fault


def verify_made(
    raw: bytes,
    request: Envelope,
    known: KnownSigners,
    now: datetime,
    attachments: tuple[Attachment, ...] = (),
) -> etree._Element:
    """Prove an answer that an agency's worker made for us to record and to put our receipt on: (1)
    to (4), in the form in which we write, without receipt. Gives its payload.

    Raises AnswerRejected: of a fault and an acceptance, too.
    """
    answer = read_answer(raw)
    if answer.fault is not None or answer.payload.tag == names.ACCEPTANCE:
        raise AnswerRejected("it is no answer")
    if answer.soap_version is not request.soap_version:
        raise AnswerRejected("it is of another SOAP version than its request")
    if answer.receipt_note is not None or not takes_receipt(raw):
        raise AnswerRejected("it has no place for a receipt")
    _check_answer(answer, request, known, now, attachments)
    return answer.payload


def _check_answer(
    answer: AnswerEnvelope,
    request: Envelope,
    known: KnownSigners,
    now: datetime,
    attachments: tuple[Attachment, ...],
) -> tuple[MemberId, ValidatedCertificate]:
    # (1)
    signature = _verified_signature(answer, known, now, attachments)
    # (2)
    is_hubs = answer.fault is not None or answer.payload.tag == names.ACCEPTANCE
    signer = known.member if is_hubs else request.service.provider.member
    _check_signer(signature, signer, known)
    if answer.fault is not None:
        # (4)
        _check_fault(answer.fault, request)
        return signer, signature.certificate
    # (3)
    _check_headers(answer, request)
    # (4)
    _check_request_hash(answer, request)
    return signer, signature.certificate


def _verified_signature(
    answer: AnswerEnvelope,
    known: KnownSigners,
    now: datetime,
    attachments: tuple[Attachment, ...],
) -> VerifiedSignature:
    timestamps = answer.security.findall(TIMESTAMP)
    if len(timestamps) != 1:
        raise AnswerRejected(f"{len(timestamps)} wsu:Timestamp; expected exactly one")
    required = [
        SignedPart("Body", answer.body),
        SignedPart("Timestamp", timestamps[0]),
        *(SignedPart(block.name, block.element) for block in answer.routing_blocks),
    ]
    try:
        return verify_signature(
            answer.security,
            required,
            known.policy,
            known.trust,
            now,
            attachments=attachments,
            read_xml=read_xml_attachment,
        )
    except BusError as error:
        raise AnswerRejected("an attachment of an XML type cannot be read") from error
    except SignatureError as error:
        raise AnswerRejected(f"the signature does not hold: {error}") from error


def _check_signer(signature: VerifiedSignature, expected: MemberId, known: KnownSigners) -> None:
    subject = known.certificate_subjects.get(expected, str(expected))
    found = signature.certificate.subject_identifier
    if found != subject:
        raise AnswerRejected(f"signed by {found[:128]!r}; expected the signature of {expected}")


def _check_headers(answer: AnswerEnvelope, request: Envelope) -> None:
    sent = [_content(block) for block in request.routing_blocks if _is_repeated(block)]
    back = [_content(block) for block in answer.routing_blocks if _is_repeated(block)]
    if sent != back:
        raise AnswerRejected("the headers are not those of the request, in its order")


def _is_repeated(block: HeaderBlock) -> bool:
    return block.element.tag not in names.NOT_REPEATED


def _content(block: HeaderBlock) -> list[tuple[str, str, dict[str, str]]]:
    """Everything that a block says.

    Its Ids, SOAP's and the schema's attributes say nothing, nor does white space between its
    elements: an answer is not indented as the request may have been.
    """
    return [(str(one.tag), _own_text(one), _own_attributes(one)) for one in block.element.iter()]


def _own_text(element: etree._Element) -> str:
    text = element.text or ""
    return text.strip() if len(element) else text


def _own_attributes(element: etree._Element) -> dict[str, str]:
    return {
        str(name): str(text)
        for name, text in element.items()
        if etree.QName(name).namespace in (None, names.IDENTIFIERS) and name not in ("Id", "ID")
    }


def _check_request_hash(answer: AnswerEnvelope, request: Envelope) -> None:
    found = [
        block.element for block in answer.routing_blocks if block.element.tag == names.REQUEST_HASH
    ]
    if len(found) != 1:
        raise AnswerRejected(f"{len(found)} requestHash headers; expected exactly one")
    if found[0].get("algorithmId") != names.REQUEST_HASH_ALGORITHM:
        raise AnswerRejected("the requestHash must be made with SHA-512")
    expected = base64.b64encode(hashlib.sha512(request.raw).digest()).decode("ascii")
    if not hmac.compare_digest((found[0].text or "").strip().encode(), expected.encode()):
        raise AnswerRejected("the requestHash is not that of the request that was sent")


def _check_fault(fault: Fault, request: Envelope) -> None:
    if not hmac.compare_digest(fault.request_digest, request.digest):
        raise AnswerRejected("the fault is about another request than the one that was sent")
    # A request that the hub could not read has no id that it could name.
    if fault.message_id not in ("", request.message_id):
        raise AnswerRejected("the fault names another message id")


def _fault_receipt(answer: AnswerEnvelope, request: Envelope, known: KnownHub) -> Receipt | None:
    assert answer.fault is not None
    if answer.fault.code == LogUnavailable.code and answer.receipt_note is None:
        return None
    return _verified_receipt(answer, request, known)


def _checked_acceptance(answer: AnswerEnvelope, request: Envelope) -> Acceptance:
    acceptance = read_acceptance(answer.payload)
    if acceptance.message_id != request.message_id:
        raise AnswerRejected("the acceptance names another message id")
    return acceptance


def _acceptance_receipt(
    answer: AnswerEnvelope, acceptance: Acceptance, request: Envelope, known: KnownHub
) -> AcceptanceReceipt:
    receipt = _proved_receipt(answer, known)
    if not isinstance(receipt, AcceptanceReceipt):
        raise AnswerRejected("the receipt is none of an acceptance")
    sent = hashlib.sha256(request.raw).digest(), part_digests(request.attachments)
    if (receipt.request_digest, receipt.part_digests) != sent:
        raise AnswerRejected("the receipt is about another request than the one that was sent")
    said = acceptance.recipients_count, acceptance.time
    if (receipt.recipients_count, receipt.time) != said:
        raise AnswerRejected("the receipt says something else than the acceptance")
    return receipt


def _proved_receipt(answer: AnswerEnvelope, known: KnownHub) -> AnyReceipt:
    if answer.receipt_note is None:
        raise AnswerRejected("there is no receipt: nothing says that the exchange was recorded")
    try:
        note = verify_note(answer.receipt_note, known.receipt_keys)
        receipt = parse_any_receipt(note.text.decode())
    except (NoteInvalid, ReceiptInvalid) as error:
        raise AnswerRejected(f"the receipt does not hold: {error}") from error
    if receipt.origin not in {one.name for one in note.signatures}:
        raise AnswerRejected(f"the receipt is one of {receipt.origin!r}")
    return receipt


def _verified_receipt(
    answer: AnswerEnvelope,
    request: Envelope,
    known: KnownHub,
    attachments: tuple[Attachment, ...] = (),
) -> Receipt:
    receipt = _proved_receipt(answer, known)
    if not isinstance(receipt, Receipt):
        raise AnswerRejected("the receipt is none of an answer")
    if receipt.request_digest != request.digest:
        raise AnswerRejected("the receipt is about another request than the one that was sent")
    if receipt.answer_digest != message_digest(without_receipt(answer.raw), attachments):
        raise AnswerRejected("the receipt is about another answer than this one")
    return receipt
