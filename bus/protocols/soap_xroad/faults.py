"""Write faults: SOAP 1.1 §4.4, SOAP 1.2 §5.4, X-Road's codes, our own detail. The one place."""

from __future__ import annotations

import base64
import re

from lxml import etree

from bus.core.envelope import SoapVersion
from bus.core.errors import FaultSent, ServiceFault
from bus.core.faults import Fault, SoapCode
from bus.core.registry import FaultSpelling
from bus.protocols.soap_xroad import names
from bus.protocols.soap_xroad.write import escape

_WORD_BORDER = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WITHOUT_BORDER = frozenset({"Client", "Server", "ClientProxy", "ServerProxy"})
_CLIENT = "Client"
_ONLY_OF_LATER = {"UnknownHost": "NetworkError"}
"""Codes that X-Road has from 7.8 only, with the one that stood for them before."""
_SUBCODE = re.compile(r"[A-Za-z_][A-Za-z0-9._\-]*\Z")
"""A name without prefix, fit for a subcode."""


def spell(code: str, spelling: FaultSpelling) -> str:
    """An X-Road fault code as 7.7 or as 7.8 writes it.

    >>> spell("Server.ServerProxy.AccessDenied", FaultSpelling.SNAKE)
    'server.serverproxy.access_denied'
    """
    parts = code.split(".")
    if spelling is FaultSpelling.PASCAL:
        return ".".join(_ONLY_OF_LATER.get(part, part) for part in parts)
    return ".".join(
        part.lower() if part in _WITHOUT_BORDER else _WORD_BORDER.sub("_", part).lower()
        for part in parts
    )


def fault_element(
    fault: Fault, spelling: FaultSpelling, version: SoapVersion = SoapVersion.SOAP_1_1
) -> bytes:
    """A `soap:Fault`, canonical within a Body that declares the prefix `soap`."""
    code = _spelt(fault, spelling)
    return _WRITERS[version](fault, code).encode()


def _spelt(fault: Fault, spelling: FaultSpelling) -> str:
    """The code as it is told: X-Road's words in the spelling asked for, others' as they came."""
    if not fault.keeps_spelling:
        return spell(fault.xroad_code, spelling)
    if fault.code == FaultSent.code:
        # A client gets its own code back, behind a word of X-Road's.
        return spell(_CLIENT, spelling) + fault.xroad_code[len(_CLIENT) :]
    return fault.xroad_code


def fault_header(fault: Fault, version: SoapVersion) -> bytes:
    """The header block that explains a fault of SOAP itself; empty where none does.

    SOAP 1.2 Part 1 §5.4.7 (VersionMismatch), §5.4.8 (MustUnderstand).
    """
    if version is SoapVersion.SOAP_1_1:
        return b""
    if fault.soap_code is SoapCode.VERSION_MISMATCH:
        envelopes = "".join(
            f'<soap:SupportedEnvelope xmlns:e="{one}" qname="e:Envelope"></soap:SupportedEnvelope>'
            for one in reversed(SoapVersion)
        )
        return f"<soap:Upgrade>{envelopes}</soap:Upgrade>".encode()
    if fault.soap_code is SoapCode.MUST_UNDERSTAND and fault.subject:
        block = etree.QName(fault.subject)
        namespace = escape(block.namespace or "").replace('"', "&quot;")
        declared = f' xmlns:q="{namespace}"' if namespace else ""
        name = f"q:{block.localname}" if namespace else block.localname
        return f'<soap:NotUnderstood{declared} qname="{name}"></soap:NotUnderstood>'.encode()
    return b""


def _soap_1_1(fault: Fault, code: str) -> str:
    actor = f"<faultactor>{_printable(fault.actor)}</faultactor>" if fault.actor else ""
    return (
        f"<soap:Fault><faultcode>{escape(code)}</faultcode>"
        f"<faultstring>{_printable(fault.reason)}</faultstring>{actor}"
        f"<detail>{_detail(fault)}</detail></soap:Fault>"
    )


def _soap_1_2(fault: Fault, code: str) -> str:
    subcode = declared = ""
    if _SUBCODE.match(code):
        # A qualified name (SOAP 1.2 Part 1 §5.4.3): SAAJ, and with it CXF and Metro, takes a fault
        # with any other for none at all.
        is_services = fault.code == ServiceFault.code
        namespace = names.SERVICE_FAULT if is_services else names.XROAD
        declared = f' xmlns:code="{namespace}"'
        subcode = f"<soap:Subcode><soap:Value>code:{code}</soap:Value></soap:Subcode>"
    role = f"<soap:Role>{_printable(fault.actor)}</soap:Role>" if fault.actor else ""
    return (
        f"<soap:Fault{declared}>"
        f"<soap:Code><soap:Value>soap:{fault.soap_code}</soap:Value>{subcode}"
        f'</soap:Code><soap:Reason><soap:Text xml:lang="en">{_printable(fault.reason)}</soap:Text>'
        f"</soap:Reason>{role}<soap:Detail>{_detail(fault)}</soap:Detail></soap:Fault>"
    )


_WRITERS = {SoapVersion.SOAP_1_1: _soap_1_1, SoapVersion.SOAP_1_2: _soap_1_2}


def _detail(fault: Fault) -> str:
    """What a service said in its detail, or the id where X-Road clients look for it; then ours."""
    said = fault.detail_content.decode()
    if not fault.keeps_spelling or not said:
        said += f"<faultDetail>{escape(fault.fault_id)}</faultDetail>"
    digest = base64.b64encode(fault.request_digest).decode("ascii")
    return (
        f"{said}"
        f'<lt:error xmlns:lt="{names.LIENTHONG}"><lt:code>{escape(fault.code)}</lt:code>'
        f"<lt:faultId>{escape(fault.fault_id)}</lt:faultId>"
        f"<lt:messageId>{escape(fault.message_id)}</lt:messageId>"
        f'<lt:requestDigest algorithm="http://www.w3.org/2001/04/xmlenc#sha256">{digest}'
        f"</lt:requestDigest>"
        f"<lt:retryable>{'true' if fault.is_retryable else 'false'}</lt:retryable>"
        f"</lt:error>"
    )


def _printable(text: str) -> str:
    """Characters that XML or a console would stumble over become a question mark."""
    return escape("".join(letter if letter.isprintable() else "?" for letter in text))
