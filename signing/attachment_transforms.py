"""Digest an attachment as the attachment transforms of WS-Security give it.

Source: WS-Security SOAP Messages with Attachments Profile 1.1.1 §5.4. XML is canonicalised
exclusively, text has its lines end with CRLF, everything else is taken as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from lxml import etree

from signing.algorithms import digest_pieces
from signing.attachments import Attachment
from signing.canonical import canonicalise
from signing.mime_headers import canonical_headers

ReadXml = Callable[[Attachment], etree._Element]
"""The root of an XML attachment, by the hub's one parser; it refuses what no signature covers."""

_XML_TYPE = re.compile(
    r"(?:text/xml|application/xml|(?:application|image)/[^;\s]*\+xml)\s*(?:;|\Z)"
)
_TEXT_TYPE = re.compile(r"text/")
_LINE_END = re.compile(rb"\r\n|\r|\n")


def content_digest(attachment: Attachment, algorithm: str, read_xml: ReadXml) -> bytes:
    """The digest of the content alone (Attachment-Content-Signature-Transform)."""
    if _is_plain(attachment) and algorithm in attachment.digests:
        return attachment.digests[algorithm]
    return digest_pieces(_content(attachment, read_xml), algorithm)


def complete_digest(attachment: Attachment, algorithm: str, read_xml: ReadXml) -> bytes:
    """The digest of headers and content (Attachment-Complete-Signature-Transform).

    Raises SignatureMalformed.
    """
    return digest_pieces(_complete(attachment, read_xml), algorithm)


def _complete(attachment: Attachment, read_xml: ReadXml) -> Iterator[bytes]:
    yield canonical_headers(attachment.headers)
    yield from _content(attachment, read_xml)


def _content(attachment: Attachment, read_xml: ReadXml) -> Iterator[bytes]:
    media_type = attachment.media_type.strip().lower()
    if _XML_TYPE.match(media_type):
        yield canonicalise(read_xml(attachment))
    elif _TEXT_TYPE.match(media_type):
        yield from _with_line_ends(attachment.chunks())
    else:
        yield from attachment.chunks()


def _is_plain(attachment: Attachment) -> bool:
    media_type = attachment.media_type.strip().lower()
    return not (_XML_TYPE.match(media_type) or _TEXT_TYPE.match(media_type))


def _with_line_ends(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Every line end as CRLF. RFC 2046 §4.1.1."""
    was_return = False
    for chunk in chunks:
        if not chunk:
            continue
        # The line feed of a CRLF that two chunks share is written already.
        rest = chunk[1:] if was_return and chunk.startswith(b"\n") else chunk
        was_return = chunk.endswith(b"\r")
        yield _LINE_END.sub(b"\r\n", rest)
