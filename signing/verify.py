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

import base64
import binascii
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
from signing.errors import (
    AlgorithmForbidden,
    CoverageInsufficient,
    DigestMismatch,
    SignatureMalformed,
    SignatureMissing,
)
from signing.policy import SignaturePolicy

_ALL_IDS = etree.XPath("//@wsu:Id | //@Id | //@ID | //@xml:id", namespaces={"wsu": names.WSU})
_STRICT_IDS = frozenset({names.WSU_ID, names.XML_ID})
_PREFIXES_MAX = 32


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


@dataclass(frozen=True, slots=True)
class _Reference:
    uri: str
    prefixes: tuple[str, ...]
    digest_algorithm: str
    digest_value: bytes


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
    signature = _only_child(security, names.SIGNATURE, SignatureMissing)
    signed_info = _only_child(signature, names.SIGNED_INFO)
    # (2)
    ids = _read_ids(security.getroottree().getroot())
    # (3)
    algorithm = _signature_algorithm(signed_info, policy)
    # (4)
    references = _read_references(signed_info, policy)
    # (5)
    certificate_der = _token(security, signature, ids)
    # (6)
    certificate = trust.validate(certificate_der, now)
    require_allowed(certificate.public_key, algorithm, policy)
    # (7)
    value = _base64(_only_child(signature, names.SIGNATURE_VALUE))
    method = _only_child(signed_info, names.CANONICALIZATION_METHOD)
    canonical_info = canonicalise(signed_info, _prefix_list(method))
    verify_bytes(certificate.public_key, algorithm, value, canonical_info)
    # (8)
    covered = {}
    for reference in references:
        element = _resolve(reference.uri, ids)
        covered[element] = _check_digest(element, reference)
    # (9)
    return VerifiedSignature(
        certificate, certificate_der, algorithm, value, _canonical_parts(required, covered)
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


def _signature_algorithm(signed_info: etree._Element, policy: SignaturePolicy) -> str:
    method = _only_child(signed_info, names.CANONICALIZATION_METHOD)
    if method.get("Algorithm") != names.EXCLUSIVE_C14N:
        raise AlgorithmForbidden("SignedInfo must be canonicalised by exclusive C14N 1.0")
    signature_method = _only_child(signed_info, names.SIGNATURE_METHOD)
    algorithm = signature_method.get("Algorithm", "")
    if algorithm not in policy.signature_algorithms:
        raise AlgorithmForbidden(f"signature algorithm {algorithm[:128]!r} is not allowed")
    if len(signature_method):
        raise SignatureMalformed("SignatureMethod takes no parameters here")
    return algorithm


def _read_references(
    signed_info: etree._Element, policy: SignaturePolicy
) -> tuple[_Reference, ...]:
    nodes = list(signed_info.iterchildren(names.REFERENCE))
    if not nodes:
        raise SignatureMalformed("the signature refers to nothing")
    if len(nodes) > policy.references_max:
        raise SignatureMalformed(
            f"{len(nodes)} references; at most {policy.references_max} are taken"
        )
    if len(nodes) + 2 != len(signed_info):
        raise SignatureMalformed("SignedInfo holds something that is not a Reference")
    return tuple(_read_reference(node, policy) for node in nodes)


def _read_reference(node: etree._Element, policy: SignaturePolicy) -> _Reference:
    uri = node.get("URI", "")
    if not uri.startswith("#") or len(uri) < 2:
        raise SignatureMalformed("a reference must point to an Id in the message")
    transforms = _only_child(node, names.TRANSFORMS)
    transform = _only_child(transforms, names.TRANSFORM)
    if len(transforms) != 1 or transform.get("Algorithm") != names.EXCLUSIVE_C14N:
        raise AlgorithmForbidden("exclusive C14N 1.0 is the only transform that is allowed")
    digest_algorithm = _only_child(node, names.DIGEST_METHOD).get("Algorithm", "")
    if digest_algorithm not in policy.digest_algorithms:
        raise AlgorithmForbidden(f"digest algorithm {digest_algorithm[:128]!r} is not allowed")
    digest_value = _base64(_only_child(node, names.DIGEST_VALUE))
    return _Reference(uri[1:], _prefix_list(transform), digest_algorithm, digest_value)


def _prefix_list(method: etree._Element) -> tuple[str, ...]:
    """PrefixList of Exclusive C14N §4; absent on most messages."""
    if not len(method):
        return ()
    inclusive = _only_child(method, names.INCLUSIVE_NAMESPACES)
    prefixes = tuple(inclusive.get("PrefixList", "").split())
    if len(method) != 1 or len(prefixes) > _PREFIXES_MAX:
        raise SignatureMalformed("a canonicalisation has parameters that are not its own")
    return prefixes


def _token(security: etree._Element, signature: etree._Element, ids: _Ids) -> bytes:
    """The DER of the X.509 token that KeyInfo refers to. WSS X.509 Token Profile 1.1 §3."""
    key_info = _only_child(signature, names.KEY_INFO)
    token_reference = _only_child(key_info, names.SECURITY_TOKEN_REFERENCE)
    reference = _only_child(token_reference, names.TOKEN_REFERENCE)
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
    return _base64(token)


def _resolve(identifier: str, ids: _Ids) -> etree._Element:
    element = ids.bearer(identifier)
    if element is None:
        raise CoverageInsufficient("a reference points to an Id that no element carries")
    return element


def _check_digest(element: etree._Element, reference: _Reference) -> bytes:
    canonical = canonicalise(element, reference.prefixes)
    actual = digest(canonical, reference.digest_algorithm)
    if not hmac.compare_digest(actual, reference.digest_value):
        name = etree.QName(element).localname
        raise DigestMismatch(f"{name} (line {element.sourceline}) was changed after signing")
    return canonical


def _only_child(
    parent: etree._Element, tag: str, missing: type[Exception] = SignatureMalformed
) -> etree._Element:
    found = list(parent.iterchildren(tag))
    if len(found) == 1:
        return found[0]
    name = tag.rpartition("}")[2]
    if not found:
        raise missing(f"{name} is missing")
    raise SignatureMalformed(f"{name} stands {len(found)} times")


def _base64(element: etree._Element) -> bytes:
    if len(element):
        raise SignatureMalformed(f"{etree.QName(element).localname} must hold text only")
    text = "".join((element.text or "").split())
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        name = etree.QName(element).localname
        raise SignatureMalformed(f"{name} is not base64") from error
