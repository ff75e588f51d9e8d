"""Say what a signature of ours covers of an attachment: its content, as the transform gives it."""

from __future__ import annotations

from lxml import etree

from bus.core.errors import BusError
from bus.core.xml import parse_xml
from signing.attachments import Attachment
from signing.errors import SignatureMalformedError
from signing.policy import DIGEST_SHA256
from signing.wss.attachment_transforms import content_digest, content_digests, is_xml
from signing.wss.sign import AttachmentPart

XML_BYTES_MAX = 10 * 1024 * 1024
"""Largest attachment of an XML type: it is canonicalised in memory. SwA Profile 1.1.1 §5.4.4."""

_COMMENT = b"<!--"


def signed_part(attachment: Attachment, *, covers_comments: bool = True) -> AttachmentPart:
    """What is signed of an attachment; it may read it.

    Of XML the canonical form, as every stack checks it; of what has none, and with
    `covers_comments` of what would lose its comments in it, the bytes as they are.
    """
    read, digest = read_xml_attachment, DIGEST_SHA256
    as_it_is = next(content_digests(attachment, digest, read))
    if covers_comments and is_xml(attachment) and _holds_comment(attachment):
        return AttachmentPart(attachment.content_id, as_it_is)
    try:
        return AttachmentPart(attachment.content_id, content_digest(attachment, digest, read))
    except (BusError, SignatureMalformedError):
        return AttachmentPart(attachment.content_id, as_it_is)


def _holds_comment(attachment: Attachment) -> bool:
    before = b""
    for chunk in attachment.chunks():
        before += chunk
        if _COMMENT in before:
            return True
        before = before[1 - len(_COMMENT) :]
    return False


def read_xml_attachment(attachment: Attachment) -> etree._Element:
    """The root of an attachment of an XML type. Raises NotWellFormed, ForbiddenXml, TooLarge."""
    pieces = bytearray()
    for chunk in attachment.chunks():
        pieces += chunk
        if len(pieces) > XML_BYTES_MAX:
            break  # the parser refuses it
    return parse_xml(bytes(pieces), bytes_max=XML_BYTES_MAX)
