"""Read what a signature says it signs: algorithm and references of ds:SignedInfo.

XML Signature 1.1 §4.4. Nearly every message writes SignedInfo in one plain shape. That shape is
read from the canonical bytes themselves, the very bytes that are signed, in one pass; any other
shape is read from the tree, which also says what is wrong with it. Both give the same for the same
bytes: a canonical form has one reading.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache

from lxml import etree

from signing import names
from signing.canonical import EXCLUSIVE, Canonicalisation, canonicalise
from signing.elements import base64_bytes, base64_of, only_child
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
    method = element[0] if len(element) else None
    if method is None or method.tag != names.CANONICALIZATION_METHOD:
        raise SignatureMalformed("SignedInfo must begin with CanonicalizationMethod")
    canonical = canonicalise(element, _canonicalisation(method, policy, "SignedInfo"))
    plain = _read_plain(canonical, policy)
    return plain if plain is not None else _read_tree(element, canonical, policy)


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
_TAGS_ABOVE_MAX = 4
"""Tags of CanonicalizationMethod with one parameter."""
_GAP = re.compile(rb">[ \t\n]+<")
_PREFIX_LIST = re.compile(
    rb'<(\w+):InclusiveNamespaces xmlns:\1="'
    + re.escape(names.EXCLUSIVE_C14N.encode())
    + rb'" PrefixList="([^"&]*)"></\1:InclusiveNamespaces>'
)
_VALUE_BORDER = b"DigestValue>"
_PLAIN_BYTES_MAX = 32 * 1024
"""Longest SignedInfo that is read this way, and whose frame may be kept."""
_ANY_VALUE = b"AAAA"


@dataclass(frozen=True, slots=True)
class _Frame:
    """All that a SignedInfo in the plain shape says, but the digests."""

    algorithm: str
    parts: tuple[tuple[str, str, Canonicalisation], ...]
    """Of each reference: Id, digest algorithm, canonicalisation."""
    digest_algorithms: frozenset[str]
    value_end: bytes
    """What stands between a digest and the border behind it."""


def _read_plain(canonical: bytes, policy: SignaturePolicy) -> SignedInfo | None:
    """SignedInfo in the plain shape and within the policy; None: look at the tree."""
    pieces = canonical.split(_VALUE_BORDER)
    if len(canonical) > _PLAIN_BYTES_MAX or len(pieces) % 2 == 0:
        return None
    frame = _frame(tuple(pieces[::2]))
    if (
        frame is None
        or frame.algorithm not in policy.signature_algorithms
        or not frame.digest_algorithms <= policy.digest_algorithms
        or len(frame.parts) > policy.references_max
    ):
        return None
    references = []
    for (identifier, algorithm, by), value in zip(frame.parts, pieces[1::2], strict=True):
        try:
            # Where it ends otherwise, a `<` is left, which base64 does not take.
            digest_value = base64_bytes(value.removesuffix(frame.value_end))
        except ValueError:
            return None
        references.append(Reference(identifier, algorithm, digest_value, Covers.ELEMENT, by))
    return SignedInfo(frame.algorithm, tuple(references), canonical)


@lru_cache(maxsize=256)
def _frame(around_values: tuple[bytes, ...]) -> _Frame | None:
    """Read what stands around the digests; None: not the plain shape.

    Most senders write the same with every message, so that a reading is worth keeping.
    """
    start = around_values[0].partition(b" ")[0]
    shape = _SHAPES.get(start)
    if shape is None:
        return None
    value_end = shape.reference_end.partition(_VALUE_BORDER)[0]
    whole = (_VALUE_BORDER + _ANY_VALUE + value_end + _VALUE_BORDER).join(around_values)
    head, *found = _GAP.sub(b"><", whole).removesuffix(shape.end).split(shape.reference)
    algorithm = _head_algorithm(shape, head)
    parts = [_plain_part(text, shape) for text in found]
    read = tuple(part for part in parts if part is not None)
    if algorithm is None or not read or len(read) != len(around_values) - 1 or None in parts:
        return None
    return _Frame(algorithm, read, frozenset(part[1] for part in read), value_end)


def _head_algorithm(shape: _Shape, head: bytes) -> str | None:
    """The signature algorithm above the references; None: not the plain shape."""
    above, _, method = head.partition(shape.method)
    tag, _, above = above.partition(b">")
    if (
        shape.declaration not in tag
        or not above.startswith(shape.canonicalisation)
        or not above.endswith(shape.canonicalisation_end)
        or above.count(shape.canonicalisation) != 1
        or above.count(b"<") > _TAGS_ABOVE_MAX
    ):
        return None
    return method.removesuffix(shape.method_end).decode()


def _plain_part(text: bytes, shape: _Shape) -> tuple[str, str, Canonicalisation] | None:
    """Id, digest algorithm and canonicalisation of one reference; None: not the plain shape."""
    identifier, _, rest = text.partition(shape.transform)
    prefix_list, _, rest = rest.partition(shape.transform_end)
    algorithm, _, rest = rest.partition(shape.digest)
    if not identifier or b'"' in identifier or b"&" in identifier:
        return None
    by = _plain_canonicalisation(prefix_list)
    if by is None or rest != _ANY_VALUE + shape.reference_end:
        return None
    return identifier.decode(), algorithm.decode(), by


def _plain_canonicalisation(prefix_list: bytes) -> Canonicalisation | None:
    if not prefix_list:
        return EXCLUSIVE
    found = _PREFIX_LIST.fullmatch(prefix_list)
    prefixes = tuple(found[2].decode().split()) if found else ()
    if found is None or len(prefixes) > _PREFIXES_MAX:
        return None
    return Canonicalisation(names.EXCLUSIVE_C14N, prefixes)


# --- any other shape -------------------------------------------------------------------------


def _read_tree(element: etree._Element, canonical: bytes, policy: SignaturePolicy) -> SignedInfo:
    only_child(element, names.CANONICALIZATION_METHOD)
    algorithm = _signature_algorithm(element, policy)
    return SignedInfo(algorithm, _read_references(element, policy), canonical)


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
