"""Say in leaves what happened in an exchange, and on which evidence: received, refused, outcome."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from bus.core.envelope import Envelope
from bus.core.errors import BusError, DeliveryInterrupted
from bus.core.log.leaf import Event, build_leaf
from bus.core.log.pseudonyms import Pseudonyms
from bus.core.pipeline import Refusal
from bus.core.ports.message_log import KeptAttachments, SealedPayload
from bus.core.routing import RoutedMessage
from signing.pki.revocation import Evidence

ACCEPTED = "accepted"
DELIVERED = "delivered"


@dataclass(frozen=True, slots=True)
class SealedFacts:
    """A sealed payload with what its leaf says about it."""

    sealed: SealedPayload
    commitment: bytes
    sealed_digest: bytes
    raw_bytes: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A leaf with its place in the log."""

    leaf: bytes = field(repr=False)
    index: int


def received_leaf(
    message: RoutedMessage,
    payload: SealedFacts,
    pseudonyms: Pseudonyms,
    rules_digest: bytes,
    time: datetime,
    kept: KeptAttachments | None = None,
) -> bytes:
    """A message passed every check; nothing of it has left the hub."""
    verified = message.valid.authorised.verified
    envelope = verified.envelope
    return build_leaf(
        Event.RECEIVED,
        time,
        client=str(envelope.client),
        service=str(message.valid.authorised.service.id),
        message=pseudonyms.of(envelope.message_id, time),
        case=_case(envelope, pseudonyms, time),
        signer=verified.certificate_digest,
        signature=verified.signature_digest,
        config=rules_digest,
        verdict=ACCEPTED,
        payload=payload.commitment,
        sealed=payload.sealed_digest,
        raw_bytes=payload.raw_bytes,
        attachments=kept.commitment if kept else None,
        stored=kept.stored if kept else None,
    )


def refused_leaf(
    refusal: Refusal,
    raw_bytes: int,
    payload: SealedFacts | None,
    pseudonyms: Pseudonyms,
    rules_digest: bytes,
    fault_id: str,
    time: datetime,
    kept: KeptAttachments | None = None,
) -> bytes:
    """A message may not pass. Client and service are what it claims; signer is proved."""
    envelope, verified = refusal.envelope, refusal.verified
    return build_leaf(
        Event.REFUSED,
        time,
        client=str(envelope.client) if envelope else None,
        service=str(envelope.service) if envelope else None,
        message=pseudonyms.of(envelope.message_id, time) if envelope else None,
        case=_case(envelope, pseudonyms, time) if envelope else None,
        signer=verified.certificate_digest if verified else None,
        signature=verified.signature_digest if verified else None,
        config=rules_digest,
        verdict=refusal.error.code,
        fault=fault_id,
        payload=payload.commitment if payload else None,
        sealed=payload.sealed_digest if payload else None,
        raw_bytes=raw_bytes,
        attachments=kept.commitment if kept else None,
        stored=kept.stored if kept else None,
    )


def outcome_leaf(
    message: RoutedMessage,
    received_index: int,
    payload: SealedFacts,
    error: BusError | None,
    fault_id: str | None,
    time: datetime,
    kept: KeptAttachments | None = None,
) -> bytes:
    """What came of a received message; the payload is the signed answer or fault."""
    return build_leaf(
        Event.OUTCOME,
        time,
        client=str(message.valid.authorised.verified.envelope.client),
        service=str(message.valid.authorised.service.id),
        continues=received_index,
        verdict=DELIVERED if error is None else error.code,
        fault=fault_id,
        payload=payload.commitment,
        sealed=payload.sealed_digest,
        raw_bytes=payload.raw_bytes,
        attachments=kept.commitment if kept else None,
        stored=kept.stored if kept else None,
    )


def answered_again_leaf(
    message: RoutedMessage, received_index: int, rules_digest: bytes, time: datetime
) -> bytes:
    """A copy of a message gets the first answer."""
    return build_leaf(
        Event.ANSWERED,
        time,
        client=str(message.valid.authorised.verified.envelope.client),
        service=str(message.valid.authorised.service.id),
        continues=received_index,
        config=rules_digest,
        verdict=ACCEPTED,
    )


def evidence_leaf(evidence: Evidence, payload: SealedFacts, time: datetime) -> bytes:
    """What was known of a certificate's revocation, before the first decision that rests on it."""
    return build_leaf(
        Event.EVIDENCE,
        time,
        signer=evidence.about,
        payload=payload.commitment,
        sealed=payload.sealed_digest,
        raw_bytes=payload.raw_bytes,
    )


def interrupted_leaf(received_index: int, time: datetime) -> bytes:
    """The hub stopped, or could not write, between a message and its outcome."""
    return build_leaf(
        Event.OUTCOME, time, continues=received_index, verdict=DeliveryInterrupted.code
    )


def _case(envelope: Envelope, pseudonyms: Pseudonyms, time: datetime) -> str | None:
    """The case, by its pseudonym; line ends around it, as pretty-printers give to texts, make no
    other case of it."""
    issue = envelope.issue if envelope.issue.isprintable() else envelope.issue.strip()
    return pseudonyms.of(issue, time) if issue else None
