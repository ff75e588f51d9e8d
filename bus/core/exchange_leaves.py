"""Say in leaves what happened in an exchange, and on which evidence: received, refused, outcome."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from bus.core.decision import Accepted, MessageFacts, Refused
from bus.core.errors import BusError, DeliveryInterrupted
from bus.core.log.leaf import Event, build_leaf
from bus.core.log.pseudonyms import Pseudonyms
from bus.core.ports.message_log import KeptAttachments, SealedPayload
from signing.pki.revocation import Evidence
from signing.quick_init import quick_init

ACCEPTED = "accepted"
DELIVERED = "delivered"


@quick_init
@dataclass(frozen=True, slots=True)
class SealedFacts:
    """A sealed payload with what its leaf says about it."""

    sealed: SealedPayload
    commitment: bytes
    sealed_digest: bytes
    raw_bytes: int


@quick_init
@dataclass(frozen=True, slots=True)
class Entry:
    """A leaf with its place in the log."""

    leaf: bytes = field(repr=False)
    index: int


def received_leaf(
    accepted: Accepted,
    payload: SealedFacts,
    pseudonyms: Pseudonyms,
    time: datetime,
    kept: KeptAttachments | None = None,
) -> bytes:
    """A message passed every check; nothing of it has left the hub."""
    facts, proof = accepted.facts, accepted.proof
    return build_leaf(
        Event.RECEIVED,
        time,
        client=str(facts.client),
        service=str(accepted.service),
        message=pseudonyms.of(facts.message_id, time),
        case=_case(facts, pseudonyms, time),
        signer=proof.certificate_digest,
        signature=proof.signature_digest,
        config=accepted.rules_digest,
        verdict=ACCEPTED,
        payload=payload.commitment,
        sealed=payload.sealed_digest,
        raw_bytes=payload.raw_bytes,
        attachments=kept.commitment if kept else None,
        stored=kept.stored if kept else None,
        recipients=len(accepted.recipients) or None,
    )


def refused_leaf(
    refused: Refused,
    raw_bytes: int,
    payload: SealedFacts | None,
    pseudonyms: Pseudonyms,
    rules_digest: bytes,
    fault_id: str,
    time: datetime,
    kept: KeptAttachments | None = None,
) -> bytes:
    """A message may not pass. Client and service are what it claims; signer is proved."""
    facts, proof = refused.facts, refused.proof
    return build_leaf(
        Event.REFUSED,
        time,
        client=str(facts.client) if facts else None,
        service=str(facts.service) if facts else None,
        message=pseudonyms.of(facts.message_id, time) if facts else None,
        case=_case(facts, pseudonyms, time) if facts else None,
        signer=proof.certificate_digest if proof else None,
        signature=proof.signature_digest if proof else None,
        config=rules_digest,
        verdict=refused.error.code,
        fault=fault_id,
        payload=payload.commitment if payload else None,
        sealed=payload.sealed_digest if payload else None,
        raw_bytes=raw_bytes,
        attachments=kept.commitment if kept else None,
        stored=kept.stored if kept else None,
    )


def outcome_leaf(
    accepted: Accepted,
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
        client=str(accepted.facts.client),
        service=str(accepted.service),
        continues=received_index,
        verdict=DELIVERED if error is None else error.code,
        fault=fault_id,
        payload=payload.commitment,
        sealed=payload.sealed_digest,
        raw_bytes=payload.raw_bytes,
        attachments=kept.commitment if kept else None,
        stored=kept.stored if kept else None,
    )


def answered_again_leaf(accepted: Accepted, received_index: int, time: datetime) -> bytes:
    """A copy of a message gets the first answer."""
    return build_leaf(
        Event.ANSWERED,
        time,
        client=str(accepted.facts.client),
        service=str(accepted.service),
        continues=received_index,
        config=accepted.rules_digest,
        verdict=ACCEPTED,
    )


def answered_elsewhere_leaf(
    accepted: Accepted, pseudonyms: Pseudonyms, origin: str, time: datetime
) -> bytes:
    """A copy of a message gets the first answer, which stands in the log `origin`."""
    return build_leaf(
        Event.ANSWERED,
        time,
        client=str(accepted.facts.client),
        service=str(accepted.service),
        message=pseudonyms.of(accepted.facts.message_id, time),
        origin=origin,
        config=accepted.rules_digest,
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


def _case(facts: MessageFacts, pseudonyms: Pseudonyms, time: datetime) -> str | None:
    """The case, by its pseudonym; line ends around it, as pretty-printers give to texts, make no
    other case of it."""
    issue = facts.issue if facts.issue.isprintable() else facts.issue.strip()
    return pseudonyms.of(issue, time) if issue else None
