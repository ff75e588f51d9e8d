"""Verify the WS-Security signature of an envelope that was parsed once.

What is checked, in this order (WSS = WS-Security 1.1.1 SOAP Message Security, XDS = XML
Signature 1.1):

 (1) The security header holds one signature and one timestamp. WSS §6, §8, §10.
 (2) No two elements of the document carry the same wsu:Id or xml:id, and no Id that is referred
     to is carried twice in any spelling (Id, ID). XDS §4.4.3.3; WSS §4.2.
 (3) SignedInfo is canonicalised exclusively and signed by an allowed algorithm. XDS §4.4.
 (4) Every reference points into this document, has the exclusive canonicalisation as its only
     transform, and an allowed digest. WSS §8.1, §8.3.
 (5) The key is named by a reference to an X.509 token in the same security header. WSS §7.
 (6) The certificate leads to a trust anchor at this time; key and algorithm fit the policy.
 (7) The signature value fits SignedInfo and the key. XDS §3.2.2.
 (8) Every referenced element has the digest that was signed. XDS §3.2.1.
 (9) Every required part, at its required position, is one of the elements whose digest was
     checked: the same node, not one with the same Id. WSS §8.

Nothing is chosen from anything that the signature does not cover, but the certificate, which
must lead to an anchor and then to a member.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from lxml import etree

from signing import names
from signing.algorithms import digest, require_allowed, verify_bytes
from signing.canonical import canonicalise
from signing.certificates import TrustStore, ValidatedCertificate
from signing.elements import base64_of, only_child
from signing.errors import (
    CoverageInsufficient,
    DigestMismatch,
    SignatureMalformed,
    SignatureMissing,
)
from signing.policy import SignaturePolicy
from signing.signed_info import Reference, read_signed_info

_ALL_IDS = etree.XPath("//@wsu:Id | //@Id | //@ID | //@xml:id", namespaces={"wsu": names.WSU})
_STRICT_IDS = frozenset({names.WSU_ID, names.XML_ID})


@dataclass(frozen=True, slots=True)
class SignedPart:
    """A part that must be signed: what it is called, and the node at its position."""

    name: str
    element: etree._Element = field(repr=False)


@dataclass(frozen=True, slots=True)
class VerifiedSignature:
    """A signature that holds: who made it, and over which bytes."""

    certificate: ValidatedCertificate
    certificate_der: bytes = field(repr=False)
    algorithm: str
    value: bytes = field(repr=False)
    canonical_parts: dict[str, bytes] = field(repr=False)
    """For each required part the canonical bytes whose digest was signed."""


def verify_signature(
    security: etree._Element,
    required: Sequence[SignedPart],
    policy: SignaturePolicy,
    trust: TrustStore,
    now: datetime,
) -> VerifiedSignature:
    """Verify the one signature of a `wsse:Security` element over every required part.

    Raises a SignatureError: SignatureMissing, SignatureMalformed, AlgorithmForbidden,
    CertificateRejected, SignatureValueInvalid, DigestMismatch, CoverageInsufficient.
    """
    # (1)
    signature = only_child(security, names.SIGNATURE, SignatureMissing)
    signed_info = only_child(signature, names.SIGNED_INFO)
    # (2)
    ids = _read_ids(security.getroottree().getroot())
    # (3) and (4)
    signed = read_signed_info(signed_info, policy)
    # (5)
    certificate_der = _token(security, signature, ids)
    # (6)
    certificate = trust.validate(certificate_der, now)
    require_allowed(certificate.public_key, signed.algorithm, policy)
    # (7)
    value = base64_of(only_child(signature, names.SIGNATURE_VALUE))
    verify_bytes(certificate.public_key, signed.algorithm, value, signed.canonical)
    # (8)
    covered = {}
    for reference in signed.references:
        element = _resolve(reference.id, ids)
        covered[element] = _check_digest(element, reference)
    # (9)
    return VerifiedSignature(
        certificate, certificate_der, signed.algorithm, value, _canonical_parts(required, covered)
    )


def _canonical_parts(
    required: Iterable[SignedPart], covered: dict[etree._Element, bytes]
) -> dict[str, bytes]:
    parts = {}
    for part in required:
        canonical = covered.get(part.element)
        if canonical is None:
            raise CoverageInsufficient(f"{part.name} is not signed where it stands")
        parts[part.name] = canonical
    return parts


@dataclass(frozen=True, slots=True)
class _Ids:
    """Who carries which Id; an Id that business data repeats can be carried, not referred to."""

    bearers: dict[str, etree._Element]
    repeated: set[str]

    def bearer(self, identifier: str) -> etree._Element | None:
        if identifier in self.repeated:
            raise SignatureMalformed("a reference points to an Id that two elements carry")
        return self.bearers.get(identifier)


def _read_ids(root: etree._Element) -> _Ids:
    bearers: dict[str, etree._Element] = {}
    repeated: set[str] = set()
    # An attribute found by XPath is a string that knows its element and its name.
    for found in cast(list[Any], _ALL_IDS(root)):
        if found in bearers:
            if found.attrname in _STRICT_IDS:
                raise SignatureMalformed("two elements carry the same Id")
            repeated.add(str(found))
        bearers[str(found)] = found.getparent()
    return _Ids(bearers, repeated)


def _token(security: etree._Element, signature: etree._Element, ids: _Ids) -> bytes:
    """The DER of the X.509 token that KeyInfo refers to. WSS X.509 Token Profile 1.1 §3."""
    key_info = only_child(signature, names.KEY_INFO)
    token_reference = only_child(key_info, names.SECURITY_TOKEN_REFERENCE)
    reference = only_child(token_reference, names.TOKEN_REFERENCE)
    uri = reference.get("URI", "")
    token = ids.bearer(uri[1:]) if uri.startswith("#") else None
    if (
        token is None
        or token.tag != names.BINARY_SECURITY_TOKEN
        or token.getparent() is not security
    ):
        raise SignatureMalformed("KeyInfo must refer to a BinarySecurityToken of this header")
    if token.get("ValueType") != names.X509_V3:
        raise SignatureMalformed("the BinarySecurityToken must hold one X.509 v3 certificate")
    if token.get("EncodingType", names.BASE64_BINARY) != names.BASE64_BINARY:
        raise SignatureMalformed("the BinarySecurityToken must be encoded as Base64Binary")
    return base64_of(token)


def _resolve(identifier: str, ids: _Ids) -> etree._Element:
    element = ids.bearer(identifier)
    if element is None:
        raise CoverageInsufficient("a reference points to an Id that no element carries")
    return element


def _check_digest(element: etree._Element, reference: Reference) -> bytes:
    canonical = canonicalise(element, reference.prefixes)
    actual = digest(canonical, reference.digest_algorithm)
    if not hmac.compare_digest(actual, reference.digest_value):
        name = etree.QName(element).localname
        raise DigestMismatch(f"{name} (line {element.sourceline}) was changed after signing")
    return canonical
