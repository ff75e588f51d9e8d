"""Check that everything a signature refers to has the digest that was signed.

XML Signature 1.1 §3.2.1 (reference validation), one function for each kind of reference. What was
checked is told by node and by attachment, so that nobody has to look it up by name again.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field

from lxml import etree

from signing import names
from signing.algorithms import digest, digest_pieces
from signing.attachment_transforms import ReadXml, complete_digest, content_digest
from signing.canonical import canonicalise
from signing.errors import CoverageInsufficient, DigestMismatch, SignatureMalformed
from signing.inlined_parts import attachment_named, inlined
from signing.key_references import TokenPlace, dereference
from signing.signed_info import Covers, Reference
from signing.token_transform import token_forms


@dataclass(slots=True)
class Covered:
    """What a signature reaches, proved digest by digest. Owned by one verification."""

    elements: dict[etree._Element, bytes] = field(default_factory=dict, repr=False)
    """Nodes with their canonical form."""
    attachments: dict[str, bool] = field(default_factory=dict)
    """Content ids; whether the headers are signed too."""


def check_coverage(
    references: Iterable[Reference], place: TokenPlace, read_xml: ReadXml
) -> Covered:
    """Check every reference. Raises DigestMismatch, CoverageInsufficient, SignatureMalformed."""
    covered = Covered()
    for reference in references:
        covers = reference.covers
        if covers is Covers.CONTENT or covers is Covers.COMPLETE:
            _check_attachment(reference, place, read_xml, covered)
            continue
        element = place.ids.bearer(reference.id)
        if element is None:
            raise CoverageInsufficient("a reference points to an Id that no element carries")
        if covers is Covers.DEREFERENCED:
            _check_token(reference, element, place)
        else:
            _check_element(reference, element, place, covered)
    return covered


def _check_element(
    reference: Reference, element: etree._Element, place: TokenPlace, covered: Covered
) -> None:
    canonical = canonicalise(element, reference.canonicalisation)
    if _fits(digest(canonical, reference.digest_algorithm), reference):
        covered.elements[element] = canonical
        return
    # Of a message that is optimised, the part may be signed as it was before. XOP §3.
    by, attachments = reference.canonicalisation, place.attachments
    part = inlined(element, by, attachments) if attachments else None
    if part is None or not _fits(
        digest_pieces(part.octets(), reference.digest_algorithm), reference
    ):
        name = etree.QName(element).localname
        raise DigestMismatch(f"{name} (line {element.sourceline}) was changed after signing")
    covered.elements[element] = canonical
    for attachment in part.attachments:
        covered.attachments.setdefault(attachment.content_id, False)


def _check_token(reference: Reference, element: etree._Element, place: TokenPlace) -> None:
    """Nothing that is required is covered by it: the certificate proves itself."""
    is_reference = element.tag == names.SECURITY_TOKEN_REFERENCE
    if not is_reference or place.security not in element.iterancestors():
        raise SignatureMalformed("an STR-Transform needs a SecurityTokenReference of this header")
    token = dereference(element, place)
    for canonical in token_forms(element, token, reference.canonicalisation):
        if _fits(digest(canonical, reference.digest_algorithm), reference):
            return
    raise DigestMismatch("the token behind a SecurityTokenReference was changed after signing")


def _check_attachment(
    reference: Reference, place: TokenPlace, read_xml: ReadXml, covered: Covered
) -> None:
    attachment = attachment_named(reference.id, place.attachments)
    has_headers = reference.covers is Covers.COMPLETE
    make = complete_digest if has_headers else content_digest
    if not _fits(make(attachment, reference.digest_algorithm, read_xml), reference):
        raise DigestMismatch("an attachment was changed after signing")
    already = covered.attachments.get(attachment.content_id, False)
    covered.attachments[attachment.content_id] = already or has_headers


def _fits(actual: bytes, reference: Reference) -> bool:
    return hmac.compare_digest(actual, reference.digest_value)
