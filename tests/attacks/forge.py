"""Sign a message anew, with one thing about the signature as an attacker wants it.

What is not changed is right: a forgery of which nothing is changed is accepted, so that a case is
refused for the one thing that it is about.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from lxml import etree

from signing import names
from signing.names import DS, EXCLUSIVE_C14N, WSSE, WSU
from signing.policy import DIGEST_SHA256, ECDSA_SHA256, ED25519, RSA_SHA256
from tests.attacks.source import Source, at_end, identifier_of, out, with_attribute
from tests.nation import NOW

BLOCKS = ("client", "service", "userId", "id", "issue", "protocolVersion")
EXCLUSIVE = f'<ads:Transform Algorithm="{EXCLUSIVE_C14N}"/>'
HASHES: dict[str, str] = {
    DIGEST_SHA256: "sha256",
    "http://www.w3.org/2001/04/xmldsig-more#sha384": "sha384",
    "http://www.w3.org/2001/04/xmlenc#sha512": "sha512",
    "http://www.w3.org/2000/09/xmldsig#sha1": "sha1",
    "http://www.w3.org/2001/04/xmldsig-more#md5": "md5",
    "http://www.w3.org/2001/04/xmldsig-more#sha224": "sha224",
    "http://www.w3.org/2007/05/xmldsig-more#sha3-256": "sha3_256",
    "http://www.w3.org/2001/04/xmlenc#ripemd160": "sha1",
}


@dataclass(frozen=True, slots=True)
class _Form:
    """A canonical form of XML."""

    is_exclusive: bool = True
    has_comments: bool = False


_C14N = {
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315": _Form(is_exclusive=False),
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments": _Form(
        is_exclusive=False, has_comments=True
    ),
    f"{EXCLUSIVE_C14N}WithComments": _Form(has_comments=True),
}
_NO_VALUE = b"bm8gdmFsdWUgeWV0"


@dataclass(frozen=True, slots=True)
class Hand:
    """A key with the certificate that is sent along; nothing says that they are good."""

    key: Any = field(repr=False)
    certificate: bytes = field(repr=False)

    def algorithm(self) -> str:
        if isinstance(self.key, rsa.RSAPrivateKey):
            return RSA_SHA256
        return ECDSA_SHA256 if isinstance(self.key, ec.EllipticCurvePrivateKey) else ED25519

    def sign(self, data: bytes) -> bytes:
        """By this very algorithm, on P-256 for an elliptic curve."""
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            return raw_ecdsa(self.key.sign(data, ec.ECDSA(hashes.SHA256())), 32)
        return bytes(self.key.sign(data))


def raw_ecdsa(value: bytes, width: int) -> bytes:
    """r and s, each of this many bytes, of a value in DER."""
    r, s = decode_dss_signature(value)
    return r.to_bytes(width, "big") + s.to_bytes(width, "big")


@dataclass(frozen=True, slots=True)
class Ref:
    """One ds:Reference."""

    uri: str
    of: str = ""
    """The Id whose element is digested; by default that of the URI."""
    transforms: str = EXCLUSIVE
    digest_algorithm: str = DIGEST_SHA256
    digest: bytes | None = None
    """Instead of the right one."""
    attributes: str = ""
    extra: str = ""
    """XML behind the digest value."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How to sign. Every default is right."""

    hand: Hand
    algorithm: str | None = None
    canonicalisation: str = EXCLUSIVE_C14N
    canonicalisation_content: str = ""
    method_content: str = ""
    references: Sequence[Ref] | None = None
    """By default the Body, every header block and the timestamp."""
    more_references: Sequence[Ref] = ()
    leaves_out: frozenset[str] = frozenset()
    """Parts that are not referenced: `body`, `timestamp`, or the name of a header block."""
    reference: Callable[[Ref], Ref] = lambda ref: ref
    """Makes each reference what it is in the message."""
    token: str | None = None
    """The BinarySecurityToken; by default of the hand's certificate."""
    more_tokens: str = ""
    key_info: str = ""
    timestamp: str | None = None
    """By default created now, for five minutes."""
    in_signed_info: str = ""
    signed_info_attributes: str = ""
    in_signature: str = ""
    in_security: str = ""
    security_attributes: str = ""
    signer: Callable[[Hand, str, bytes], bytes] | None = None
    """Makes the signature value of SignedInfo's canonical bytes."""
    value_text: Callable[[bytes], bytes] = base64.b64encode
    """Writes the signature value."""


def forge(raw: bytes, plan: Plan) -> bytes:
    """The message with a security header made by the plan, in place of its own."""
    unsigned, ids = _prepared(raw)
    references = _references(plan, ids)
    algorithm = plan.hand.algorithm() if plan.algorithm is None else plan.algorithm
    draft = _with_security(unsigned, plan, algorithm, references, {})
    digests = {
        place: ref.digest if ref.digest is not None else _digest(draft, ref)
        for place, ref in enumerate(references)
    }
    draft = _with_security(unsigned, plan, algorithm, references, digests)
    canonical = _canonical_signed_info(draft, plan)
    sign = plan.signer or (lambda hand, _, data: hand.sign(data))
    return draft.replace(_NO_VALUE, plan.value_text(sign(plan.hand, algorithm, canonical)), 1)


def token(certificate: bytes, identifier: str = "f-token", *, value_type: str = "") -> str:
    """A BinarySecurityToken."""
    text = base64.b64encode(certificate).decode()
    return (
        f'<awsse:BinarySecurityToken awsu:Id="{identifier}" EncodingType="{names.BASE64_BINARY}" '
        f'ValueType="{value_type or names.X509_V3}">{text}</awsse:BinarySecurityToken>'
    )


def token_reference(identifier: str = "f-token") -> str:
    """The content of KeyInfo that refers to a token."""
    return (
        "<awsse:SecurityTokenReference>"
        f'<awsse:Reference URI="#{identifier}" ValueType="{names.X509_V3}"/>'
        "</awsse:SecurityTokenReference>"
    )


def timestamp(created: str | datetime = NOW, expires: str | datetime = "", more: str = "") -> str:
    """A wsu:Timestamp; no Expires if that is a text without letters."""
    created_text = created if isinstance(created, str) else moment_text(created)
    if expires == "" and isinstance(created, datetime):
        expires = moment_text(created + timedelta(minutes=5))
    expires_text = expires if isinstance(expires, str) else moment_text(expires)
    inside = f"<awsu:Created>{created_text}</awsu:Created>"
    if expires_text:
        inside += f"<awsu:Expires>{expires_text}</awsu:Expires>"
    return f'<awsu:Timestamp awsu:Id="f-timestamp">{inside}{more}</awsu:Timestamp>'


def moment_text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _prepared(raw: bytes) -> tuple[bytes, dict[str, str]]:
    """The message without its security header, an Id on every part that must be signed."""
    source = Source(raw)
    ids: dict[str, str] = {}
    edits = [out(source.security)]
    spans = {"body": source.body}
    for block in source.children(source.header):
        if block.tag.startswith("{http://x-road.eu/"):
            spans[block.tag.rpartition("}")[2]] = block
    for name, span in spans.items():
        try:
            ids[name] = identifier_of(source, span)
        except LookupError:
            ids[name] = f"f-{name}"
            attribute = f' xmlns:awsu="{WSU}" awsu:Id="f-{name}"'.encode()
            edits.append(with_attribute(source, span, attribute))
    ids["timestamp"] = "f-timestamp"
    return source.edited(*edits), ids


def _references(plan: Plan, ids: dict[str, str]) -> list[Ref]:
    chosen = plan.references
    if chosen is None:
        chosen = [Ref(f"#{one}") for name, one in ids.items() if name not in plan.leaves_out]
    return [plan.reference(ref) for ref in (*chosen, *plan.more_references)]


def _with_security(
    unsigned: bytes, plan: Plan, algorithm: str, references: list[Ref], digests: dict[int, bytes]
) -> bytes:
    written = "".join(
        f'<ads:Reference URI="{ref.uri}"{ref.attributes}>'
        + (f"<ads:Transforms>{ref.transforms}</ads:Transforms>" if ref.transforms else "")
        + f'<ads:DigestMethod Algorithm="{ref.digest_algorithm}"/><ads:DigestValue>'
        f"{base64.b64encode(digests.get(place, b'')).decode()}</ads:DigestValue>{ref.extra}"
        "</ads:Reference>"
        for place, ref in enumerate(references)
    )
    security = (
        f'<awsse:Security xmlns:awsse="{WSSE}" xmlns:awsu="{WSU}"{plan.security_attributes}>'
        + (token(plan.hand.certificate) if plan.token is None else plan.token)
        + plan.more_tokens
        + (timestamp() if plan.timestamp is None else plan.timestamp)
        + f'<ads:Signature xmlns:ads="{DS}"><ads:SignedInfo{plan.signed_info_attributes}>'
        f'<ads:CanonicalizationMethod Algorithm="{plan.canonicalisation}">'
        f"{plan.canonicalisation_content}</ads:CanonicalizationMethod>"
        f'<ads:SignatureMethod Algorithm="{algorithm}">{plan.method_content}</ads:SignatureMethod>'
        f"{written}{plan.in_signed_info}</ads:SignedInfo>"
        f"<ads:SignatureValue>{_NO_VALUE.decode()}</ads:SignatureValue>"
        f"<ads:KeyInfo>{plan.key_info or token_reference()}</ads:KeyInfo>"
        f"{plan.in_signature}</ads:Signature>{plan.in_security}</awsse:Security>"
    )
    source = Source(unsigned)
    return source.edited(at_end(source.header, security.encode()))


def _tree(raw: bytes) -> Any:
    return etree.fromstring(raw, etree.XMLParser(resolve_entities=False, remove_comments=False))


def _digest(draft: bytes, ref: Ref) -> bytes:
    identifier = ref.of or ref.uri.removeprefix("#")
    root = _tree(draft)
    found = root.xpath(f"//*[@wsu:Id='{identifier}' or @Id='{identifier}']", namespaces=_NAMES)
    element = found[0] if found else root
    how = re.search(r'Algorithm="([^"]*)"', ref.transforms)
    canonical = _canonical(element, how[1] if how else EXCLUSIVE_C14N)
    return hashlib.new(HASHES.get(ref.digest_algorithm, "sha256"), canonical).digest()


_NAMES = {"wsu": WSU, "ds": DS}


def _canonical_signed_info(draft: bytes, plan: Plan) -> bytes:
    element = _tree(draft).find(f".//{names.SECURITY}/{names.SIGNATURE}/{names.SIGNED_INFO}")
    prefixes = re.findall(r'PrefixList="([^"]*)"', plan.canonicalisation_content)
    return _canonical(element, plan.canonicalisation, prefixes[0].split() if prefixes else None)


def _canonical(element: Any, algorithm: str, prefixes: list[str] | None = None) -> bytes:
    form = _C14N.get(algorithm, _Form())
    return etree.tostring(
        element,
        method="c14n",
        with_tail=False,
        inclusive_ns_prefixes=prefixes,
        exclusive=form.is_exclusive,
        with_comments=form.has_comments,
    )
