"""What was decided of a message: a refusal, or all that recording, delivery and answer need.

Both are values that hold no node and no byte of the message but its canonical payload. They are the
same in one process, between two, in a row and in a queue (bus.core.decision_encoding), and they are
made here: an `Accepted` by `accept`, of a message that went through every stage, and nowhere else
but where one is read back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from bus.core.envelope import Envelope
from bus.core.errors import BusError
from bus.core.identifiers import ServiceId, SubsystemId
from bus.core.pipeline import Refusal
from bus.core.registry import Mode
from bus.core.routing import Recipient, RoutedMessage
from bus.core.verification import VerifiedEnvelope
from signing.attachments import Attachment
from signing.quick_init import quick_init
from signing.wss.sign import CanonicalParts


@quick_init
@dataclass(frozen=True, slots=True)
class MessageFacts:
    """What a message says of itself, and the digest that names it. Alone it proves nothing."""

    client: SubsystemId
    service: ServiceId
    """As the message names it: without version where it means the only one there is."""
    message_id: str
    user_id: str
    """Empty if the message names none."""
    issue: str
    """Empty if the message names none."""
    version: str
    """The version of its wire protocol, as that calls it: what is replied has the same."""
    digest: bytes
    """SHA-256 that names all of it, attachments too."""


@quick_init
@dataclass(frozen=True, slots=True)
class SenderProof:
    """By what a sender was proved: that of the message's client."""

    certificate_digest: bytes
    """SHA-256 of the signer's certificate in DER."""
    certificate: bytes = field(repr=False)
    """The signer's certificate in DER, for whoever asks whether it is revoked."""
    signature_digest: bytes
    """SHA-256 of the signature value."""
    created: datetime
    """When it was signed, as was signed."""


@quick_init
@dataclass(frozen=True, slots=True)
class Accepted:
    """A message that may pass, with what its record, its delivery and its answer need."""

    facts: MessageFacts
    proof: SenderProof
    service: ServiceId
    """The service that is registered, with its version."""
    purpose: str
    """Why the grant allows this question."""
    legal_basis: str
    adapter: str
    timeout_seconds: float
    idempotency_key: str
    """The same for every attempt at the same message of the same sender; 43 characters."""
    payload: bytes = field(repr=False)
    """The one element of the Body in exclusive canonical XML, with the bindings of its values."""
    answer_blocks: CanonicalParts = field(repr=False)
    """The header blocks that the answer repeats, and the request's hash."""
    rules_digest: bytes
    """Names the rules that it was accepted by."""
    decided_at: datetime
    """The policy time: the rules were asked as of then."""
    signed_attachments: tuple[int, ...] = ()
    """Which of the attachments that came beside it are signed, in their order, by place from 0; one
    that only holds the sender's certificate is not."""
    action: str = ""
    """What the head of the request called its action; nobody signed it, and it decides nothing."""
    recipients: tuple[Recipient, ...] = ()
    """Who gets a submission, in the order of their names; of a query nobody. Where it goes to one
    of them, it holds that one alone."""

    @property
    def mode(self) -> Mode:
        """Whether it is answered at once, or stored and forwarded."""
        return Mode.SUBMISSION if self.recipients else Mode.QUERY

    def for_recipient(self, position: int) -> Accepted:
        """The same message on its way to one of its recipients."""
        if len(self.recipients) == 1:
            assert position == 0, "it has one recipient"
            return self
        return replace(self, recipients=(self.recipients[position],))

    def with_action(self, action: str) -> Accepted:
        """The same message, with what the head of its request said."""
        return replace(self, action=action) if action else self

    def attachments_signed(self, beside: Sequence[Attachment]) -> tuple[Attachment, ...]:
        """Of the attachments that came beside the message, those that are signed with it."""
        return tuple(beside[place] for place in self.signed_attachments)


@dataclass(frozen=True, slots=True)
class Refused:
    """A message that may not pass: why, and what was known of it by then."""

    error: BusError = field(compare=False)
    facts: MessageFacts | None = None
    """None: it could not be read."""
    proof: SenderProof | None = None
    """None: nobody was proved."""
    reason: tuple[str, ...] = field(init=False, repr=False)
    """What the error says, so that two refusals are equal that say the same."""

    def __post_init__(self) -> None:
        """Let go of what the error was raised in: its frames hold the message and its whole tree,
        and hold this refusal, too, so that nothing of it would be freed before a collector comes.
        """
        error = self.error
        error.forget_where()
        reason = (error.code, error.detail, error.public_detail, error.subject)
        object.__setattr__(self, "reason", reason)


Decision = Accepted | Refused


class Decide(Protocol):
    """Takes a request through every stage before delivery, here or in a process beside."""

    def __call__(
        self, raw: bytes, now: datetime, attachments: tuple[Attachment, ...] = ...
    ) -> Awaitable[Decision]:
        """The decision about a request. For any bytes: a decision."""
        ...


def accept(
    message: RoutedMessage,
    payload: bytes,
    answer_blocks: CanonicalParts,
    rules_digest: bytes,
    now: datetime,
) -> Accepted:
    """The values of a message that went through every stage by these rules, as of `now`."""
    authorised = message.valid.authorised
    verified, grant = authorised.verified, authorised.grant
    beside = verified.envelope.attachments
    return Accepted(
        facts=facts_of(verified.envelope),
        proof=proof_of(verified),
        service=authorised.service.id,
        purpose=grant.purpose,
        legal_basis=grant.legal_basis,
        adapter=message.adapter,
        timeout_seconds=message.timeout_seconds,
        idempotency_key=message.idempotency_key,
        payload=payload,
        answer_blocks=answer_blocks,
        rules_digest=rules_digest,
        decided_at=now,
        signed_attachments=tuple(
            place
            for place, one in enumerate(beside)
            if any(one is signed for signed in verified.attachments)
        ),
        recipients=message.recipients,
    )


def refused_at(refusal: Refusal) -> Refused:
    """The values of a message that was refused at a stage."""
    envelope, verified = refusal.envelope, refusal.verified
    return Refused(
        refusal.error,
        None if envelope is None else facts_of(envelope),
        None if verified is None else proof_of(verified),
    )


def facts_of(envelope: Envelope) -> MessageFacts:
    """What an envelope says of itself."""
    return MessageFacts(
        client=envelope.client,
        service=envelope.service,
        message_id=envelope.message_id,
        user_id=envelope.user_id,
        issue=envelope.issue,
        version=envelope.soap_version.value,
        digest=envelope.digest,
    )


def proof_of(verified: VerifiedEnvelope) -> SenderProof:
    """By what the sender of an envelope was proved."""
    return SenderProof(
        certificate_digest=verified.certificate_digest,
        certificate=verified.certificate,
        signature_digest=verified.signature_digest,
        created=verified.created,
    )
