"""Write signed SOAP messages, 1.1 and 1.2, with X-Road Message Protocol 4.0 headers.

Every part is written in exclusive canonical form, declaring the namespaces that it uses, so that
the bytes that are signed are the bytes that are sent: no tree is built to answer.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from lxml import etree

from bus.core.envelope import Envelope, HeaderBlock, SoapVersion
from bus.core.identifiers import MemberId, ServiceId, SubsystemId
from bus.core.value_prefixes import CanonicalElement, alone, canonical_element, hidden_prefixes
from bus.core.xml import parse_again
from bus.protocols.soap_xroad import names
from signing.names import EXCLUSIVE_C14N, WSU, WSU_ID, XML_ID
from signing.pki.keys import Signer
from signing.quick_init import quick_init
from signing.wss.canonical import Canonicalisation, canonicalise
from signing.wss.sign import (
    AttachmentPart,
    CanonicalPart,
    CanonicalParts,
    security_header,
    together,
    with_reference,
)

_BODY_ID = "body"
_HEADER_END = b"</soap:Header>"
_ENVELOPE_END = b"</soap:Envelope>"
_BODY_END = b"</soap:Body>"
_TEXT_BLOCKS = frozenset({names.USER_ID, names.ID, names.ISSUE, names.PROTOCOL_VERSION})
_RECEIPT_START = f'<lt:receipt xmlns:lt="{names.LIENTHONG}">'.encode()
_RECEIPT_END = b"</lt:receipt>"


@dataclass(frozen=True, slots=True)
class _Wrapping:
    """What stands around header blocks and payload in one SOAP version."""

    envelope_start: bytes
    body_start: bytes
    header_border: bytes
    """Stands once: no header block that we write carries the Body's Id."""


def _wrapping(version: SoapVersion) -> _Wrapping:
    envelope_start = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<soap:Envelope xmlns:soap="{version}"><soap:Header>'
    ).encode()
    body_start = (
        f'<soap:Body xmlns:soap="{version}" xmlns:wsu="{WSU}" wsu:Id="{_BODY_ID}">'
    ).encode()
    return _Wrapping(envelope_start, body_start, _HEADER_END + body_start)


_WRAPPINGS = {version: _wrapping(version) for version in SoapVersion}


@dataclass(frozen=True, slots=True)
class RequestHeader:
    """The routing headers of a request that we send."""

    client: SubsystemId
    service: ServiceId
    message_id: str
    user_id: str = ""
    issue: str = ""
    recipients: tuple[SubsystemId, ...] = ()
    """Who is to get a message to a service that lets its senders say so."""


@quick_init
@dataclass(frozen=True, slots=True)
class SigningTime:
    """When a message is signed, and for how long it holds."""

    created: datetime
    valid_for: timedelta = timedelta(minutes=5)


def write_request(
    header: RequestHeader,
    payload: etree._Element,
    signer: Signer,
    time: SigningTime,
    *,
    algorithm: str = "",
    soap_version: SoapVersion = SoapVersion.SOAP_1_1,
    attachments: Sequence[AttachmentPart] = (),
) -> bytes:
    """A signed request; `algorithm` is a signature algorithm identifier or empty.

    Raises NoCanonicalForm.
    """
    blocks = [
        _client_block(header.client),
        _service_block(header.service),
        _text_block("userId", header.user_id) if header.user_id else None,
        _text_block("id", header.message_id),
        _text_block("issue", header.issue) if header.issue else None,
        _version_block(names.PROTOCOL),
        _recipients_block(header.recipients) if header.recipients else None,
    ]
    present = together(block for block in blocks if block is not None)
    wrapping = _WRAPPINGS[soap_version]
    security = _Security(signer, time, soap_version, algorithm, attachments)
    content = _in_its_place(canonical_element(payload, all_values=True), wrapping)
    return _write(present, content, wrapping, security)


def write_answer(
    request: Envelope, payload: etree._Element, signer: Signer, time: SigningTime
) -> bytes:
    """The signed answer to a request: its headers again, in order, and the request's hash.

    X-Road Message Protocol 4.0 §2.2 (headers repeated), §2.4 (requestHash over the raw bytes).
    """
    return write_with_blocks(
        answer_blocks(request),
        canonical_element(payload, all_values=True),
        signer,
        time,
        soap_version=request.soap_version,
    )


def answer_blocks(request: Envelope) -> CanonicalParts:
    """The header blocks of the answer to a request, ready to be signed."""
    repeated = _repeated(request, names.NOT_REPEATED)
    return together((*repeated, _request_hash_block(request.raw)))


def repeated_blocks(request: Envelope) -> CanonicalParts:
    """The header blocks of a request again, in its order, ready to be signed."""
    return together(_repeated(request, frozenset({names.REQUEST_HASH})))


def _repeated(request: Envelope, left_out: Container[str]) -> Iterable[CanonicalPart]:
    for number, block in enumerate(request.routing_blocks):
        if block.element.tag not in left_out:
            yield _repeated_block(block, request, number)


def write_with_blocks(
    blocks: CanonicalParts,
    payload: CanonicalElement,
    signer: Signer,
    time: SigningTime,
    *,
    soap_version: SoapVersion = SoapVersion.SOAP_1_1,
    attachments: Sequence[AttachmentPart] = (),
) -> bytes:
    """The signed answer under header blocks that `answer_blocks` made."""
    wrapping = _WRAPPINGS[soap_version]
    security = _Security(signer, time, soap_version, attachments=attachments)
    return _write(blocks, _in_its_place(payload, wrapping), wrapping, security)


def write_fault_message(
    fault: bytes,
    signer: Signer,
    time: SigningTime,
    *,
    soap_version: SoapVersion = SoapVersion.SOAP_1_1,
    unsigned_block: bytes = b"",
    holds_values: bool = False,
) -> bytes:
    """A signed message whose Body holds a `soap:Fault`, already canonical within that Body.

    `unsigned_block` explains the fault to stacks that look for it; nothing rests on it. With
    `holds_values` there are names among its values, whose prefixes it keeps.
    """
    wrapping = _WRAPPINGS[soap_version]
    security = _Security(signer, time, soap_version)
    prefixes = _prefixes(fault, wrapping) if holds_values else ()
    content = _in_its_place(CanonicalElement(fault, prefixes), wrapping, is_composed=holds_values)
    return _write(_NO_BLOCKS, content, wrapping, security, unsigned_block=unsigned_block)


def _prefixes(content: bytes, wrapping: _Wrapping) -> tuple[str, ...]:
    whole = wrapping.body_start + content + _BODY_END
    return hidden_prefixes(parse_again(whole), all_values=True)


def with_receipt(message: bytes, receipt_note: bytes) -> bytes:
    """Put the hub's receipt behind the other header blocks of a message that we wrote."""
    border = _wrapping_of(message).header_border
    block = _RECEIPT_START + base64.b64encode(receipt_note) + _RECEIPT_END
    return message.replace(border, block + border, 1)


def takes_receipt(message: bytes) -> bool:
    """Whether `with_receipt` finds its one place in a message."""
    wrapping = _wrapping_of(message)
    is_ours = message.startswith(wrapping.envelope_start)
    return is_ours and message.count(wrapping.header_border) == 1


def without_receipt(message: bytes) -> bytes:
    """The message as it was signed and recorded, before `with_receipt`."""
    end = message.find(_RECEIPT_END + _wrapping_of(message).header_border)
    start = message.rfind(_RECEIPT_START, 0, end) if end >= 0 else -1
    if start < 0:
        return message
    return message[:start] + message[end + len(_RECEIPT_END) :]


def _wrapping_of(message: bytes) -> _Wrapping:
    wrapping = _WRAPPINGS[SoapVersion.SOAP_1_2]
    if message.startswith(wrapping.envelope_start):
        return wrapping
    return _WRAPPINGS[SoapVersion.SOAP_1_1]


@quick_init
@dataclass(frozen=True, slots=True)
class _Security:
    """What makes the security header of one message."""

    signer: Signer
    time: SigningTime
    soap_version: SoapVersion
    algorithm: str = ""
    attachments: Sequence[AttachmentPart] = ()

    def header(self, blocks: CanonicalParts, body: CanonicalPart) -> bytes:
        return security_header(
            (body,),
            self.signer,
            self.time.created,
            self.time.valid_for,
            algorithm=self.algorithm,
            soap_namespace=self.soap_version,
            attachments=self.attachments,
            ready=blocks,
        )


_NO_BLOCKS = CanonicalParts(b"", b"")


def _write(
    blocks: CanonicalParts,
    content: CanonicalElement,
    wrapping: _Wrapping,
    security: _Security,
    *,
    unsigned_block: bytes = b"",
) -> bytes:
    body = wrapping.body_start + content.canonical + _BODY_END
    return b"".join(
        (
            wrapping.envelope_start,
            blocks.canonical,
            unsigned_block,
            security.header(blocks, CanonicalPart(_BODY_ID, body, prefixes=content.prefixes)),
            _HEADER_END,
            body,
            _ENVELOPE_END,
        )
    )


def _in_its_place(
    content: CanonicalElement, wrapping: _Wrapping, *, is_composed: bool = False
) -> CanonicalElement:
    canonical = content.canonical
    is_apart = b"xmlns:soap=" not in canonical and b"xmlns:wsu=" not in canonical
    if is_apart and not is_composed:
        return content
    # A part of the content declares what stands around it already: canonicalise it in its place.
    whole = wrapping.body_start + canonical + _BODY_END
    by = Canonicalisation(EXCLUSIVE_C14N, content.prefixes)
    body = canonicalise(parse_again(whole), by)
    return CanonicalElement(body[body.index(b">") + 1 : -len(_BODY_END)], content.prefixes)


def _repeated_block(block: HeaderBlock, request: Envelope, number: int) -> CanonicalPart:
    tag = block.element.tag
    if tag == names.CLIENT:
        return _client_block(request.client)
    if tag == names.SERVICE:
        return _service_block(request.service)
    if tag == names.PROTOCOL_VERSION and block.element.text == request.protocol_version:
        return _version_block(request.protocol_version)
    if tag in _TEXT_BLOCKS:
        return _text_block(block.name, block.element.text or "")
    return _copied_block(block, f"h{number}")


def _copied_block(block: HeaderBlock, identifier: str) -> CanonicalPart:
    """A block that is carried and not understood, such as representedParty.

    It loses every Id, so that the Ids of our own parts stay unique.
    """
    copy = without_ids(block.element)
    copy.set(WSU_ID, identifier)
    content = canonical_element(copy, all_values=True)
    return CanonicalPart(identifier, content.canonical, prefixes=content.prefixes)


def without_ids(element: etree._Element) -> etree._Element:
    """A copy of an element of somebody else's, without what could be the Id of a part of ours."""
    copy = alone(element)
    for one in copy.iter():
        for attribute in (WSU_ID, XML_ID, "Id", "ID"):
            one.attrib.pop(attribute, "")
    return copy


@lru_cache(maxsize=16)
def _version_block(version: str) -> CanonicalPart:
    return with_reference(_text_block("protocolVersion", version))


@lru_cache(maxsize=1024)
def _client_block(client: SubsystemId) -> CanonicalPart:
    return _identifier_block("client", _object_type(client), _subsystem_parts(client))


def _recipients_block(recipients: Iterable[SubsystemId]) -> CanonicalPart:
    children = "".join(
        f'<lt:recipient xmlns:id="{names.IDENTIFIERS}" id:objectType="{_object_type(one)}">'
        f"{_identifier_children(_subsystem_parts(one))}</lt:recipient>"
        for one in recipients
    )
    canonical = (
        f'<lt:recipients xmlns:lt="{names.LIENTHONG}" xmlns:wsu="{WSU}" wsu:Id="recipients">'
        f"{children}</lt:recipients>"
    )
    return CanonicalPart("recipients", canonical.encode())


def _object_type(subsystem: SubsystemId) -> str:
    return "SUBSYSTEM" if subsystem.subsystem_code else "MEMBER"


def _subsystem_parts(subsystem: SubsystemId) -> Iterable[tuple[str, str]]:
    yield from _member_parts(subsystem.member)
    if subsystem.subsystem_code:
        yield "subsystemCode", subsystem.subsystem_code


@lru_cache(maxsize=1024)
def _service_block(service: ServiceId) -> CanonicalPart:
    parts = [*_subsystem_parts(service.provider)]
    parts.append(("serviceCode", service.service_code))
    if service.service_version:
        parts.append(("serviceVersion", service.service_version))
    return _identifier_block("service", "SERVICE", parts)


def _member_parts(member: MemberId) -> Iterable[tuple[str, str]]:
    yield "xRoadInstance", member.instance
    yield "memberClass", member.member_class
    yield "memberCode", member.member_code


def _identifier_block(
    name: str, object_type: str, parts: Iterable[tuple[str, str]]
) -> CanonicalPart:
    children = _identifier_children(parts)
    canonical = (
        f'<xrd:{name} xmlns:id="{names.IDENTIFIERS}" xmlns:wsu="{WSU}" xmlns:xrd="{names.XROAD}" '
        f'wsu:Id="{name}" id:objectType="{object_type}">{children}</xrd:{name}>'
    )
    return with_reference(CanonicalPart(name, canonical.encode()))


def _identifier_children(parts: Iterable[tuple[str, str]]) -> str:
    return "".join(f"<id:{part}>{escape(text)}</id:{part}>" for part, text in parts)


def _text_block(name: str, text: str, attributes: str = "") -> CanonicalPart:
    canonical = (
        f'<xrd:{name} xmlns:wsu="{WSU}" xmlns:xrd="{names.XROAD}"{attributes} '
        f'wsu:Id="{name}">{escape(text)}</xrd:{name}>'
    )
    return CanonicalPart(name, canonical.encode())


def _request_hash_block(raw: bytes) -> CanonicalPart:
    value = base64.b64encode(hashlib.sha512(raw).digest()).decode("ascii")
    return _text_block("requestHash", value, f' algorithmId="{names.REQUEST_HASH_ALGORITHM}"')


def escape(text: str) -> str:
    """Text of an element in canonical form. Canonical XML 1.0 §2.3."""
    return (
        text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#xD;")
    )
