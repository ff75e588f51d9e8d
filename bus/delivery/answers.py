"""Hold what an agency answers to its service's schema, and have it signed in the agency's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from lxml import etree

from bus.core.authorisation import find_service
from bus.core.decision import Accepted
from bus.core.errors import AdapterBroken
from bus.core.identifiers import MemberId
from bus.core.pipeline import Rules
from bus.core.ports.wire_protocol import WireProtocol
from bus.core.validation import schema_of, validate_answer
from bus.delivery.signing import signed_aside, signed_here
from bus.kit.made_attachments import is_whole
from bus.protocols.mime.signed_part import signed_part
from signing.attachments import Attachment
from signing.pki.keys import SignerInTime
from signing.quick_init import quick_init
from signing.wss.sign import AttachmentPart


@quick_init
@dataclass(frozen=True, slots=True)
class FinishedAnswer:
    """An answer that may pass."""

    time: datetime
    """When it was held to its schema: that of its signature."""
    attachments: tuple[Attachment, ...]
    message: bytes | Callable[[], bytes] = field(repr=False)
    """Signed, or what has it signed by a device."""

    async def signed(self) -> bytes:
        """The signed answer. Raises SigningUnavailable."""
        made = self.message
        return made if isinstance(made, bytes) else await signed_aside(made)


@dataclass(frozen=True, slots=True)
class AgencyAnswers:
    """What agencies' answers are held to, and the keys that they are signed by."""

    signers: Mapping[str, SignerInTime] = field(repr=False)
    """Of the answering agencies, by member id."""
    wire: WireProtocol
    rules: Rules
    clock: Callable[[], datetime]

    def finish(
        self,
        accepted: Accepted,
        member: MemberId,
        element: etree._Element,
        attachments: tuple[Attachment, ...],
    ) -> FinishedAnswer:
        """A member's answer as it is told, where it may pass: on the thread that read it.

        Raises AnswerInvalid, AdapterBroken, SigningUnavailable.
        """
        service = find_service(accepted.service, self.rules.registry)
        schema = schema_of(service, self.rules.schemas)
        content = validate_answer(element, service, schema, attachments)
        time = self.clock()
        signer = self.signers[str(member)].at(time)
        parts = _signed_parts(attachments) if attachments else ()
        write = partial(self.wire.answer, accepted, content, signer, time, attachments=parts)
        # A device has threads and a time of its own.
        return FinishedAnswer(time, attachments, write if signer.waits else signed_here(write))


def _signed_parts(attachments: tuple[Attachment, ...]) -> tuple[AttachmentPart, ...]:
    """What is signed of an answer's attachments, which are read.

    Raises AdapterBroken: one is not what it says.
    """
    # What is signed, recorded and sent must be one and the same content.
    if not all(is_whole(one) for one in attachments):
        raise AdapterBroken("the content of an attachment is not what it says")
    return tuple(signed_part(one, covers_comments=False) for one in attachments)
