"""Lead a certificate to a trust anchor, as of a given time.

Path validation is that of RFC 5280 §6, done by pyhanko-certvalidator; a certificate is never
trusted for standing inside a message. Results are kept for as long as every certificate of the
path is valid, so that a sender's certificate is walked once and not with each message.
"""

from __future__ import annotations

import hashlib
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast

from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import NameOID
from pyhanko_certvalidator import CertificateValidator, ValidationContext
from pyhanko_certvalidator.authority import CertTrustAnchor
from pyhanko_certvalidator.errors import PathBuildingError, ValidationError
from pyhanko_certvalidator.path import ValidationPath

from signing.algorithms import PublicKey
from signing.errors import CertificateRejectedError
from signing.pki.known_certificates import CERTIFICATE_BYTES_MAX, KnownCertificates
from signing.pki.public_keys import signing_key
from signing.signature_cache import SignatureCache

CERTIFICATES_KEPT_MAX = 4096
"""Validated certificates kept in memory."""

SIGNING_PURPOSES = frozenset(
    {
        "client_auth",
        "email_protection",
        "1.3.6.1.5.5.7.3.36",  # id-kp-documentSigning, RFC 9336
        "microsoft_document_signing",
        "any_extended_key_usage",
    }
)
"""Extended key usages that a certificate for messages may have; one is enough."""
SERVICE_PURPOSES = frozenset({"ocsp_signing", "time_stamping"})
"""Keys of an authority's own services sign nothing else. RFC 6960 §4.2.2.2, RFC 3161 §2.3."""

Result = TypeVar("Result")

UNREADABLE = (
    ValueError,
    TypeError,
    LookupError,
    RecursionError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
)
"""What the two readers raise over bytes that are no certificate, found by changing each byte."""


@dataclass(frozen=True, slots=True)
class ValidatedCertificate:
    """A certificate that leads to an anchor at the time it was asked for."""

    digest: bytes
    """SHA-256 of the DER."""
    der: bytes = field(repr=False)
    subject_identifier: str
    """Subject attribute organizationIdentifier (OID 2.5.4.97); empty if there is none."""
    public_key: PublicKey = field(repr=False)
    path_valid_from: datetime
    path_valid_until: datetime


class TrustStore:
    """Trust anchors and the intermediates that lead to them.

    Owns what is known of validated certificates and proved signatures; used from one thread.
    """

    def __init__(
        self,
        anchors: Sequence[bytes],
        intermediates: Sequence[bytes] = (),
        certificates: Sequence[bytes] = (),
    ) -> None:
        """All are DER certificates; `certificates` are those that messages may only name.

        Raises CertificateRejectedError.
        """
        self.anchor_certificates = [_load(der) for der in anchors]
        # What an anchor says of the paths below it holds: RFC 5937 §3.
        self._bounded_anchors = [
            CertTrustAnchor(anchor, derive_default_quals_from_cert=True)
            for anchor in self.anchor_certificates
        ]
        self.intermediate_certificates = [_load(der) for der in intermediates]
        self._validated: dict[bytes, ValidatedCertificate] = {}
        self.signatures: SignatureCache[Any] = SignatureCache()
        """What signatures said that were proved under certificates of this store."""
        self.anchors = tuple(anchors)
        """The trust anchors, in DER."""
        self.intermediates = tuple(intermediates)
        """What may stand between them and a sender's certificate, in DER."""
        self._certificates = tuple(certificates)
        self.known = KnownCertificates(certificates)
        """Certificates of senders that name theirs without sending it; trusted like any other."""
        digests = sorted(hashlib.sha256(der).digest() for der in (*anchors, *intermediates))
        self.digest = hashlib.sha256(b"".join(digests)).digest()
        """Names this very set of anchors and intermediates."""

    def for_another_thread(self) -> TrustStore:
        """The same store with a cache, and parsed certificates, of its own."""
        return TrustStore(self.anchors, self.intermediates, self._certificates)

    def validate(self, der: bytes, now: datetime) -> ValidatedCertificate:
        """Lead a DER certificate to an anchor as of `now` (aware, UTC).

        Raises CertificateRejectedError: unreadable, untrusted, expired or not yet valid, a CA, or
        not for signing.
        """
        kept = self._validated.get(der)
        if kept is not None and kept.path_valid_from <= now <= kept.path_valid_until:
            return kept
        validated = self._validate(der, now)
        if len(self._validated) >= CERTIFICATES_KEPT_MAX:
            self._validated.pop(next(iter(self._validated)))
        self._validated[der] = validated
        return validated

    def _validate(self, der: bytes, now: datetime) -> ValidatedCertificate:
        certificate = _load(der)
        # (1) A path to an anchor, every certificate valid at this time. RFC 5280 §6.1.
        path = self._path(certificate, now)
        # (2) An end entity that may sign. RFC 5280 §4.2.1.3, §4.2.1.9, §4.2.1.12.
        _require_signing_use(certificate)
        # (3) A key of a kind that signatures can be made with, by its holder alone.
        parsed = x509.load_der_x509_certificate(der)
        public_key = signing_key(parsed)
        validities = [link["tbs_certificate"]["validity"] for link in _links(path)]
        return ValidatedCertificate(
            digest=hashlib.sha256(der).digest(),
            der=der,
            subject_identifier=_organization_identifier(parsed),
            public_key=public_key,
            path_valid_from=max(validity["not_before"].native for validity in validities),
            path_valid_until=min(validity["not_after"].native for validity in validities),
        )

    def path(self, der: bytes, now: datetime) -> ValidationPath:
        """The way from an anchor to a DER certificate as of `now`.

        Raises CertificateRejectedError.
        """
        return self._path(_load(der), now)

    def _path(self, certificate: asn1_x509.Certificate, now: datetime) -> ValidationPath:
        validator = CertificateValidator(
            certificate,
            intermediate_certs=self.intermediate_certificates,
            validation_context=ValidationContext(
                trust_roots=self._bounded_anchors,
                moment=now,
                allow_fetching=False,
                revocation_mode="soft-fail",
                time_tolerance=timedelta(),
            ),
        )
        try:
            return run_without_waiting(validator.async_validate_path())
        except (ValidationError, PathBuildingError) as error:
            # The library keeps the error in a frame that the error knows: what is above that frame,
            # the whole message with it, would wait for a collector of cycles.
            error.__traceback__ = None
            raise CertificateRejectedError(str(error)) from error


def run_without_waiting(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine that has nothing to wait for: without fetching, validation is pure.

    Raises CertificateRejectedError: it wants to wait after all.
    """
    try:
        work.send(None)
    except StopIteration as stop:
        return cast(Result, stop.value)
    work.close()
    raise CertificateRejectedError("path validation asked for material that it was not given")


def _links(path: ValidationPath) -> list[asn1_x509.Certificate]:
    return list(path.iter_certs(include_root=True))


def _load(der: bytes) -> asn1_x509.Certificate:
    if len(der) > CERTIFICATE_BYTES_MAX:
        raise CertificateRejectedError(f"a certificate of {len(der)} bytes is not looked at")
    try:
        # Both readers must agree that this is a certificate: one checks the path, one the key.
        x509.load_der_x509_certificate(der)
        certificate = asn1_x509.Certificate.load(der, strict=True)
        certificate.native  # noqa: B018 - reads every field now, not in the middle of a check
    except UNREADABLE as error:
        raise CertificateRejectedError("not an X.509 certificate in DER") from error
    return certificate


def _require_signing_use(certificate: asn1_x509.Certificate) -> None:
    if certificate.ca:
        raise CertificateRejectedError("a certificate authority does not sign messages")
    usage = certificate.key_usage_value
    if usage is not None and not usage.native & {"digital_signature", "non_repudiation"}:
        raise CertificateRejectedError(
            "key usage allows neither digitalSignature nor nonRepudiation"
        )
    _require_signing_purpose(certificate)


def _require_signing_purpose(certificate: asn1_x509.Certificate) -> None:
    """An extended key usage that is there must allow what is done here. RFC 5280 §4.2.1.12."""
    extension = certificate.extended_key_usage_value
    if extension is None:
        return  # for any purpose
    purposes = set(extension.native)
    if purposes & SERVICE_PURPOSES:
        raise CertificateRejectedError("a certificate for OCSP or time-stamping signs no messages")
    if not purposes & SIGNING_PURPOSES:
        named = ", ".join(sorted(purposes))
        raise CertificateRejectedError(f"the extended key usage ({named[:256]}) allows no signing")


def _organization_identifier(certificate: x509.Certificate) -> str:
    values = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_IDENTIFIER)
    if len(values) != 1:
        return ""
    value = values[0].value
    return value if isinstance(value, str) else ""
