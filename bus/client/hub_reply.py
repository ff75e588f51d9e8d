"""Tell whether what came back from a hub's address is a SOAP message, or a gateway's page.

(1) It begins as XML does.
(2) Its Content-Type, where it has one, is one of SOAP. SOAP 1.1 §6; SOAP 1.2 Part 2 §7; MTOM §3.2.
(3) Under any other status than 200, which gateways give to pages, its root is an Envelope.
"""

from __future__ import annotations

import re

from bus.http.client import AgencyReply
from bus.protocols.mime.content_type import XOP

_MEDIA_TYPES = frozenset({"", "text/xml", "application/xml", "application/soap+xml", XOP})
_OK = 200
_ENVELOPE = re.compile(
    rb"\s*(?:<\?xml[^>]{0,200}\?>)?\s*(?:<!--(?:[^-]|-[^-]){0,2000}-->\s*)?<(?:[^\s<>/:]{1,200}:)?Envelope[\s>/]"
)


def is_soap(reply: AgencyReply) -> bool:
    """Whether a reply may be read as a hub's; what it says is proved elsewhere."""
    # (1)
    if not reply.body.lstrip().startswith(b"<"):
        return False
    # (2)
    if reply.content_type.partition(";")[0].strip().lower() not in _MEDIA_TYPES:
        return False
    # (3)
    return reply.status == _OK or _ENVELOPE.match(reply.body) is not None
