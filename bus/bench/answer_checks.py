"""Verify answers as a careful sender would: signature, parts, request, receipt."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from datetime import datetime

from lxml import etree

from bus.bench.load import Exchange
from bus.bench.signed_requests import body_of
from bus.core.log.receipts import parse_receipt
from bus.core.xml import parse_xml
from bus.protocols.soap_xroad import names
from bus.protocols.soap_xroad.write import without_receipt
from signing.names import SECURITY, SOAP11, TIMESTAMP
from signing.pki.certificates import TrustStore
from signing.policy import SignaturePolicy
from signing.signed_note import VerifyingKey, verify_note
from signing.wss.verify import SignedPart, verify_signature

ANSWER_BYTES_MAX = 1024 * 1024
_BLOCKS = (
    names.CLIENT,
    names.SERVICE,
    names.ID,
    names.USER_ID,
    names.ISSUE,
    names.PROTOCOL_VERSION,
    names.REQUEST_HASH,
)


class AnswerWrong(RuntimeError):
    """An answer is not what it must be."""


@dataclass(frozen=True, slots=True)
class AnswerCheck:
    """What a sender knows beforehand."""

    trust: TrustStore = field(repr=False)
    subject_identifier: str
    """Of the certificate of the agency that answers."""
    receipt_key: VerifyingKey | None
    """Of the hub's receipts; None: this program gives none."""

    def check(self, exchange: Exchange, now: datetime) -> None:
        """Verify one answer. Raises AnswerWrong, SignatureError, NoteInvalid, ReceiptInvalid."""
        raw = body_of(exchange.request)
        root = parse_xml(exchange.answer, bytes_max=ANSWER_BYTES_MAX)
        header, body = root
        parts = [SignedPart(tag, _only(header, tag)) for tag in _BLOCKS]
        security = _only(header, SECURITY)
        parts.append(SignedPart("Body", body))
        parts.append(SignedPart("Timestamp", _only(security, TIMESTAMP)))
        signature = verify_signature(security, parts, SignaturePolicy(), self.trust, now)
        if signature.certificate.subject_identifier != self.subject_identifier:
            raise AnswerWrong("somebody else answers")
        if body.tag != f"{{{SOAP11}}}Body" or not body[0].tag.endswith("Response"):
            raise AnswerWrong("the Body holds no answer")
        expected_hash = base64.b64encode(hashlib.sha512(raw).digest()).decode("ascii")
        if _only(header, names.REQUEST_HASH).text != expected_hash:
            raise AnswerWrong("the answer is to another request")
        if self.receipt_key is not None:
            _check_receipt(_only(header, names.RECEIPT), exchange, raw, self.receipt_key)


def _check_receipt(
    block: etree._Element, exchange: Exchange, raw: bytes, key: VerifyingKey
) -> None:
    note = verify_note(base64.b64decode(block.text or ""), [key])
    receipt = parse_receipt(note.text.decode())
    if receipt.request_digest != hashlib.sha256(raw).digest():
        raise AnswerWrong("the receipt is for another request")
    if receipt.answer_digest != hashlib.sha256(without_receipt(exchange.answer)).digest():
        raise AnswerWrong("the receipt is for another answer")


def _only(parent: etree._Element, tag: str) -> etree._Element:
    found = parent.findall(tag)
    if len(found) != 1:
        raise AnswerWrong(f"{tag} stands {len(found)} times")
    return found[0]
