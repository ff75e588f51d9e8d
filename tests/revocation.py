"""Make evidence of revocation: OCSP responses and CRLs, sound ones and ones with a defect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from asn1crypto import ocsp as ocsp_asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from signing.pki.revocation import Evidence
from tests.certificates import DAY, Issuer

HOUR = timedelta(hours=1)
OCSP_URL = "http://127.0.0.1:1/ocsp"
CRL_URL = "http://127.0.0.1:1/crl"
KEY_COMPROMISE = x509.ReasonFlags.key_compromise


def sources(*, ocsp_url: str = OCSP_URL, crl_url: str = CRL_URL) -> list[x509.ExtensionType]:
    """Extensions that name where a certificate's status can be asked; empty: not there."""
    found: list[x509.ExtensionType] = []
    if ocsp_url:
        location = x509.UniformResourceIdentifier(ocsp_url)
        access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, location)
        found.append(x509.AuthorityInformationAccess([access]))
    if crl_url:
        name = x509.UniformResourceIdentifier(crl_url)
        found.append(x509.CRLDistributionPoints([x509.DistributionPoint([name], None, None, None)]))
    return found


def make_responder(
    issuer: Issuer,
    now: datetime,
    *,
    usages: tuple[x509.ObjectIdentifier, ...] = (ExtendedKeyUsageOID.OCSP_SIGNING,),
    is_exempt: bool = True,
    valid_until: timedelta = 30 * DAY,
) -> Issuer:
    """A delegated responder: by default with the usage OCSPSigning, and not itself checked."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "responder")]))
        .issuer_name(issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + valid_until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    if is_exempt:
        builder = builder.add_extension(x509.OCSPNoCheck(), critical=False)
    return Issuer(key, builder.sign(issuer.key, hashes.SHA256()))


def ocsp_response(
    certificate: x509.Certificate,
    issuer: Issuer,
    this_update: datetime,
    *,
    responder: Issuer | None = None,
    revoked_at: datetime | None = None,
    valid_for: timedelta | None = HOUR,
    is_unknown: bool = False,
    hash_algorithm: Any = None,
) -> bytes:
    """What a responder, by default the issuer itself, says about a certificate."""
    speaker = responder or issuer
    status = ocsp.OCSPCertStatus.GOOD if revoked_at is None else ocsp.OCSPCertStatus.REVOKED
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=certificate,
        issuer=issuer.certificate,
        algorithm=hashes.SHA1(),
        cert_status=ocsp.OCSPCertStatus.UNKNOWN if is_unknown else status,
        this_update=this_update,
        next_update=None if valid_for is None else this_update + valid_for,
        revocation_time=revoked_at,
        revocation_reason=KEY_COMPROMISE if revoked_at else None,
    )
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, speaker.certificate)
    if responder is not None:
        builder = builder.certificates([responder.certificate])
    response = builder.sign(speaker.key, hash_algorithm or hashes.SHA256())
    return response.public_bytes(Encoding.DER)


def with_statements(issuer: Issuer, *responses: bytes) -> bytes:
    """One response of the issuer with the statements of several, in their order."""
    read = [ocsp_asn1.OCSPResponse.load(one) for one in responses]
    basic = read[0]["response_bytes"]["response"].parsed
    said = [one["response_bytes"]["response"].parsed["tbs_response_data"] for one in read]
    basic["tbs_response_data"]["responses"] = [one["responses"][0] for one in said]
    to_sign = basic["tbs_response_data"].dump(force=True)
    basic["signature"] = issuer.key.sign(to_sign, ec.ECDSA(hashes.SHA256()))
    read[0]["response_bytes"]["response"] = ocsp_asn1.BasicOCSPResponse.load(basic.dump(force=True))
    encoded: bytes = read[0].dump(force=True)
    return encoded


def make_crl(
    issuer: Issuer,
    this_update: datetime,
    revoked: Mapping[x509.Certificate, datetime] | None = None,
    *,
    valid_for: timedelta = 24 * HOUR,
    signed_by: Any = None,
    extensions: Sequence[x509.ExtensionType] = (),
) -> bytes:
    """A list of what an issuer revoked, and when."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(this_update)
        .next_update(this_update + valid_for)
        .add_extension(x509.CRLNumber(1), critical=False)
    )
    for certificate, since in (revoked or {}).items():
        entry = (
            x509.RevokedCertificateBuilder()
            .serial_number(certificate.serial_number)
            .revocation_date(since)
            .add_extension(x509.CRLReason(KEY_COMPROMISE), critical=False)
        )
        builder = builder.add_revoked_certificate(entry.build())
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(signed_by or issuer.key, hashes.SHA256()).public_bytes(Encoding.DER)


def about(certificate: x509.Certificate, der: bytes) -> Evidence:
    """Evidence as it is held: what it is about, and its bytes."""
    return Evidence(certificate.fingerprint(hashes.SHA256()), der)
