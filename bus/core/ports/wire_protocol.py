"""A language of messages on the wire, as an interface: SOAP with the headers of X-Road today.

Everything above it knows a version of it by what it calls itself, and a message by its values.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from bus.core.decision import Accepted
from bus.core.envelope import Envelope
from bus.core.faults import Fault
from bus.core.limits import Limits
from bus.core.registry import FaultSpelling
from bus.core.value_prefixes import CanonicalElement
from signing.attachments import Attachment
from signing.pki.keys import Signer
from signing.wss.sign import AttachmentPart, CanonicalParts


class WireProtocol(Protocol):
    """Bytes to values and back. Pure; may be used by any thread."""

    def parse(
        self, raw: bytes, limits: Limits, attachments: tuple[Attachment, ...] = ()
    ) -> Envelope:
        """What a request claims, with what came beside it.

        For any bytes whatever: an Envelope or a BusError.
        """
        ...

    def answer_blocks(self, request: Envelope) -> CanonicalParts:
        """What the answer to a request repeats of it, ready to be signed.

        Raises NoCanonicalForm.
        """
        ...

    def answer(
        self,
        accepted: Accepted,
        content: CanonicalElement,
        signer: Signer,
        time: datetime,
        *,
        attachments: Sequence[AttachmentPart] = (),
    ) -> bytes:
        """The signed answer to an accepted message. Raises KeyUnavailableError."""
        ...

    def acceptance(
        self, accepted: Accepted, recipients_count: int, signer: Signer, time: datetime
    ) -> bytes:
        """The hub's signed answer to a submission that was taken at `time` for so many recipients.

        Raises KeyUnavailableError.
        """
        ...

    def fault(
        self, fault: Fault, version: str, spelling: FaultSpelling, signer: Signer, time: datetime
    ) -> bytes:
        """A signed fault in this version. Raises KeyUnavailableError."""
        ...

    def with_receipt(self, message: bytes, note: bytes) -> bytes:
        """An answer or fault that was written here, with the hub's receipt on it."""
        ...

    def content_type(self, version: str) -> str:
        """The Content-Type of messages of this version."""
        ...

    def likely_version(self, raw: bytes) -> str:
        """The version that the start of a message shows, which could not be read."""
        ...
