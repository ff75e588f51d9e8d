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
from datetime import datetime
from typing import NamedTuple

from lxml import etree

from signing import names
from signing.algorithms import require_allowed, verify_bytes
from signing.attachments import Attachment
from signing.elements import only_child
from signing.errors import AlgorithmForbiddenError, CoverageInsufficientError, SignatureMissingError
from signing.pki.certificates import TrustStore, ValidatedCertificate
from signing.policy import SignaturePolicy
from signing.wss.attachment_transforms import ReadXml
from signing.wss.coverage import check_coverage
from signing.wss.element_ids import ElementIds
from signing.wss.key_references import Token, TokenPlace
from signing.wss.signature_reading import SignatureReading

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

_FEW = 16
"""So many children of a security header are looked at one by one."""

PolicyOf = Callable[[ValidatedCertificate], SignaturePolicy]
"""The policy that holds for whoever has this certificate."""


class SignedPart(NamedTuple):
    """A part that must be signed: what it is called, and the node at its position."""

    name: str
    element: etree._Element


class VerifiedSignature(NamedTuple):
    """A signature that holds: who made it, and over which bytes."""

    certificate: ValidatedCertificate
    algorithm: str
    value: bytes
    canonical_parts: dict[str, bytes]
    """For each required part the canonical bytes whose digest was signed."""
    policy: SignaturePolicy
    """The policy that it was held to."""
    attachments: tuple[Attachment, ...] = ()
    """The attachments that it covers, in order; one that only holds the token is not among them."""

    def __repr__(self) -> str:
        """Without what was signed: it is somebody's data."""
        return f"VerifiedSignature({self.certificate!r}, {self.algorithm!r})"


def _refuse_xml(_attachment: Attachment) -> etree._Element:
    raise AlgorithmForbiddenError("attachments of an XML type are not read here")


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
    Raises a SignatureError: SignatureMissingError, SignatureMalformedError,
    AlgorithmForbiddenError, CertificateRejectedError, SignatureValueInvalidError,
    DigestMismatchError, CoverageInsufficientError.
    """
    # (1)
    signature = SignatureReading(
        only_child(security, names.SIGNATURE, SignatureMissingError), trust.signatures
    )
    # (2)
    root = security.getroottree().getroot()
    likely = [part.element for part in required]
    if len(security) <= _FEW:
        likely += security
    ids = ElementIds(root, likely, signature.elements_with_ids)
    # (3)
    place = TokenPlace(security, ids, trust.known, tuple(attachments), now)
    token = signature.token(place)
    # (4)
    certificate = trust.validate(token.certificate_der, now)
    if not isinstance(policy, SignaturePolicy):
        policy = policy(certificate)
    # (5)
    signed = signature.signed_info(policy)
    # (6)
    require_allowed(certificate.public_key, signed.algorithm, policy)
    # (7)
    value = signature.value()
    verify_bytes(certificate.public_key, signed.algorithm, value, signed.canonical)
    # (8)
    covered = check_coverage(signed, place, read_xml)
    # (9)
    parts = {}
    for name, element in required:
        canonical = covered.elements.pop(element, None)
        if canonical is None:
            raise CoverageInsufficientError(f"{name} is not signed where it stands")
        parts[name] = canonical
    covered_attachments: tuple[Attachment, ...] = ()
    if attachments:
        covered_attachments = _covered_attachments(attachments, covered.attachments, token, policy)
    # (10)
    if covered.elements:
        required_elements = {part.element for part in required}
        _require_in_sight(covered.elements, required_elements, security)
    signature.remember(signed, value, policy)
    return VerifiedSignature(
        certificate, signed.algorithm, value, parts, policy, covered_attachments
    )


def _require_in_sight(
    signed: Iterable[etree._Element], required: set[etree._Element], security: etree._Element
) -> None:
    """Raises CoverageInsufficientError: somebody put a signed element where nobody looks for it."""
    for element in signed:
        if element.getparent() is security.getparent():
            continue
        around = set(element.iterancestors())
        is_own = security in around and str(element.tag).startswith(_OWN_TAGS)
        if not is_own and not around & required:
            name = etree.QName(element).localname
            raise CoverageInsufficientError(f"{name} is signed and does not stand where it belongs")


def _covered_attachments(
    attachments: Sequence[Attachment],
    covered: dict[str, bool],
    token: Token,
    policy: SignaturePolicy,
) -> tuple[Attachment, ...]:
    """The attachments that are signed; raises CoverageInsufficientError if one is not."""
    found = []
    for attachment in attachments:
        has_headers = covered.get(attachment.content_id)
        if has_headers is None and attachment is token.attachment:
            continue  # its content is proved by leading to an anchor
        if has_headers is None:
            raise CoverageInsufficientError("an attachment is not signed")
        if policy.are_attachment_headers_required and not has_headers:
            raise CoverageInsufficientError("an attachment is not signed with its headers")
        found.append(attachment)
    return tuple(found)
