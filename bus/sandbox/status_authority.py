"""Tell the status of the sandbox's certificates: OCSP responses and a CRL."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from bus.sandbox.authority import Authority
from bus.sandbox.revocation_register import RevocationRegister
from signing.pki.keys import PrivateKey

OCSP_REQUEST_TYPE = "application/ocsp-request"
OCSP_REPLY_TYPE = "application/ocsp-response"
CRL_TYPE = "application/pkix-crl"
OCSP_VALIDITY = timedelta(seconds=60)
CRL_VALIDITY = timedelta(minutes=10)

_MALFORMED = ocsp.OCSPResponseStatus.MALFORMED_REQUEST
_UNAUTHORISED = ocsp.OCSPResponseStatus.UNAUTHORIZED


@dataclass(frozen=True, slots=True)
class Responder:
    """The key that signs OCSP responses, and its certificate."""

    key: PrivateKey = field(repr=False)
    certificate: x509.Certificate


class StatusAuthority:
    """Answers as a delegated responder; lists in the name of the authority itself."""

    def __init__(
        self, authority: Authority, responder: Responder, register: RevocationRegister
    ) -> None:
        """`responder` has a certificate of `authority` with the usage OCSPSigning."""
        self._authority = authority
        self._responder = responder
        self._register = register

    def answer(self, raw: bytes, now: datetime) -> bytes:
        """The OCSPResponse to an OCSPRequest in DER. RFC 6960 §2.3."""
        try:
            request = ocsp.load_der_ocsp_request(raw)
            algorithm = request.hash_algorithm
            name_hash, key_hash = request.issuer_name_hash, request.issuer_key_hash
            serial = request.serial_number
        except (ValueError, NotImplementedError):
            return _unsuccessful(_MALFORMED)
        if key_hash != _key_hash(self._authority.certificate, algorithm):
            return _unsuccessful(_UNAUTHORISED)
        revocation = self._register.revoked().get(serial)
        status = ocsp.OCSPCertStatus.REVOKED if revocation else ocsp.OCSPCertStatus.GOOD
        this_update = now.replace(microsecond=0)
        builder = ocsp.OCSPResponseBuilder().add_response_by_hash(
            issuer_name_hash=name_hash,
            issuer_key_hash=key_hash,
            serial_number=serial,
            algorithm=algorithm,
            cert_status=status,
            this_update=this_update,
            next_update=this_update + OCSP_VALIDITY,
            revocation_time=revocation.since if revocation else None,
            revocation_reason=revocation.reason if revocation else None,
        )
        certificate = self._responder.certificate
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, certificate)
        response = builder.certificates([certificate]).sign(self._responder.key, hashes.SHA256())
        return response.public_bytes(Encoding.DER)

    def crl(self, now: datetime) -> bytes:
        """The list of everything revoked, in DER. RFC 5280 §5."""
        this_update = now.replace(microsecond=0)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._authority.certificate.subject)
            .last_update(this_update)
            .next_update(this_update + CRL_VALIDITY)
            .add_extension(x509.CRLNumber(int(this_update.timestamp())), critical=False)
        )
        for one in self._register.revoked().values():
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(one.serial_number)
                .revocation_date(one.since)
                .add_extension(x509.CRLReason(one.reason), critical=False)
                .build()
            )
        return self._authority.sign_list(builder)


def _key_hash(certificate: x509.Certificate, algorithm: hashes.HashAlgorithm) -> bytes:
    """The hash of the key's bits without tag and length. RFC 6960 §4.1.1."""
    named = ocsp.OCSPRequestBuilder().add_certificate(certificate, certificate, algorithm)
    return named.build().issuer_key_hash


def _unsuccessful(status: ocsp.OCSPResponseStatus) -> bytes:
    response = ocsp.OCSPResponseBuilder.build_unsuccessful(status)
    return response.public_bytes(Encoding.DER)
