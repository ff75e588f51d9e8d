"""Find the certificate that ds:KeyInfo refers to.

Sources: WSS X.509 Certificate Token Profile 1.1.1 §3.2, WSS SOAP Message Security 1.1.1 §7, XML
Signature 1.1 §4.5.4. A certificate is carried by the message or is one of the hub's known ones;
either way it must lead to an anchor. A key by itself (KeyValue, KeyName) is never taken, nor a
token of another kind (SAML, Kerberos, EncryptedKey).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from lxml import etree

from signing import names
from signing.attachments import Attachment
from signing.elements import base64_of, base64_text, only_child, text_of
from signing.errors import CertificateRejectedError, SignatureMalformedError
from signing.pki.distinguished_names import parse_name
from signing.pki.known_certificates import KnownCertificates, Name, Naming, leaf_of
from signing.wss.element_ids import ElementIds
from signing.wss.inlined_parts import included_attachment
from signing.wss.x509_tokens import CERTIFICATES_MAX, TOKEN_BYTES_MAX, end_entity

_SERIAL_DIGITS_MAX = 64
TOKENS_KEPT_MAX = 1024
"""Tokens that are kept as read: a sender's is the same with every message."""
TOKEN_KEPT_CHARACTERS_MAX = 8 * 1024
"""Longest token that is kept, in base64."""
_X509_DATA_CHILDREN_MAX = 16
"""Certificates, names of them and revocation lists in one X509Data."""


class TokenPlace(NamedTuple):
    """Where a token may be: in the security header, or known beforehand."""

    security: etree._Element
    ids: ElementIds
    known: KnownCertificates
    attachments: tuple[Attachment, ...]
    now: datetime


class Token(NamedTuple):
    """The certificate that a reference leads to, and the element that carries it."""

    certificate_der: bytes
    element: etree._Element | None = None
    """None: the message carries no token; a certificate is implied."""
    attachment: Attachment | None = None
    """The attachment that holds the token's bytes, for a message that is optimised (XOP)."""


def find_token(key_info: etree._Element, place: TokenPlace) -> Token:
    """The token that the ds:KeyInfo of a signature refers to.

    Raises SignatureMalformedError, CertificateRejectedError.
    """
    # KeyName and KeyValue beside a certificate say nothing that the certificate does not.
    references = [child for child in key_info if child.tag in _REFERENCE_TAGS]
    if len(references) != 1:
        raise SignatureMalformedError(
            f"KeyInfo holds {len(references)} references to a certificate; expected one"
        )
    if references[0].tag == names.X509_DATA:
        return _from_x509_data(references[0], place)
    return dereference(references[0], place)


_REFERENCE_TAGS = (names.SECURITY_TOKEN_REFERENCE, names.X509_DATA)


def id_referred_to(key_info: etree._Element) -> str:
    """The Id of the token that KeyInfo refers to and holds nothing beside; empty: no such Id."""
    if len(key_info) != 1 or len(key_info[0]) != 1:
        return ""
    reference = key_info[0][0]
    is_by_id = (key_info[0].tag, reference.tag) == (
        names.SECURITY_TOKEN_REFERENCE,
        names.TOKEN_REFERENCE,
    )
    uri = reference.get("URI", "") if is_by_id else ""
    return uri[1:] if uri.startswith("#") else ""


def dereference(reference: etree._Element, place: TokenPlace) -> Token:
    """The token that a wsse:SecurityTokenReference leads to. WSS §7.1.

    Raises SignatureMalformedError, CertificateRejectedError.
    """
    if len(reference) != 1:
        raise SignatureMalformedError("a SecurityTokenReference must hold one reference")
    follow = _REFERENCES.get(str(reference[0].tag))
    if follow is None:
        raise SignatureMalformedError(
            "a SecurityTokenReference refers in a way that is not followed"
        )
    return follow(reference[0], place)


# --- tokens that the message carries ------------------------------------------------------------


def _from_reference(reference: etree._Element, place: TokenPlace) -> Token:
    uri = reference.get("URI", "")
    return token_with_id(uri[1:] if uri.startswith("#") else "", place)


def token_with_id(identifier: str, place: TokenPlace) -> Token:
    """The token that carries an Id. Raises SignatureMalformedError, CertificateRejectedError."""
    token = place.ids.bearer(identifier)
    # Not just any element with this Id: a token of this very header. WSS §7.2.
    if (
        token is None
        or token.tag != names.BINARY_SECURITY_TOKEN
        or token.getparent() is not place.security
    ):
        raise SignatureMalformedError("KeyInfo must refer to a BinarySecurityToken of this header")
    return _from_token(token, place)


def _from_embedded(embedded: etree._Element, place: TokenPlace) -> Token:
    if len(embedded) != 1 or embedded[0].tag != names.BINARY_SECURITY_TOKEN:
        raise SignatureMalformedError("Embedded must hold one BinarySecurityToken")
    return _from_token(embedded[0], place)


def _from_token(token: etree._Element, place: TokenPlace) -> Token:
    _require_base64(token)
    value_type = token.get("ValueType", "")
    attachment = included_attachment(token, place.attachments) if len(token) else None
    if attachment is not None:
        return Token(end_entity(_content(attachment), value_type), token, attachment)
    text = text_of(token)
    read = _kept_token if len(text) <= TOKEN_KEPT_CHARACTERS_MAX else _read_token
    return Token(read(text, value_type), token)


def _read_token(text: str, value_type: str) -> bytes:
    return end_entity(base64_text(text, names.BINARY_SECURITY_TOKEN), value_type)


_kept_token = lru_cache(maxsize=TOKENS_KEPT_MAX)(_read_token)


def _content(attachment: Attachment) -> bytes:
    if attachment.bytes_count > TOKEN_BYTES_MAX:
        raise CertificateRejectedError(
            f"a token of {attachment.bytes_count} bytes is not looked at"
        )
    return b"".join(attachment.chunks())


def _require_base64(element: etree._Element) -> None:
    if element.get("EncodingType", names.BASE64_BINARY) != names.BASE64_BINARY:
        name = etree.QName(element).localname
        raise SignatureMalformedError(f"{name} must be encoded as Base64Binary")


# --- references to certificates by what they are -------------------------------------------------


def _from_key_identifier(identifier: etree._Element, place: TokenPlace) -> Token:
    _require_base64(identifier)
    value_type = identifier.get("ValueType", "")
    content = base64_of(identifier)
    if value_type == names.X509_V3:
        return Token(end_entity(content, value_type))
    naming = _KEY_IDENTIFIERS.get(value_type)
    if naming is None:
        raise SignatureMalformedError("a KeyIdentifier of this ValueType is not followed")
    return Token(place.known.find([(naming, content)], place.now))


def _from_x509_data(data: etree._Element, place: TokenPlace) -> Token:
    certificates: list[bytes] = []
    said: list[Name] = []
    if len(data) > _X509_DATA_CHILDREN_MAX:
        raise SignatureMalformedError(
            f"X509Data holds {len(data)} elements; at most {_X509_DATA_CHILDREN_MAX} are read"
        )
    for child in data:
        if child.tag == names.X509_CERTIFICATE:
            certificates.append(base64_of(child))
        elif child.tag in _NAMINGS:
            said.append(_NAMINGS[str(child.tag)](child))
        elif child.tag != names.X509_CRL:  # revocation is told by the authority, not the sender
            raise SignatureMalformedError("X509Data holds something that is not read")
    if len(certificates) > CERTIFICATES_MAX:
        raise SignatureMalformedError(
            f"{len(certificates)} certificates; at most {CERTIFICATES_MAX}"
        )
    if certificates:
        return Token(_signer_among(certificates, said))
    if not said:
        raise SignatureMalformedError("X509Data names no certificate")
    return Token(place.known.find(said, place.now))


def _signer_among(certificates: list[bytes], said: Iterable[Name]) -> bytes:
    said = list(said)
    # The one certificate of nearly every message is read where it is led to an anchor.
    return certificates[0] if len(certificates) == 1 and not said else leaf_of(certificates, said)


def _issuer_serial(element: etree._Element) -> Name:
    issuer = only_child(element, names.X509_ISSUER_NAME).text or ""
    serial = (only_child(element, names.X509_SERIAL_NUMBER).text or "").strip()
    if not (serial.isascii() and serial.isdigit() and len(serial) <= _SERIAL_DIGITS_MAX):
        raise SignatureMalformedError("X509SerialNumber is not a decimal number")
    return Naming.ISSUER_SERIAL, (parse_name(issuer), int(serial))


def _subject(element: etree._Element) -> Name:
    return Naming.SUBJECT, parse_name(element.text or "")


def _subject_key_identifier(element: etree._Element) -> Name:
    return Naming.KEY_IDENTIFIER, base64_of(element)


_REFERENCES: dict[str, Callable[[etree._Element, TokenPlace], Token]] = {
    names.TOKEN_REFERENCE: _from_reference,
    names.EMBEDDED: _from_embedded,
    names.KEY_IDENTIFIER: _from_key_identifier,
    names.X509_DATA: _from_x509_data,
}
_KEY_IDENTIFIERS = {
    names.X509_KEY_IDENTIFIER: Naming.KEY_IDENTIFIER,
    names.THUMBPRINT_SHA1: Naming.THUMBPRINT,
}
_NAMINGS: dict[str, Callable[[etree._Element], Name]] = {
    names.X509_ISSUER_SERIAL: _issuer_serial,
    names.X509_SKI: _subject_key_identifier,
    names.X509_SUBJECT_NAME: _subject,
}
