"""Audit a log whole: its bytes, its contents, and its decisions made again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bus.audit.past_rules import PastRules
from bus.audit.reader import read_sealed
from bus.audit.verify import Progress, verify_source
from bus.core.audit.entry_checks import LogReport
from bus.core.audit.replay import OutcomeUnproved, Recorded, Replay
from bus.core.exchange_leaves import DELIVERED
from bus.core.log.leaf import Leaf
from bus.core.pipeline import Rules
from bus.core.ports.log_source import LogSource
from bus.log.sealed_attachments import open_attachments
from bus.log.sealing import Sealer
from bus.protocols.soap_xroad.read_answer import AnswerRejected
from bus.protocols.soap_xroad.verify_answer import KnownSigners, verify_recorded
from bus.protocols.soap_xroad.wire import SOAP_XROAD
from signing.attachments import Attachment
from signing.pki.timestamps import TimestampTrust
from signing.signed_note import VerifyingKey


@dataclass(frozen=True, slots=True)
class AuditKeys:
    """What the auditor holds."""

    checkpoint_key: VerifyingKey | None = None
    """None: the key that lies in the log is believed."""
    read_key: bytes | None = None
    """None: payloads stay sealed, and decisions cannot be made again."""
    timestamp_trust: TimestampTrust | None = None
    """None: the anchors of time authorities that lie in the log are believed."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What was seen."""

    report: LogReport
    replay: Replay | None
    """None: no decision was to be made again."""


def audit_source(
    source: LogSource, keys: AuditKeys, *, is_quick: bool = False, progress: Progress | None = None
) -> Audit:
    """Verify a log; quickly: bytes and tree only, payloads stay sealed.

    Raises LogUnavailable: it could not be checked.
    """
    if is_quick or keys.read_key is None:
        report = verify_source(
            source,
            checkpoint_key=keys.checkpoint_key,
            timestamp_trust=keys.timestamp_trust,
            progress=progress,
        )
        return Audit(report, None)
    with PastRules(source) as past:
        sealer = Sealer(keys.read_key)

        def attachments_of(leaf: Leaf) -> tuple[Attachment, ...]:
            if leaf.stored is None:
                return ()
            return open_attachments(read_sealed(source, leaf.stored), sealer).attachments

        replay = Replay(
            SOAP_XROAD, past.rules, decide_outcome, attachments_of, place=source.places.rows
        )
        report = verify_source(
            source,
            checkpoint_key=keys.checkpoint_key,
            read_key=keys.read_key,
            timestamp_trust=keys.timestamp_trust,
            progress=progress,
            examine=replay.examine,
        )
    return Audit(report, replay)


def decide_outcome(answer: Recorded, request: Recorded, rules: Rules, time: datetime) -> str:
    """The verdict that a recorded answer to `request` tells. Raises OutcomeUnproved."""
    registry = rules.registry
    known = KnownSigners(
        trust=rules.trust,
        member=registry.hub.member,
        policy=registry.policy,
        certificate_subjects={
            member.id: member.certificate_subject for member in registry.members.values()
        },
    )
    try:
        envelope = SOAP_XROAD.parse(request.raw, registry.limits, request.attachments)
        fault = verify_recorded(answer.raw, envelope, known, time, answer.attachments)
    except AnswerRejected as error:
        raise OutcomeUnproved(error.reason) from error
    return DELIVERED if fault is None else fault.code
