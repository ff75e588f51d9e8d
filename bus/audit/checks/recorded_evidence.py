"""Ask again whether a certificate was revoked, by the evidence that stands in the log before it.

A decision rested on evidence that had been recorded before. Where evidence was recorded while a
message was on its way, the message may have been judged by what was known when it came: then what
counts is the evidence recorded by its time. One of the two must lead to what the entry says.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from bus.core.decision import Decision, Refused, SenderProof
from bus.core.log.leaf import Leaf
from bus.core.pipeline import Rules, revocation_error
from signing.pki.certificate_paths import path_links
from signing.pki.revocation import Evidence, Status, Unknown, revocation_status

PIECES_KEPT_MAX = 3
"""About one certificate, of one kind: the newest ones."""
EVIDENCE_BYTES_MAX = 64 * 1024 * 1024
"""Of all evidence, this much is kept; decisions by what had to be let go are not made again."""
STATUSES_KEPT_MAX = 4096
"""So many are remembered; then all are forgotten, and found again."""


class EvidenceMissing(Exception):
    """Evidence that a decision may have rested on cannot be read any more."""


@dataclass(frozen=True, slots=True)
class _Piece:
    evidence: Evidence
    digest: bytes
    recorded: datetime
    is_ocsp: bool


@dataclass(slots=True)
class RecordedEvidence:
    """The evidence of one log up to the entry that is examined. Used from one thread."""

    bytes_max: int = EVIDENCE_BYTES_MAX
    statuses_max: int = STATUSES_KEPT_MAX
    _pieces: dict[bytes, list[_Piece]] = field(default_factory=dict, init=False, repr=False)
    """By the certificate that they are about; the longest unchanged first."""
    _missing: set[bytes] = field(default_factory=set, init=False, repr=False)
    """Certificates about which something was recorded that cannot be read."""
    _bytes: int = field(default=0, init=False)
    _subjects: dict[tuple[bytes, bytes], frozenset[bytes]] = field(
        default_factory=dict, init=False, repr=False
    )
    _statuses: dict[tuple[bytes, ...], Status] = field(default_factory=dict, init=False, repr=False)

    def add(self, leaf: Leaf, raw: bytes | None) -> None:
        """Take evidence from its entry; without raw it is known to be missing."""
        about = leaf.signer
        if about is None:
            return
        if raw is None:
            self._missing.add(about)
            return
        evidence = Evidence(about, raw)
        pieces = self._pieces.pop(about, [])
        same_kind = [one for one in pieces if one.is_ocsp == evidence.is_ocsp]
        if len(same_kind) >= PIECES_KEPT_MAX:
            pieces.remove(same_kind[0])
            self._bytes -= len(same_kind[0].evidence.der)
        piece = _Piece(evidence, evidence.digest, leaf.time, evidence.is_ocsp)
        self._pieces[about] = [*pieces, piece]
        self._bytes += len(raw)
        while self._bytes > self.bytes_max:
            self._let_go(next(iter(self._pieces)))

    def _let_go(self, about: bytes) -> None:
        self._bytes -= sum(len(one.evidence.der) for one in self._pieces.pop(about))
        self._missing.add(about)

    def outcomes(self, decision: Decision, rules: Rules, time: datetime) -> Iterator[Decision]:
        """What a message leads to that was decided without this stage; the first one counts.

        Raises EvidenceMissing instead of a further outcome.
        """
        proof = decision.proof
        if proof is None or rules.revocation.is_off:
            yield decision
            return
        subjects = self._subjects_of(proof, rules, time)
        pieces = [one for about in sorted(subjects) for one in self._pieces.get(about, [])]
        by_then = [one for one in pieces if one.recorded <= time]
        for candidates in (pieces, by_then):
            status = self._status(proof, candidates, rules, time)
            error = revocation_error(status, rules, time)
            yield decision if error is None else Refused(error, decision.facts, proof)
        if subjects & self._missing:
            raise EvidenceMissing

    def _subjects_of(self, proof: SenderProof, rules: Rules, time: datetime) -> frozenset[bytes]:
        key = (proof.certificate_digest, rules.trust.digest)
        if key not in self._subjects:
            links = path_links(rules.trust.path(proof.certificate, time))
            self._subjects[key] = frozenset(
                digest for link in links for digest in (link.digest, link.issuer_digest)
            )
        return self._subjects[key]

    def _status(
        self, proof: SenderProof, pieces: list[_Piece], rules: Rules, time: datetime
    ) -> Status:
        key = (proof.certificate_digest, rules.digest, *(one.digest for one in pieces))
        known = self._statuses.get(key)
        if known is not None:
            return known
        status = revocation_status(
            rules.trust,
            proof.certificate,
            [one.evidence for one in pieces],
            time,
            where_named_only=rules.revocation.where_named_only,
        )
        if len(self._statuses) >= self.statuses_max:
            self._statuses.clear()
        if not isinstance(status, Unknown):  # later, the same evidence may tell
            self._statuses[key] = status
        return status
