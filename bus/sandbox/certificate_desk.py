"""Revoke certificates of a sandbox's subsystems, and issue new ones."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from bus.sandbox.authority import Holder, KeyKind
from bus.sandbox.authority_files import AuthorityFiles
from bus.sandbox.description import DescribedSubsystem, SandboxDescription
from bus.settings.routes import read_registry
from signing.pki.keys import load_certificate


@dataclass(frozen=True, slots=True)
class HandledCertificate:
    """A certificate that was revoked, or issued."""

    subsystem: str
    serial_number: int


def revoke_certificate(
    folder: Path, described: SandboxDescription, subsystem: str, reason: str, now: datetime
) -> HandledCertificate:
    """Enter the certificate of a subsystem as revoked. Raises NameUnknown."""
    found = _described(described, subsystem)
    certificate = load_certificate(Path(found.certificate).read_bytes())
    AuthorityFiles(folder).register().revoke(certificate, now, reason)
    return HandledCertificate(found.id, certificate.serial_number)


def issue_again(
    folder: Path, described: SandboxDescription, subsystem: str, now: datetime
) -> HandledCertificate:
    """Write a new key and certificate over those of a subsystem. Raises NameUnknown."""
    found = _described(described, subsystem)
    registry = read_registry(folder / "routes.yaml")
    member = registry.members[described.subsystem_id(subsystem).member]
    holder = Holder(member.name, member.certificate_subject, found.id)
    before = load_certificate(Path(found.certificate).read_bytes())
    files = AuthorityFiles(folder)
    issued = files.authority().issue(
        holder, now, key_kind=_kind_of(before), sources=files.sources(described.authority_url)
    )
    Path(found.key).write_bytes(issued.key_pem)
    Path(found.certificate).write_bytes(issued.certificate_pem)
    return HandledCertificate(found.id, load_certificate(issued.certificate_pem).serial_number)


def _kind_of(certificate: x509.Certificate) -> KeyKind:
    is_rsa = isinstance(certificate.public_key(), rsa.RSAPublicKey)
    return KeyKind.RSA_2048 if is_rsa else KeyKind.P_256


def _described(described: SandboxDescription, subsystem: str) -> DescribedSubsystem:
    wanted = str(described.subsystem_id(subsystem))
    return next(one for one in described.subsystems if one.id == wanted)
