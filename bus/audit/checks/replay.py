"""Make the decisions of the past again from the log, and compare: `log verify` by contents.

For each received or refused entry whose payload can be read, and whose rules are in the log, the
message is judged again by those rules as of the entry's time: sender's signature, certificate,
member, grant, schema, and revocation by the evidence that was recorded before. What comes out must
be what the entry says. Then the recorded answer is verified: the agency's signature, or the hub's
under a fault, and that it answers this very message.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from bus.audit.checks.delivery_replay import DeliveryReplay, ProveReport
from bus.audit.checks.recorded_evidence import EvidenceMissing, RecordedEvidence
from bus.core import errors
from bus.core.decision import Accepted, Decision, Refused
from bus.core.exchange_leaves import ACCEPTED
from bus.core.log.findings import Finding
from bus.core.log.leaf import Event, Leaf
from bus.core.pipeline import Rules
from bus.core.ports.message_log import StoredEntry
from bus.core.ports.wire_protocol import WireProtocol
from bus.core.request_decision import decide_whole
from signing.attachments import Attachment

RulesOf = Callable[[bytes], Rules | None]
"""The rules that a digest names; None: their text is not in the log."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A message as the log keeps it."""

    raw: bytes = field(repr=False)
    attachments: tuple[Attachment, ...] = ()
    """What came beside it."""


DecideOutcome = Callable[[Recorded, Recorded, Rules, datetime], str]
"""From a recorded answer and its request, the verdict that it tells: `delivered`, or a fault's
code. Raises AnswerNotRecorded."""

AttachmentsOf = Callable[[Leaf], tuple[Attachment, ...]]
"""What lies beside the payload of an entry. Raises LogCorrupt: it cannot be read."""


def no_attachments(_leaf: Leaf) -> tuple[Attachment, ...]:
    """Of a log without attachments."""
    return ()


class AnswerNotRecorded(Exception):
    """A recorded answer is not signed as it must be, or answers another message."""


OPEN_REQUEST_BYTES_MAX = 64 * 1024 * 1024
"""Of requests whose outcome is still to come, this much is kept; answers to others are not
verified again."""
_NOT_FROM_CONTENT = frozenset(
    error.code
    for error in (
        errors.AgencyBusy,
        errors.MessageIdConflict,
        errors.HubFull,
        errors.HubInternal,
        errors.JudgingUnavailable,
        errors.LogUnavailable,
        errors.LogCorrupt,
        errors.MessageInFlight,
        errors.RateLimited,
        errors.RevocationUnknown,
        errors.SenderBusy,
        errors.SpoolUnavailable,
        errors.TimestampsOverdue,
        errors.TooCostly,  # by the bounds of the machine that judged it first
    )
)
"""Verdicts that no message alone leads to: what came before it, or the hub's own state, did."""


@dataclass(frozen=True, slots=True)
class DecisionFacts:
    """What an entry says about a message, or what deciding about it again says."""

    verdict: str | None
    client: str | None
    service: str | None
    signer: bytes | None
    """SHA-256 of the certificate; None: the sender was not proved."""
    signature: bytes | None


@dataclass(frozen=True, slots=True)
class _OpenRequest:
    raw: bytes
    rules: Rules
    leaf: Leaf


class OpenRequests:
    """Requests whose outcome is still to come, within a bound: the oldest is let go first."""

    def __init__(self, bytes_max: int = OPEN_REQUEST_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._requests: dict[int, _OpenRequest] = {}

    def add(self, index: int, raw: bytes, rules: Rules, leaf: Leaf) -> None:
        """Keep a request until `take`."""
        self._requests[index] = _OpenRequest(raw, rules, leaf)
        self._bytes += len(raw)
        while self._bytes > self._bytes_max:
            self.take(next(iter(self._requests)))

    def take(self, index: int) -> _OpenRequest | None:
        """Give a request, once; None: it is not kept."""
        request = self._requests.pop(index, None)
        self._bytes -= len(request.raw) if request else 0
        return request


@dataclass(slots=True)
class Replay:
    """Judges entries again; give `examine` to `verify_log`. Counts what it could and could not."""

    wire: WireProtocol
    rules_of: RulesOf
    decide_outcome: DecideOutcome
    attachments_of: AttachmentsOf = no_attachments
    place: str = "entries"
    """Where findings say that entries lie."""
    prove_report: ProveReport | None = None
    """None: what is said of deliveries is not compared."""
    repeated: int = 0
    """Decisions that were made again."""
    proved: int = 0
    """Of these, messages whose sender's signature was verified again."""
    by_evidence: int = 0
    """Of these, messages whose sender's certificate was judged by evidence of revocation again."""
    answers: int = 0
    """Recorded answers and faults whose signature was verified again."""
    skipped: Counter[str] = field(default_factory=Counter)
    """Decisions that could not be made again, by reason."""
    _open: OpenRequests = field(default_factory=OpenRequests, init=False, repr=False)
    _evidence: RecordedEvidence = field(default_factory=RecordedEvidence, init=False, repr=False)
    _deliveries: DeliveryReplay | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.prove_report is not None:
            self._deliveries = DeliveryReplay(self.prove_report, self.place)

    @property
    def reports(self) -> int:
        """Recorded reports of deliveries whose signature was verified again."""
        return 0 if self._deliveries is None else self._deliveries.reports

    def examine(self, entry: StoredEntry, leaf: Leaf, raw: bytes | None) -> Iterator[Finding]:
        """Compare one entry with what its message leads to now."""
        yield from self._examine_what_came_of_it(entry.index, leaf, raw)
        if leaf.event is Event.EVIDENCE:
            self._evidence.add(leaf, raw)
        if leaf.event not in (Event.RECEIVED, Event.REFUSED):
            return
        if leaf.verdict in _NOT_FROM_CONTENT:
            self.skipped[f"decided by more than the message ({leaf.verdict})"] += 1
            return
        if raw is None:
            self.skipped["no payload to read"] += 1
            return
        rules = self.rules_of(leaf.config) if leaf.config is not None else None
        if rules is None:
            self.skipped["the rules of that time are not in the log"] += 1
            return
        attachments = self._attachments_of(leaf)
        if attachments is None:
            return
        again = decide_whole(self.wire, raw, rules, leaf.time, attachments)
        found = _facts_of(again)
        if found.verdict == errors.LogCorrupt.code:
            self.skipped["the content of its attachments was not kept"] += 1
            return
        recorded = _facts_in(leaf)
        try:
            found = self._by_evidence(recorded, again, rules, leaf.time)
        except EvidenceMissing:
            self.skipped["the evidence of revocation cannot be read"] += 1
            return
        self.repeated += 1
        self.proved += found.signer is not None
        self.by_evidence += found.signer is not None and not rules.revocation.is_off
        if leaf.event is Event.RECEIVED and leaf.recipients is None:
            self._open.add(entry.index, raw, rules, leaf)
        if leaf.event is Event.RECEIVED and self._deliveries is not None:
            accepted = again if isinstance(again, Accepted) else None
            recipients = accepted.recipients if accepted is not None else ()
            digest = accepted.facts.digest if accepted is not None else b""
            yield from self._deliveries.received(entry.index, leaf, recipients, rules, digest)
        yield from _differences(entry.index, self.place, recorded, found)

    def _by_evidence(
        self, recorded: DecisionFacts, again: Decision, rules: Rules, time: datetime
    ) -> DecisionFacts:
        """What the message leads to by the evidence before it. Raises EvidenceMissing."""
        found = []
        for outcome in self._evidence.outcomes(again, rules, time):
            found.append(_facts_of(outcome))
            if found[-1] == recorded:
                return recorded
        return found[0]

    def _attachments_of(self, leaf: Leaf) -> tuple[Attachment, ...] | None:
        """What lies beside an entry's payload; None: it cannot be read, and that was counted."""
        try:
            return self.attachments_of(leaf) if leaf.stored is not None else ()
        except errors.LogCorrupt:
            self.skipped["no attachments to read"] += 1
            return None

    def _examine_what_came_of_it(
        self, index: int, leaf: Leaf, raw: bytes | None
    ) -> Iterator[Finding]:
        """An entry about a delivery, or the outcome of a query."""
        if leaf.position is None and leaf.event is Event.OUTCOME:
            yield from self._examine_outcome(index, leaf, raw)
        elif leaf.position is not None and self._deliveries is not None:
            yield from self._deliveries.examine(index, leaf, raw)

    def _examine_outcome(self, index: int, leaf: Leaf, raw: bytes | None) -> Iterator[Finding]:
        request = None if leaf.continues is None else self._open.take(leaf.continues)
        # Without a payload nothing was answered: the hub stopped before.
        if request is None or raw is None:
            return
        asked, answered = self._attachments_of(request.leaf), self._attachments_of(leaf)
        if asked is None or answered is None:
            return
        answer, question = Recorded(raw, answered), Recorded(request.raw, asked)
        try:
            recorded = self.decide_outcome(answer, question, request.rules, leaf.time)
        except AnswerNotRecorded as error:
            yield Finding(index, self.place, f"the recorded answer is not proved: {error}")
            return
        self.answers += 1
        if recorded != leaf.verdict:
            what = "the recorded answer tells another verdict"
            yield Finding(index, self.place, what, _text(leaf.verdict), recorded)


def _facts_in(leaf: Leaf) -> DecisionFacts:
    return DecisionFacts(leaf.verdict, leaf.client, leaf.service, leaf.signer, leaf.signature)


def _facts_of(decision: Decision) -> DecisionFacts:
    facts, proof = decision.facts, decision.proof
    if isinstance(decision, Refused):
        verdict, service = decision.error.code, facts.service if facts else None
    else:
        verdict, service = ACCEPTED, decision.service
    return DecisionFacts(
        verdict,
        str(facts.client) if facts else None,
        str(service) if service else None,
        proof.certificate_digest if proof else None,
        proof.signature_digest if proof else None,
    )


def _differences(
    index: int, place: str, recorded: DecisionFacts, found: DecisionFacts
) -> Iterator[Finding]:
    for name, what in (
        ("verdict", "judged again, the message leads to another verdict"),
        ("client", "the message names another client"),
        ("service", "the message names another service"),
        ("signer", "the message was signed with another certificate"),
        ("signature", "the message bears another signature"),
    ):
        expected, actual = getattr(recorded, name), getattr(found, name)
        if expected != actual:
            yield Finding(index, place, what, _text(expected), _text(actual))


def _text(fact: str | bytes | None) -> str:
    if fact is None:
        return "nothing"
    return fact.hex() if isinstance(fact, bytes) else fact
