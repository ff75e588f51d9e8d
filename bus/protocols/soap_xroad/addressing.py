"""Understand the WS-Addressing blocks of a request, as far as they say what happens anyway.

Stacks that write them mark them as mustUnderstand (WCF's wsHttpBinding, CXF's addressing feature).
X-Road's headers say where a message goes and HTTP brings the answer back, so a block is understood
where it contradicts neither. Nobody acts on one; whether it is signed does not matter.

The checks, in order (WSA = WS-Addressing 1.0 Core, WSASOAP = its SOAP Binding):

 (1) A block is one of WSA §3.1; none of its kind stands twice. WSA §3.2.
 (2) An answer goes back over the connection of its request: ReplyTo and FaultTo name the anonymous
     address. WSASOAP §5.1, §6.4.1.7 (OnlyAnonymousAddressSupported).
 (3) They hold no reference parameters, which an answer would have to repeat. WSA §3.3.
"""

from __future__ import annotations

from types import MappingProxyType

from lxml import etree

from bus.core.errors import HeaderInvalid

WSA = "http://www.w3.org/2005/08/addressing"
WSA_2004 = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
"""Its predecessor, which older WCF bindings write."""

_ANONYMOUS = MappingProxyType(
    {WSA: f"{WSA}/anonymous", WSA_2004: f"{WSA_2004}/role/anonymous"},
)
_SAID = ("Action", "To", "From", "MessageID", "RelatesTo")
_ENDPOINTS = ("ReplyTo", "FaultTo")
_REFERENCES = ("ReferenceParameters", "ReferenceProperties")
UNDERSTOOD = frozenset(
    f"{{{namespace}}}{name}" for namespace in _ANONYMOUS for name in (*_SAID, *_ENDPOINTS)
)
"""The blocks of (1)."""


def require_no_contradiction(block: etree._Element) -> None:
    """Refuse a block of UNDERSTOOD that asks for something else than happens anyway.

    Raises HeaderInvalid.
    """
    name = etree.QName(block)
    if name.localname not in _ENDPOINTS:
        return
    namespace = name.namespace or ""
    # (2)
    address = (block.findtext(f"{{{namespace}}}Address") or "").strip()
    if address != _ANONYMOUS[namespace]:
        raise HeaderInvalid(
            public_detail=f"line {block.sourceline}: {name.localname}: "
            "only the anonymous address is supported (wsa:OnlyAnonymousAddressSupported)"
        )
    # (3)
    found = [block.find(f"{{{namespace}}}{one}") for one in _REFERENCES]
    if any(one is not None and len(one) for one in found):
        raise HeaderInvalid(
            public_detail=f"line {block.sourceline}: {name.localname}: "
            "reference parameters are not repeated in answers"
        )
