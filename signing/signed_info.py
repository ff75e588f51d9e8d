"""Read what a signature says it signs: algorithm and references of ds:SignedInfo.

XML Signature 1.1 §4.4. Nearly every message writes SignedInfo in one plain shape. That shape is
read from the canonical bytes themselves, the very bytes that are signed, in one pass; any other
shape is read from the tree, which also says what is wrong with it. Both give the same for the same
bytes: a canonical form has one reading.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass, field

from lxml import etree

from signing import names
from signing.canonical import canonicalise
from signing.elements import base64_of, only_child
from signing.errors import AlgorithmForbidden, SignatureMalformed
from signing.policy import SignaturePolicy

_PREFIXES_MAX = 32


@dataclass(frozen=True, slots=True)
class Reference:
    """One signed part: the Id that it carries, and the digest that it must have."""

    id: str
    prefixes: tuple[str, ...]
    """PrefixList of its canonicalisation. Exclusive C14N §4."""
    digest_algorithm: str
    digest_value: bytes


@dataclass(frozen=True, slots=True)
class SignedInfo:
    """What is signed, as far as the policy allows it."""

    algorithm: str
    references: tuple[Reference, ...]
    canonical: bytes = field(repr=False)
    """The bytes that the signature value is made over."""


def read_signed_info(element: etree._Element, policy: SignaturePolicy) -> SignedInfo:
    """Read ds:SignedInfo. Raises SignatureMalformed, AlgorithmForbidden."""
    canonical = canonicalise(element)
    plain = _read_plain(canonical, policy)
    return plain if plain is not None else _read_tree(element, canonical, policy)


# --- the plain shape -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Shape:
    """The plain shape under one prefix for the namespace of XML Signature."""

    start: re.Pattern[bytes]
    reference: re.Pattern[bytes]
    end: bytes


def _shape(prefix: str) -> _Shape:
    tag, declared = (f"{prefix}:", f"xmlns:{prefix}") if prefix else ("", "xmlns")
    exclusive = re.escape(names.EXCLUSIVE_C14N)
    start = (
        rf'<{tag}SignedInfo {declared}="{re.escape(names.DS)}">'
        rf'\s*<{tag}CanonicalizationMethod Algorithm="{exclusive}"></{tag}CanonicalizationMethod>'
        rf'\s*<{tag}SignatureMethod Algorithm="([^"&<]+)"></{tag}SignatureMethod>\s*'
    )
    reference = (
        rf'<{tag}Reference URI="#([^"&<]+)">\s*<{tag}Transforms>'
        rf'\s*<{tag}Transform Algorithm="{exclusive}"></{tag}Transform>\s*</{tag}Transforms>'
        rf'\s*<{tag}DigestMethod Algorithm="([^"&<]+)"></{tag}DigestMethod>'
        rf"\s*<{tag}DigestValue>([A-Za-z0-9+/]+={{0,2}})</{tag}DigestValue>\s*</{tag}Reference>\s*"
    )
    return _Shape(
        re.compile(start.encode()), re.compile(reference.encode()), f"</{tag}SignedInfo>".encode()
    )


_SHAPES = {
    f"<{prefix}:SignedInfo ".encode() if prefix else b"<SignedInfo ": _shape(prefix)
    for prefix in ("ds", "", "dsig")
}


def _read_plain(canonical: bytes, policy: SignaturePolicy) -> SignedInfo | None:
    """SignedInfo in the plain shape and within the policy; None: look at the tree."""
    shape = _SHAPES.get(canonical[: canonical.find(b" ") + 1])
    start = shape.start.match(canonical) if shape else None
    if shape is None or start is None:
        return None
    references: list[Reference] = []
    position = start.end()
    while found := shape.reference.match(canonical, position):
        reference = _plain_reference(found, policy)
        if reference is None or len(references) >= policy.references_max:
            return None
        references.append(reference)
        position = found.end()
    algorithm = start[1].decode()
    is_whole = canonical[position:] == shape.end and references
    if not is_whole or algorithm not in policy.signature_algorithms:
        return None
    return SignedInfo(algorithm, tuple(references), canonical)


def _plain_reference(found: re.Match[bytes], policy: SignaturePolicy) -> Reference | None:
    digest_algorithm = found[2].decode()
    if digest_algorithm not in policy.digest_algorithms:
        return None
    try:
        digest_value = binascii.a2b_base64(found[3], strict_mode=True)
    except binascii.Error:
        return None
    return Reference(found[1].decode(), (), digest_algorithm, digest_value)


# --- any other shape -------------------------------------------------------------------------


def _read_tree(element: etree._Element, canonical: bytes, policy: SignaturePolicy) -> SignedInfo:
    method = only_child(element, names.CANONICALIZATION_METHOD)
    if method.get("Algorithm") != names.EXCLUSIVE_C14N:
        raise AlgorithmForbidden("SignedInfo must be canonicalised by exclusive C14N 1.0")
    prefixes = _prefix_list(method)
    algorithm = _signature_algorithm(element, policy)
    references = _read_references(element, policy)
    if prefixes:
        canonical = canonicalise(element, prefixes)
    return SignedInfo(algorithm, references, canonical)


def _signature_algorithm(element: etree._Element, policy: SignaturePolicy) -> str:
    method = only_child(element, names.SIGNATURE_METHOD)
    algorithm = method.get("Algorithm", "")
    if algorithm not in policy.signature_algorithms:
        raise AlgorithmForbidden(f"signature algorithm {algorithm[:128]!r} is not allowed")
    if len(method):
        raise SignatureMalformed("SignatureMethod takes no parameters here")
    return algorithm


def _read_references(element: etree._Element, policy: SignaturePolicy) -> tuple[Reference, ...]:
    nodes = list(element.iterchildren(names.REFERENCE))
    if not nodes:
        raise SignatureMalformed("the signature refers to nothing")
    if len(nodes) > policy.references_max:
        raise SignatureMalformed(
            f"{len(nodes)} references; at most {policy.references_max} are taken"
        )
    if len(nodes) + 2 != len(element):
        raise SignatureMalformed("SignedInfo holds something that is not a Reference")
    return tuple(_read_reference(node, policy) for node in nodes)


def _read_reference(node: etree._Element, policy: SignaturePolicy) -> Reference:
    uri = node.get("URI", "")
    if not uri.startswith("#") or len(uri) < 2:
        raise SignatureMalformed("a reference must point to an Id in the message")
    transforms = only_child(node, names.TRANSFORMS)
    transform = only_child(transforms, names.TRANSFORM)
    if len(transforms) != 1 or transform.get("Algorithm") != names.EXCLUSIVE_C14N:
        raise AlgorithmForbidden("exclusive C14N 1.0 is the only transform that is allowed")
    digest_algorithm = only_child(node, names.DIGEST_METHOD).get("Algorithm", "")
    if digest_algorithm not in policy.digest_algorithms:
        raise AlgorithmForbidden(f"digest algorithm {digest_algorithm[:128]!r} is not allowed")
    digest_value = base64_of(only_child(node, names.DIGEST_VALUE))
    return Reference(uri[1:], _prefix_list(transform), digest_algorithm, digest_value)


def _prefix_list(method: etree._Element) -> tuple[str, ...]:
    """PrefixList of Exclusive C14N §4; absent on most messages."""
    if not len(method):
        return ()
    inclusive = only_child(method, names.INCLUSIVE_NAMESPACES)
    prefixes = tuple(inclusive.get("PrefixList", "").split())
    if len(method) != 1 or len(prefixes) > _PREFIXES_MAX:
        raise SignatureMalformed("a canonicalisation has parameters that are not its own")
    return prefixes
