"""Find a certificate by what a message says about it, among certificates that are at hand.

Finding is not trusting: whatever is found here is led to an anchor like any other certificate.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from signing.errors import CertificateRejectedError
from signing.pki.distinguished_names import NameKey, name_key

CERTIFICATE_BYTES_MAX = 16 * 1024
"""Largest DER certificate that is looked at, in bytes."""

_UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What the reader raises over bytes that are no certificate, or one with odd extensions."""


class Naming(Enum):
    """How a message can name a certificate that it does not carry."""

    KEY_IDENTIFIER = "subject key identifier"
    THUMBPRINT = "SHA-1 thumbprint"
    ISSUER_SERIAL = "issuer and serial number"
    SUBJECT = "subject name"


Name = tuple[Naming, bytes | NameKey | tuple[NameKey, int]]
"""A way of naming, and what it says."""


@dataclass(frozen=True, slots=True)
class NamedCertificate:
    """A certificate with every name that leads to it."""

    der: bytes = field(repr=False)
    names: frozenset[Name] = field(repr=False)
    subject: NameKey
    issuer: NameKey
    public_key: bytes = field(repr=False)
    """SubjectPublicKeyInfo in DER."""
    valid_from: datetime
    valid_until: datetime

    def holds(self, now: datetime) -> bool:
        """It is valid at `now`."""
        return self.valid_from <= now <= self.valid_until


def read_named(der: bytes) -> NamedCertificate:
    """Read a DER certificate. Raises CertificateRejectedError."""
    if len(der) > CERTIFICATE_BYTES_MAX:
        raise CertificateRejectedError(f"a certificate of {len(der)} bytes is not looked at")
    try:
        certificate = x509.load_der_x509_certificate(der)
        return _named(certificate, der)
    except _UNREADABLE as error:
        raise CertificateRejectedError("not an X.509 certificate in DER") from error


class KnownCertificates:
    """Certificates that a message may name without carrying them; never changes."""

    def __init__(self, certificates: Iterable[bytes] = ()) -> None:
        """From DER certificates; raises CertificateRejectedError."""
        self.certificates = tuple(certificates)
        """As given, in DER."""
        self._by_name: dict[Name, list[NamedCertificate]] = {}
        for named in map(read_named, dict.fromkeys(self.certificates)):
            for name in named.names:
                self._by_name.setdefault(name, []).append(named)

    def find(self, names: Sequence[Name], now: datetime) -> bytes:
        """The DER of the one certificate that every name leads to.

        Raises CertificateRejectedError: there is none, or it cannot be told which.
        """
        fitting = [one for one in self._by_name.get(names[0], ()) if one.names.issuperset(names)]
        if not fitting:
            spelt = " and ".join(naming.value for naming, _ in names)
            raise CertificateRejectedError(f"no certificate is known by this {spelt}")
        return _choose(fitting, now).der


def leaf_of(certificates: Iterable[bytes], names: Sequence[Name] = ()) -> bytes:
    """Of DER certificates that came together, the one that signs.

    It fits every one of `names` and issued none of the others. Raises CertificateRejectedError:
    there is no such certificate, or more than one.
    """
    read = [read_named(der) for der in dict.fromkeys(certificates)]
    leaves = [
        one
        for one in read
        if one.names.issuperset(names)
        and not any(other.issuer == one.subject for other in read if other is not one)
    ]
    if len(leaves) != 1:
        raise CertificateRejectedError(
            f"{len(leaves)} certificates of the message could be the signer"
        )
    return leaves[0].der


def _choose(fitting: Sequence[NamedCertificate], now: datetime) -> NamedCertificate:
    # A member that renews has two certificates for a while, often for one key.
    valid = [one for one in fitting if one.holds(now)] or list(fitting)
    if len({(one.public_key, one.subject) for one in valid}) > 1:
        raise CertificateRejectedError(f"{len(valid)} known certificates of different keys fit")
    return max(valid, key=lambda one: (one.valid_from, one.der))


def _named(certificate: x509.Certificate, der: bytes) -> NamedCertificate:
    subject, issuer = name_key(certificate.subject), name_key(certificate.issuer)
    public_key = certificate.public_key().public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )
    names: set[Name] = {
        (Naming.KEY_IDENTIFIER, _key_identifier(certificate)),
        (Naming.THUMBPRINT, hashlib.sha1(der, usedforsecurity=False).digest()),
        (Naming.ISSUER_SERIAL, (issuer, certificate.serial_number)),
        (Naming.SUBJECT, subject),
    }
    return NamedCertificate(
        der=der,
        names=frozenset(names),
        subject=subject,
        issuer=issuer,
        public_key=public_key,
        valid_from=certificate.not_valid_before_utc,
        valid_until=certificate.not_valid_after_utc,
    )


def _key_identifier(certificate: x509.Certificate) -> bytes:
    """SubjectKeyIdentifier; where there is none, as RFC 5280 §4.2.1.2 (1) makes it."""
    try:
        return certificate.extensions.get_extension_for_class(
            x509.SubjectKeyIdentifier
        ).value.digest
    except x509.ExtensionNotFound:
        return x509.SubjectKeyIdentifier.from_public_key(certificate.public_key()).digest
