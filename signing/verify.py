"""Verify the WS-Security signature of an envelope that was parsed once.

What is checked, in this order (WSS = WS-Security 1.1.1 SOAP Message Security, XDS = XML
Signature 1.1):

 (1) The security header holds one signature and one timestamp. WSS §6, §8, §10.
 (2) No two elements of the document carry the same wsu:Id or xml:id, and no Id that is referred
     to is carried twice in any spelling (Id, ID). XDS §4.4.3.3; WSS §4.2.
 (3) The key is named by a reference to an X.509 certificate, which stands in the same security
     header or is known. WSS §7.
 (4) The certificate leads to a trust anchor at this time. It decides which policy holds.
 (5) SignedInfo is canonicalised and signed by allowed algorithms; every reference points into
     this message, through one allowed transform and an allowed digest. XDS §4.4; WSS §8.1, §8.3.
 (6) Key and algorithm fit the policy and each other.
 (7) The signature value fits SignedInfo and the key. XDS §3.2.2.
 (8) Everything that is referred to has the digest that was signed. XDS §3.2.1.
 (9) Every required part, at its required position, is one of the elements whose digest was
     checked: the same node, not one with the same Id. WSS §8. So is every attachment.
(10) Nothing that is signed was moved out of sight: it is one of these parts or within one, a
     block of the Header, or WS-Security's own. A block that is not required could else be hidden.

Nothing is chosen from anything that the signature does not cover, but the certificate, which
must lead to an anchor and then to a member: a policy is that of whoever holds the key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain

from lxml import etree

from signing import names
from signing.algorithms import require_allowed, verify_bytes
from signing.attachment_transforms import ReadXml
from signing.attachments import Attachment
from signing.certificates import TrustStore, ValidatedCertificate
from signing.coverage import check_coverage
from signing.element_ids import ElementIds
from signing.elements import base64_of, leading_children, only_child
from signing.errors import AlgorithmForbidden, CoverageInsufficient, SignatureMissing
from signing.key_references import Token, TokenPlace, find_token
from signing.policy import SignaturePolicy
from signing.signed_info import read_signed_info

_OWN_TAGS = tuple(
    f"{{{namespace}"
    for namespace in (
        names.WSSE,
        names.WSSE11,
        names.WSU,
        names.DS,
        names.XADES,
        names.SAML,
    )
)
"""How the tags begin that a security header itself may hold and sign."""

_SIGNATURE_PARTS = (names.SIGNED_INFO, names.SIGNATURE_VALUE, names.KEY_INFO)

PolicyOf = Callable[[ValidatedCertificate], SignaturePolicy]
"""The policy that holds for whoever has this certificate."""


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
    policy: SignaturePolicy = field(repr=False)
    """The policy that it was held to."""
    attachments: tuple[Attachment, ...] = ()
    """The attachments that it covers, in order; one that only holds the token is not among them."""


def _refuse_xml(_attachment: Attachment) -> etree._Element:
    raise AlgorithmForbidden("attachments of an XML type are not read here")


def verify_signature(
    security: etree._Element,
    required: Sequence[SignedPart],
    policy: SignaturePolicy | PolicyOf,
    trust: TrustStore,
    now: datetime,
    *,
    attachments: Sequence[Attachment] = (),
    read_xml: ReadXml = _refuse_xml,
) -> VerifiedSignature:
    """Verify the one signature of a `wsse:Security` element over required parts and attachments.

    `policy` holds for everybody, or is asked for with the certificate. `read_xml` parses an
    attachment of an XML type.
    Raises a SignatureError: SignatureMissing, SignatureMalformed, AlgorithmForbidden,
    CertificateRejected, SignatureValueInvalid, DigestMismatch, CoverageInsufficient.
    """
    # (1)
    signature = only_child(security, names.SIGNATURE, SignatureMissing)
    signed_info, value_element, key_info = leading_children(signature, _SIGNATURE_PARTS)
    # (2)
    root = security.getroottree().getroot()
    ids = ElementIds(root, chain((part.element for part in required), security))
    # (3)
    place = TokenPlace(security, ids, trust.known, tuple(attachments), now)
    token = find_token(key_info, place)
    # (4)
    certificate = trust.validate(token.certificate_der, now)
    if not isinstance(policy, SignaturePolicy):
        policy = policy(certificate)
    # (5)
    signed = read_signed_info(signed_info, policy)
    # (6)
    require_allowed(certificate.public_key, signed.algorithm, policy)
    # (7)
    value = base64_of(value_element)
    verify_bytes(certificate.public_key, signed.algorithm, value, signed.canonical)
    # (8)
    covered = check_coverage(signed.references, place, read_xml)
    # (9)
    parts = {}
    for part in required:
        canonical = covered.elements.get(part.element)
        if canonical is None:
            raise CoverageInsufficient(f"{part.name} is not signed where it stands")
        parts[part.name] = canonical
    # (10)
    _require_in_sight(covered.elements, {part.element for part in required}, security)
    return VerifiedSignature(
        certificate,
        token.certificate_der,
        signed.algorithm,
        value,
        parts,
        policy,
        _covered_attachments(attachments, covered.attachments, token, policy),
    )


def _require_in_sight(
    signed: Iterable[etree._Element], required: set[etree._Element], security: etree._Element
) -> None:
    """Raises CoverageInsufficient: somebody put a signed element where nobody looks for it."""
    for element in signed:
        if element in required or element.getparent() is security.getparent():
            continue
        around = set(element.iterancestors())
        is_own = security in around and str(element.tag).startswith(_OWN_TAGS)
        if not is_own and not around & required:
            name = etree.QName(element).localname
            raise CoverageInsufficient(f"{name} is signed and does not stand where it belongs")


def _covered_attachments(
    attachments: Sequence[Attachment],
    covered: dict[str, bool],
    token: Token,
    policy: SignaturePolicy,
) -> tuple[Attachment, ...]:
    """The attachments that are signed; raises CoverageInsufficient if one is not."""
    if not attachments:
        return ()
    found = []
    for attachment in attachments:
        has_headers = covered.get(attachment.content_id)
        if has_headers is None and attachment is token.attachment:
            continue  # its content is proved by leading to an anchor
        if has_headers is None:
            raise CoverageInsufficient("an attachment is not signed")
        if policy.are_attachment_headers_required and not has_headers:
            raise CoverageInsufficient("an attachment is not signed with its headers")
        found.append(attachment)
    return tuple(found)
