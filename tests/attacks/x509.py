"""Certificates that no library would write: odd keys, odd names, odd extensions, signed rightly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from asn1crypto import algos, core, keys, x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.attacks.cases import Stage
from tests.attacks.forge import Hand
from tests.certificates import make_certificate
from tests.nation import NOW, der

ORGANIZATION_IDENTIFIER = "2.5.4.97"
Change = Callable[[x509.TbsCertificate], None]


def altered(
    stage: Stage,
    change: Change,
    key: Any = None,
    *,
    patch: Callable[[bytes], bytes] = lambda signed: signed,
) -> Hand:
    """A certificate of the corpus's authority, with a change made before it was signed.

    `patch` changes its DER besides, where nothing else writes what is wanted.
    """
    key = key or ec.generate_private_key(ec.SECP256R1())
    issuer = stage.nation.issuer
    certificate = x509.Certificate.load(der(make_certificate(issuer, key.public_key(), NOW)))
    tbs = certificate["tbs_certificate"]
    change(tbs)
    signed = patch(tbs.dump(force=True))
    value = issuer.key.sign(signed, ec.ECDSA(hashes.SHA256()))
    algorithm = algos.SignedDigestAlgorithm({"algorithm": "sha256_ecdsa"}).dump()
    return Hand(key, _der(0x30, signed + algorithm + core.OctetBitString(value).dump()))


def with_public_key(info: bytes) -> Change:
    """Another key in the certificate than the one it was made for (DER SubjectPublicKeyInfo)."""

    def change(tbs: x509.TbsCertificate) -> None:
        tbs["subject_public_key_info"] = keys.PublicKeyInfo.load(info)

    return change


def rsa_public_key(modulus: int, exponent: int) -> bytes:
    """DER of an RSA key, however odd."""
    info = keys.PublicKeyInfo(
        {
            "algorithm": keys.PublicKeyAlgorithm({"algorithm": "rsa", "parameters": core.Null()}),
            "public_key": keys.RSAPublicKey({"modulus": modulus, "public_exponent": exponent}),
        }
    )
    return bytes(info.dump())


def edwards_public_key(point: bytes) -> bytes:
    """DER of an Ed25519 key with this encoded point. RFC 8410 §4."""
    return bytes.fromhex("302a300506032b6570032100") + point


def public_key(key: Any) -> bytes:
    info: bytes = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return info


def with_subject(*parts: Sequence[tuple[str, str | bytes]]) -> Change:
    """A subject of these relative names, each of one or more attributes: OID, value.

    A text becomes a UTF8String; bytes are the DER of the value.
    """

    def change(tbs: x509.TbsCertificate) -> None:
        relative = [_relative_name(part) for part in parts]
        tbs["subject"] = x509.Name.load(_der(0x30, b"".join(relative)))

    return change


def _relative_name(attributes: Sequence[tuple[str, str | bytes]]) -> bytes:
    encoded = sorted(
        _der(
            0x30,
            core.ObjectIdentifier(oid).dump()
            + (_der(0x0C, value.encode()) if isinstance(value, str) else value),
        )
        for oid, value in attributes
    )
    return _der(0x31, b"".join(encoded))


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def with_extension(oid: str, value: bytes, *, critical: bool) -> Change:
    """One extension more, or instead of the one with this OID."""

    def change(tbs: x509.TbsCertificate) -> None:
        kept = [one for one in tbs["extensions"] if one["extn_id"].dotted != oid]
        more = x509.Extension(
            {
                "extn_id": oid,
                "critical": critical,
                "extn_value": core.ParsableOctetString(value),
            }
        )
        tbs["extensions"] = x509.Extensions([*kept, more])

    return change


def with_uses(*purposes: str) -> Change:
    """An extended key usage of these OIDs. RFC 5280 §4.2.1.12."""
    content = b"".join(core.ObjectIdentifier(one).dump() for one in purposes)
    return with_extension("2.5.29.37", _der(0x30, content), critical=False)
