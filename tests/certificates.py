"""Make certificates, sound ones and ones with a defect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Issuer:
    """A key that issues certificates, and its own certificate."""

    key: Any
    certificate: x509.Certificate


@dataclass(frozen=True, slots=True)
class Usage:
    """What a certificate says that its key is for."""

    is_authority: bool = False
    may_sign: bool = True
    may_encipher: bool = False

    def extension(self) -> x509.KeyUsage:
        return x509.KeyUsage(
            digital_signature=self.may_sign and not self.is_authority,
            content_commitment=False,
            key_encipherment=self.may_encipher,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=self.is_authority,
            crl_sign=self.is_authority,
            encipher_only=False,
            decipher_only=False,
        )


SIGNING = Usage()
AUTHORITY = Usage(is_authority=True)
ENCIPHERING = Usage(may_sign=False, may_encipher=True)


def make_certificate(
    issuer: Issuer,
    public_key: Any,
    now: datetime,
    *,
    identifier: str | None = "VN/GOV/H41",
    name: str = "leaf",
    valid_from: timedelta = -DAY,
    valid_until: timedelta = 30 * DAY,
    usage: Usage | None = SIGNING,
    extensions: Sequence[x509.ExtensionType] = (),
) -> x509.Certificate:
    """A certificate for `public_key`; `identifier` is its organizationIdentifier."""
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    if identifier is not None:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_IDENTIFIER, identifier))
    is_authority = usage is not None and usage.is_authority
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(attributes))
        .issuer_name(issuer.certificate.subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + valid_from)
        .not_valid_after(now + valid_until)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )
    if usage is not None:
        builder = builder.add_extension(usage.extension(), critical=True)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    is_edwards = isinstance(issuer.key, ed25519.Ed25519PrivateKey)
    return builder.sign(issuer.key, None if is_edwards else hashes.SHA256())


def make_root(
    name: str, now: datetime, key: Any = None, *, valid_until: timedelta = 365 * DAY
) -> Issuer:
    """A self-signed authority, valid since a year before `now`, by default for one after it."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 365 * DAY)
        .not_valid_after(now + valid_until)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(AUTHORITY.extension(), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return Issuer(key, builder.sign(key, hashes.SHA256()))
