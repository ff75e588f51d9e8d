"""Read SOAP requests together with the attachments that came beside them."""

from __future__ import annotations

from bus.core.attachments import parsing_with_attachments
from bus.core.pipeline import Parse
from bus.protocols.soap_xroad.parse import parse
from signing.attachments import Attachment


def parse_with_attachments(attachments: tuple[Attachment, ...]) -> Parse:
    """Read requests that come with these attachments."""
    return parsing_with_attachments(parse, attachments)
