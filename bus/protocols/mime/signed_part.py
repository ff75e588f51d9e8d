"""Say what a signature of ours covers of an attachment: its content, as the transform gives it."""

from __future__ import annotations

from lxml import etree

from bus.core.xml import parse_xml
from signing.attachment_transforms import content_digest
from signing.attachments import Attachment
from signing.policy import DIGEST_SHA256
from signing.sign import AttachmentPart

XML_BYTES_MAX = 10 * 1024 * 1024
"""Largest attachment of an XML type: it is canonicalised in memory. SwA Profile 1.1.1 §5.4.4."""


def signed_part(attachment: Attachment) -> AttachmentPart:
    """What is signed of an attachment; it may read it. Raises a BusError: an XML one is broken."""
    digest = content_digest(attachment, DIGEST_SHA256, read_xml_attachment)
    return AttachmentPart(attachment.content_id, digest)


def read_xml_attachment(attachment: Attachment) -> etree._Element:
    """The root of an attachment of an XML type. Raises NotWellFormed, ForbiddenXml, TooLarge."""
    pieces = bytearray()
    for chunk in attachment.chunks():
        pieces += chunk
        if len(pieces) > XML_BYTES_MAX:
            break  # the parser refuses it
    return parse_xml(bytes(pieces), bytes_max=XML_BYTES_MAX)
