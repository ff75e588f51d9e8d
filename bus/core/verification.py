"""Verify who sent an envelope: signature, certificate, member, freshness.

Only this module makes a VerifiedEnvelope. The checks, in order:

 (1) There is a security header for this hub. WSS 1.1.1 §6.
 (2) One signature reaches the Body, every routing header block, the timestamp, each at its
     position, and every attachment, under a certificate that leads to a trust anchor now and by
     the policy of the member that has it (signing.wss.verify).
 (3) The message timestamp is neither too old nor in the future, and Expires is not past. WSS §10.
 (4) The certificate belongs to exactly one member.
 (5) The client header names a registered subsystem of that member.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from lxml import etree

from bus.core import errors
from bus.core.envelope import Envelope
from bus.core.identifiers import MemberId
from bus.core.limits import Limits
from bus.core.registry import MemberRegistry
from bus.core.xml import parse_xml
from signing import errors as signature_errors
from signing import names
from signing.attachments import Attachment
from signing.pki.certificates import TrustStore, ValidatedCertificate
from signing.policy import SignaturePolicy
from signing.quick_init import quick_init
from signing.wss.verify import SignedPart, VerifiedSignature, verify_signature

_XML_SPACE = " \t\r\n"
_DATE_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,12})?"
    r"(?:Z|[+-](?:0[0-9]|1[0-3]):[0-5][0-9]|[+-]14:00)?\Z"
)
"""xs:dateTime of the years with four digits; Python alone reads weeks, and words after a fraction.
XML Schema Part 2 §3.2.7.1."""

BODY = "Body"
TIMESTAMP = "Timestamp"

_NO_CANONICAL_XML = (errors.ForbiddenXml, errors.NotWellFormed, errors.TooLarge)
"""What is wrong with an attachment itself, too complex with too large; that its content was not
kept is another matter."""

_ERROR_OF: dict[type[signature_errors.SignatureError], type[errors.BusError]] = {
    signature_errors.SignatureMissingError: errors.SignatureMissing,
    signature_errors.SignatureMalformedError: errors.SignatureMalformed,
    signature_errors.CoverageInsufficientError: errors.CoverageInsufficient,
    signature_errors.DigestMismatchError: errors.DigestMismatch,
    signature_errors.SignatureValueInvalidError: errors.SignatureInvalid,
    signature_errors.AlgorithmForbiddenError: errors.AlgorithmForbidden,
    signature_errors.CertificateRejectedError: errors.CertificateRejected,
    signature_errors.KeyUnusableError: errors.CertificateRejected,
}


@quick_init
@dataclass(frozen=True, slots=True)
class VerifiedEnvelope:
    """An envelope whose sender is proved. Made by `verify` only."""

    envelope: Envelope
    sender: MemberId
    certificate_digest: bytes
    """SHA-256 of the signer's certificate in DER."""
    certificate: bytes = field(repr=False)
    """The signer's certificate in DER, for whoever asks whether it is revoked."""
    signature_digest: bytes
    """SHA-256 of the signature value."""
    created: datetime
    canonical_parts: dict[str, bytes] = field(repr=False)
    """The bytes whose digests were signed, by name of the part."""
    attachments: tuple[Attachment, ...] = ()
    """The attachments that are signed; one that only holds the sender's certificate is not."""


def verify(
    envelope: Envelope, registry: MemberRegistry, trust: TrustStore, now: datetime
) -> VerifiedEnvelope:
    """Prove who sent an envelope, as of `now` (aware, UTC).

    Raises SignatureMissing, SignatureMalformed, CoverageInsufficient, DigestMismatch,
    SignatureInvalid, AlgorithmForbidden, CertificateRejected, MessageExpired, SenderUnknown,
    ClientUnknown, SenderMismatch.
    """
    # (1)
    if envelope.security is None:
        raise errors.SignatureMissing("there is no wsse:Security header for this hub")
    # (2)
    timestamp = _timestamp(envelope.security)
    signature = _verified_signature(envelope, timestamp, registry, trust, now)
    # (3)
    created = _check_freshness(timestamp, signature.policy, now)
    # (4)
    sender = _member(signature, registry)
    # (5)
    if envelope.client not in registry.subsystems:
        raise errors.ClientUnknown(f"client {envelope.client} is not registered")
    if envelope.client.member != sender:
        raise errors.SenderMismatch(f"client {envelope.client}, signed by {sender}")
    return VerifiedEnvelope(
        envelope=envelope,
        sender=sender,
        certificate_digest=signature.certificate.digest,
        certificate=signature.certificate.der,
        signature_digest=hashlib.sha256(signature.value).digest(),
        created=created,
        canonical_parts=signature.canonical_parts,
        attachments=signature.attachments,
    )


def _timestamp(security: etree._Element) -> etree._Element:
    found = list(security.iterchildren(names.TIMESTAMP))
    if len(found) != 1:
        raise errors.SignatureMalformed(f"{len(found)} wsu:Timestamp; expected exactly one")
    return found[0]


def _verified_signature(
    envelope: Envelope,
    timestamp: etree._Element,
    registry: MemberRegistry,
    trust: TrustStore,
    now: datetime,
) -> VerifiedSignature:
    assert envelope.security is not None
    required = [SignedPart(BODY, envelope.body), SignedPart(TIMESTAMP, timestamp)]
    required += envelope.routing_blocks

    def policy_of(certificate: ValidatedCertificate) -> SignaturePolicy:
        member = registry.member_by_certificate_subject.get(certificate.subject_identifier)
        return registry.policy_of(member, now)

    def read_xml(attachment: Attachment) -> etree._Element:
        try:
            return _xml_attachment(attachment, registry.limits)
        except _NO_CANONICAL_XML as error:
            number = envelope.attachments.index(attachment) + 1
            told = f"attachment {number}: {error.public_detail}"
            raise errors.AttachmentXmlInvalid(public_detail=told) from error

    try:
        return verify_signature(
            envelope.security,
            required,
            policy_of,
            trust,
            now,
            attachments=envelope.attachments,
            read_xml=read_xml,
        )
    except signature_errors.SignatureError as error:
        raise _ERROR_OF[type(error)](str(error)) from error


def _xml_attachment(attachment: Attachment, limits: Limits) -> etree._Element:
    """The root of an attachment whose canonical form is signed. SwA Profile 1.1.1 §5.4.2."""
    if attachment.bytes_count > limits.envelope_bytes_max:
        raise errors.TooLarge(public_detail="it is larger than an envelope")
    raw = b"".join(attachment.chunks())
    if b"<!--" in raw:
        # Whoever reads the attachment would see what the canonical form, and so the signature,
        # leaves out.
        raise errors.ForbiddenXml(public_detail="it holds a comment, which nobody signed")
    return parse_xml(raw, bytes_max=limits.envelope_bytes_max, limits=limits)


def _member(signature: VerifiedSignature, registry: MemberRegistry) -> MemberId:
    subject = signature.certificate.subject_identifier
    member = registry.member_by_certificate_subject.get(subject)
    if member is None:
        raise errors.SenderUnknown(f"no member has the certificate subject {subject[:128]!r}")
    return member


def _check_freshness(timestamp: etree._Element, policy: SignaturePolicy, now: datetime) -> datetime:
    created = _moment(timestamp, names.CREATED)
    if created is None:
        raise errors.MessageExpired("the timestamp has no wsu:Created")
    if created > now + timedelta(seconds=policy.clock_skew_seconds_max):
        raise errors.MessageExpired(f"created {created.isoformat()}, in the future")
    if created < now - timedelta(seconds=policy.message_age_seconds_max):
        raise errors.MessageExpired(f"created {created.isoformat()}, too old")
    expires = _moment(timestamp, names.EXPIRES)
    if expires is None and policy.is_expires_required:
        raise errors.MessageExpired("the timestamp has no wsu:Expires")
    if expires is not None and expires <= now:
        raise errors.MessageExpired(f"expired at {expires.isoformat()}")
    return created


def _moment(timestamp: etree._Element, tag: str) -> datetime | None:
    found = list(timestamp.iterchildren(tag))
    if not found:
        return None
    text = (found[0].text or "").strip(_XML_SPACE)
    if len(found) > 1 or len(found[0]):
        raise errors.SignatureMalformed("a timestamp says one thing twice")
    if not _DATE_TIME.match(text):
        raise errors.SignatureMalformed("a timestamp is not an xs:dateTime")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise errors.SignatureMalformed("a timestamp is not an xs:dateTime") from error
    if moment.tzinfo is None:
        # WSS §10: a timestamp without zone is in UTC.
        return moment.replace(tzinfo=UTC)
    return moment
