"""Read a SOAP 1.1 request with X-Road Message Protocol 4.0 headers.

The checks, in order (SOAP = SOAP 1.1, MESS = X-Road Message Protocol 4.0):

 (1) Well-formed UTF-8 XML without DTD, entities and processing instructions (bus.core.xml).
 (2) The root is a SOAP 1.1 Envelope. SOAP §4.
 (3) It holds one Header, then one Body, and nothing else. SOAP §4.1.2, §4.2, §4.3; MESS §2.2.
 (4) No header block that must be understood is unknown. SOAP §4.2.3.
 (5) Every known block stands at most once, the required ones once. MESS §2.2.
 (6) Identifiers have their parts, in the strict alphabet, each once. MESS §2.1.
 (7) The Body holds one element, named as the service code. MESS §2.3.
"""

from __future__ import annotations

import hashlib

from lxml import etree

from bus.core import errors
from bus.core.envelope import Envelope, HeaderBlock
from bus.core.identifiers import (
    IDENTIFIER_PART,
    MESSAGE_ID_CHARACTERS_MAX,
    ServiceId,
    SubsystemId,
    service_id,
    subsystem_id,
)
from bus.core.limits import Limits
from bus.core.xml import parse_xml
from bus.protocols.soap_xroad import names
from signing.names import SECURITY, SOAP11

_ENVELOPE = f"{{{SOAP11}}}Envelope"
_HEADER = f"{{{SOAP11}}}Header"
_BODY = f"{{{SOAP11}}}Body"
_MUST_UNDERSTAND = f"{{{SOAP11}}}mustUnderstand"
_ACTOR = f"{{{SOAP11}}}actor"
_ACTORS_US = frozenset({"", "http://schemas.xmlsoap.org/soap/actor/next"})

_ROUTING = tuple(f"{{{namespace}}}" for namespace in sorted(names.ROUTING_NAMESPACES))
_IDENTIFIERS = f"{{{names.IDENTIFIERS}"

_REQUIRED = (names.CLIENT, names.SERVICE, names.ID, names.PROTOCOL_VERSION)

_SUBSYSTEM_PARTS = ("xRoadInstance", "memberClass", "memberCode", "subsystemCode")
_CLIENT_PARTS = {"MEMBER": _SUBSYSTEM_PARTS[:3], "SUBSYSTEM": _SUBSYSTEM_PARTS}
_SERVICE_PARTS = (
    "xRoadInstance",
    "memberClass",
    "memberCode",
    "subsystemCode",
    "serviceCode",
    "serviceVersion",
)
_SERVICE_PARTS_OPTIONAL = frozenset({"subsystemCode", "serviceVersion"})
_TEXT_CHARACTERS_MAX = 256


def parse(raw: bytes, limits: Limits) -> Envelope:
    """Read the bytes of a request. For any bytes whatever: an Envelope or a BusError."""
    # (1)
    root = parse_xml(raw, bytes_max=limits.envelope_bytes_max)
    # (2)
    if root.tag != _ENVELOPE:
        raise errors.WrongSoapVersion(public_detail=f"expected {_ENVELOPE} at the root")
    # (3)
    header, body = _header_and_body(root)
    # (4) and (5)
    blocks = _read_blocks(header, limits)
    # (6)
    client = _read_client(blocks[names.CLIENT])
    service = _read_service(blocks[names.SERVICE])
    # (7)
    payload = _read_payload(body, service)
    return Envelope(
        raw=raw,
        digest=hashlib.sha256(raw).digest(),
        client=client,
        service=service,
        message_id=_message_id(blocks[names.ID]),
        user_id=_optional_text(blocks, names.USER_ID),
        issue=_optional_text(blocks, names.ISSUE),
        protocol_version=_protocol_version(blocks[names.PROTOCOL_VERSION]),
        routing_blocks=_routing_blocks(header),
        security=blocks.get(SECURITY),
        body=body,
        payload=payload,
    )


def _header_and_body(root: etree._Element) -> tuple[etree._Element, etree._Element]:
    headers, bodies = list(root.iterchildren(_HEADER)), list(root.iterchildren(_BODY))
    if len(headers) > 1:
        raise errors.HeaderDuplicate(public_detail=f"SOAP Header stands {len(headers)} times")
    if not headers:
        raise errors.HeaderMissing
    if not bodies:
        raise errors.BodyMissing
    if len(bodies) > 1:
        raise errors.BodyInvalid(public_detail=f"SOAP Body stands {len(bodies)} times")
    if len(root) != 2 or root[0] is not headers[0]:
        raise errors.BodyInvalid(public_detail="expected one Header, then one Body, nothing else")
    return headers[0], bodies[0]


def _read_blocks(header: etree._Element, limits: Limits) -> dict[str, etree._Element]:
    """The blocks that are known here and meant for us, by tag."""
    if len(header) > limits.header_blocks_max:
        raise errors.HeaderInvalid(
            public_detail=f"{len(header)} header blocks, at most {limits.header_blocks_max}"
        )
    blocks: dict[str, etree._Element] = {}
    routing_tags: set[str] = set()
    for block in header:
        is_routing = block.tag.startswith(_ROUTING)
        # An answer repeats the routing blocks of every actor: each may stand once in all.
        if is_routing and block.tag in routing_tags:
            raise errors.HeaderDuplicate(public_detail=_at(block))
        if is_routing:
            routing_tags.add(block.tag)
        if block.get(_ACTOR, "") not in _ACTORS_US:
            continue
        is_known = is_routing or block.tag == SECURITY
        if not is_known and block.get(_MUST_UNDERSTAND) in {"1", "true"}:
            raise errors.HeaderNotUnderstood(public_detail=_at(block))
        if is_known and block.tag in blocks:
            raise errors.HeaderDuplicate(public_detail=_at(block))
        blocks[block.tag] = block
    for required in _REQUIRED:
        if required not in blocks:
            raise errors.HeaderFieldMissing(
                public_detail=f"{etree.QName(required).localname} is required"
            )
    return blocks


def _routing_blocks(header: etree._Element) -> tuple[HeaderBlock, ...]:
    """Every block of an X-Road namespace, whoever it is addressed to: all must be signed."""
    return tuple(
        HeaderBlock(block.tag.rpartition("}")[2], block)
        for block in header
        if block.tag.startswith(_ROUTING)
    )


def _read_client(block: etree._Element) -> SubsystemId:
    object_type = block.get(names.OBJECT_TYPE, "")
    parts = _CLIENT_PARTS.get(object_type)
    if parts is None:
        raise errors.HeaderInvalid(
            public_detail=f"{_at(block)}: objectType must be MEMBER or SUBSYSTEM"
        )
    found = _read_parts(block, parts, frozenset())
    return subsystem_id(*(found.get(part, "") for part in _SUBSYSTEM_PARTS))


def _read_service(block: etree._Element) -> ServiceId:
    if block.get(names.OBJECT_TYPE) != "SERVICE":
        raise errors.HeaderInvalid(public_detail=f"{_at(block)}: objectType must be SERVICE")
    found = _read_parts(block, _SERVICE_PARTS, _SERVICE_PARTS_OPTIONAL)
    return service_id(*(found.get(part, "") for part in _SERVICE_PARTS))


def _read_parts(
    block: etree._Element, expected: tuple[str, ...], optional: frozenset[str]
) -> dict[str, str]:
    found: dict[str, str] = {}
    for child in block:
        namespace, _, name = child.tag.rpartition("}")
        if namespace != _IDENTIFIERS or name not in expected:
            raise errors.HeaderInvalid(public_detail=f"{_at(child)} is not expected here")
        if name in found:
            raise errors.HeaderDuplicate(public_detail=_at(child))
        found[name] = _identifier_part(child)
    for name_expected in expected:
        if name_expected not in found and name_expected not in optional:
            raise errors.HeaderFieldMissing(
                public_detail=f"{_at(block)}: {name_expected} is required"
            )
    return found


def _identifier_part(element: etree._Element) -> str:
    text = _text(element)
    if not IDENTIFIER_PART.match(text):
        raise errors.HeaderInvalid(
            public_detail=f"{_at(element)}: expected 1 to 64 of A-Z a-z 0-9 '()+,-.=?"
        )
    return text


def _message_id(block: etree._Element) -> str:
    text = _text(block)
    if not text or len(text) > MESSAGE_ID_CHARACTERS_MAX:
        raise errors.HeaderInvalid(
            public_detail=f"{_at(block)}: expected 1 to {MESSAGE_ID_CHARACTERS_MAX} characters"
        )
    return text


def _protocol_version(block: etree._Element) -> str:
    # X-Road's own servers take every version that starts with "4."; so do we. MESS §2.2.
    text = _text(block)
    if not text.startswith("4."):
        raise errors.ProtocolVersionInvalid
    return text


def _optional_text(blocks: dict[str, etree._Element], tag: str) -> str:
    block = blocks.get(tag)
    return "" if block is None else _text(block)


def _text(element: etree._Element) -> str:
    """The text of a leaf, printable and on one line: it goes to logs and consoles."""
    if len(element):
        raise errors.HeaderInvalid(public_detail=f"{_at(element)} must hold text only")
    text = element.text or ""
    if len(text) > _TEXT_CHARACTERS_MAX or not (text.isprintable() or not text):
        raise errors.HeaderInvalid(
            public_detail=f"{_at(element)}: expected at most {_TEXT_CHARACTERS_MAX} "
            "printable characters on one line"
        )
    return text


def _read_payload(body: etree._Element, service: ServiceId) -> etree._Element:
    if len(body) != 1:
        raise errors.BodyInvalid(
            public_detail=f"line {body.sourceline}: {len(body)} elements; expected exactly one"
        )
    if (body.text or "").strip() or (body[0].tail or "").strip():
        raise errors.BodyInvalid(public_detail=f"line {body.sourceline}: text beside the element")
    if body[0].tag.rpartition("}")[2] != service.service_code:
        raise errors.BodyInconsistent(
            public_detail=f"line {body[0].sourceline}: expected an element {service.service_code}"
        )
    return body[0]


def _at(element: etree._Element) -> str:
    return f"line {element.sourceline}, {etree.QName(element).localname}"
