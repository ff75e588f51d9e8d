"""What goes back to whoever sent a request: one reply for every door."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from bus.core.envelope import SoapVersion
from bus.core.exchange_leaves import DELIVERED
from bus.protocols.mime.write import XOP_NAMESPACE, RelatedMessage, write_related
from bus.protocols.soap_xroad.names import CONTENT_TYPES
from signing.attachments import Attachment

HTTP_OK = 200
HTTP_UNAVAILABLE = 503
XML_CONTENT_TYPE = CONTENT_TYPES[SoapVersion.SOAP_1_1]


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back to the sender."""

    status: int
    body: bytes = field(repr=False)
    is_retryable: bool = False
    content_type: str = XML_CONTENT_TYPE
    outcome: str = DELIVERED
    """`delivered`, `answered-again`, or the code of an error: for the operator's figures."""
    related: RelatedMessage | None = field(default=None, repr=False)
    """Body and attachments, to be sent in place of the body; None: there are no attachments."""


def reply_with_attachments(reply: Reply, attachments: tuple[Attachment, ...]) -> Reply:
    """The reply with attachments beside its body; the very reply if there are none."""
    if not attachments:
        return reply
    soap_type = reply.content_type.partition(";")[0]
    is_xop = XOP_NAMESPACE in reply.body
    related = write_related(reply.body, attachments, soap_type=soap_type, is_xop=is_xop)
    return replace(reply, content_type=related.content_type, related=related)
