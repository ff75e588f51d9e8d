"""Check the entries of a log one after the other, in bounded memory, without its operator."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from bus.audit.checks.conservation import Conservation, DeliveryAccounts
from bus.audit.checks.index_sets import Continuations, IndexSet
from bus.core.errors import LogCorrupt
from bus.core.log.findings import Finding
from bus.core.log.leaf import (
    Event,
    Leaf,
    LeafInvalid,
    commit_payload,
    leaf_of_facts,
    read_leaf_facts,
    text_of_digest,
)
from bus.core.ports.message_log import PayloadSealer, StoredEntry


@dataclass(slots=True)
class LogReport:
    """What verification saw."""

    findings: list[Finding] = field(default_factory=list)
    findings_left_off: int = 0
    """Findings beyond the bound, counted but not kept."""
    origin: str = ""
    entries: int = 0
    signed_size: int = 0
    """Entries under the checkpoint."""
    root: bytes = b""
    """Of the tree over all entries that were read."""
    events: Counter[str] = field(default_factory=Counter)
    received: int = 0
    settled: int = 0
    """Received messages of queries that have an outcome."""
    deliveries: DeliveryAccounts = field(default_factory=DeliveryAccounts)
    """Of submissions."""
    erased: int = 0
    pages: int = 0
    tiles: int = 0
    payloads_opened: int = 0
    attachments: int = 0
    """Files of attachments whose bytes were checked."""
    levels: list[str] = field(default_factory=list)
    """What was checked, and against which key."""

    @property
    def pending(self) -> int:
        """Received messages of queries without an outcome."""
        return self.received - self.deliveries.submissions - self.settled

    @property
    def is_sound(self) -> bool:
        """Nothing was found."""
        return not self.findings

    def add(self, finding: Finding, *, findings_max: int = 1000) -> None:
        """Keep a finding, within bounds."""
        if len(self.findings) < findings_max:
            self.findings.append(finding)
        else:
            self.findings_left_off += 1


Examine = Callable[[StoredEntry, Leaf, bytes | None], Iterable[Finding]]
"""A further check of each entry: leaf as read, raw payload if a read key was given."""


class EntryChecks:
    """Checks each entry by itself and against those before it; call `check` in order of index.

    1. The leaf is canonical and well formed.
    2. It continues an entry before it, of the right event; a received entry has one outcome, or one
       for each delivery that it opened.
    3. The stored payload is the one that was sealed; without one there is a tombstone (at the end).
    4. With a sealer, the payload opens and is what the leaf commits to.
    """

    def __init__(
        self,
        report: LogReport,
        *,
        sealer: PayloadSealer | None,
        examine: Examine | None,
        place: str = "entries",
    ) -> None:
        """`place` is where findings say that entries lie."""
        self._report = report
        self._place = place
        self._sealer = sealer
        self._examine = examine
        self.received = IndexSet()
        self.outcomes = Continuations()
        self.conservation = Conservation(place=place)
        report.deliveries = self.conservation.accounts
        self._settled = IndexSet()
        self._absent = IndexSet()
        self._tombstones = IndexSet()
        self.first_citing: dict[str, int] = {}
        """Digest, as leaves write it, of each configuration cited, to the first entry that does."""

    def check(self, entry: StoredEntry) -> None:
        """Check one entry and add what is wrong to the report."""
        try:
            facts = read_leaf_facts(entry.leaf)
        except LeafInvalid as error:
            self._find(entry.index, str(error))
            return
        self._report.events[facts["event"]] += 1
        self._check_order(entry.index, facts)
        for finding in self.conservation.observe(entry.index, facts):
            self._report.add(finding)
        if "config" in facts:
            self.first_citing.setdefault(facts["config"], entry.index)
        raw = self._check_payload(entry, facts)
        if self._examine is not None:
            try:
                leaf = leaf_of_facts(facts)
            except LeafInvalid as error:
                self._find(entry.index, str(error))
                return
            for finding in self._examine(entry, leaf, raw):
                self._report.add(finding)

    def finish(self) -> None:
        """Add what only the whole log tells."""
        for index in self._absent.difference(self._tombstones):
            self._find(index, "the payload is missing and no entry says that it was erased")

    def _check_order(self, index: int, facts: dict[str, Any]) -> None:
        event, continued = facts["event"], facts.get("continues")
        if event == Event.RECEIVED:
            self.received.add(index)
            self._report.received += 1
        if continued is None:
            if event in (Event.OUTCOME, Event.ERASED):
                self._find(index, f"an entry of event {event} must continue an earlier one")
            return
        if continued >= index:
            self._find(index, f"continues entry {continued}, which does not lie before it")
        elif event == Event.ERASED:
            self._tombstones.add(continued)
            self._report.erased += 1
        elif event == Event.OUTCOME:
            self._check_outcome(index, continued)
        elif event == Event.LATE and continued not in self.received:
            self._find(index, f"is a late answer to entry {continued}, which received no message")

    def _check_outcome(self, index: int, continued: int) -> None:
        if self.conservation.is_submission(continued):
            return  # one for each of its deliveries
        self.outcomes.add(index, continued)
        if continued not in self.received:
            self._find(index, f"is the outcome of entry {continued}, which received no message")
        elif continued in self._settled:
            self._find(index, f"is a second outcome of entry {continued}")
        else:
            self._settled.add(continued)
            self._report.settled += 1

    def _check_payload(self, entry: StoredEntry, facts: dict[str, Any]) -> bytes | None:
        expected = facts.get("sealed")
        if entry.sealed is None:
            if expected is not None:
                self._absent.add(entry.index)
            return None
        if expected is None:
            self._find(entry.index, "a payload is stored that the leaf knows nothing of")
            return None
        found = text_of_digest(hashlib.sha256(entry.sealed.ciphertext).digest())
        if found != expected:
            self._find(entry.index, "the sealed payload was changed", expected, found)
            return None
        return self._open_payload(entry, facts) if self._sealer is not None else None

    def _open_payload(self, entry: StoredEntry, facts: dict[str, Any]) -> bytes | None:
        assert self._sealer is not None
        assert entry.sealed is not None
        try:
            salt, raw = self._sealer.open_sealed(entry.sealed)
        except LogCorrupt as error:
            self._find(entry.index, error.detail)
            return None
        self._report.payloads_opened += 1
        commitment = facts.get("payload")
        if commitment != text_of_digest(commit_payload(salt, raw)):
            self._find(entry.index, "the payload is not the one that the leaf commits to")
        if facts.get("bytes") != len(raw):
            self._find(entry.index, "the payload's length", str(facts.get("bytes")), str(len(raw)))
        return raw

    def _find(self, index: int, what: str, expected: str = "", found: str = "") -> None:
        self._report.add(Finding(index, self._place, what, expected, found))
