"""Ask a time authority for a timestamp, and prove one: RFC 3161 tokens over bytes of ours.

Certificates are judged as of the time that the token itself tells (genTime): that is what a
timestamp is for. Path and CMS signature are checked by libraries, what RFC 3161 and RFC 5816 ask
beyond them is checked here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import rfc3161_client
from asn1crypto import algos, cms, core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from pyhanko_certvalidator import CertificateValidator, ValidationContext
from pyhanko_certvalidator.errors import PathBuildingError, ValidationError
from pyhanko_certvalidator.path import ValidationPath

TIMESTAMP_BYTES_MAX = 64 * 1024
"""Largest response of a time authority that is looked at; usual are 1 to 6 KiB."""

_DIGESTS = {"sha256": hashlib.sha256, "sha384": hashlib.sha384, "sha512": hashlib.sha512}
_UNITS = {"seconds": "seconds", "millis": "milliseconds", "micros": "microseconds"}
"""Of an accuracy: its name in RFC 3161 §2.4.2, and ours."""
_GRANTED = "granted"
_UNREADABLE = (ValueError, TypeError, AttributeError, LookupError, UnsupportedAlgorithm)
"""What the readers raise over bytes that are no such token, found by changing each byte."""


class TimestampInvalid(ValueError):
    """These bytes prove no time: no token, for other data, or not from an authority we trust."""


@dataclass(frozen=True, slots=True)
class Timestamp:
    """What a proved token says."""

    time: datetime
    """genTime: when the authority saw the data (aware, UTC)."""
    accuracy: timedelta
    """How far its clock may be off; zero if it does not say."""
    serial_number: int
    policy: str
    """The authority's policy, a dotted object identifier."""


@dataclass(frozen=True, slots=True)
class _ProvedPath:
    """A certificate with its path to an anchor, and the time in which all of it is valid."""

    certificate: bytes
    links: list[bytes]
    first: datetime
    last: datetime


class TimestampTrust:
    """Which time authorities are believed: anchors of their own, apart from those of messages.

    Owns the path that was proved last: an authority signs many tokens with one certificate. Used
    from one thread.
    """

    def __init__(self, anchors: Sequence[bytes], intermediates: Sequence[bytes] = ()) -> None:
        """All in DER. Raises TimestampInvalid: unreadable."""
        try:
            self._anchors = [_certificate(der) for der in anchors]
            self._intermediates = [_certificate(der) for der in intermediates]
        except _UNREADABLE as error:
            raise TimestampInvalid("not an X.509 certificate in DER") from error
        self._proved: _ProvedPath | None = None
        self.anchors = tuple(anchors)
        self.intermediates = tuple(intermediates)

    def path_of(
        self,
        certificate: asn1_x509.Certificate,
        sent: Sequence[asn1_x509.Certificate],
        at: datetime,
    ) -> list[bytes]:
        """The DER certificates from `certificate` to an anchor, each valid at that time.

        Raises TimestampInvalid.
        """
        der = certificate.dump()
        proved = self._proved
        if proved is None or proved.certificate != der or not proved.first <= at <= proved.last:
            proved = self._proved = self._prove(certificate, sent, at)
        return proved.links

    def _prove(
        self,
        certificate: asn1_x509.Certificate,
        sent: Sequence[asn1_x509.Certificate],
        at: datetime,
    ) -> _ProvedPath:
        validator = CertificateValidator(
            certificate,
            intermediate_certs=[*self._intermediates, *sent],
            validation_context=ValidationContext(
                trust_roots=self._anchors,
                moment=at,
                allow_fetching=False,
                revocation_mode="soft-fail",
            ),
        )
        try:
            path = _run_without_waiting(validator.async_validate_path())
        except (ValidationError, PathBuildingError) as error:
            raise TimestampInvalid(f"the authority's certificate: {error}") from error
        links = list(path.iter_certs(include_root=True))
        validities = [link["tbs_certificate"]["validity"] for link in links]
        return _ProvedPath(
            certificate=certificate.dump(),
            links=[link.dump() for link in links],
            first=max(validity["not_before"].native for validity in validities),
            last=min(validity["not_after"].native for validity in validities),
        )


def timestamp_request(data: bytes, nonce: int) -> bytes:
    """The request for a token over SHA-256 of `data`, with the authority's certificate.

    RFC 3161 §2.4.1. The nonce, a large random number, comes back in the token.
    """
    request = tsp.TimeStampReq(
        {
            "version": "v1",
            "message_imprint": {
                "hash_algorithm": {"algorithm": "sha256"},
                "hashed_message": hashlib.sha256(data).digest(),
            },
            "nonce": nonce,
            "cert_req": True,
        }
    )
    encoded: bytes = request.dump()
    return encoded


def verify_timestamp(
    response: bytes, data: bytes, trust: TimestampTrust, *, nonce: int | None = None
) -> Timestamp:
    """Prove that an authority in `trust` saw `data` at the time that is returned.

    1. The response is a TimeStampResp in DER, and granted.
    2. Its token is CMS signed data over a TSTInfo, with one signer.
    3. The imprint is that of `data`, by SHA-256 or better; the nonce is ours, where one is given.
    4. The signer's certificate leads to an anchor as of genTime.
    5. It is for timestamps and for nothing else, and the signature itself names it.
    6. The CMS signature holds.

    Raises TimestampInvalid.
    """
    try:
        return _TimestampToken(response).verify(data, trust, nonce)
    except _UNREADABLE as error:
        if isinstance(error, TimestampInvalid):
            raise
        raise TimestampInvalid("no timestamp response in its form") from error


class _Response(core.Sequence):  # type: ignore[misc]
    """TimeStampResp. RFC 3161 §2.4.2: a refusal has no token."""

    _fields = [  # noqa: RUF012 - the library's form
        ("status", tsp.PKIStatusInfo),
        ("time_stamp_token", cms.ContentInfo, {"optional": True}),
    ]


class _TimestampToken:
    """One response as read; nothing in it is proved before `verify`."""

    def __init__(self, response: bytes) -> None:
        # (1) RFC 3161 §2.4.2.
        if len(response) > TIMESTAMP_BYTES_MAX:
            raise TimestampInvalid(f"{len(response)} bytes, at most {TIMESTAMP_BYTES_MAX} are read")
        read = _Response.load(response, strict=True)
        status = read["status"]["status"].native
        if status != _GRANTED:
            raise TimestampInvalid(f"the authority did not grant it: {status}")
        # (2) RFC 3161 §2.4.2; RFC 5652 §5.1.
        token = read["time_stamp_token"]
        if token["content_type"].native != "signed_data":
            raise TimestampInvalid("the token is not CMS signed data")
        signed = token["content"]
        content = signed["encap_content_info"]
        if content["content_type"].native != "tst_info" or len(signed["signer_infos"]) != 1:
            raise TimestampInvalid("the token is not one signer's TSTInfo")
        self._response = response
        self._info = content["content"].parsed
        self._signer = signed["signer_infos"][0]
        self._sent = [one.chosen for one in signed["certificates"] if one.name == "certificate"]
        self._info.native  # noqa: B018 - reads every field now, not in the middle of a check

    def verify(self, data: bytes, trust: TimestampTrust, nonce: int | None) -> Timestamp:
        info = self._info
        # (3) RFC 3161 §2.4.2: compared with what was asked for.
        _check_imprint(info["message_imprint"], data)
        if nonce is not None and info["nonce"].native != nonce:
            raise TimestampInvalid("the token answers another request")
        # (4) RFC 5280 §6.1, as of genTime.
        time = info["gen_time"].native
        certificate = self._signing_certificate()
        path = trust.path_of(certificate, self._sent, time)
        # (5) RFC 3161 §2.3; RFC 5816 §2.2.1.
        _require_timestamping_only(certificate)
        _require_named(certificate, self._signer)
        # (6) RFC 5652 §5.6.
        self._check_signature(path, data)
        return Timestamp(
            time=time,
            accuracy=_accuracy(info["accuracy"].native or {}),
            serial_number=info["serial_number"].native,
            policy=info["policy"].dotted,
        )

    def _signing_certificate(self) -> asn1_x509.Certificate:
        """The one that the signer's identifier names; which one is proved by the signature."""
        sid = self._signer["sid"]
        if sid.name != "issuer_and_serial_number":
            raise TimestampInvalid("the signer is not named by issuer and serial number")
        for certificate in self._sent:
            is_number = certificate.serial_number == sid.chosen["serial_number"].native
            if is_number and certificate.issuer == sid.chosen["issuer"]:
                return certificate
        raise TimestampInvalid("the authority's certificate is not in the token")

    def _check_signature(self, path: list[bytes], data: bytes) -> None:
        roots = [x509.load_der_x509_certificate(der) for der in path]
        verifier = rfc3161_client.VerifierBuilder(roots=roots).build()
        try:
            parsed = rfc3161_client.decode_timestamp_response(self._response)
            verifier.verify_message(parsed, data)
        except rfc3161_client.VerificationError as error:
            raise TimestampInvalid(f"the token's signature: {error}") from error


def _check_imprint(imprint: tsp.MessageImprint, data: bytes) -> None:
    algorithm = imprint["hash_algorithm"]["algorithm"].native
    digest = _DIGESTS.get(algorithm)
    if digest is None:
        raise TimestampInvalid(f"an imprint by {algorithm}; expected SHA-256 or better")
    if imprint["hashed_message"].native != digest(data).digest():
        raise TimestampInvalid("the token was made for other data")


def _require_timestamping_only(certificate: asn1_x509.Certificate) -> None:
    usage = certificate.extended_key_usage_value
    is_critical = "extended_key_usage" in certificate.critical_extensions
    if usage is None or usage.native != ["time_stamping"] or not is_critical:
        raise TimestampInvalid("the authority's certificate is not for timestamps alone, critical")


def _require_named(certificate: asn1_x509.Certificate, signer: cms.SignerInfo) -> None:
    """The signed attributes hold the certificate's digest: none can be put in its place."""
    for attribute in signer["signed_attrs"]:
        if attribute["type"].native in ("signing_certificate", "signing_certificate_v2"):
            named = attribute["values"][0]["certs"][0]
            if named["cert_hash"].native == _named_digest(named, certificate.dump()):
                return
    raise TimestampInvalid("the signature does not name the authority's certificate")


def _named_digest(named: tsp.ESSCertID | tsp.ESSCertIDv2, der: bytes) -> bytes:
    if isinstance(named, tsp.ESSCertID):  # RFC 2634 §5.4.1: SHA-1; the signature is another's work
        return hashlib.sha1(der, usedforsecurity=False).digest()
    algorithm: algos.DigestAlgorithm = named["hash_algorithm"]
    return _DIGESTS[algorithm["algorithm"].native](der).digest()


def _accuracy(native: dict[str, int | None]) -> timedelta:
    said = {_UNITS[name]: value for name, value in native.items() if value is not None}
    return timedelta(**said)


def _certificate(der: bytes) -> asn1_x509.Certificate:
    certificate = asn1_x509.Certificate.load(der, strict=True)
    certificate.native  # noqa: B018 - reads every field now, not in the middle of a check
    return certificate


def _run_without_waiting(work: Coroutine[Any, Any, ValidationPath]) -> ValidationPath:
    """Run a coroutine that has nothing to wait for: without fetching, validation is pure."""
    try:
        work.send(None)
    except StopIteration as stop:
        path: ValidationPath = stop.value
        return path
    work.close()
    raise TimestampInvalid("path validation asked for material that it was not given")
