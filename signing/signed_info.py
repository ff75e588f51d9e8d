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
from enum import Enum

from lxml import etree

from signing import names
from signing.canonical import EXCLUSIVE, Canonicalisation, canonicalise
from signing.elements import base64_of, only_child
from signing.errors import AlgorithmForbidden, SignatureMalformed
from signing.inlined_parts import CONTENT_ID_SCHEME
from signing.policy import SignaturePolicy

_PREFIXES_MAX = 32


class Covers(Enum):
    """What a reference takes into the signature."""

    ELEMENT = "the element itself"
    DEREFERENCED = "the token behind a SecurityTokenReference"
    CONTENT = "the content of an attachment"
    COMPLETE = "headers and content of an attachment"


@dataclass(frozen=True, slots=True)
class Reference:
    """One signed part: where it is, how it is read, and the digest that it must have."""

    id: str
    """The Id that it carries; of an attachment its `cid:` URL."""
    digest_algorithm: str
    digest_value: bytes
    covers: Covers = Covers.ELEMENT
    canonicalisation: Canonicalisation = EXCLUSIVE


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
    return plain if plain is not None else _read_tree(element, policy)


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
    return Reference(found[1].decode(), digest_algorithm, digest_value)


# --- any other shape -------------------------------------------------------------------------


def _read_tree(element: etree._Element, policy: SignaturePolicy) -> SignedInfo:
    method = only_child(element, names.CANONICALIZATION_METHOD)
    by = _canonicalisation(method, policy, "SignedInfo")
    algorithm = _signature_algorithm(element, policy)
    references = _read_references(element, policy)
    return SignedInfo(algorithm, references, canonicalise(element, by))


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
    transforms = only_child(node, names.TRANSFORMS)
    transform = only_child(transforms, names.TRANSFORM)
    if len(transforms) != 1:
        raise AlgorithmForbidden("one transform, and nothing beside it, is allowed")
    if uri.startswith(CONTENT_ID_SCHEME):
        covers, by = _attachment_transform(transform), EXCLUSIVE
    elif uri.startswith("#") and len(uri) > 1:
        covers, by = _element_transform(transform, policy)
        uri = uri[1:]
    else:
        raise SignatureMalformed("a reference must point to an Id in the message or an attachment")
    digest_algorithm = only_child(node, names.DIGEST_METHOD).get("Algorithm", "")
    if digest_algorithm not in policy.digest_algorithms:
        raise AlgorithmForbidden(f"digest algorithm {digest_algorithm[:128]!r} is not allowed")
    digest_value = base64_of(only_child(node, names.DIGEST_VALUE))
    return Reference(uri, digest_algorithm, digest_value, covers, by)


_ATTACHMENT_TRANSFORMS = {
    names.ATTACHMENT_CONTENT: Covers.CONTENT,
    names.ATTACHMENT_COMPLETE: Covers.COMPLETE,
}


def _attachment_transform(transform: etree._Element) -> Covers:
    """SwA Profile 1.1.1 §5.4.4: what gives octets needs no canonicalisation after it."""
    covers = _ATTACHMENT_TRANSFORMS.get(transform.get("Algorithm", ""))
    if covers is None:
        raise AlgorithmForbidden("an attachment takes one of the attachment transforms only")
    if len(transform):
        raise SignatureMalformed("an attachment transform takes no parameters")
    return covers


def _element_transform(
    transform: etree._Element, policy: SignaturePolicy
) -> tuple[Covers, Canonicalisation]:
    if transform.get("Algorithm") != names.STR_TRANSFORM:
        return Covers.ELEMENT, _canonicalisation(transform, policy, "a reference")
    # WSS 1.1.1 §8.3: the canonicalisation stands in the transform's parameters.
    parameters = only_child(transform, names.TRANSFORMATION_PARAMETERS)
    method = only_child(parameters, names.CANONICALIZATION_METHOD)
    if len(transform) != 1 or len(parameters) != 1:
        raise SignatureMalformed("an STR-Transform has parameters that are not its own")
    return Covers.DEREFERENCED, _canonicalisation(method, policy, "a token")


def _canonicalisation(
    method: etree._Element, policy: SignaturePolicy, what: str
) -> Canonicalisation:
    algorithm = method.get("Algorithm", "")
    if algorithm not in policy.canonicalisations:
        raise AlgorithmForbidden(
            f"{what} must be canonicalised by exclusive C14N 1.0, not {algorithm[:128]!r}"
        )
    if algorithm != names.EXCLUSIVE_C14N:
        if len(method):
            raise SignatureMalformed("Canonical XML 1.0 takes no parameters")
        return Canonicalisation(algorithm)
    prefixes = _prefix_list(method)
    return Canonicalisation(algorithm, prefixes) if prefixes else EXCLUSIVE


def _prefix_list(method: etree._Element) -> tuple[str, ...]:
    """PrefixList of Exclusive C14N §4; absent on most messages."""
    if not len(method):
        return ()
    inclusive = only_child(method, names.INCLUSIVE_NAMESPACES)
    prefixes = tuple(inclusive.get("PrefixList", "").split())
    if len(method) != 1 or len(prefixes) > _PREFIXES_MAX:
        raise SignatureMalformed("a canonicalisation has parameters that are not its own")
    return prefixes
