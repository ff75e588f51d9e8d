"""Read X-Road requests that nobody signed, sign them, and write plain answers and faults to them.

The checks of a plain request, before those of `parse` (MESS = X-Road Message Protocol 4.0):

 (1) Its bytes are text in a charset that is taken; XML is read from UTF-8 only. MESS §2.5.
 (2) It demands no WS-Security of us: a signature that nobody checks must not look checked.
     SOAP 1.1 §4.2.3.
"""

from __future__ import annotations

import base64
import codecs
import hashlib
import re
from copy import deepcopy
from dataclasses import dataclass, field, replace

from lxml import etree

from bus.core import errors
from bus.core.attachments import message_digest
from bus.core.envelope import Envelope, HeaderBlock, SoapVersion
from bus.core.faults import UNVERIFIED_CODE, UNVERIFIED_XROAD, Fault
from bus.core.limits import Limits
from bus.core.registry import FaultSpelling
from bus.core.value_prefixes import alone, canonical_element
from bus.protocols.mime.signed_part import signed_part
from bus.protocols.soap_xroad import names
from bus.protocols.soap_xroad.faults import fault_element, fault_header, spell
from bus.protocols.soap_xroad.parse_beside import parse_with_attachments
from bus.protocols.soap_xroad.write import SigningTime, repeated_blocks, write_with_blocks
from signing.attachments import Attachment
from signing.names import SECURITY
from signing.pki.keys import Signer

_CODECS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "utf-8",
    "ascii": "utf-8",
    "iso-8859-1": "iso-8859-1",
    "latin1": "iso-8859-1",
    "windows-1252": "windows-1252",
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
}
"""Charsets in which a plain request may come; the signed one is always written in UTF-8."""
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    # Before those of UTF-16, of which one begins as they do; no text in it is taken.
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte order marks, and what they say."""
_UTF16_STARTS = {b"<\x00": "utf-16le", b"\x00<": "utf-16be"}
"""How a text in UTF-16 begins that has no mark."""
_DECLARATION = re.compile(r"\A\ufeff?\s*<\?xml\s[^>]*\?>")
_DECLARED_ENCODING = re.compile(rb"""\A<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z0-9._\-]+)["']""")
_MUST_UNDERSTAND = tuple(f"{{{version}}}mustUnderstand" for version in SoapVersion)
_XROAD_OF_CODE = {error.code: error.xroad for error in errors.all_errors()} | {
    UNVERIFIED_CODE: UNVERIFIED_XROAD
}


@dataclass(frozen=True, slots=True)
class PlainRequest:
    """A request as an agency's system sent it, and what it says."""

    raw: bytes = field(repr=False)
    """The bytes that its requestHash is made of: of a multipart request, its SOAP part."""
    digest: bytes
    """Names all of it, attachments too."""
    envelope: Envelope
    """The same in UTF-8, read. Nothing in it is proved."""


def read_plain(
    raw: bytes, charset: str, limits: Limits, attachments: tuple[Attachment, ...] = ()
) -> PlainRequest:
    """Read a plain request in the charset of its Content-Type; empty: it names none.

    `attachments` came beside it.

    For any bytes whatever: a PlainRequest or a BusError.
    """
    # (1)
    envelope = parse_with_attachments(attachments)(to_utf8(raw, charset), limits)
    # (2)
    security = envelope.security
    if security is not None and any(
        security.get(name) in {"1", "true"} for name in _MUST_UNDERSTAND
    ):
        raise errors.HeaderNotUnderstood(
            public_detail=f"line {security.sourceline}: Security; "
            "whoever signs sends to the hub itself",
            subject=SECURITY,
        )
    return PlainRequest(raw, message_digest(raw, attachments), envelope)


def to_utf8(raw: bytes, charset: str) -> bytes:
    """The bytes of an XML text in UTF-8. A byte order mark decides, then the charset of the
    Content-Type, then what the text says of itself. RFC 7303 §3.

    Raises ContentTypeInvalid (a charset that is not taken), NotWellFormed (bytes outside it).
    """
    codec = _CODECS.get(_charset(raw, charset.strip().lower()))
    if codec is None:
        raise errors.ContentTypeInvalid(
            public_detail=f"the charset must be one of {', '.join(sorted(_CODECS))}"
        )
    declared = _DECLARED_ENCODING.match(raw.removeprefix(codecs.BOM_UTF8))
    is_as_said = declared is None or _CODECS.get(declared[1].decode("ascii").lower()) == "utf-8"
    if codec == "utf-8" and is_as_said:
        return raw
    try:
        text = raw.decode(codec)
    except UnicodeDecodeError as error:
        raise errors.NotWellFormed(
            public_detail=f"byte {error.start} is none of the charset {codec}"
        ) from error
    return _DECLARATION.sub("", text, count=1).encode()


def _charset(raw: bytes, stated: str) -> str:
    marked = next((name for mark, name in _MARKS.items() if raw.startswith(mark)), "")
    if marked:
        return marked
    if stated and stated != "utf-16":
        return stated
    # Without a mark, UTF-16 shows its order of bytes by its first letter. XML 1.0 Appendix F.
    # That is a space where nothing is declared: then it is taken as RFC 2781 §4.3 says.
    unmarked = _UTF16_STARTS.get(raw[:2], "utf-16be" if stated else "")
    declared = _DECLARED_ENCODING.match(raw)
    return unmarked or (declared[1].decode("ascii").lower() if declared else "utf-8")


def sign_plain(
    request: PlainRequest, signer: Signer, time: SigningTime, *, message_id: str = ""
) -> bytes:
    """The signed message that says what a plain request says: its header blocks in its order,
    the element of its Body, its attachments.

    Blocks of other namespaces than X-Road's stay behind: the hub would not look at them.
    `message_id` stands in place of the request's, where it is given.
    Raises NoCanonicalForm.
    """
    envelope = request.envelope
    if message_id:
        envelope = _under_id(envelope, message_id)
    return write_with_blocks(
        repeated_blocks(envelope),
        # Its schema is known to the hub only: whatever may be a QName keeps its prefix.
        canonical_element(envelope.payload, all_values=True),
        signer,
        time,
        soap_version=envelope.soap_version,
        attachments=[signed_part(one) for one in envelope.attachments],
    )


def _under_id(envelope: Envelope, message_id: str) -> Envelope:
    blocks = []
    for block in envelope.routing_blocks:
        element = block.element
        if element.tag == names.ID:
            element = deepcopy(element)
            element.text = message_id
        blocks.append(HeaderBlock(block.name, element))
    return replace(envelope, message_id=message_id, routing_blocks=tuple(blocks))


def plain_answer(request: PlainRequest, payload: etree._Element) -> bytes:
    """The answer to a plain request around a payload that was proved.

    The request's header blocks again, in its order, and the hash of the bytes that its sender
    sent, which X-Road's clients check. MESS §2.2, §2.4.
    """
    blocks = [
        _bare(block.element)
        for block in request.envelope.routing_blocks
        if block.element.tag not in names.NOT_REPEATED
    ]
    value = base64.b64encode(hashlib.sha512(request.raw).digest()).decode("ascii")
    request_hash = (
        f'<xrd:requestHash xmlns:xrd="{names.XROAD}" '
        f'algorithmId="{names.REQUEST_HASH_ALGORITHM}">{value}</xrd:requestHash>'
    ).encode()
    header = b"<soap:Header>" + b"".join((*blocks, request_hash)) + b"</soap:Header>"
    content = canonical_element(payload, all_values=True).canonical
    return _envelope(request.envelope.soap_version, header, content)


def plain_fault(
    fault: Fault, spelling: FaultSpelling, version: SoapVersion = SoapVersion.SOAP_1_1
) -> bytes:
    """A fault without X-Road headers, as X-Road's own servers send it."""
    block = fault_header(fault, version)
    header = b"<soap:Header>" + block + b"</soap:Header>" if block else b""
    return _envelope(version, header, fault_element(fault, spelling, version))


def fault_to_client(fault: Fault, request: PlainRequest, spelling: FaultSpelling) -> Fault:
    """A hub's fault as the sender of a plain request gets it.

    The hub may spell X-Road's codes in another way than this client reads them, and it has seen
    the signed bytes only.
    """
    known = _XROAD_OF_CODE.get(fault.code, "")
    is_respelt = any(fault.xroad_code == spell(known, one) for one in FaultSpelling)
    return replace(
        fault,
        xroad_code=spell(known, spelling) if is_respelt else fault.xroad_code,
        message_id=request.envelope.message_id,
        request_digest=request.digest,
    )


def _bare(block: etree._Element) -> bytes:
    copy = alone(block)
    for name in names.FOR_RECEIVERS:
        copy.attrib.pop(name, "")
    return canonical_element(copy, all_values=True).canonical


def _envelope(version: SoapVersion, header: bytes, payload: bytes) -> bytes:
    start = f'<?xml version="1.0" encoding="UTF-8"?>\n<soap:Envelope xmlns:soap="{version}">'
    return b"".join(
        (start.encode(), header, b"<soap:Body>", payload, b"</soap:Body></soap:Envelope>")
    )
