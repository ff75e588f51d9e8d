"""Authorities beside the corpus's own: known to the hub, each with a flaw or a bound of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.attacks.keys import CAPTURED_AT, corpus_authority
from tests.certificates import AUTHORITY, DAY, Issuer

SECOND_ROOT = "second root"


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """What an authority's certificate says."""

    issuer: str
    path_length: int | None = None
    valid_until: timedelta = 100 * DAY
    permitted: str = ""
    """The only organization under which it may certify; empty: any."""
    excluded: str = ""
    is_authority: bool = True


WISHES: Mapping[str, SandboxOptions] = {
    SECOND_ROOT: SandboxOptions(SECOND_ROOT),
    "below a root that allows none": SandboxOptions("corpus"),
    "may certify end entities only": SandboxOptions(SECOND_ROOT, path_length=0),
    "one too deep": SandboxOptions("may certify end entities only"),
    "expired": SandboxOptions(SECOND_ROOT, valid_until=-DAY),
    "for another organization": SandboxOptions(SECOND_ROOT, permitted="Somebody else"),
    "not for this organization": SandboxOptions(SECOND_ROOT, excluded="EXAMPLE ONLY"),
    "not an authority": SandboxOptions(SECOND_ROOT, is_authority=False),
    "sound": SandboxOptions(SECOND_ROOT),
}


@cache
def authorities() -> Mapping[str, Issuer]:
    """Every authority by name; the hub knows the second root as anchor, the others between."""
    made: dict[str, Issuer] = {"corpus": corpus_authority()}
    for number, (name, wish) in enumerate(WISHES.items()):
        key = ec.derive_private_key(1_000 + number, ec.SECP256R1())
        issuer = made.get(wish.issuer)
        made[name] = Issuer(key, _certificate(name, key, wish, issuer))
    return made


def intermediates() -> list[x509.Certificate]:
    known = authorities()
    return [known[name].certificate for name in WISHES if name != SECOND_ROOT]


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"EXAMPLE ONLY {name}")])


def _certificate(
    name: str, key: ec.EllipticCurvePrivateKey, wish: SandboxOptions, issuer: Issuer | None
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(issuer.certificate.subject if issuer else _name(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(CAPTURED_AT - 365 * DAY)
        .not_valid_after(CAPTURED_AT + wish.valid_until)
        .add_extension(
            x509.BasicConstraints(ca=wish.is_authority, path_length=wish.path_length),
            critical=True,
        )
        .add_extension(AUTHORITY.extension(), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if wish.permitted or wish.excluded:
        builder = builder.add_extension(_constraints(wish), critical=True)
    signer = issuer.key if issuer else key
    return builder.sign(signer, hashes.SHA256())


def _constraints(wish: SandboxOptions) -> x509.NameConstraints:
    def subtree(organization: str) -> list[x509.GeneralName] | None:
        if not organization:
            return None
        attribute = x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)
        return [x509.DirectoryName(x509.Name([attribute]))]

    return x509.NameConstraints(subtree(wish.permitted), subtree(wish.excluded))
