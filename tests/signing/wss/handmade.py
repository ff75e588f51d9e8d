"""Messages signed in every shape that the hub must read, made without the hub's own signer.

The steps are those of XML Signature 1.1 §3.1, with lxml and cryptography called directly.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from lxml import etree

from signing import names
from signing import policy as uri
from signing.attachments import Attachment
from signing.pki.keys import Signer
from signing.policy import DIGEST_SHA256
from tests.signing.wss.signed_parts import BODY, ROUTE

EXCLUSIVE = f'Algorithm="{names.EXCLUSIVE_C14N}"/>'
TIMESTAMP = (
    f'<wsu:Timestamp xmlns:wsu="{names.WSU}"><wsu:Created>2026-03-01T08:00:00Z</wsu:Created>'
    "</wsu:Timestamp>"
)
HASHES: Mapping[str, str] = {
    uri.DIGEST_SHA1: "sha1",
    uri.DIGEST_SHA256: "sha256",
    uri.DIGEST_SHA512: "sha512",
}

Octets = Callable[[etree._Element], bytes]
"""What is digested, from the root of the message."""


@dataclass(frozen=True)
class Ref:
    """A ds:Reference, and how what it refers to becomes octets."""

    uri: str
    octets: Octets
    transform: str = f"<ds:Transform {EXCLUSIVE}"
    digest: str = DIGEST_SHA256

    def xml(self, root: etree._Element | None) -> str:
        value = (
            hashlib.new(HASHES[self.digest], self.octets(root)).digest()
            if root is not None
            else b""
        )
        return (
            f'<ds:Reference URI="{self.uri}"><ds:Transforms>{self.transform}</ds:Transforms>'
            f'<ds:DigestMethod Algorithm="{self.digest}"/>'
            f"<ds:DigestValue>{base64.b64encode(value).decode()}</ds:DigestValue></ds:Reference>"
        )


@dataclass(frozen=True)
class Handmade:
    """How a message is made; every field has the value of a plain one."""

    signer: Signer
    key_info: str
    tokens: str = ""
    references: Sequence[Ref] = ()
    method: str = f"<ds:CanonicalizationMethod {EXCLUSIVE}"
    canonical_info: Octets = field(default=lambda info: canonical(info))
    algorithm: str = uri.RSA_SHA256
    hash: hashes.HashAlgorithm = field(default_factory=hashes.SHA256)
    around: str = ""
    """Attributes and namespaces of the root."""
    body: str = BODY.canonical.decode()
    parts: Sequence[Ref] | None = None
    """The references to Body and route; None: in the plain way."""

    def raw(self) -> bytes:
        """The message."""
        root = etree.fromstring(self._text(None, ""))
        root = etree.fromstring(self._text(root, ""))
        info = root.find(f".//{names.SIGNED_INFO}")
        assert info is not None
        value = base64.b64encode(self._signed(self.canonical_info(info))).decode()
        return self._text(root, value).encode()

    def _text(self, root: etree._Element | None, value: str) -> str:
        parts = self.parts if self.parts is not None else (part("body"), part("route"))
        references = "".join(one.xml(root) for one in (*parts, *self.references))
        return (
            f"<e{self.around}><h>{ROUTE.canonical.decode()}"
            f'<wsse:Security xmlns:wsse="{names.WSSE}" xmlns:wsu="{names.WSU}">'
            f'{self.tokens}{TIMESTAMP}<ds:Signature xmlns:ds="{names.DS}"><ds:SignedInfo>'
            f'{self.method}<ds:SignatureMethod Algorithm="{self.algorithm}"/>{references}'
            f"</ds:SignedInfo><ds:SignatureValue>{value}</ds:SignatureValue>"
            f"<ds:KeyInfo>{self.key_info}</ds:KeyInfo></ds:Signature></wsse:Security></h>"
            f"{self.body}</e>"
        )

    def _signed(self, octets: bytes) -> bytes:
        key = self.signer.private_key
        if isinstance(key, rsa.RSAPrivateKey):
            return key.sign(octets, padding.PKCS1v15(), self.hash)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        width = (key.curve.key_size + 7) // 8
        r, s = decode_dss_signature(key.sign(octets, ec.ECDSA(self.hash)))
        return r.to_bytes(width, "big") + s.to_bytes(width, "big")


# --- pieces ----------------------------------------------------------------------------------


def canonical(element: etree._Element, *, exclusive: bool = True) -> bytes:
    return etree.tostring(element, method="c14n", exclusive=exclusive, with_tail=False)


def by_id(root: etree._Element, identifier: str) -> etree._Element:
    found: Any = root.xpath("//*[@wsu:Id = $id]", namespaces={"wsu": names.WSU}, id=identifier)
    (one,) = found
    assert isinstance(one, etree._Element)
    return one


def part(identifier: str, *, digest: str = DIGEST_SHA256) -> Ref:
    return Ref(f"#{identifier}", lambda root: canonical(by_id(root, identifier)), digest=digest)


def binary_token(
    content: bytes, value_type: str = names.X509_V3, attributes: str = 'wsu:Id="token"'
) -> str:
    return (
        f'<wsse:BinarySecurityToken EncodingType="{names.BASE64_BINARY}" '
        f'ValueType="{value_type}" {attributes}>{base64.b64encode(content).decode()}'
        "</wsse:BinarySecurityToken>"
    )


def token_reference(inside: str, attributes: str = "") -> str:
    return f"<wsse:SecurityTokenReference {attributes}>{inside}</wsse:SecurityTokenReference>"


TO_TOKEN = '<wsse:Reference URI="#token"/>'


def key_identifier(value: bytes, value_type: str) -> str:
    return (
        f'<wsse:KeyIdentifier ValueType="{value_type}" EncodingType="{names.BASE64_BINARY}">'
        f"{base64.b64encode(value).decode()}</wsse:KeyIdentifier>"
    )


def x509_data(*inside: str) -> str:
    return f"<ds:X509Data>{''.join(inside)}</ds:X509Data>"


def x509_certificate(der: bytes) -> str:
    return f"<ds:X509Certificate>{base64.b64encode(der).decode()}</ds:X509Certificate>"


def issuer_serial(issuer: str, serial: object) -> str:
    return (
        f"<ds:X509IssuerSerial><ds:X509IssuerName>{issuer}</ds:X509IssuerName>"
        f"<ds:X509SerialNumber>{serial}</ds:X509SerialNumber></ds:X509IssuerSerial>"
    )


def token_transform(prefixes: str = "") -> str:
    listed = (
        f'<e:InclusiveNamespaces xmlns:e="{names.EXCLUSIVE_C14N}" PrefixList="{prefixes}"/>'
        if prefixes
        else ""
    )
    return (
        f'<ds:Transform Algorithm="{names.STR_TRANSFORM}"><wsse:TransformationParameters>'
        f'<ds:CanonicalizationMethod Algorithm="{names.EXCLUSIVE_C14N}">{listed}'
        "</ds:CanonicalizationMethod></wsse:TransformationParameters></ds:Transform>"
    )


def attachment(
    content: bytes,
    content_id: str = "a1@example.vn",
    media_type: str = "application/pdf",
    headers: Sequence[tuple[str, str]] = (),
    *,
    piece_bytes: int = 5,
    with_digests: bool = False,
) -> Attachment:
    def chunks() -> Iterator[bytes]:
        for start in range(0, len(content), piece_bytes):
            yield content[start : start + piece_bytes]

    digests = {uri.DIGEST_SHA256: hashlib.sha256(content).digest()} if with_digests else {}
    every = (("Content-ID", f"<{content_id}>"), ("Content-Type", media_type), *headers)
    return Attachment(content_id, media_type, every, len(content), digests, chunks)


def attached(content_id: str, octets: bytes, transform: str = names.ATTACHMENT_CONTENT) -> Ref:
    return Ref(f"cid:{content_id}", lambda root: octets, f'<ds:Transform Algorithm="{transform}"/>')
