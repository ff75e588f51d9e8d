"""An envelope that was read and not yet verified: what it claims, and where its parts stand."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from lxml import etree

from bus.core.identifiers import SecurityServerId, ServiceId, SubsystemId
from signing.attachments import Attachment
from signing.names import SOAP11, SOAP12
from signing.quick_init import quick_init
from signing.wss.verify import SignedPart


class SoapVersion(StrEnum):
    """The SOAP version of a message: the namespace of its envelope. An answer has its request's."""

    SOAP_1_1 = SOAP11
    SOAP_1_2 = SOAP12


HeaderBlock = SignedPart
"""A routing header block: its name for people, and the node. Each must be signed."""


@quick_init
@dataclass(frozen=True, slots=True)
class Envelope:
    """A well-formed request of a known protocol. Nothing in it is proved."""

    raw: bytes = field(repr=False)
    """The bytes as received; never serialised again."""
    digest: bytes
    """SHA-256 of `raw`."""
    client: SubsystemId
    service: ServiceId
    message_id: str
    user_id: str
    """Empty if the message names none."""
    issue: str
    """Empty if the message names none."""
    protocol_version: str
    routing_blocks: tuple[HeaderBlock, ...] = field(repr=False)
    """Every header block that says where the message goes or whose it is, in document order."""
    security: etree._Element | None = field(repr=False)
    """The `wsse:Security` block for this hub."""
    body: etree._Element = field(repr=False)
    payload: etree._Element = field(repr=False)
    """The one element in the Body."""
    soap_version: SoapVersion = SoapVersion.SOAP_1_1
    attachments: tuple[Attachment, ...] = ()
    """What came beside the envelope, in order."""
    security_server: SecurityServerId | None = None
    """The server that is to answer; None: the request names none."""
    recipients: tuple[SubsystemId, ...] = ()
    """Who is to get it, each once; empty: it names nobody."""
