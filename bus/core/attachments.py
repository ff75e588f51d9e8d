"""Judge what comes beside an envelope: may it come, and does the Body name it rightly.

The checks, in order (XOP = XML-binary Optimized Packaging 1.0, AP = WS-I Attachments Profile 1.0):

 (1) A service takes attachments only if its rule says so: how many, how large, of which types.
 (2) xop:Include stands alone in its element, which holds base64 by its schema, and its href is a
     cid: URL. XOP §3.1, §5.
 (3) What an Include or a swaRef names stands beside the envelope. XOP §5, AP §4.4. A text is a
     swaRef if its schema says that it is a URI, and not by its look.

What an Include brings has the type that its element's schema gives it: MTOM calls it
application/octet-stream where nobody says more, and so it may come.

An attachment that nothing names is taken: SOAP with Attachments §3 allows it. That each attachment
is signed was proved before (bus.core.verification).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from urllib.parse import unquote_to_bytes

from lxml import etree

from bus.core.canonical_json import JsonValue, canonical_json
from bus.core.envelope import Envelope
from bus.core.errors import AttachmentNotAllowed, AttachmentReferenceInvalid
from bus.core.limits import Limits
from bus.core.registry import AttachmentRule
from bus.core.schema_kinds import Kind
from signing.attachments import Attachment
from signing.policy import DIGEST_SHA256

XOP_INCLUDE = "{http://www.w3.org/2004/08/xop/include}Include"
_DIGEST_TAG = b"lienthong.vn/message-with-attachments/v1\n"
"""Keeps the digest from being taken for that of anything else."""
OCTETS = "application/octet-stream"
_CID = "cid:"
_STANDS_FOR_CONTENT = "AA=="
"""One byte in base64: what a schema sees where the content of an attachment belongs."""


def message_digest(raw: bytes, attachments: Sequence[Attachment]) -> bytes:
    """SHA-256 that names a message whole: by its bytes alone if nothing stands beside them."""
    if not attachments:
        return hashlib.sha256(raw).digest()
    facts: list[JsonValue] = [
        [one.content_id, one.media_type, one.bytes_count, one.digests[DIGEST_SHA256].hex()]
        for one in attachments
    ]
    return hashlib.sha256(
        _DIGEST_TAG + hashlib.sha256(raw).digest() + canonical_json(facts)
    ).digest()


def with_attachments(envelope: Envelope, attachments: tuple[Attachment, ...]) -> Envelope:
    """The envelope with what came beside it; its digest names all of it."""
    digest = message_digest(envelope.raw, attachments)
    return replace(envelope, digest=digest, attachments=attachments)


def parsing_with_attachments(
    parse: Callable[[bytes, Limits], Envelope], attachments: tuple[Attachment, ...]
) -> Callable[[bytes, Limits], Envelope]:
    """A protocol's way from bytes to an envelope, for messages with these attachments."""
    if not attachments:
        return parse
    return lambda raw, limits: with_attachments(parse(raw, limits), attachments)


def require_allowed(
    rule: AttachmentRule | None,
    attachments: Sequence[Attachment],
    included: Collection[str] = (),
) -> None:
    """Hold attachments to the rule of a service. Raises AttachmentNotAllowed.

    `included` are the Content-IDs that an xop:Include names.
    """
    # (1)
    if not attachments:
        return
    if rule is None:
        raise AttachmentNotAllowed(public_detail="it takes none")
    if len(attachments) > rule.count_max:
        raise AttachmentNotAllowed(public_detail=f"it takes {rule.count_max} at most")
    for one in attachments:
        media_type = one.media_type.partition(";")[0].strip().lower()
        is_content = media_type == OCTETS and one.content_id in included
        if rule.types and media_type not in rule.types and not is_content:
            raise AttachmentNotAllowed(public_detail=f"it takes {', '.join(sorted(rule.types))}")
        if one.bytes_count > rule.bytes_max:
            raise AttachmentNotAllowed(public_detail=f"it takes {rule.bytes_max} bytes at most")


def included_ids(payload: etree._Element) -> frozenset[str]:
    """The Content-IDs that an xop:Include of a payload names."""
    return frozenset(_content_id(one.get("href", "")) for one in payload.iter(XOP_INCLUDE))


_ANYTHING = frozenset({Kind.ANYTHING})


def check_references(
    payload: etree._Element,
    attachments: Collection[Attachment],
    kinds: Mapping[str, frozenset[Kind]],
) -> None:
    """Look at every Include and swaRef of a payload, whose schema says which elements hold such.

    Raises AttachmentReferenceInvalid.
    """
    known = {one.content_id for one in attachments}
    for element, url in _references(payload):
        kind = Kind.REFERENCE if element.tag != XOP_INCLUDE else Kind.BYTES
        holder = element.getparent() if kind is Kind.BYTES else element
        said = kinds.get(str(holder.tag), _ANYTHING) if holder is not None else frozenset()
        if kind is Kind.REFERENCE and kind not in said:
            continue  # a text that looks like one
        # (2) Where the schema lets any element in, an Include is one that means itself.
        if not said & {kind, Kind.ANYTHING}:
            raise AttachmentReferenceInvalid(public_detail="xop:Include stands for no base64")
        # (3)
        if _content_id(url) not in known:
            raise AttachmentReferenceInvalid(public_detail="a reference names no attachment")


def attachment_named(
    holder: etree._Element, attachments: Collection[Attachment]
) -> Attachment | None:
    """The attachment that an element names, by an xop:Include in it or by its text.

    None: it names none, and its content stands in it.
    """
    urls = [url for _, url in _references(holder)]
    if len(urls) != 1:
        return None
    return next((one for one in attachments if one.content_id == _content_id(urls[0])), None)


def for_schema(payload: etree._Element) -> etree._Element:
    """The payload as its schema means it: base64 where an Include stands. XOP §4.2.

    The payload itself if it holds none. The content of an attachment stays where it is: one byte
    stands for it.
    """
    if next(payload.iter(XOP_INCLUDE), None) is None:
        return payload
    copy = deepcopy(payload)
    for include in list(copy.iter(XOP_INCLUDE)):
        holder = include.getparent()
        assert holder is not None  # check_references saw it in an element
        holder.remove(include)
        holder.text = _STANDS_FOR_CONTENT
    return copy


def _references(payload: etree._Element) -> Iterator[tuple[etree._Element, str]]:
    """Each Include, and each element whose text looks like a swaRef; with its URL."""
    for element in payload.iter(etree.Element):
        if element.tag == XOP_INCLUDE:
            yield element, _include_url(element, payload)
            continue
        text = (element.text or "").strip()
        if not len(element) and text[: len(_CID)].lower() == _CID:
            yield element, text


def _include_url(include: etree._Element, payload: etree._Element) -> str:
    # (2)
    holder = include.getparent()
    if include is payload or holder is None or len(holder) != 1:
        raise AttachmentReferenceInvalid(public_detail="xop:Include does not stand alone")
    around = (holder.text or "") + (include.tail or "") + (include.text or "")
    if around.strip() or len(include):
        raise AttachmentReferenceInvalid(public_detail="xop:Include does not stand alone")
    url = include.get("href", "")
    if url[: len(_CID)].lower() != _CID:
        raise AttachmentReferenceInvalid(public_detail="xop:Include names no cid: URL")
    return url


def _content_id(url: str) -> str:
    """RFC 2392 §2: the Content-ID stands percent-encoded in the URL."""
    return unquote_to_bytes(url[len(_CID) :]).decode("utf-8", "replace")
