"""Hold what senders were told against what the logs say: nothing lost, each closed once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from bus.audit.audit import Audit, AuditKeys, audit_source
from bus.audit.checks.conservation import DeliveryAccounts, DeliveryClass
from bus.audit.folder import open_source
from bus.audit.postgres.source import LogDatabase
from bus.audit.reader import open_reader
from bus.core.exchange_leaves import DELIVERED
from bus.core.log.leaf import Event, Leaf, read_leaf
from bus.sandbox.cluster.programs import Cluster
from bus.sandbox.cluster.sending import SendingAccounts
from bus.sandbox.cluster.site import HubSite
from bus.trust.key_store import read_symmetric_key


@dataclass(frozen=True, slots=True)
class CheckedLog:
    """One hub's log, verified whole."""

    origin: str
    entries: int
    root: str
    findings: tuple[str, ...]
    accounts: DeliveryAccounts
    starts: int
    """How often a hub began to write it: its own, and others that adopted it."""


@dataclass(frozen=True, slots=True)
class ClusterVerdict:
    """What came of it all."""

    logs: tuple[CheckedLog, ...]
    lost: tuple[str, ...]
    """Messages that a sender was told are accepted, or answered, and that no log holds, or not
    where it was told."""
    unclosed: int
    """Deliveries that hubs were to make and did not end; what waits in mailboxes is left out."""
    closed_twice: tuple[str, ...]
    """Deliveries with two closing entries, as origin, entry and position."""
    untold: int
    """Submissions in a log that no sender was told of, though each sent until it was told."""
    by_recipient: Mapping[str, Counter[DeliveryClass]] = field(default_factory=dict)

    @property
    def is_sound(self) -> bool:
        """Nothing was lost, closed twice or left open, and every log verifies."""
        has_findings = any(log.findings for log in self.logs)
        return not (self.lost or self.unclosed or self.closed_twice or self.untold or has_findings)


@dataclass(slots=True)
class ReadEntries:
    """What the entries of one log say of submissions."""

    opened: dict[int, int] = field(default_factory=dict)
    """How many recipients each submission has, by its entry."""
    closings: Counter[tuple[int, int]] = field(default_factory=Counter)
    """How many entries close each delivery, by entry and position."""
    answers: dict[int, int] = field(default_factory=dict)
    """The received entry of each delivered answer, by the entry of the answer."""
    starts: int = 0

    def take(self, index: int, leaf: Leaf) -> None:
        """Take note of one entry."""
        if leaf.event is Event.STARTED:
            self.starts += 1
        elif leaf.event is Event.RECEIVED and leaf.recipients:
            self.opened[index] = leaf.recipients
        elif leaf.event is Event.OUTCOME and leaf.continues in self.opened:
            self.closings[leaf.continues, leaf.position or 0] += 1
        elif (
            leaf.event is Event.OUTCOME and leaf.verdict == DELIVERED and leaf.continues is not None
        ):
            self.answers[index] = leaf.continues


def check_cluster(cluster: Cluster, told: SendingAccounts) -> ClusterVerdict:
    """Verify every log as its auditor does, and compare. No hub needs to run.

    Raises LogUnavailable, LogCorrupt.
    """
    found = {hub.origin: _check(cluster, hub) for hub in cluster.site.hubs.values()}
    mailboxes = {str(one) for one in cluster.site.traffic.document.by_mailbox}
    return verdict_of(found, told, mailboxes)


def verdict_of(
    found: Mapping[str, tuple[CheckedLog, ReadEntries]],
    told: SendingAccounts,
    mailboxes: Collection[str],
) -> ClusterVerdict:
    """Compare what logs say, by origin, with what senders were told. Pure."""
    lost = [
        name
        for name, one in told.accepted.items()
        if one.origin not in found or found[one.origin][1].opened.get(one.index) != one.recipients
    ]
    lost += [
        name
        for name, told_of in told.answered.items()
        if told_of.origin not in found
        or found[told_of.origin][1].answers.get(told_of.outcome) != told_of.received
    ]
    known = {(one.origin, one.index) for one in told.accepted.values()}
    by_recipient: dict[str, Counter[DeliveryClass]] = {}
    for log, _ in found.values():
        for recipient, counts in log.accounts.named:
            by_recipient.setdefault(recipient, Counter()).update(counts)
    return ClusterVerdict(
        logs=tuple(log for log, _ in found.values()),
        lost=tuple(lost),
        unclosed=sum(
            counts[DeliveryClass.PENDING]
            for recipient, counts in by_recipient.items()
            if recipient not in mailboxes
        ),
        closed_twice=tuple(
            f"{origin} {index}/{position}"
            for origin, (_, read) in found.items()
            for (index, position), count in read.closings.items()
            if count > 1
        ),
        untold=sum(
            (origin, index) not in known
            for origin, (_, read) in found.items()
            for index in read.opened
        ),
        by_recipient=dict(sorted(by_recipient.items())),
    )


def _check(cluster: Cluster, hub: HubSite) -> tuple[CheckedLog, ReadEntries]:
    read_key = read_symmetric_key(cluster.site.folder / "keys" / "log-read.key")
    keys = AuditKeys(checkpoint_key=hub.key.verifying_key, read_key=read_key)
    place = LogDatabase(cluster.database, hub.origin)
    read = ReadEntries()
    with open_source(hub.folder, place) as source:
        audit: Audit = audit_source(source, keys)
        with open_reader(source) as reader:
            for entry in reader.entries():
                read.take(entry.index, read_leaf(entry.leaf))
    report = audit.report
    return (
        CheckedLog(
            origin=hub.origin,
            entries=report.entries,
            root=report.root.hex(),
            findings=tuple(str(one) for one in report.findings),
            accounts=report.deliveries,
            starts=read.starts,
        ),
        read,
    )
