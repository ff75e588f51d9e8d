"""Make a WS-Security header: token, timestamp and one signature over the parts of an envelope.

What we write is in exclusive canonical form as it stands, so that the bytes that are digested are
the bytes that are sent, and signing needs no tree. WSS 1.1.1 §7, §8, §10; X.509 Token Profile 1.1.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from signing import names
from signing.algorithms import default_algorithm, sign_bytes
from signing.keys import Signer
from signing.policy import DIGEST_SHA256

TIMESTAMP_ID = "timestamp"
_X509_ID = "x509"
_SIGNATURE_ID = "signature"


@dataclass(frozen=True, slots=True)
class CanonicalPart:
    """A part of the envelope in exclusive canonical form, with its wsu:Id."""

    id: str
    canonical: bytes = field(repr=False)
    reference: bytes = field(repr=False, default=b"")
    """Its ds:Reference, where it was made before: see `with_reference`."""


def with_reference(part: CanonicalPart) -> CanonicalPart:
    """The part with its ds:Reference made now, for a part that stands in many messages."""
    return part if part.reference else CanonicalPart(part.id, part.canonical, _reference(part))


def timestamp_text(moment: datetime) -> str:
    """`xs:dateTime` in UTC with milliseconds. WSS §10."""
    return f"{moment.isoformat(timespec='milliseconds')[:23]}Z"


def security_header(
    parts: Sequence[CanonicalPart],
    signer: Signer,
    created: datetime,
    valid_for: timedelta,
    *,
    algorithm: str = "",
) -> bytes:
    """A `wsse:Security` element that signs `parts` and its own timestamp.

    The element declares every namespace that it uses; put it anywhere below the SOAP Header as
    it is. `algorithm` is a signature algorithm identifier; by default the one for the key's kind.
    Raises KeyUnusable if key and algorithm do not belong.
    """
    timestamp = _timestamp(created, created + valid_for)
    references = b"".join(
        part.reference or _reference(part)
        for part in (*parts, CanonicalPart(TIMESTAMP_ID, timestamp))
    )
    algorithm = algorithm or default_algorithm(signer.private_key)
    signed_info = (
        f'<ds:SignedInfo xmlns:ds="{names.DS}"><ds:CanonicalizationMethod '
        f'Algorithm="{names.EXCLUSIVE_C14N}"></ds:CanonicalizationMethod>'
        f'<ds:SignatureMethod Algorithm="{algorithm}"></ds:SignatureMethod>'
    ).encode() + (references + b"</ds:SignedInfo>")
    value = base64.b64encode(sign_bytes(signer.private_key, algorithm, signed_info))
    return b"".join(
        (
            _SECURITY_START,
            _TOKEN_START,
            base64.b64encode(signer.certificate_der),
            b"</wsse:BinarySecurityToken>",
            timestamp,
            _SIGNATURE_START,
            signed_info,
            b"<ds:SignatureValue>",
            value,
            b"</ds:SignatureValue>",
            _KEY_INFO,
            b"</ds:Signature></wsse:Security>",
        )
    )


_SECURITY_START = (
    f'<wsse:Security xmlns:soap="{names.SOAP11}" xmlns:wsse="{names.WSSE}" '
    f'xmlns:wsu="{names.WSU}" soap:mustUnderstand="1">'
).encode()
_TOKEN_START = (
    f'<wsse:BinarySecurityToken EncodingType="{names.BASE64_BINARY}" '
    f'ValueType="{names.X509_V3}" wsu:Id="{_X509_ID}">'
).encode()
_SIGNATURE_START = f'<ds:Signature xmlns:ds="{names.DS}" Id="{_SIGNATURE_ID}">'.encode()
_KEY_INFO = (
    f'<ds:KeyInfo><wsse:SecurityTokenReference><wsse:Reference URI="#{_X509_ID}" '
    f'ValueType="{names.X509_V3}"></wsse:Reference></wsse:SecurityTokenReference></ds:KeyInfo>'
).encode()
_REFERENCE_MIDDLE = (
    f'"><ds:Transforms><ds:Transform Algorithm="{names.EXCLUSIVE_C14N}"></ds:Transform>'
    f'</ds:Transforms><ds:DigestMethod Algorithm="{DIGEST_SHA256}"></ds:DigestMethod>'
    "<ds:DigestValue>"
).encode()


def _timestamp(created: datetime, expires: datetime) -> bytes:
    return (
        f'<wsu:Timestamp xmlns:wsu="{names.WSU}" wsu:Id="{TIMESTAMP_ID}">'
        f"<wsu:Created>{timestamp_text(created)}</wsu:Created>"
        f"<wsu:Expires>{timestamp_text(expires)}</wsu:Expires></wsu:Timestamp>"
    ).encode()


def _reference(part: CanonicalPart) -> bytes:
    value = base64.b64encode(hashlib.sha256(part.canonical).digest())
    return b"".join(
        (
            b'<ds:Reference URI="#',
            part.id.encode(),
            _REFERENCE_MIDDLE,
            value,
            b"</ds:DigestValue></ds:Reference>",
        )
    )
