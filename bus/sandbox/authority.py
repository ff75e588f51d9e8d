"""A certificate authority for the sandbox: one root that issues signing certificates."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from signing.pki.keys import PrivateKey, load_certificate, load_private_key, make_signer

ROOT_VALID_DAYS = 3650
CERTIFICATE_VALID_DAYS = 365
BACKDATED_MINUTES = 5
"""Certificates are valid a little earlier, for senders whose clocks are late."""
NAME_CHARACTERS_MAX = 64
"""X.520 ub-organization-name and ub-common-name (RFC 5280, Appendix A.1)."""


class KeyKind(StrEnum):
    """What kind of key a certificate is issued for."""

    RSA_2048 = "rsa-2048"
    P_256 = "p-256"


@dataclass(frozen=True, slots=True)
class Issued:
    """A new private key and its certificate, as PEM."""

    key_pem: bytes = field(repr=False)
    certificate_pem: bytes


@dataclass(frozen=True, slots=True)
class Holder:
    """Whom a certificate is for."""

    organization: str
    """The member's name."""
    organization_identifier: str
    """What leads to the member: its certificate_subject in routes.yaml."""
    subsystem: str
    """`VN/GOV/H41/motcua`."""


@dataclass(frozen=True, slots=True)
class StatusSources:
    """Where a certificate says that its status can be asked."""

    ocsp_url: str
    crl_url: str

    def extensions(self) -> list[x509.ExtensionType]:
        """RFC 5280 §4.2.2.1 and §4.2.1.13."""
        responder = x509.AccessDescription(
            AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(self.ocsp_url)
        )
        listed = x509.UniformResourceIdentifier(self.crl_url)
        return [
            x509.AuthorityInformationAccess([responder]),
            x509.CRLDistributionPoints([x509.DistributionPoint([listed], None, None, None)]),
        ]


class Authority:
    """A root that issues certificates directly. For sandboxes and tests only."""

    def __init__(self, key: PrivateKey, certificate: x509.Certificate) -> None:
        self._key = key
        self.certificate = certificate

    @classmethod
    def create(cls, name: str, now: datetime) -> Authority:
        """A root with a new P-256 key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, "VN"),
                x509.NameAttribute(NameOID.COMMON_NAME, name[:NAME_CHARACTERS_MAX]),
            ]
        )
        builder = _builder(subject, subject, key, now, ROOT_VALID_DAYS)
        builder = (
            builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(is_authority=True), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
        )
        return cls(key, builder.sign(key, hashes.SHA256()))

    @classmethod
    def load(cls, key_pem: bytes, certificate_pem: bytes) -> Authority:
        """The root that `key_pem` and `certificate_pem` wrote. Raises KeyUnusable."""
        key = load_private_key(key_pem)
        return cls(key, make_signer(key, load_certificate(certificate_pem)).certificate)

    def key_pem(self) -> bytes:
        """The root's private key: keep it where only its owner may read it."""
        return _key_pem(self._key)

    def certificate_pem(self) -> bytes:
        """The trust anchor."""
        return self.certificate.public_bytes(Encoding.PEM)

    def issue(
        self,
        holder: Holder,
        now: datetime,
        *,
        key_kind: KeyKind = KeyKind.P_256,
        valid_days: int = CERTIFICATE_VALID_DAYS,
        sources: StatusSources | None = None,
    ) -> Issued:
        """A new key with a certificate for signing messages; `sources` tell of its status."""
        key = _new_key(key_kind)
        builder = _builder(_subject(holder), self.certificate.subject, key, now, valid_days)
        for extension, is_critical in self._extensions(holder, key):
            builder = builder.add_extension(extension, critical=is_critical)
        for extension in sources.extensions() if sources else ():
            builder = builder.add_extension(extension, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return Issued(_key_pem(key), certificate.public_bytes(Encoding.PEM))

    def issue_for_time(self, name: str, now: datetime) -> Issued:
        """A new key with a certificate for timestamps and nothing else. RFC 3161 §2.3."""
        return self._issue_for_service(name, now, ExtendedKeyUsageOID.TIME_STAMPING)

    def issue_for_status(self, name: str, now: datetime) -> Issued:
        """A new key with a certificate for OCSP responses, itself exempt. RFC 6960 §4.2.2.2."""
        exempt = x509.OCSPNoCheck()
        return self._issue_for_service(name, now, ExtendedKeyUsageOID.OCSP_SIGNING, exempt)

    def sign_list(self, builder: x509.CertificateRevocationListBuilder) -> bytes:
        """A CRL in DER."""
        listed = builder.sign(self._key, hashes.SHA256())
        return listed.public_bytes(Encoding.DER)

    def _issue_for_service(
        self,
        name: str,
        now: datetime,
        usage: x509.ObjectIdentifier,
        *extensions: x509.ExtensionType,
    ) -> Issued:
        key = _new_key(KeyKind.P_256)
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, "VN"),
                x509.NameAttribute(NameOID.COMMON_NAME, name[:NAME_CHARACTERS_MAX]),
            ]
        )
        builder = (
            _builder(subject, self.certificate.subject, key, now, ROOT_VALID_DAYS)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(is_authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=True)
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return Issued(_key_pem(key), certificate.public_bytes(Encoding.PEM))

    def _extensions(self, holder: Holder, key: PrivateKey) -> list[tuple[x509.ExtensionType, bool]]:
        # What path validators ask of an end entity: RFC 5280 §4.2.1, and for clients a subject
        # alternative name and an extended key usage besides.
        authority_key = self.certificate.extensions.get_extension_for_class(
            x509.SubjectKeyIdentifier
        ).value
        return [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_key_usage(is_authority=False), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False),
            (
                x509.SubjectAlternativeName(
                    [x509.UniformResourceIdentifier(f"urn:lienthong:{holder.subsystem}")]
                ),
                False,
            ),
            (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
            (
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(authority_key),
                False,
            ),
        ]


def _builder(
    subject: x509.Name, issuer: x509.Name, key: PrivateKey, now: datetime, valid_days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=BACKDATED_MINUTES))
        .not_valid_after(now + timedelta(days=valid_days))
    )


def _subject(holder: Holder) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "VN"),
            x509.NameAttribute(
                NameOID.ORGANIZATION_NAME, holder.organization[:NAME_CHARACTERS_MAX]
            ),
            x509.NameAttribute(NameOID.ORGANIZATION_IDENTIFIER, holder.organization_identifier),
            x509.NameAttribute(NameOID.COMMON_NAME, holder.subsystem[:NAME_CHARACTERS_MAX]),
        ]
    )


def _key_usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        content_commitment=not is_authority,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )


def _new_key(kind: KeyKind) -> PrivateKey:
    match kind:
        case KeyKind.RSA_2048:
            return rsa.generate_private_key(public_exponent=65537, key_size=2048)
        case KeyKind.P_256:
            return ec.generate_private_key(ec.SECP256R1())
        case _:
            assert_never(kind)


def _key_pem(key: PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
