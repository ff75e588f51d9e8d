"""Read what a hub sends back: an answer or a fault, with or without receipt. Proves nothing.

The checks, in order (SOAP = SOAP 1.1, SOAP12 = SOAP 1.2 Part 1):

 (1) Well-formed UTF-8 XML without DTD, entities and processing instructions (bus.core.xml).
 (2) A SOAP Envelope of one Header, then one Body, and nothing else. SOAP §4.1.2; SOAP12 §5.1.
 (3) Every block that is looked at stands once at most; the security header stands once.
 (4) The Body holds one element. SOAP §4.3.
 (5) A fault has its code and its detail with our error, each once. SOAP §4.4; SOAP12 §5.4.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field, replace

from lxml import etree

from bus.core.envelope import HeaderBlock, SoapVersion
from bus.core.errors import BusError, FaultSent, NoCanonicalForm, ServiceFault
from bus.core.faults import Fault, SoapCode
from bus.core.limits import Limits
from bus.core.value_prefixes import canonical_element
from bus.core.xml import parse_xml
from bus.protocols.soap_xroad import names
from bus.protocols.soap_xroad.names import SoapNames
from bus.protocols.soap_xroad.write import escape
from signing.names import SECURITY

ANSWER_BYTES_MAX = 16 * 1024 * 1024
"""Largest answer that is read."""
_TAKEN = Limits()
ANSWER_LIMITS = replace(
    _TAKEN,
    nodes_max=2 * _TAKEN.nodes_max,
    namespaces_in_scope_max=2 * _TAKEN.namespaces_in_scope_max,
)
"""More than is taken of an agency: in a canonical form declarations are repeated, and the envelope
comes to it."""

_FAULT_DETAIL = "faultDetail"
_CODES_OF_OTHERS = frozenset({ServiceFault.code, FaultSent.code})
"""Errors of ours whose code on the wire is somebody else's."""
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
    soap_version: SoapVersion = SoapVersion.SOAP_1_1


def read_answer(raw: bytes, *, bytes_max: int = ANSWER_BYTES_MAX) -> AnswerEnvelope:
    """Read an answer's bytes. Raises AnswerRejected."""
    # (1)
    try:
        root = parse_xml(raw, bytes_max=bytes_max, limits=ANSWER_LIMITS)
    except BusError as error:
        raise AnswerRejected(f"the answer cannot be read: {error.detail or error}") from error
    # (2)
    soap = names.SOAP_BY_ENVELOPE.get(root.tag)
    if soap is None or [child.tag for child in root] != [soap.header, soap.body]:
        raise AnswerRejected("the answer is not a SOAP envelope of one Header and one Body")
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
        fault=_read_fault(payload, soap) if payload.tag == soap.fault else None,
        soap_version=soap.version,
    )


def _block(header: etree._Element, tag: str) -> etree._Element | None:
    found = header.findall(tag)
    if len(found) > 1:
        name = etree.QName(tag).localname
        raise AnswerRejected(f"the header block {name} stands {len(found)} times")
    return found[0] if found else None


@dataclass(frozen=True, slots=True)
class _FaultParts:
    """Where the two SOAP versions put what a fault says."""

    code: str
    reason: str
    actor: str
    detail: etree._Element
    soap_code: SoapCode


def _parts_1_1(element: etree._Element, soap: SoapNames) -> _FaultParts:
    code = _text(_only(element, "faultcode"))
    is_senders = code.rpartition(":")[2].lower().startswith("client")
    return _FaultParts(
        code=code,
        reason=_text(_only(element, "faultstring")),
        actor=_text_of(element.find("faultactor")),
        detail=_only(element, "detail"),
        soap_code=SoapCode.SENDER if is_senders else SoapCode.RECEIVER,
    )


def _parts_1_2(element: etree._Element, soap: SoapNames) -> _FaultParts:
    code, reason, role, detail, subcode, value, text = (
        f"{{{soap.version}}}{name}"
        for name in ("Code", "Reason", "Role", "Detail", "Subcode", "Value", "Text")
    )
    stated = _only(element, code)
    own = _text(_only(stated, value)).rpartition(":")[2]
    if own not in _STANDARD_CODES:
        raise AnswerRejected("the fault's code is none of SOAP 1.2")
    narrower = stated.find(f"{subcode}/{value}")
    return _FaultParts(
        code=_text_of(narrower).rpartition(":")[2] or _STANDARD_CODES[own],
        reason=_text(_only(_only(element, reason), text)),
        actor=_text_of(element.find(role)),
        detail=_only(element, detail),
        soap_code=SoapCode(own),
    )


_STANDARD_CODES: dict[str, str] = {
    SoapCode.SENDER: "soap:Client",
    SoapCode.RECEIVER: "soap:Server",
    SoapCode.VERSION_MISMATCH: "soap:VersionMismatch",
    SoapCode.MUST_UNDERSTAND: "soap:MustUnderstand",
}
"""What SOAP 1.1 says for the codes of 1.2."""
_FAULT_READERS = {SoapVersion.SOAP_1_1: _parts_1_1, SoapVersion.SOAP_1_2: _parts_1_2}


def _read_fault(element: etree._Element, soap: SoapNames) -> Fault:
    parts = _FAULT_READERS[soap.version](element, soap)
    error = _only(parts.detail, _ERROR)
    code = _our_text(error, "code")
    return Fault(
        code=code,
        xroad_code=parts.code,
        reason=parts.reason,
        fault_id=_our_text(error, "faultId"),
        message_id=_our_text(error, "messageId"),
        request_digest=_base64(_only(error, f"{{{names.LIENTHONG}}}requestDigest")),
        is_retryable=_our_text(error, "retryable") == "true",
        keeps_spelling=code in _CODES_OF_OTHERS,
        soap_code=parts.soap_code,
        actor=parts.actor,
        detail_content=_service_detail(parts.detail) if code == ServiceFault.code else b"",
    )


def _service_detail(detail: etree._Element) -> bytes:
    """What the service said in its detail, without what the hub put beside it."""
    own = [child for child in detail if child.tag != _ERROR]
    text = escape((detail.text or "").strip())
    if not text and [child.tag for child in own] == [_FAULT_DETAIL]:
        only_id = (own[0].text or "") == _our_text(_only(detail, _ERROR), "faultId")
        own = [] if only_id else own
    try:
        content = [canonical_element(child, all_values=True).canonical for child in own]
    except NoCanonicalForm as error:
        raise AnswerRejected("the fault's detail has no canonical form") from error
    return text.encode() + b"".join(content)


def _text_of(element: etree._Element | None) -> str:
    return "" if element is None else _text(element)


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
