"""Make a WS-Security header: token, timestamp and one signature over the parts of an envelope.

What we write is in exclusive canonical form as it stands, so that the bytes that are digested are
the bytes that are sent, and signing needs no tree. WSS 1.1.1 §7, §8, §10; X.509 Token Profile 1.1.
"""

from __future__ import annotations

import hashlib
from binascii import b2a_base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from urllib.parse import quote

from signing import names
from signing.pki.keys import Signer
from signing.policy import DIGEST_SHA256
from signing.quick_init import quick_init
from signing.utc_text import text_in_milliseconds

TIMESTAMP_ID = "timestamp"
_X509_ID = "x509"
_SIGNATURE_ID = "signature"


@quick_init
@dataclass(frozen=True, slots=True)
class CanonicalPart:
    """A part of the envelope in exclusive canonical form, with its wsu:Id."""

    id: str
    canonical: bytes = field(repr=False)
    reference: bytes = field(repr=False, default=b"")
    """Its ds:Reference, where it was made before: see `with_reference`."""
    prefixes: tuple[str, ...] = ()
    """The PrefixList of its canonical form. Exclusive C14N §4."""


@quick_init
@dataclass(frozen=True, slots=True)
class CanonicalParts:
    """Parts that stand one after the other, and their ds:References, made beforehand."""

    canonical: bytes = field(repr=False)
    references: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class AttachmentPart:
    """An attachment that is signed by its content. SwA Profile 1.1.1 §5.4.2."""

    content_id: str
    """Without angle brackets."""
    digest: bytes
    """SHA-256 of the content, in the form that the transform gives it."""


def with_reference(part: CanonicalPart) -> CanonicalPart:
    """The part with its ds:Reference made now, for a part that stands in many messages."""
    return CanonicalPart(part.id, part.canonical, _reference(part), part.prefixes)


def together(parts: Iterable[CanonicalPart]) -> CanonicalParts:
    """Parts that will stand one after the other, ready to be signed."""
    canonical = references = b""
    for part in parts:
        canonical += part.canonical
        references += part.reference or _reference(part)
    return CanonicalParts(canonical, references)


def security_header(
    parts: Sequence[CanonicalPart],
    signer: Signer,
    created: datetime,
    valid_for: timedelta,
    *,
    algorithm: str = "",
    soap_namespace: str = names.SOAP11,
    attachments: Sequence[AttachmentPart] = (),
    ready: CanonicalParts | None = None,
) -> bytes:
    """A `wsse:Security` element that signs `ready`, `parts`, `attachments`, and its own timestamp.

    The element declares every namespace that it uses; put it anywhere below the SOAP Header as
    it is. `algorithm` is a signature algorithm identifier; by default the one for the key's kind.
    `soap_namespace` is that of the envelope around it.
    Raises KeyUnusableError if key and algorithm do not belong.
    """
    timestamp = _timestamp(created, created + valid_for)
    references = ready.references if ready is not None else b""
    for part in parts:
        references += part.reference or _reference(part)
    references += _reference(CanonicalPart(TIMESTAMP_ID, timestamp))
    if attachments:
        references += b"".join(_attachment_reference(one) for one in attachments)
    algorithm = algorithm or signer.algorithm
    signed_info = (
        f'<ds:SignedInfo xmlns:ds="{names.DS}"><ds:CanonicalizationMethod '
        f'Algorithm="{names.EXCLUSIVE_C14N}"></ds:CanonicalizationMethod>'
        f'<ds:SignatureMethod Algorithm="{algorithm}"></ds:SignatureMethod>'
    ).encode() + (references + b"</ds:SignedInfo>")
    value = b2a_base64(signer.sign(algorithm, signed_info), newline=False)
    return b"".join(
        (
            _SECURITY_STARTS[soap_namespace],
            _TOKEN_START,
            _token_text(signer.certificate_der),
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


_SECURITY_STARTS = {
    # SOAP 1.1 §4.2.3 writes 1, SOAP 1.2 Part 1 §5.2.3 an xs:boolean.
    soap: (
        f'<wsse:Security xmlns:soap="{soap}" xmlns:wsse="{names.WSSE}" '
        f'xmlns:wsu="{names.WSU}" soap:mustUnderstand="{understood}">'
    ).encode()
    for soap, understood in ((names.SOAP11, "1"), (names.SOAP12, "true"))
}
_TOKEN_START = (
    f'<wsse:BinarySecurityToken EncodingType="{names.BASE64_BINARY}" '
    f'ValueType="{names.X509_V3}" wsu:Id="{_X509_ID}">'
).encode()
_SIGNATURE_START = f'<ds:Signature xmlns:ds="{names.DS}" Id="{_SIGNATURE_ID}">'.encode()
_KEY_INFO = (
    f'<ds:KeyInfo><wsse:SecurityTokenReference><wsse:Reference URI="#{_X509_ID}" '
    f'ValueType="{names.X509_V3}"></wsse:Reference></wsse:SecurityTokenReference></ds:KeyInfo>'
).encode()


def _reference_middle(transform: str, parameters: str = "") -> bytes:
    return (
        f'"><ds:Transforms><ds:Transform Algorithm="{transform}">{parameters}</ds:Transform>'
        f'</ds:Transforms><ds:DigestMethod Algorithm="{DIGEST_SHA256}"></ds:DigestMethod>'
        "<ds:DigestValue>"
    ).encode()


_REFERENCE_MIDDLE = _reference_middle(names.EXCLUSIVE_C14N)
_ATTACHMENT_MIDDLE = _reference_middle(names.ATTACHMENT_CONTENT)
_REFERENCE_END = b"</ds:DigestValue></ds:Reference>"


@lru_cache(maxsize=64)
def _token_text(certificate_der: bytes) -> bytes:
    """The same in every message of one signer."""
    return b2a_base64(certificate_der, newline=False)


def _timestamp(created: datetime, expires: datetime) -> bytes:
    """Times are `xs:dateTime` in UTC with milliseconds. WSS §10."""
    return (
        f'<wsu:Timestamp xmlns:wsu="{names.WSU}" wsu:Id="{TIMESTAMP_ID}">'
        f"<wsu:Created>{text_in_milliseconds(created)}</wsu:Created>"
        f"<wsu:Expires>{text_in_milliseconds(expires)}</wsu:Expires></wsu:Timestamp>"
    ).encode()


def _reference(part: CanonicalPart) -> bytes:
    value = b2a_base64(hashlib.sha256(part.canonical).digest(), newline=False)
    middle = _inclusive_middle(part.prefixes) if part.prefixes else _REFERENCE_MIDDLE
    return b"".join((b'<ds:Reference URI="#', part.id.encode(), middle, value, _REFERENCE_END))


def _inclusive_middle(prefixes: Sequence[str]) -> bytes:
    parameters = (
        f'<ec:InclusiveNamespaces xmlns:ec="{names.EXCLUSIVE_C14N}" '
        f'PrefixList="{" ".join(prefixes)}"></ec:InclusiveNamespaces>'
    )
    return _reference_middle(names.EXCLUSIVE_C14N, parameters)


def _attachment_reference(part: AttachmentPart) -> bytes:
    # RFC 2392: a Content-ID stands percent-encoded in a cid: URL.
    uri = quote(part.content_id, safe="@!$'()*+,;=:")
    value = b2a_base64(part.digest, newline=False)
    return b"".join(
        (b'<ds:Reference URI="cid:', uri.encode(), _ATTACHMENT_MIDDLE, value, _REFERENCE_END)
    )
