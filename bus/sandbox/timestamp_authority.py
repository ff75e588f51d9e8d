"""A time authority for the sandbox: RFC 3161 requests in, signed tokens out."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime

from asn1crypto import cms, tsp
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from signing import policy as uri
from signing.pki.keys import Signer

REQUEST_TYPE = "application/timestamp-query"
REPLY_TYPE = "application/timestamp-reply"
"""RFC 3161 §3.4."""
REQUEST_BYTES_MAX = 16 * 1024
POLICY = "2.999.3161"
"""Under the arc for examples (2.999): nobody's policy."""

_ACCURACY_SECONDS = 1
_HASHES = {"sha256": 32, "sha384": 48, "sha512": 64}
_SERIAL_BITS = 63


def answer_timestamp_request(raw: bytes, authority: Signer, now: datetime) -> bytes:
    """The TimeStampResp for a TimeStampReq in DER: a token over its imprint, or a refusal.

    `authority` signs with ECDSA P-256; its certificate is for timestamps.
    """
    try:
        request = tsp.TimeStampReq.load(raw[:REQUEST_BYTES_MAX], strict=True)
        imprint = request["message_imprint"]
        algorithm = imprint["hash_algorithm"]["algorithm"].native
        hashed = imprint["hashed_message"].native
        nonce, wants_certificate = request["nonce"].native, request["cert_req"].native
    except (ValueError, TypeError, KeyError):
        return _refusal("bad_data_format")
    if _HASHES.get(algorithm) != len(hashed):
        return _refusal("bad_alg")
    info = tsp.TSTInfo(
        {
            "version": "v1",
            "policy": POLICY,
            "message_imprint": imprint,
            "serial_number": secrets.randbits(_SERIAL_BITS),
            "gen_time": now.replace(microsecond=0),
            "accuracy": {"seconds": _ACCURACY_SECONDS},
            **({} if nonce is None else {"nonce": nonce}),
        }
    )
    token = _signed(info, authority, now, with_certificate=bool(wants_certificate))
    response: bytes = tsp.TimeStampResp(
        {"status": {"status": "granted"}, "time_stamp_token": token}
    ).dump()
    return response


def _signed(
    info: tsp.TSTInfo, authority: Signer, now: datetime, *, with_certificate: bool
) -> cms.ContentInfo:
    certificate = asn1_x509.Certificate.load(authority.certificate_der)
    attributes = _signed_attributes(info, authority, now)
    value = authority.sign(uri.ECDSA_SHA256, attributes.dump())
    signer = {
        "version": "v1",
        "sid": cms.SignerIdentifier(
            "issuer_and_serial_number",
            {"issuer": certificate.issuer, "serial_number": certificate.serial_number},
        ),
        "digest_algorithm": {"algorithm": "sha256"},
        "signed_attrs": attributes,
        "signature_algorithm": {"algorithm": "sha256_ecdsa"},
        "signature": _der_of(value),
    }
    content = {
        "version": "v3",
        "digest_algorithms": [{"algorithm": "sha256"}],
        "encap_content_info": {"content_type": "tst_info", "content": info},
        "signer_infos": [signer],
    }
    if with_certificate:
        content["certificates"] = [certificate]
    return cms.ContentInfo({"content_type": "signed_data", "content": cms.SignedData(content)})


def _signed_attributes(info: tsp.TSTInfo, authority: Signer, now: datetime) -> cms.CMSAttributes:
    """RFC 5652 §11; RFC 5816 §2.2.1: the certificate is named by its digest."""
    named = tsp.SigningCertificateV2({"certs": [{"cert_hash": authority.certificate_sha256}]})
    return cms.CMSAttributes(
        [
            cms.CMSAttribute({"type": "content_type", "values": ["tst_info"]}),
            cms.CMSAttribute(
                {
                    "type": "signing_time",
                    "values": [cms.Time({"utc_time": now.replace(microsecond=0)})],
                }
            ),
            cms.CMSAttribute({"type": "signing_certificate_v2", "values": [named]}),
            cms.CMSAttribute(
                {
                    "type": "message_digest",
                    "values": [hashlib.sha256(info.dump()).digest()],
                }
            ),
        ]
    )


def _der_of(value: bytes) -> bytes:
    """r and s of XML Signature as the sequence of RFC 3279 §2.2.3."""
    half = len(value) // 2
    r, s = int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big")
    return encode_dss_signature(r, s)


def _refusal(reason: str) -> bytes:
    status = tsp.PKIStatusInfo({"status": "rejection", "fail_info": {reason}})
    # A refusal holds no token: the sequence has one member. RFC 3161 §2.4.2.
    content: bytes = status.dump()
    return bytes([0x30, len(content)]) + content
