"""What we sign of an attachment is what the transform of its type gives."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest

from bus.protocols.mime.signed_part import XML_BYTES_MAX, signed_part
from signing.wss.sign import AttachmentPart
from tests.attachments import attachment


@pytest.mark.parametrize(
    ("media_type", "content", "signed"),
    [
        ("application/pdf", b"a\nb", b"a\nb"),
        ("text/plain", b"a\nb", b"a\r\nb"),
        ("text/xml", b'<a  b="1"/>', b'<a b="1"></a>'),
    ],
)
def test_the_digest_is_that_of_the_transformed_content(
    media_type: str, content: bytes, signed: bytes
) -> None:
    part = signed_part(attachment(content, "i", media_type))

    assert part == AttachmentPart("i", hashlib.sha256(signed).digest())


UNREADABLE = [
    b"<a>",
    b"",
    b"<!DOCTYPE a><a/>",
    b'<?xml version="1.0"?><?xml-stylesheet href="a.xsl"?><a/>',
    '<?xml version="1.0" encoding="UTF-16"?><a/>'.encode("utf-16"),
    b'<a xmlns="rel"/>',
    bytes(XML_BYTES_MAX + 2),
]


@pytest.mark.parametrize("media_type", ["application/xml", "text/xml", "image/svg+xml"])
@pytest.mark.parametrize("content", UNREADABLE)
def test_xml_without_canonical_form_is_signed_by_its_bytes(content: bytes, media_type: str) -> None:
    for covers_comments in (True, False):
        part = signed_part(attachment(content, "i", media_type), covers_comments=covers_comments)

        assert part == AttachmentPart("i", hashlib.sha256(content).digest())


def _one_by_one(content: bytes) -> Iterator[bytes]:
    return (bytes([byte]) for byte in content)


def test_a_comment_is_covered_where_nobody_else_checks_the_signature() -> None:
    for content in (b"<!-- made by X --><a/>", b"<a><!----></a>"):
        one = attachment(content, "i", "text/xml")
        pieces = replace(one, chunks=partial(_one_by_one, content))

        assert hashlib.sha256(content).digest() == signed_part(pieces).digest
        canonical = signed_part(pieces, covers_comments=False).digest
        assert canonical == hashlib.sha256(b"<a></a>").digest()
