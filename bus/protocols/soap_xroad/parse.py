"""Read a SOAP request, 1.1 or 1.2, with X-Road Message Protocol 4.0 headers.

The checks, in order (SOAP = SOAP 1.1, SOAP12 = SOAP 1.2 Part 1, MESS = X-Road Message Protocol
4.0); what X-Road's own servers find first is found first here:

 (1) Well-formed UTF-8 XML without DTD, entities and processing instructions (bus.core.xml).
 (2) The root is a SOAP Envelope. SOAP §4; SOAP12 §5.1.
 (3) It is no fault: a fault answers, it does not ask. MESS §2.5.
 (4) There is one Header. SOAP §4.2.
 (5) No header block that must be understood is unknown. SOAP §4.2.3; SOAP12 §5.2.3. Those of
     WS-Addressing are known where they contradict nothing (addressing.py).
 (6) Every known block stands at most once, the required ones once. MESS §2.2.
 (7) Identifiers have their parts, in the strict alphabet, each once. MESS §2.1.
 (8) One Body follows the Header, and nothing else. SOAP §4.1.2, §4.3; MESS §2.2.
 (9) It holds one element, whose name begins with the service code. MESS §2.3 wants them equal;
     X-Road's own servers look at the beginning, and the schema of the service decides later.
"""

from __future__ import annotations

import hashlib
import re

from lxml import etree

from bus.core import errors
from bus.core.envelope import Envelope, HeaderBlock
from bus.core.identifiers import MESSAGE_ID_CHARACTERS_MAX, ServiceId
from bus.core.limits import Limits
from bus.core.xml import parse_xml
from bus.protocols.soap_xroad import names
from bus.protocols.soap_xroad.addressing import UNDERSTOOD, require_no_contradiction
from bus.protocols.soap_xroad.names import SoapNames
from bus.protocols.soap_xroad.read_identifiers import (
    at,
    read_client,
    read_free_text,
    read_recipients,
    read_security_server,
    read_service,
    read_text,
)
from signing.names import SECURITY

_ROUTING = tuple(f"{{{namespace}}}" for namespace in sorted(names.ROUTING_NAMESPACES))
_REQUIRED = (names.PROTOCOL_VERSION, names.CLIENT, names.ID, names.SERVICE)
_FAULT_CODE = re.compile(r"[^A-Za-z0-9._\-]")
_FAULT_CODE_CHARACTERS_MAX = 64
_FAULT_STRING_CHARACTERS_MAX = 200


def parse(raw: bytes, limits: Limits) -> Envelope:
    """Read the bytes of a request. For any bytes whatever: an Envelope or a BusError."""
    # (1)
    root = parse_xml(raw, bytes_max=limits.envelope_bytes_max, limits=limits)
    # (2)
    soap = _soap_of(root)
    # (3)
    bodies = list(root.iterchildren(soap.body))
    _refuse_fault(bodies, soap)
    # (4)
    header = _header(root, soap)
    # (5) and (6)
    blocks, routing_blocks = _read_blocks(header, soap, limits)
    protocol_version = _protocol_version(blocks[names.PROTOCOL_VERSION])
    # (7)
    client = read_client(blocks[names.CLIENT])
    service = read_service(blocks[names.SERVICE])
    security_server = read_security_server(blocks.get(names.SECURITY_SERVER))
    message_id = _message_id(blocks[names.ID])
    recipients = read_recipients(blocks.get(names.RECIPIENTS), limits.recipients_max)
    # (8)
    body = _body(root, header, bodies)
    return Envelope(
        raw=raw,
        digest=hashlib.sha256(raw).digest(),
        client=client,
        service=service,
        message_id=message_id,
        user_id=_optional_text(blocks, names.USER_ID),
        issue=_optional_text(blocks, names.ISSUE),
        protocol_version=protocol_version,
        routing_blocks=tuple(routing_blocks.values()),
        security=blocks.get(SECURITY),
        body=body,
        # (9)
        payload=_read_payload(body, service),
        soap_version=soap.version,
        security_server=security_server,
        recipients=recipients,
    )


def _soap_of(root: etree._Element) -> SoapNames:
    soap = names.SOAP_BY_ENVELOPE.get(root.tag)
    if soap is None:
        raise errors.WrongSoapVersion(
            public_detail=f"expected {' or '.join(names.SOAP_BY_ENVELOPE)} at the root"
        )
    return soap


def _refuse_fault(bodies: list[etree._Element], soap: SoapNames) -> None:
    fault = next(bodies[0].iterchildren(soap.fault), None) if bodies else None
    if fault is None:
        return
    texts = {
        etree.QName(leaf).localname: " ".join((leaf.text or "").split())
        for leaf in fault.iter(etree.Element)
        if not len(leaf)
    }
    # The innermost Value of a SOAP 1.2 fault says most. SOAP12 §5.4.6.
    code = texts.get("faultcode") or texts.get("Value", "")
    reason = texts.get("faultstring") or texts.get("Text", "")
    raise errors.FaultSent(
        public_detail=reason[:_FAULT_STRING_CHARACTERS_MAX],
        subject=_FAULT_CODE.sub("", code.rpartition(":")[2])[:_FAULT_CODE_CHARACTERS_MAX],
    )


def _header(root: etree._Element, soap: SoapNames) -> etree._Element:
    headers = list(root.iterchildren(soap.header))
    if len(headers) > 1:
        raise errors.HeaderDuplicate(public_detail=f"SOAP Header stands {len(headers)} times")
    if not headers:
        raise errors.HeaderMissing
    return headers[0]


def _body(
    root: etree._Element, header: etree._Element, bodies: list[etree._Element]
) -> etree._Element:
    if not bodies:
        raise errors.BodyMissing
    if len(bodies) > 1:
        raise errors.BodyInvalid(public_detail=f"SOAP Body stands {len(bodies)} times")
    if len(root) != 2 or root[0] is not header:
        raise errors.BodyInvalid(public_detail="expected one Header, then one Body, nothing else")
    return bodies[0]


def _read_blocks(
    header: etree._Element, soap: SoapNames, limits: Limits
) -> tuple[dict[str, etree._Element], dict[str, HeaderBlock]]:
    """The blocks that are known here and meant for us, by tag; and those that must be signed.

    These are all of an X-Road namespace and our recipients, whoever they are addressed to, in
    document order.
    """
    if len(header) > limits.header_blocks_max:
        raise errors.HeaderInvalid(
            public_detail=f"{len(header)} header blocks, at most {limits.header_blocks_max}"
        )
    blocks: dict[str, etree._Element] = {}
    routing: dict[str, HeaderBlock] = {}
    for block in header:
        tag = block.tag
        is_routing = tag.startswith(_ROUTING) or tag == names.RECIPIENTS
        # An answer repeats the routing blocks of every actor: each may stand once in all.
        if is_routing and tag in routing:
            raise errors.HeaderDuplicate(public_detail=at(block))
        if is_routing:
            routing[tag] = HeaderBlock(tag.rpartition("}")[2], block)
        if block.get(soap.actor, "") not in soap.actors_us:
            continue
        is_known = is_routing or tag == SECURITY
        if not is_known and block.get(soap.must_understand, "").strip() in {"1", "true"}:
            if tag not in UNDERSTOOD:
                raise errors.HeaderNotUnderstood(public_detail=at(block), subject=tag)
            require_no_contradiction(block)
            is_known = True
        if is_known and tag in blocks:
            raise errors.HeaderDuplicate(public_detail=at(block))
        blocks[tag] = block
    for required in _REQUIRED:
        if required not in blocks:
            raise errors.HeaderFieldMissing(
                public_detail=f"{etree.QName(required).localname} is required"
            )
    return blocks, routing


def _message_id(block: etree._Element) -> str:
    text = read_text(block)
    if not text or len(text) > MESSAGE_ID_CHARACTERS_MAX:
        raise errors.HeaderInvalid(
            public_detail=f"{at(block)}: expected 1 to {MESSAGE_ID_CHARACTERS_MAX} characters"
        )
    return text


def _protocol_version(block: etree._Element) -> str:
    # X-Road's own servers take every version that starts with "4."; so do we. MESS §2.2.
    text = read_text(block)
    if not text.startswith("4."):
        raise errors.ProtocolVersionInvalid
    return text


def _optional_text(blocks: dict[str, etree._Element], tag: str) -> str:
    block = blocks.get(tag)
    return "" if block is None else read_free_text(block)


def _read_payload(body: etree._Element, service: ServiceId) -> etree._Element:
    if len(body) != 1:
        raise errors.BodyInvalid(
            public_detail=f"line {body.sourceline}: {len(body)} elements; expected exactly one"
        )
    if (body.text or "").strip() or (body[0].tail or "").strip():
        raise errors.BodyInvalid(public_detail=f"line {body.sourceline}: text beside the element")
    if not body[0].tag.rpartition("}")[2].startswith(service.service_code):
        raise errors.BodyInconsistent(
            public_detail=f"line {body[0].sourceline}: expected an element {service.service_code}"
        )
    return body[0]
