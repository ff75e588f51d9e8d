"""Read what a hub sends back: an answer or a fault, with or without receipt. Proves nothing.

The checks, in order (SOAP = SOAP 1.1):

 (1) Well-formed UTF-8 XML without DTD, entities and processing instructions (bus.core.xml).
 (2) A SOAP 1.1 Envelope of one Header, then one Body, and nothing else. SOAP §4.1.2.
 (3) Every block that is looked at stands once at most; the security header stands once.
 (4) The Body holds one element. SOAP §4.3.
 (5) A fault has its code and its detail with our error, each once. SOAP §4.4.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field

from lxml import etree

from bus.core.envelope import HeaderBlock
from bus.core.errors import BusError
from bus.core.faults import Fault
from bus.core.xml import parse_xml
from bus.protocols.soap_xroad import names
from signing.names import SECURITY, SOAP11

ANSWER_BYTES_MAX = 16 * 1024 * 1024
"""Largest answer that is read."""

_ENVELOPE = f"{{{SOAP11}}}Envelope"
_HEADER = f"{{{SOAP11}}}Header"
_BODY = f"{{{SOAP11}}}Body"
_FAULT = f"{{{SOAP11}}}Fault"
_ERROR = f"{{{names.LIENTHONG}}}error"


class AnswerRejected(Exception):
    """What came back is not the answer to what was sent, or is not proved to be."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class AnswerEnvelope:
    """A well-formed answer. Nothing in it is proved."""

    raw: bytes = field(repr=False)
    routing_blocks: tuple[HeaderBlock, ...] = field(repr=False)
    security: etree._Element = field(repr=False)
    receipt_note: bytes | None = field(repr=False)
    """The hub's signed note; None: the answer carries none."""
    body: etree._Element = field(repr=False)
    payload: etree._Element = field(repr=False)
    fault: Fault | None
    """What the fault says, if the payload is one."""


def read_answer(raw: bytes, *, bytes_max: int = ANSWER_BYTES_MAX) -> AnswerEnvelope:
    """Read an answer's bytes. Raises AnswerRejected."""
    # (1)
    try:
        root = parse_xml(raw, bytes_max=bytes_max)
    except BusError as error:
        raise AnswerRejected(f"the answer cannot be read: {error.detail or error}") from error
    # (2)
    if root.tag != _ENVELOPE or [child.tag for child in root] != [_HEADER, _BODY]:
        raise AnswerRejected("the answer is not a SOAP 1.1 envelope of one Header and one Body")
    header, body = root
    # (3)
    security = _block(header, SECURITY)
    if security is None:
        raise AnswerRejected("the answer is not signed: there is no wsse:Security header")
    receipt = _block(header, names.RECEIPT)
    routing_blocks = tuple(
        HeaderBlock(etree.QName(block).localname, block)
        for block in header
        if etree.QName(block).namespace in names.ROUTING_NAMESPACES
    )
    # (4)
    if len(body) != 1:
        raise AnswerRejected(f"the Body holds {len(body)} elements; expected exactly one")
    payload = body[0]
    return AnswerEnvelope(
        raw=raw,
        routing_blocks=routing_blocks,
        security=security,
        receipt_note=None if receipt is None else _base64(receipt),
        body=body,
        payload=payload,
        # (5)
        fault=_read_fault(payload) if payload.tag == _FAULT else None,
    )


def _block(header: etree._Element, tag: str) -> etree._Element | None:
    found = header.findall(tag)
    if len(found) > 1:
        name = etree.QName(tag).localname
        raise AnswerRejected(f"the header block {name} stands {len(found)} times")
    return found[0] if found else None


def _read_fault(element: etree._Element) -> Fault:
    xroad_code = _text(_only(element, "faultcode"))
    reason = _text(_only(element, "faultstring"))
    error = _only(_only(element, "detail"), _ERROR)
    return Fault(
        code=_our_text(error, "code"),
        xroad_code=xroad_code,
        reason=reason,
        fault_id=_our_text(error, "faultId"),
        message_id=_our_text(error, "messageId"),
        request_digest=_base64(_only(error, f"{{{names.LIENTHONG}}}requestDigest")),
        is_retryable=_our_text(error, "retryable") == "true",
    )


def _our_text(error: etree._Element, name: str) -> str:
    return _text(_only(error, f"{{{names.LIENTHONG}}}{name}"))


def _only(parent: etree._Element, tag: str) -> etree._Element:
    found = parent.findall(tag)
    if len(found) != 1:
        name = etree.QName(tag).localname
        raise AnswerRejected(f"the fault holds {len(found)} elements {name}; expected exactly one")
    return found[0]


def _text(element: etree._Element) -> str:
    """The text of a leaf, fit to be shown: a stranger may have written it."""
    return "".join(letter if letter.isprintable() else "?" for letter in element.text or "")


def _base64(element: etree._Element) -> bytes:
    try:
        return base64.b64decode("".join((element.text or "").split()), validate=True)
    except (binascii.Error, ValueError) as error:
        name = etree.QName(element).localname
        raise AnswerRejected(f"{name} is not base64") from error
