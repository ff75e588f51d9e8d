"""What we sign of an attachment is what the transform of its type gives."""

from __future__ import annotations

import hashlib

import pytest

from bus.core.errors import NotWellFormed, TooLarge
from bus.protocols.mime.signed_part import XML_BYTES_MAX, signed_part
from signing.sign import AttachmentPart
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


@pytest.mark.parametrize(
    ("content", "error"), [(b"<a>", NotWellFormed), (bytes(XML_BYTES_MAX + 2), TooLarge)]
)
def test_xml_that_cannot_be_read_is_not_signed(
    content: bytes, error: type[NotWellFormed | TooLarge]
) -> None:
    with pytest.raises(error):
        signed_part(attachment(content, "i", "application/xml"))
