"""Names of the X-Road Message Protocol 4.0 and of our own header blocks."""

from __future__ import annotations

XROAD = "http://x-road.eu/xsd/xroad.xsd"
IDENTIFIERS = "http://x-road.eu/xsd/identifiers"
REPRESENTATION = "http://x-road.eu/xsd/representation.xsd"
SECURITY_TOKEN = "http://x-road.eu/xsd/security-token.xsd"  # noqa: S105 - a namespace
LIENTHONG = "urn:lienthong:message:1.0"
"""Our own blocks: the receipt in a header, the error in a fault's detail."""

ROUTING_NAMESPACES = frozenset({XROAD, REPRESENTATION, SECURITY_TOKEN})
"""Every block of these namespaces says where a message goes or whose it is; all are signed."""

CLIENT = f"{{{XROAD}}}client"
SERVICE = f"{{{XROAD}}}service"
ID = f"{{{XROAD}}}id"
USER_ID = f"{{{XROAD}}}userId"
ISSUE = f"{{{XROAD}}}issue"
PROTOCOL_VERSION = f"{{{XROAD}}}protocolVersion"
REQUEST_HASH = f"{{{XROAD}}}requestHash"

OBJECT_TYPE = f"{{{IDENTIFIERS}}}objectType"
RECEIPT = f"{{{LIENTHONG}}}receipt"

REQUEST_HASH_ALGORITHM = "http://www.w3.org/2001/04/xmlenc#sha512"
PROTOCOL = "4.0"
