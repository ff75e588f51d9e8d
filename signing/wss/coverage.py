"""Check that everything a signature refers to has the digest that was signed.

XML Signature 1.1 §3.2.1 (reference validation), one function for each kind of reference. What was
checked is told by node and by attachment, so that nobody has to look it up by name again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lxml import etree

from signing import names
from signing.algorithms import digest, digest_pieces
from signing.errors import CoverageInsufficientError, DigestMismatchError, SignatureMalformedError
from signing.wss.attachment_transforms import ReadXml, complete_digests, content_digests
from signing.wss.canonical import canonicalise
from signing.wss.inlined_parts import attachment_named, inlined
from signing.wss.key_references import TokenPlace, dereference
from signing.wss.signed_info import Covers, Reference, SignedInfo
from signing.wss.token_transform import token_forms


@dataclass(slots=True)
class Covered:
    """What a signature reaches, proved digest by digest. Owned by one verification."""

    elements: dict[etree._Element, bytes] = field(repr=False)
    """Nodes with their canonical form."""
    attachments: dict[str, bool]
    """Content ids; whether the headers are signed too."""


def check_coverage(signed: SignedInfo, place: TokenPlace, read_xml: ReadXml) -> Covered:
    """Check every reference.

    Raises DigestMismatchError, CoverageInsufficientError, SignatureMalformedError.
    """
    covered = Covered({}, {})
    elements, bearer = covered.elements, place.ids.bearer
    for reference, expected in zip(signed.references, signed.digest_values, strict=True):
        covers = reference.covers
        if covers is _CONTENT or covers is _COMPLETE:
            _check_attachment(reference, expected, place, read_xml, covered)
            continue
        element = bearer(reference.id)
        if element is None:
            raise CoverageInsufficientError("a reference points to an Id that no element carries")
        if covers is _DEREFERENCED:
            _check_token(reference, expected, element, place)
            continue
        elements[element] = canonical = canonicalise(element, reference.canonicalisation)
        if digest(canonical, reference.digest_algorithm) != expected:
            _check_inlined(reference, expected, element, place, covered)
    return covered


_CONTENT, _COMPLETE, _DEREFERENCED = Covers.CONTENT, Covers.COMPLETE, Covers.DEREFERENCED


def _check_inlined(
    reference: Reference,
    expected: bytes,
    element: etree._Element,
    place: TokenPlace,
    covered: Covered,
) -> None:
    """Of a message that is optimised, a part may be signed as it was before. XOP §3."""
    by, attachments = reference.canonicalisation, place.attachments
    part = inlined(element, by, attachments) if attachments else None
    if part is None or expected != digest_pieces(part.octets(), reference.digest_algorithm):
        name = etree.QName(element).localname
        raise DigestMismatchError(f"{name} (line {element.sourceline}) was changed after signing")
    for attachment in part.attachments:
        covered.attachments.setdefault(attachment.content_id, False)


def _check_token(
    reference: Reference, expected: bytes, element: etree._Element, place: TokenPlace
) -> None:
    """Nothing that is required is covered by it: the certificate proves itself."""
    is_reference = element.tag == names.SECURITY_TOKEN_REFERENCE
    if not is_reference or place.security not in element.iterancestors():
        raise SignatureMalformedError(
            "an STR-Transform needs a SecurityTokenReference of this header"
        )
    token = dereference(element, place)
    for canonical in token_forms(element, token, reference.canonicalisation):
        if digest(canonical, reference.digest_algorithm) == expected:
            return
    raise DigestMismatchError("the token behind a SecurityTokenReference was changed after signing")


def _check_attachment(
    reference: Reference,
    expected: bytes,
    place: TokenPlace,
    read_xml: ReadXml,
    covered: Covered,
) -> None:
    attachment = attachment_named(reference.id, place.attachments)
    has_headers = reference.covers is Covers.COMPLETE
    make = complete_digests if has_headers else content_digests
    if expected not in make(attachment, reference.digest_algorithm, read_xml):
        raise DigestMismatchError("an attachment was changed after signing")
    already = covered.attachments.get(attachment.content_id, False)
    covered.attachments[attachment.content_id] = already or has_headers
