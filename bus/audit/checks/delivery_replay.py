"""Hold what the log says of deliveries to what their messages say, and to what agencies signed.

Who gets a message is decided again from it and the rules of its time; each entry about one of its
deliveries must name that recipient, and what an agency is said to have said must be signed by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from bus.core.deliveries import AttemptEnd
from bus.core.exchange_leaves import DELIVERED
from bus.core.log.findings import Finding
from bus.core.log.leaf import Leaf
from bus.core.pipeline import Rules
from bus.core.routing import Recipient

RECIPIENTS_KEPT_MAX = 1_000_000
"""Of so many recipients it is kept who they are; entries about others are not compared."""


class ReportNotRecorded(Exception):
    """A recorded report is not signed as it must be, or is about something else."""


@dataclass(frozen=True, slots=True)
class RecordedReport:
    """What an agency signed about an attempt."""

    received_index: int
    position: int
    recipient: str
    end: AttemptEnd
    attempt: int | None = None
    """None: it names none."""
    message_digest: bytes | None = None
    """Of the message that it is about; None: it names none."""
    attachments: int = 0
    """How many came beside its answer."""


ProveReport = Callable[[bytes, Rules, Leaf], RecordedReport]
"""From the payload of an entry about a delivery, what its agency says. Raises ReportNotRecorded."""


@dataclass(frozen=True, slots=True)
class _SentTo:
    """A submission that was accepted."""

    recipients: tuple[str, ...]
    rules: Rules
    digest: bytes
    """SHA-256 that names the message."""


@dataclass(slots=True)
class DeliveryReplay:
    """Compares entries about deliveries, in the order of the log."""

    prove: ProveReport
    place: str
    """Where findings say that entries lie."""
    recipients_max: int = RECIPIENTS_KEPT_MAX
    reports: int = 0
    """Reports whose signature was verified again."""
    _messages: dict[int, _SentTo] = field(default_factory=dict, init=False, repr=False)
    _count: int = field(default=0, init=False, repr=False)
    _latest: Rules | None = field(default=None, init=False, repr=False)

    def received(
        self,
        index: int,
        leaf: Leaf,
        recipients: tuple[Recipient, ...],
        rules: Rules,
        digest: bytes,
    ) -> Iterator[Finding]:
        """A message that was accepted: as many deliveries are opened as it has recipients."""
        self._latest = rules
        count = len(recipients) or None
        if leaf.recipients != count:
            what = "decided again, the message goes to another number of recipients"
            yield Finding(index, self.place, what, _text(leaf.recipients), _text(count))
        if count is not None:
            names = tuple(str(one.subsystem) for one in recipients)
            self._messages[index] = _SentTo(names, rules, digest)
            self._count += count
        while self._count > self.recipients_max:
            oldest = self._messages.pop(next(iter(self._messages)))
            self._count -= len(oldest.recipients)

    def examine(self, index: int, leaf: Leaf, raw: bytes | None) -> Iterator[Finding]:
        """An entry about a delivery, with its payload if there is one that can be read."""
        message = self._messages.get(-1 if leaf.continues is None else leaf.continues)
        position = leaf.position
        if message is None or position is None or position >= len(message.recipients):
            return  # who it is for is not known here; which deliveries there are is counted apart
        recipient = message.recipients[position]
        if leaf.recipient != recipient:
            what = "the delivery is said to go to another recipient than the message names"
            yield Finding(index, self.place, what, recipient, leaf.recipient or "nobody")
        elif raw is not None:
            yield from self._examine_report(index, leaf, raw, message)

    def _examine_report(
        self, index: int, leaf: Leaf, raw: bytes, message: _SentTo
    ) -> Iterator[Finding]:
        try:
            report = self._proved(raw, message, leaf)
        except ReportNotRecorded as error:
            yield Finding(index, self.place, f"the recorded report is not proved: {error}")
            return
        self.reports += 1
        told = (report.received_index, report.position, report.recipient)
        if told != (leaf.continues, leaf.position, leaf.recipient):
            yield Finding(index, self.place, "the recorded report is about another delivery")
        elif (report.end is AttemptEnd.DELIVERED) != (leaf.verdict == DELIVERED):
            what = "the recorded report tells another verdict"
            yield Finding(index, self.place, what, leaf.verdict or "nothing", report.end)
        elif report.message_digest not in (None, message.digest):
            yield Finding(index, self.place, "the recorded report is about another message")
        elif report.attempt not in (None, leaf.attempt):
            what = "the recorded report is about another attempt"
            yield Finding(index, self.place, what, _text(leaf.attempt), _text(report.attempt))
        elif bool(report.attachments) != (leaf.stored is not None):
            what = "the recorded report names other attachments than are kept"
            yield Finding(index, self.place, what, "", str(report.attachments))

    def _proved(self, raw: bytes, message: _SentTo, leaf: Leaf) -> RecordedReport:
        """By the rules of acceptance, or by those since: agencies renew their certificates."""
        try:
            return self.prove(raw, message.rules, leaf)
        except ReportNotRecorded:
            if self._latest is message.rules or self._latest is None:
                raise
            return self.prove(raw, self._latest, leaf)


def _text(count: int | None) -> str:
    return "none" if count is None else str(count)
