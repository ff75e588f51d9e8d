"""What goes back to whoever sent a request: one reply for every door."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from bus.core.exchange_leaves import DELIVERED
from bus.protocols.mime.write import XOP_NAMESPACE, RelatedMessage, write_related
from signing.attachments import Attachment
from signing.quick_init import quick_init

HTTP_OK = 200
HTTP_UNAVAILABLE = 503
RETRY_AFTER_SECONDS = 2
"""Told where nothing more precise is known."""
RETRY_AFTER_SECONDS_MAX = 3600


@quick_init
@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back to the sender."""

    status: int
    body: bytes = field(repr=False)
    content_type: str
    is_retryable: bool = False
    retry_after_seconds: int = RETRY_AFTER_SECONDS
    """When to try again, if that may help."""
    outcome: str = DELIVERED
    """`delivered`, `answered-again`, or the code of an error: for the operator's metrics."""
    related: RelatedMessage | None = field(default=None, repr=False)
    """Body and attachments, to be sent in place of the body; None: there are no attachments."""


def reply_with_attachments(reply: Reply, attachments: tuple[Attachment, ...]) -> Reply:
    """The reply with attachments beside its body; the very reply if there are none."""
    if not attachments:
        return reply
    root_type = reply.content_type.partition(";")[0]
    is_xop = XOP_NAMESPACE in reply.body
    related = write_related(reply.body, attachments, soap_type=root_type, is_xop=is_xop)
    return replace(reply, content_type=related.content_type, related=related)
