"""Say whether a certificate's path was revoked, from OCSP responses and CRLs, as of a given time.

RFC 6960 and RFC 5280 §6.3. Signatures and authority of the evidence are checked by
pyhanko-certvalidator: a response counts if the issuer itself signed it, or a responder to whom the
issuer gave the usage OCSPSigning. Nothing is fetched here; evidence is bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from asn1crypto import crl, ocsp
from asn1crypto import x509 as asn1_x509
from cryptography.exceptions import InvalidSignature
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.errors import (
    CRLValidationError,
    OCSPValidationError,
    PathError,
    RevokedError,
    ValidationError,
)
from pyhanko_certvalidator.path import ValidationPath
from pyhanko_certvalidator.policy_decl import DEFAULT_WEAK_HASH_ALGOS
from pyhanko_certvalidator.revinfo.archival import CRLContainer, OCSPContainer
from pyhanko_certvalidator.revinfo.validate_crl import verify_crl
from pyhanko_certvalidator.revinfo.validate_ocsp import verify_ocsp_response

from signing.pki.certificate_paths import Link, path_links
from signing.pki.certificates import UNREADABLE, TrustStore, run_without_waiting

CLOCK_TOLERANCE = timedelta(seconds=60)
"""How far the clock of an authority may be ahead of ours."""
VALIDITY_WITHOUT_NEXT_UPDATE = timedelta(minutes=30)
"""How long evidence counts that does not say when the next one comes (RFC 6960 §2.4)."""

_ENUMERATED = 0x0A
"""First tag inside an OCSPResponse; inside a CertificateList stands a SEQUENCE."""
_UNUSABLE = (
    OCSPValidationError,
    CRLValidationError,
    ValidationError,
    PathError,
    InvalidSignature,
    AttributeError,
    ArithmeticError,
    AssertionError,
    NotImplementedError,
    *UNREADABLE,
)
"""What the library raises over bytes that strangers may have sent, found by changing each byte."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """An OCSP response or a CRL, as its authority sent it."""

    about: bytes
    """SHA-256 of the certificate that an OCSP response is about, or of the one that issued what a
    CRL lists."""
    der: bytes = field(repr=False)

    @property
    def digest(self) -> bytes:
        """SHA-256 of the DER: names this very evidence."""
        return hashlib.sha256(self.der).digest()

    @property
    def is_ocsp(self) -> bool:
        """Whether it begins as an OCSPResponse does: RFC 6960 §4.2.1, RFC 5280 §5.1."""
        head = self.der[:6]
        length_bytes = head[1] & 0x7F if len(head) > 1 and head[1] & 0x80 else 0
        return head[2 + length_bytes : 3 + length_bytes] == bytes([_ENUMERATED])


@dataclass(frozen=True, slots=True)
class Good:
    """No certificate of the path is revoked, says evidence that is valid in this window."""

    this_update: datetime
    next_update: datetime
    evidence: tuple[Evidence, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Revoked:
    """A certificate of the path is revoked."""

    since: datetime
    reason: str
    """As RFC 5280 §5.3.1 names it: `key_compromise`."""
    this_update: datetime
    next_update: datetime
    evidence: tuple[Evidence, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Unknown:
    """The evidence does not tell."""

    why: str


Status = Good | Revoked | Unknown
_Container = OCSPContainer | CRLContainer


def revocation_status(
    trust: TrustStore,
    certificate: bytes,
    evidence: Iterable[Evidence],
    moment: datetime,
    *,
    where_named_only: bool = False,
) -> Status:
    """The status of the path from an anchor to a DER certificate, as of `moment` (aware, UTC).

    Evidence that was issued after `moment` says nothing about it. With `where_named_only` a
    certificate that names neither responder nor CRL, and that nobody gave evidence about, counts
    as good. Raises CertificateRejectedError: there is no path.
    """
    path = trust.path(certificate, moment)
    examination = _Examination(trust, path, tuple(evidence), moment)
    found = [
        examination.status_of(link, _certificate_of(path, link))
        for link in path_links(path)
        if not where_named_only or link.names_a_source or examination.about(link)
    ]
    for kind in (Revoked, Unknown):
        for status in found:
            if isinstance(status, kind):
                return status
    return _joined([status for status in found if isinstance(status, Good)], path)


def link_status(
    trust: TrustStore,
    path: ValidationPath,
    link: Link,
    evidence: Iterable[Evidence],
    moment: datetime,
) -> Status:
    """What the newest of some evidence says about one certificate of a path, as of `moment`."""
    examination = _Examination(trust, path, tuple(evidence), moment)
    return examination.status_of(link, _certificate_of(path, link))


def _certificate_of(path: ValidationPath, link: Link) -> asn1_x509.Certificate:
    return next(one for one in path.iter_certs(include_root=False) if one.sha256 == link.digest)


def _joined(found: list[Good], path: ValidationPath) -> Good:
    """Good all along the path: as long as each evidence counts, and each certificate is valid."""
    validities = [one["tbs_certificate"]["validity"] for one in path.iter_certs(include_root=True)]
    return Good(
        max((one.this_update for one in found), default=validities[-1]["not_before"].native),
        min(
            (one.next_update for one in found),
            default=min(validity["not_after"].native for validity in validities),
        ),
        tuple(piece for one in found for piece in one.evidence),
    )


@dataclass(frozen=True, slots=True)
class _Examination:
    """Evidence about the certificates of one path, examined as of one moment."""

    trust: TrustStore
    path: ValidationPath
    evidence: tuple[Evidence, ...]
    moment: datetime

    def about(self, link: Link) -> list[Evidence]:
        subjects = (link.digest, link.issuer_digest)
        return [piece for piece in self.evidence if piece.about in subjects]

    def status_of(self, link: Link, certificate: asn1_x509.Certificate) -> Status:
        """What the newest evidence says that is conclusive about one certificate."""
        reasons = []
        conclusive: list[Good | Revoked] = []
        for piece in self.about(link):
            evaluated = self._evaluate(certificate, piece)
            if isinstance(evaluated, Unknown):
                reasons.append(evaluated.why)
            else:
                conclusive.append(evaluated)
        if not conclusive:
            return Unknown("; ".join(reasons)[:512] or f"no evidence about {link.name}")
        return max(conclusive, key=lambda one: (one.this_update, isinstance(one, Revoked)))

    def _evaluate(self, certificate: asn1_x509.Certificate, piece: Evidence) -> Status:
        reason = "the evidence speaks of other certificates"
        try:
            for container, (this_update, next_update) in _containers(piece):
                # (1) Issued by then. RFC 6960 §4.2.2.1, RFC 5280 §5.1.2.4.
                if this_update > self.moment + CLOCK_TOLERANCE:
                    return Unknown(f"the evidence was issued later, at {this_update.isoformat()}")
                # (2) Not signed over a hash for which collisions are known.
                mechanism = container.revinfo_sig_mechanism_used
                assert mechanism is not None  # a container holds a whole statement
                if mechanism.hash_algo in DEFAULT_WEAK_HASH_ALGOS:
                    return Unknown("the evidence is signed over a weak hash")
                # (3) Signed by who may speak for the issuer, and about this certificate.
                # RFC 6960 §3.2, §4.2.2.2; RFC 5280 §6.3.3.
                try:
                    self._verify(certificate, container, next_update)
                except RevokedError as error:
                    why = str(error.reason.native)
                    return Revoked(error.revocation_dt, why, this_update, next_update, (piece,))
                except (OCSPValidationError, CRLValidationError) as error:
                    reason = _reason(error)
                    continue
                return Good(this_update, next_update, (piece,))
        except _UNUSABLE as error:
            return Unknown(f"the evidence cannot be used: {_reason(error)}")
        return Unknown(reason)

    def _verify(
        self, certificate: asn1_x509.Certificate, container: _Container, next_update: datetime
    ) -> None:
        """Raises RevokedError, or another error of the library when the evidence is no proof."""
        # Staleness is decided by who knows the policy: evidence is judged as of a time at which
        # it counts. A CRL is judged as of its end, so that an entry whose date lies a little ahead
        # of our clock is one already.
        if isinstance(container, OCSPContainer):
            # A responder whose certificate is not exempt is looked up in the CRLs at hand.
            context = self._context(min(self.moment, next_update), [container], self._crls())
            run_without_waiting(verify_ocsp_response(certificate, self.path, context))
        else:
            context = self._context(next_update, [], [container])
            # Delta CRLs are not used: the complete one says until when it counts.
            work = verify_crl(certificate, self.path, context, use_deltas=False)
            run_without_waiting(work)

    def _crls(self) -> list[CRLContainer]:
        found = []
        for piece in self.evidence:
            if not piece.is_ocsp:
                with suppress(*_UNUSABLE):
                    found += [CRLContainer(crl.CertificateList.load(piece.der, strict=True))]
        return found

    def _context(
        self, moment: datetime, ocsps: list[OCSPContainer], crls: list[CRLContainer]
    ) -> ValidationContext:
        return ValidationContext(
            trust_roots=self.trust.anchor_certificates,
            other_certs=self.trust.intermediate_certificates,
            moment=moment,
            ocsps=ocsps,
            crls=crls,
            revocation_mode="require",
            time_tolerance=CLOCK_TOLERANCE,
        )


def _containers(
    piece: Evidence,
) -> Iterator[tuple[_Container, tuple[datetime, datetime]]]:
    """Every statement in the evidence, with its window. Raises one of UNREADABLE."""
    if not piece.is_ocsp:
        listed = crl.CertificateList.load(piece.der, strict=True)
        yield CRLContainer(listed), _window(listed["tbs_cert_list"])
        return
    for container in OCSPContainer.load_multi(ocsp.OCSPResponse.load(piece.der, strict=True)):
        yield container, _window(container.extract_single_response())


def _window(said: asn1_x509.Sequence) -> tuple[datetime, datetime]:
    this_update: datetime = said["this_update"].native
    return this_update, said["next_update"].native or this_update + VALIDITY_WITHOUT_NEXT_UPDATE


def _reason(error: Exception) -> str:
    failures = [str(failure[0]) for failure in getattr(error, "failures", None) or []]
    text = "; ".join(failures) or str(error.args[0] if error.args else type(error).__name__)
    return text[:256]
