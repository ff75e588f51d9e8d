"""Audit a log whole: its bytes, its contents, and its decisions made again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from bus.audit.checks.delivery_replay import RecordedReport, ReportNotRecorded
from bus.audit.checks.entry_checks import LogReport
from bus.audit.checks.replay import AnswerNotRecorded, Recorded, Replay
from bus.audit.past_rules import PastRules
from bus.audit.reader import read_sealed
from bus.audit.verify import Progress, verify_source
from bus.core.attachment_manifest import ListedAttachment
from bus.core.decision import Refused
from bus.core.deliveries import AttemptEnd
from bus.core.exchange_leaves import DELIVERED
from bus.core.log.leaf import Leaf
from bus.core.mailbox_services import MAILBOX_ADAPTER
from bus.core.pipeline import Rules
from bus.core.ports.log_source import LogSource, PieceUnreadable
from bus.core.request_decision import decide_whole
from bus.log.sealed_attachments import open_attachments
from bus.log.sealing import Sealer
from bus.protocols.orders import ReportInvalid
from bus.protocols.report_notes import prove_report
from bus.protocols.soap_xroad.mailbox import read_signed_acknowledgement
from bus.protocols.soap_xroad.read_answer import AnswerRejected
from bus.protocols.soap_xroad.verify_answer import KnownSigners, verify_recorded
from bus.protocols.soap_xroad.wire import SOAP_XROAD
from signing.attachments import Attachment
from signing.pki.timestamps import TimestampTrust
from signing.signed_note import KeyTextInvalid, VerifyingKey


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
    origin = _origin_of(source, keys.checkpoint_key)
    with PastRules(source) as past:
        sealer = Sealer(keys.read_key)

        def attachments_of(leaf: Leaf) -> tuple[Attachment, ...]:
            if leaf.stored is None:
                return ()
            return open_attachments(read_sealed(source, leaf.stored), sealer).attachments

        replay = Replay(
            SOAP_XROAD,
            past.rules,
            decide_outcome,
            attachments_of,
            place=source.places.rows,
            prove_report=partial(recorded_report, origin) if origin else None,
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


def _origin_of(source: LogSource, key: VerifyingKey | None) -> str:
    """Which log it is, as its key names it; reports name it, too. Empty: nobody knows."""
    if key is not None:
        return key.name
    try:
        return VerifyingKey.parse(source.verifier_key().decode("ascii").removesuffix("\n")).name
    except (PieceUnreadable, UnicodeDecodeError, KeyTextInvalid):
        return ""  # a finding of its own in `verify_source`


def decide_outcome(answer: Recorded, request: Recorded, rules: Rules, time: datetime) -> str:
    """The verdict that a recorded answer to `request` tells. Raises AnswerNotRecorded."""
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
        raise AnswerNotRecorded(error.reason) from error
    return DELIVERED if fault is None else fault.code


def recorded_report(origin: str, raw: bytes, rules: Rules, leaf: Leaf) -> RecordedReport:
    """What an agency signed about a delivery of this log. Raises ReportNotRecorded."""
    if raw[:1] == b"<":
        return _recorded_acknowledgement(raw, rules, leaf)
    try:
        report = prove_report(raw, rules.registry, rules.trust, origin, leaf.time, _elsewhere)
    except ReportInvalid as error:
        raise ReportNotRecorded(str(error)) from error
    key = report.key
    return RecordedReport(
        key.received_index,
        key.position,
        report.recipient,
        report.outcome.end,
        report.outcome.attempt,
        report.message_digest,
        len(report.attachments),
    )


def _recorded_acknowledgement(raw: bytes, rules: Rules, leaf: Leaf) -> RecordedReport:
    """What a recipient signed that fetched the message itself."""
    judged = decide_whole(SOAP_XROAD, raw, rules, leaf.time)
    said = read_signed_acknowledgement(raw, rules.registry.limits)
    if isinstance(judged, Refused) or said is None or judged.adapter != MAILBOX_ADAPTER:
        raise ReportNotRecorded("it is no acknowledgement that its recipient signed")
    end = AttemptEnd.REFUSED if said.is_refused else AttemptEnd.DELIVERED
    key = said.key
    return RecordedReport(key.received_index, key.position, str(judged.facts.client), end)


def _elsewhere(_: ListedAttachment) -> Callable[[], Iterator[bytes]]:
    """Attachments lie beside the log; that they are what their list says is another check."""
    return lambda: iter(())
