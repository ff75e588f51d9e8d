"""SOAP with the headers of X-Road's Message Protocol, as the wire protocol that the hub asks for.

Its versions are those of SOAP, called by the namespaces of their envelopes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bus.core.attachments import with_attachments
from bus.core.decision import Accepted
from bus.core.envelope import Envelope, SoapVersion
from bus.core.faults import Fault
from bus.core.limits import Limits
from bus.core.registry import FaultSpelling
from bus.core.value_prefixes import CanonicalElement
from bus.protocols.soap_xroad import names
from bus.protocols.soap_xroad.acceptance import Acceptance
from bus.protocols.soap_xroad.faults import fault_element, fault_header
from bus.protocols.soap_xroad.parse import parse
from bus.protocols.soap_xroad.write import (
    SigningTime,
    answer_blocks,
    with_receipt,
    write_fault_message,
    write_with_blocks,
)
from signing.attachments import Attachment
from signing.pki.keys import Signer
from signing.wss.sign import AttachmentPart, CanonicalParts

_VERSIONS = {version.value: version for version in SoapVersion}
"""A quarter of what it takes to call the enumeration."""


class SoapXroad:
    """`bus.core.ports.wire_protocol.WireProtocol` of SOAP 1.1 and 1.2."""

    def parse(
        self, raw: bytes, limits: Limits, attachments: tuple[Attachment, ...] = ()
    ) -> Envelope:
        """A SOAP request with what came beside it. Raises a BusError."""
        envelope = parse(raw, limits)
        return with_attachments(envelope, attachments) if attachments else envelope

    def answer_blocks(self, request: Envelope) -> CanonicalParts:
        """The request's header blocks again, and its hash. Raises NoCanonicalForm."""
        return answer_blocks(request)

    def answer(
        self,
        accepted: Accepted,
        content: CanonicalElement,
        signer: Signer,
        time: datetime,
        *,
        attachments: Sequence[AttachmentPart] = (),
    ) -> bytes:
        """The signed answer. Raises KeyUnavailableError."""
        return write_with_blocks(
            accepted.answer_blocks,
            content,
            signer,
            SigningTime(time),
            soap_version=_VERSIONS[accepted.facts.version],
            attachments=attachments,
        )

    def acceptance(
        self, accepted: Accepted, recipients_count: int, signer: Signer, time: datetime
    ) -> bytes:
        """The signed acceptance. Raises KeyUnavailableError."""
        said = Acceptance(accepted.facts.message_id, recipients_count, time)
        return self.answer(accepted, said.element(), signer, time)

    def fault(
        self, fault: Fault, version: str, spelling: FaultSpelling, signer: Signer, time: datetime
    ) -> bytes:
        """A signed SOAP fault. Raises KeyUnavailableError."""
        soap_version = _VERSIONS[version]
        return write_fault_message(
            fault_element(fault, spelling, soap_version),
            signer,
            SigningTime(time),
            soap_version=soap_version,
            unsigned_block=fault_header(fault, soap_version),
            # In SOAP 1.2 the code is a value with a prefix, too.
            holds_values=bool(fault.detail_content) or soap_version is SoapVersion.SOAP_1_2,
        )

    def with_receipt(self, message: bytes, note: bytes) -> bytes:
        """The message with the receipt behind its other header blocks."""
        return with_receipt(message, note)

    def content_type(self, version: str) -> str:
        """SOAP 1.1 §6; SOAP 1.2 Part 2 §7.1.4."""
        return names.CONTENT_TYPES[_VERSIONS[version]]

    def likely_version(self, raw: bytes) -> str:
        """The SOAP version that the start of a message shows."""
        return names.likely_version(raw).value


SOAP_XROAD = SoapXroad()
