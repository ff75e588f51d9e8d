"""Digest an attachment as the attachment transforms of WS-Security give it.

Source: WS-Security SOAP Messages with Attachments Profile 1.1.1 §5.4. XML is canonicalised
exclusively, text has its lines end with CRLF, everything else is taken as it is.

A digest of the very bytes covers more than one of their canonical form, which leaves out comments
and how something is written. It is taken for every type: a document may be broken XML, or have a
stylesheet, and whoever hands it in signs it all the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from lxml import etree

from signing.algorithms import digest_pieces
from signing.attachments import Attachment
from signing.wss.canonical import canonicalise
from signing.wss.mime_headers import canonical_headers

ReadXml = Callable[[Attachment], etree._Element]
"""The root of an XML attachment, by the hub's one parser; it refuses what no signature covers."""

_XML_TYPE = re.compile(
    r"(?:text/xml|application/xml|(?:application|image)/[^;\s]*\+xml)\s*(?:;|\Z)"
)
_TEXT_TYPE = re.compile(r"text/")
_LINE_END = re.compile(rb"\r\n|\r|\n")


def content_digest(attachment: Attachment, algorithm: str, read_xml: ReadXml) -> bytes:
    """The digest of the content alone (Attachment-Content-Signature-Transform)."""
    if _is_plain(attachment):
        return _digest_as_it_is(attachment, algorithm)
    return digest_pieces(_content(attachment, read_xml), algorithm)


def content_digests(attachment: Attachment, algorithm: str, read_xml: ReadXml) -> Iterator[bytes]:
    """Each digest by which the content alone may be signed: as it is first, then as transformed."""
    yield _digest_as_it_is(attachment, algorithm)
    if not _is_plain(attachment):
        yield content_digest(attachment, algorithm, read_xml)


def complete_digests(attachment: Attachment, algorithm: str, read_xml: ReadXml) -> Iterator[bytes]:
    """The same of headers and content. Raises SignatureMalformedError."""
    headers = canonical_headers(attachment.headers)
    yield digest_pieces(chain((headers,), attachment.chunks()), algorithm)
    if not _is_plain(attachment):
        yield complete_digest(attachment, algorithm, read_xml)


def is_xml(attachment: Attachment) -> bool:
    """Whether it is of a type whose canonical form is signed."""
    return _XML_TYPE.match(attachment.media_type.strip().lower()) is not None


def complete_digest(attachment: Attachment, algorithm: str, read_xml: ReadXml) -> bytes:
    """The digest of headers and content (Attachment-Complete-Signature-Transform).

    Raises SignatureMalformedError.
    """
    return digest_pieces(_complete(attachment, read_xml), algorithm)


def _digest_as_it_is(attachment: Attachment, algorithm: str) -> bytes:
    known = attachment.digests.get(algorithm)
    return known if known is not None else digest_pieces(attachment.chunks(), algorithm)


def _complete(attachment: Attachment, read_xml: ReadXml) -> Iterator[bytes]:
    yield canonical_headers(attachment.headers)
    yield from _content(attachment, read_xml)


def _content(attachment: Attachment, read_xml: ReadXml) -> Iterator[bytes]:
    """What the transform of its type makes of the content."""
    if is_xml(attachment):
        yield canonicalise(read_xml(attachment))
    elif _is_plain(attachment):
        yield from attachment.chunks()
    else:
        yield from _with_line_ends(attachment.chunks())


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
