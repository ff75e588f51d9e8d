"""Write faults: SOAP 1.1 §4.4 with X-Road's codes and our own detail. The one place that does."""

from __future__ import annotations

import base64
import re

from bus.core.faults import Fault
from bus.core.nation import FaultSpelling
from bus.protocols.soap_xroad import names
from bus.protocols.soap_xroad.write import escape

_WORD_BORDER = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WITHOUT_BORDER = frozenset({"Client", "Server", "ClientProxy", "ServerProxy"})


def spell(code: str, spelling: FaultSpelling) -> str:
    """An X-Road fault code as 7.7 or as 7.8 writes it.

    >>> spell("Server.ServerProxy.AccessDenied", FaultSpelling.SNAKE)
    'server.serverproxy.access_denied'
    """
    if spelling is FaultSpelling.PASCAL:
        return code
    return ".".join(
        part.lower() if part in _WITHOUT_BORDER else _WORD_BORDER.sub("_", part).lower()
        for part in code.split(".")
    )


def fault_element(fault: Fault, spelling: FaultSpelling) -> bytes:
    """A `soap:Fault`, canonical within a Body that declares the prefix `soap`.

    `detail/faultDetail` is where X-Road clients look for the id to quote.
    """
    digest = base64.b64encode(fault.request_digest).decode("ascii")
    return (
        f"<soap:Fault><faultcode>{escape(spell(fault.xroad_code, spelling))}</faultcode>"
        f"<faultstring>{escape(_printable(fault.reason))}</faultstring><detail>"
        f"<faultDetail>{escape(fault.fault_id)}</faultDetail>"
        f'<lt:error xmlns:lt="{names.LIENTHONG}"><lt:code>{escape(fault.code)}</lt:code>'
        f"<lt:faultId>{escape(fault.fault_id)}</lt:faultId>"
        f"<lt:messageId>{escape(fault.message_id)}</lt:messageId>"
        f'<lt:requestDigest algorithm="http://www.w3.org/2001/04/xmlenc#sha256">{digest}'
        f"</lt:requestDigest>"
        f"<lt:retryable>{'true' if fault.is_retryable else 'false'}</lt:retryable>"
        f"</lt:error></detail></soap:Fault>"
    ).encode()


def _printable(text: str) -> str:
    """Characters that XML or a console would stumble over become a question mark."""
    return "".join(character if character.isprintable() else "?" for character in text)
