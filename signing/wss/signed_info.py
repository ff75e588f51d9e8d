"""Read what a signature says it signs: algorithm and references of ds:SignedInfo.

XML Signature 1.1 §4.4. Nearly every message writes SignedInfo in one plain shape. That shape is
read from the canonical bytes themselves, the very bytes that are signed, in one pass; any other
shape is read from the tree, which also says what is wrong with it. Both give the same for the same
bytes: a canonical form has one reading.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from lxml import etree

from signing import names
from signing.elements import base64_bytes, base64_of, only_child
from signing.errors import AlgorithmForbiddenError, SignatureMalformedError
from signing.policy import SignaturePolicy
from signing.wss.canonical import EXCLUSIVE, Canonicalisation, canonicalise
from signing.wss.inlined_parts import CONTENT_ID_SCHEME

_PREFIXES_MAX = 32


class Covers(Enum):
    """What a reference takes into the signature."""

    ELEMENT = "the element itself"
    DEREFERENCED = "the token behind a SecurityTokenReference"
    CONTENT = "the content of an attachment"
    COMPLETE = "headers and content of an attachment"


@dataclass(frozen=True, slots=True)
class Reference:
    """One signed part: where it is, and how it is digested."""

    id: str
    """The Id that it carries; of an attachment its `cid:` URL."""
    digest_algorithm: str
    covers: Covers = Covers.ELEMENT
    canonicalisation: Canonicalisation = EXCLUSIVE


class SignedInfo(NamedTuple):
    """What is signed, as far as the policy allows it."""

    algorithm: str
    references: tuple[Reference, ...]
    digest_values: list[bytes]
    """The digest that each of these parts must have."""
    canonical: bytes
    """The bytes that the signature value is made over."""
    canonicalisation: Canonicalisation


def read_signed_info(element: etree._Element, policy: SignaturePolicy) -> SignedInfo:
    """Read ds:SignedInfo. Raises SignatureMalformedError, AlgorithmForbiddenError."""
    method = element[0] if len(element) else None
    if method is None or method.tag != names.CANONICALIZATION_METHOD:
        raise SignatureMalformedError("SignedInfo must begin with CanonicalizationMethod")
    by = _canonicalisation(method, policy, "SignedInfo")
    canonical = canonicalise(element, by)
    plain = _read_plain(canonical, policy, by)
    return plain if plain is not None else _read_tree(element, canonical, policy, by)


# --- the plain shape -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Shape:
    """What stands between the facts of the plain shape, under one prefix for XML Signature.

    In a canonical form `<` and the quotes of attributes stand for themselves only, so that what
    is found between these pieces is what a parser would find there.
    """

    declaration: bytes
    canonicalisation: bytes
    canonicalisation_end: bytes
    method: bytes
    method_end: bytes
    reference: bytes
    transform: bytes
    transform_end: bytes
    digest: bytes
    reference_end: bytes
    end: bytes


def _shape(prefix: str) -> _Shape:
    tag, declared = (f"{prefix}:", f"xmlns:{prefix}") if prefix else ("", "xmlns")
    pieces = (
        f' {declared}="{names.DS}"',
        f'<{tag}CanonicalizationMethod Algorithm="',
        f"</{tag}CanonicalizationMethod>",
        f'<{tag}SignatureMethod Algorithm="',
        f'"></{tag}SignatureMethod>',
        f'<{tag}Reference URI="#',
        f'"><{tag}Transforms><{tag}Transform Algorithm="{names.EXCLUSIVE_C14N}">',
        f'</{tag}Transform></{tag}Transforms><{tag}DigestMethod Algorithm="',
        f'"></{tag}DigestMethod><{tag}DigestValue>',
        f"</{tag}DigestValue></{tag}Reference>",
        f"</{tag}SignedInfo>",
    )
    return _Shape(*(piece.encode() for piece in pieces))


_SHAPES = {
    f"<{prefix}:SignedInfo".encode() if prefix else b"<SignedInfo": _shape(prefix)
    for prefix in ("ds", "", "dsig")
}
_GAP = re.compile(rb">[ \t\n]+<")
_PREFIX_LIST = re.compile(
    rb'<(\w+):InclusiveNamespaces xmlns:\1="'
    + re.escape(names.EXCLUSIVE_C14N.encode())
    + rb'" PrefixList="([^"&]*)"></\1:InclusiveNamespaces>'
)
_PLAIN_BYTES_MAX = 32 * 1024
"""Longest SignedInfo that is read this way."""


def _read_plain(
    canonical: bytes, policy: SignaturePolicy, by: Canonicalisation = EXCLUSIVE
) -> SignedInfo | None:
    """SignedInfo in the plain shape and within the policy; None: look at the tree."""
    shape = _SHAPES.get(canonical[: canonical.find(b" ")])
    if shape is None or len(canonical) > _PLAIN_BYTES_MAX:
        return None
    head, *found = _GAP.sub(b"><", canonical).removesuffix(shape.end).split(shape.reference)
    algorithm = _head_algorithm(shape, head)
    if algorithm not in policy.signature_algorithms or not 1 <= len(found) <= policy.references_max:
        return None
    references, digest_values = [], []
    for text in found:
        reference, digest_value = _plain_reference(text, shape)
        if reference is None or reference.digest_algorithm not in policy.digest_algorithms:
            return None
        references.append(reference)
        digest_values.append(digest_value)
    return SignedInfo(algorithm, tuple(references), digest_values, canonical, by)


def _head_algorithm(shape: _Shape, head: bytes) -> str:
    """The signature algorithm above the references; empty: not the plain shape."""
    above, _, method = head.partition(shape.method)
    tag, _, above = above.partition(b">")
    if (
        shape.declaration not in tag
        or not above.startswith(shape.canonicalisation)
        or not above.endswith(shape.canonicalisation_end)
        # One alone, whatever its tag says: what stands within it was read from the tree before.
        or above.count(shape.canonicalisation_end) != 1
    ):
        return ""
    return method.removesuffix(shape.method_end).decode()


_NOT_PLAIN = (None, b"")


def _plain_reference(text: bytes, shape: _Shape) -> tuple[Reference | None, bytes]:
    """One reference, behind the beginning of its tag, and its digest; None: not the plain shape."""
    identifier, _, rest = text.partition(shape.transform)
    prefix_list, _, rest = rest.partition(shape.transform_end)
    algorithm, _, rest = rest.partition(shape.digest)
    by = _plain_canonicalisation(prefix_list)
    if not identifier or b'"' in identifier or b"&" in identifier or by is None:
        return _NOT_PLAIN
    try:
        # Where it ends otherwise, a `<` is left, which base64 does not take.
        digest_value = base64_bytes(rest.removesuffix(shape.reference_end))
    except ValueError:
        return _NOT_PLAIN
    reference = Reference(identifier.decode(), algorithm.decode(), Covers.ELEMENT, by)
    return reference, digest_value


def _plain_canonicalisation(prefix_list: bytes) -> Canonicalisation | None:
    if not prefix_list:
        return EXCLUSIVE
    found = _PREFIX_LIST.fullmatch(prefix_list)
    prefixes = tuple(found[2].decode().split()) if found else ()
    if found is None or len(prefixes) > _PREFIXES_MAX:
        return None
    return Canonicalisation(names.EXCLUSIVE_C14N, prefixes)


# --- any other shape -------------------------------------------------------------------------


def _read_tree(
    element: etree._Element,
    canonical: bytes,
    policy: SignaturePolicy,
    by: Canonicalisation = EXCLUSIVE,
) -> SignedInfo:
    only_child(element, names.CANONICALIZATION_METHOD)
    algorithm = _signature_algorithm(element, policy)
    read = _read_references(element, policy)
    references = tuple(reference for reference, _ in read)
    return SignedInfo(algorithm, references, [value for _, value in read], canonical, by)


def _signature_algorithm(element: etree._Element, policy: SignaturePolicy) -> str:
    method = only_child(element, names.SIGNATURE_METHOD)
    algorithm = method.get("Algorithm", "")
    if algorithm not in policy.signature_algorithms:
        raise AlgorithmForbiddenError(f"signature algorithm {algorithm[:128]!r} is not allowed")
    if len(method):
        raise SignatureMalformedError("SignatureMethod takes no parameters here")
    return algorithm


def _read_references(
    element: etree._Element, policy: SignaturePolicy
) -> list[tuple[Reference, bytes]]:
    nodes = list(element.iterchildren(names.REFERENCE))
    if not nodes:
        raise SignatureMalformedError("the signature refers to nothing")
    if len(nodes) > policy.references_max:
        raise SignatureMalformedError(
            f"{len(nodes)} references; at most {policy.references_max} are taken"
        )
    if len(nodes) + 2 != len(element):
        raise SignatureMalformedError("SignedInfo holds something that is not a Reference")
    return [_read_reference(node, policy) for node in nodes]


def _read_reference(node: etree._Element, policy: SignaturePolicy) -> tuple[Reference, bytes]:
    uri = node.get("URI", "")
    transforms = only_child(node, names.TRANSFORMS)
    transform = only_child(transforms, names.TRANSFORM)
    if len(transforms) != 1:
        raise AlgorithmForbiddenError("one transform, and nothing beside it, is allowed")
    if uri.startswith(CONTENT_ID_SCHEME):
        covers, by = _attachment_transform(transform), EXCLUSIVE
    elif uri.startswith("#") and len(uri) > 1:
        covers, by = _element_transform(transform, policy)
        uri = uri[1:]
    else:
        raise SignatureMalformedError(
            "a reference must point to an Id in the message or an attachment"
        )
    digest_algorithm = only_child(node, names.DIGEST_METHOD).get("Algorithm", "")
    if digest_algorithm not in policy.digest_algorithms:
        raise AlgorithmForbiddenError(f"digest algorithm {digest_algorithm[:128]!r} is not allowed")
    digest_value = base64_of(only_child(node, names.DIGEST_VALUE))
    return Reference(uri, digest_algorithm, covers, by), digest_value


_ATTACHMENT_TRANSFORMS = {
    names.ATTACHMENT_CONTENT: Covers.CONTENT,
    names.ATTACHMENT_COMPLETE: Covers.COMPLETE,
}


def _attachment_transform(transform: etree._Element) -> Covers:
    """SwA Profile 1.1.1 §5.4.4: what gives octets needs no canonicalisation after it."""
    covers = _ATTACHMENT_TRANSFORMS.get(transform.get("Algorithm", ""))
    if covers is None:
        raise AlgorithmForbiddenError("an attachment takes one of the attachment transforms only")
    if len(transform):
        raise SignatureMalformedError("an attachment transform takes no parameters")
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
        raise SignatureMalformedError("an STR-Transform has parameters that are not its own")
    return Covers.DEREFERENCED, _canonicalisation(method, policy, "a token")


def _canonicalisation(
    method: etree._Element, policy: SignaturePolicy, what: str
) -> Canonicalisation:
    algorithm = method.get("Algorithm", "")
    if algorithm not in policy.canonicalisations:
        raise AlgorithmForbiddenError(
            f"{what} must be canonicalised by exclusive C14N 1.0, not {algorithm[:128]!r}"
        )
    if algorithm != names.EXCLUSIVE_C14N:
        if len(method):
            raise SignatureMalformedError("Canonical XML 1.0 takes no parameters")
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
        raise SignatureMalformedError("a canonicalisation has parameters that are not its own")
    return prefixes
