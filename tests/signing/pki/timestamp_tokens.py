"""Make timestamp tokens: sound ones, changed ones, and ones from other authorities."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from asn1crypto import cms, tsp
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bus.sandbox.authority import Authority
from bus.sandbox.timestamp_authority import answer_timestamp_request
from signing.pki.keys import Signer, load_private_key, load_signer, make_signer
from signing.pki.timestamps import (
    TimestampTrust,
    timestamp_request,
)

NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


DATA = b"lienthong.example/vn\n17\nroot\n"


DAY = timedelta(days=1)


ROOT = Authority.create("Time Root", NOW)


ROOT_KEY: Any = load_private_key(ROOT.key_pem())
ISSUED = ROOT.issue_for_time("Time", NOW)


AUTHORITY = load_signer(ISSUED.key_pem, ISSUED.certificate_pem)


TIME, MAIL = ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.EMAIL_PROTECTION


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


TRUST = TimestampTrust([der(ROOT.certificate)])


def response(
    data: bytes = DATA, *, authority: Signer = AUTHORITY, at: datetime = NOW, nonce: int = 7
) -> bytes:
    return answer_timestamp_request(timestamp_request(data, nonce), authority, at)


def changed(change: Callable[[Any], None], raw: bytes | None = None) -> bytes:
    """The response after a change of its structure, encoded again."""
    read = tsp.TimeStampResp.load(raw or response())
    change(read)
    encoded: bytes = read.dump()
    return encoded


def resigned(
    change: Callable[[Any], None] = lambda info: None, *, named: dict[str, Any] | None = None
) -> bytes:
    """The response after a change of its TSTInfo, signed again by the authority.

    `named` is the attribute that names the certificate, in the place of the usual one.
    """

    def sign_again(read: Any) -> None:
        content = signed(read)["encap_content_info"]
        info = content["content"].parsed.copy()
        change(info)
        raw = info.dump(force=True)
        content["content"] = cms.ParsableOctetString(raw)
        attributes = {one["type"].native: one for one in signer_of(read)["signed_attrs"]}
        digest = hashlib.sha256(raw).digest()
        attributes["message_digest"] = {"type": "message_digest", "values": [digest]}
        if named is not None:
            attributes["signing_certificate_v2"] = named
        signer_of(read)["signed_attrs"] = list(attributes.values())
        key = cast(ec.EllipticCurvePrivateKey, AUTHORITY.private_key)
        to_sign = cms.CMSAttributes(list(attributes.values())).dump()
        signer_of(read)["signature"] = key.sign(to_sign, ec.ECDSA(hashes.SHA256()))

    return changed(sign_again)


def certified(*usages: x509.ObjectIdentifier, is_critical: bool = True) -> Signer:
    """An authority whose certificate is for other things."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "other")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(ROOT.certificate.subject)
        .public_key(key.public_key())
        .serial_number(99)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
    )
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=is_critical)
    return make_signer(key, builder.sign(ROOT_KEY, hashes.SHA256()))


def stamping(
    issuer: x509.Certificate,
    key: Any,
    *,
    at: datetime = NOW,
    name: str = "time",
    number: int = 0,
    extensions: Sequence[x509.ExtensionType] = (),
) -> Signer:
    """An authority for timestamps, valid for a day around `at`, issued under this certificate."""
    own = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer.subject)
        .public_key(own.public_key())
        .serial_number(number or x509.random_serial_number())
        .not_valid_before(at - DAY)
        .not_valid_after(at + DAY)
        .add_extension(x509.ExtendedKeyUsage([TIME]), critical=True)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return make_signer(own, builder.sign(key, hashes.SHA256()))


def beside(*certificates: bytes) -> Callable[[Any], None]:
    """Put certificates into the token besides the authority's."""

    def put(read: Any) -> None:
        held = list(signed(read)["certificates"])
        signed(read)["certificates"] = [*map(cms.Certificate.load, certificates), *held]

    return put


def signed(read: Any) -> Any:
    return read["time_stamp_token"]["content"]


def signer_of(read: Any) -> Any:
    return signed(read)["signer_infos"][0]


def info_of(read: Any) -> Any:
    return signed(read)["encap_content_info"]["content"].parsed
