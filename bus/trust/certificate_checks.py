"""Check that the keys of a deployment can be used, lead to an anchor and name the right member."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from bus.core.errors import ConfigurationError, Problem
from bus.core.registry import Member, MemberRegistry
from bus.settings.signer import SignerSource, in_succession
from bus.settings.trust import TrustSettings
from bus.trust.key_store import read_certificates, read_signer
from signing.errors import CertificateRejectedError
from signing.pki.certificates import TrustStore
from signing.pki.keys import Signer

EXPIRY_WARNING_DAYS = (7, 30, 60)
"""A warning says which of these it has fallen below."""


def read_trust_store(trust: TrustSettings) -> TrustStore:
    """What a deployment believes and knows. Raises ConfigurationError."""
    anchors, intermediates, certificates = (
        [certificate.public_bytes(Encoding.DER) for certificate in read_certificates(files)]
        for files in (trust.anchors, trust.intermediates, trust.certificates)
    )
    try:
        return TrustStore(anchors, intermediates, certificates)
    except CertificateRejectedError as error:
        raise ConfigurationError([Problem(str(trust.anchors[0]), "", str(error))]) from error


def anchor_problems(trust: TrustSettings, now: datetime) -> list[Problem]:
    """Anchors and intermediates that are not valid at `now`."""
    problems = []
    for path, certificate in authorities(trust):
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            message = f"not valid now: {_validity(certificate)}"
            problems.append(Problem(str(path), "", message))
    return problems


def anchor_warnings(trust: TrustSettings, now: datetime) -> list[Problem]:
    """Anchors, intermediates and known certificates that expire soon."""
    return [
        warning
        for path, certificate in (*authorities(trust), *_certificates(trust.certificates))
        for warning in expiry_warnings(path, certificate, now)
    ]


def known_warnings(
    trust: TrustSettings, store: TrustStore, registry: MemberRegistry, now: datetime
) -> Iterator[Problem]:
    """Known certificates with which nobody can send: not accepted, or of no member."""
    for path, certificate in _certificates(trust.certificates):
        try:
            validated = store.validate(certificate.public_bytes(Encoding.DER), now)
        except CertificateRejectedError as error:
            yield Problem(str(path), "", f"messages that name it are refused: {error}")
            continue
        subject = validated.subject_identifier
        if subject not in registry.member_by_certificate_subject:
            yield Problem(str(path), "", f"no member has the certificate subject {subject!r}")


def signer_findings(
    source: SignerSource, member: Member, store: TrustStore | None, now: datetime
) -> tuple[list[Problem], list[Problem]]:
    """Problems and warnings of the keys that sign for `member`; no store, no path to check.

    One of the certificates must be valid now; one that follows may begin later, one that was
    followed may have expired.
    """
    problems: list[Problem] = []
    warnings: list[Problem] = []
    signers: list[tuple[Path, Signer]] = []
    for one in in_succession(source):
        try:
            signers.append((one.certificate, read_signer(one)))
        except ConfigurationError as error:
            problems += error.problems
    is_one_valid = any(_is_valid(signer.certificate, now) for _, signer in signers)
    for path, signer in signers:
        if _is_valid(signer.certificate, now) or not is_one_valid:
            moment = now
        else:
            moment = _nearest_valid(signer.certificate, now)
            warnings += _out_of_turn(path, signer.certificate, now)
        if store is not None:
            problems += _path_problems(path, signer, member, store, moment)
    warnings += _unfollowed_warnings(signers, now)
    return problems, warnings


def _is_valid(certificate: x509.Certificate, now: datetime) -> bool:
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def _nearest_valid(certificate: x509.Certificate, now: datetime) -> datetime:
    return max(certificate.not_valid_before_utc, min(now, certificate.not_valid_after_utc))


def _out_of_turn(path: Path, certificate: x509.Certificate, now: datetime) -> list[Problem]:
    if now < certificate.not_valid_before_utc:
        return []  # its turn comes
    message = f"has expired and was followed; take it out: {_validity(certificate)}"
    return [Problem(str(path), "", message)]


def _unfollowed_warnings(signers: list[tuple[Path, Signer]], now: datetime) -> list[Problem]:
    """Expiry is a warning where nothing that is named outlives it."""
    warnings = []
    for path, signer in signers:
        last = signer.certificate.not_valid_after_utc
        rest = [other.certificate.not_valid_after_utc for _, other in signers]
        if last >= max(rest):
            warnings += expiry_warnings(path, signer.certificate, now)
        for above in signer.chain:
            warnings += expiry_warnings(path, above, now)
    return warnings


def _path_problems(
    path: Path, signer: Signer, member: Member, store: TrustStore, moment: datetime
) -> list[Problem]:
    try:
        validated = store.validate(signer.certificate_der, moment)
    except CertificateRejectedError as error:
        return [Problem(str(path), "", f"the certificate is not accepted: {error}")]
    if validated.subject_identifier == member.certificate_subject:
        return []
    message = (
        f"the certificate says {validated.subject_identifier!r} as organizationIdentifier; "
        f"expected {member.certificate_subject!r} for {member.id}"
    )
    return [Problem(str(path), "", message)]


def expiry_warnings(path: Path, certificate: x509.Certificate, now: datetime) -> list[Problem]:
    """A warning when the certificate is valid for less than 60, 30 or 7 days."""
    days_left = (certificate.not_valid_after_utc - now).days
    if days_left < 0:
        return []  # a problem, not a warning
    for days in EXPIRY_WARNING_DAYS:
        if days_left < days:
            message = f"expires in less than {days} days: {_validity(certificate)}"
            return [Problem(str(path), "", message)]
    return []


def authorities(trust: TrustSettings) -> Iterator[tuple[Path, x509.Certificate]]:
    """Every anchor and intermediate, with its file. Raises ConfigurationError."""
    yield from _certificates((*trust.anchors, *trust.intermediates))


def known_certificates(paths: Iterable[Path]) -> Iterator[tuple[Path, x509.Certificate]]:
    """Every certificate in files that can be read; what cannot is told elsewhere."""
    for path in paths:
        with suppress(ConfigurationError):
            yield from _certificates([path])


def _certificates(paths: Iterable[Path]) -> Iterator[tuple[Path, x509.Certificate]]:
    for path in paths:
        for certificate in read_certificates([path]):
            yield path, certificate


def _validity(certificate: x509.Certificate) -> str:
    first = certificate.not_valid_before_utc.astimezone(UTC).isoformat()
    last = certificate.not_valid_after_utc.astimezone(UTC).isoformat()
    return f"valid from {first} to {last}"
