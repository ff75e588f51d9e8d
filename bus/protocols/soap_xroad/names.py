"""Names of SOAP, of the X-Road Message Protocol 4.0 and of our own header blocks."""

from __future__ import annotations

from dataclasses import dataclass

from bus.core.envelope import SoapVersion

XROAD = "http://x-road.eu/xsd/xroad.xsd"
IDENTIFIERS = "http://x-road.eu/xsd/identifiers"
REPRESENTATION = "http://x-road.eu/xsd/representation.xsd"
SECURITY_TOKEN = "http://x-road.eu/xsd/security-token.xsd"  # noqa: S105 - a namespace
LIENTHONG = "urn:lienthong:message:1.0"
"""Our own: the receipt in a header, recipients in another, the acceptance of a submission, the
error in a fault's detail."""
SERVICE_FAULT = "urn:lienthong:service-fault:1.0"
"""Of the code of a service's own fault, where SOAP 1.2 wants a namespace: ours must not stand."""

ROUTING_NAMESPACES = frozenset({XROAD, REPRESENTATION, SECURITY_TOKEN})
"""Every block of these namespaces says where a message goes or whose it is; all are signed."""

CLIENT = f"{{{XROAD}}}client"
SERVICE = f"{{{XROAD}}}service"
ID = f"{{{XROAD}}}id"
USER_ID = f"{{{XROAD}}}userId"
ISSUE = f"{{{XROAD}}}issue"
PROTOCOL_VERSION = f"{{{XROAD}}}protocolVersion"
SECURITY_SERVER = f"{{{XROAD}}}securityServer"
REQUEST_HASH = f"{{{XROAD}}}requestHash"

OBJECT_TYPE = f"{{{IDENTIFIERS}}}objectType"
RECEIPT = f"{{{LIENTHONG}}}receipt"
ACCEPTANCE = f"{{{LIENTHONG}}}acceptance"
RECIPIENTS = f"{{{LIENTHONG}}}recipients"
"""Says where a message goes, as the blocks of the X-Road namespaces do: it is signed, too."""
RECIPIENT = f"{{{LIENTHONG}}}recipient"
NOT_REPEATED = frozenset({REQUEST_HASH, RECIPIENTS})
"""Routing blocks of a request that do not stand in its answer: it has a hash of its own, and whom
a message goes to, which may be a thousand, is no business of the answer's."""

REQUEST_HASH_ALGORITHM = "http://www.w3.org/2001/04/xmlenc#sha512"
PROTOCOL = "4.0"


@dataclass(frozen=True, slots=True)
class SoapNames:
    """Elements and attributes of one SOAP version."""

    version: SoapVersion
    envelope: str
    header: str
    body: str
    fault: str
    must_understand: str
    actor: str
    """The attribute that says for whom a block is: `actor`, from 1.2 `role`."""
    actors_us: frozenset[str]
    """Its values that mean this hub."""


def _soap_names(version: SoapVersion, actor: str, actors_us: tuple[str, ...]) -> SoapNames:
    envelope, header, body, fault, must_understand, actor = (
        f"{{{version}}}{name}"
        for name in ("Envelope", "Header", "Body", "Fault", "mustUnderstand", actor)
    )
    return SoapNames(
        version, envelope, header, body, fault, must_understand, actor, frozenset(("", *actors_us))
    )


SOAP_NAMES = {
    SoapVersion.SOAP_1_1: _soap_names(
        # SOAP 1.1 §4.2.2.
        SoapVersion.SOAP_1_1,
        "actor",
        ("http://schemas.xmlsoap.org/soap/actor/next",),
    ),
    SoapVersion.SOAP_1_2: _soap_names(
        # SOAP 1.2 Part 1 §2.2.
        SoapVersion.SOAP_1_2,
        "role",
        (f"{SoapVersion.SOAP_1_2}/role/next", f"{SoapVersion.SOAP_1_2}/role/ultimateReceiver"),
    ),
}
FOR_RECEIVERS = frozenset(
    {soap.must_understand for soap in SOAP_NAMES.values()}
    | {soap.actor for soap in SOAP_NAMES.values()}
    | {f"{{{SoapVersion.SOAP_1_2}}}relay"}
)
"""Attributes that say who reads a header block; they say nothing in an answer, or further on."""
SOAP_BY_ENVELOPE = {soap.envelope: soap for soap in SOAP_NAMES.values()}
"""The names of a message, by the tag of its root."""

CONTENT_TYPES = {
    SoapVersion.SOAP_1_1: "text/xml; charset=utf-8",
    SoapVersion.SOAP_1_2: "application/soap+xml; charset=utf-8",
}
"""SOAP 1.1 §6; SOAP 1.2 Part 2 §7.1.4."""
_START_BYTES = 1024


def likely_version(raw: bytes) -> SoapVersion:
    """The SOAP version that the start of a message shows, which could not be read."""
    start = raw[:_START_BYTES]
    found = {start.find(version.encode()): version for version in reversed(SoapVersion)}
    found.pop(-1, None)
    return found[min(found)] if found else SoapVersion.SOAP_1_1
