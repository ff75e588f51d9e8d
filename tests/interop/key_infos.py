"""Other ways to name the signer's certificate in a message of ours, for judges to sign."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding

_WSS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss"
_BASE64 = f"{_WSS}-soap-message-security-1.0#Base64Binary"
_SKI = f"{_WSS}-x509-token-profile-1.0#X509SubjectKeyIdentifier"
_X509 = f"{_WSS}-x509-token-profile-1.0#X509v3"
_THUMBPRINT = "http://docs.oasis-open.org/wss/oasis-wss-soap-message-security-1.1#ThumbprintSHA1"
_TOKEN = re.compile(rb"<wsse:BinarySecurityToken.*?</wsse:BinarySecurityToken>", re.DOTALL)
_REFERENCE = re.compile(
    rb"(<wsse:SecurityTokenReference[^>]*>).*?(</wsse:SecurityTokenReference>)", re.DOTALL
)


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def _key_identifier(value_type: str, content: bytes) -> str:
    return (
        f'<wsse:KeyIdentifier EncodingType="{_BASE64}" ValueType="{value_type}">'
        f"{_text(content)}</wsse:KeyIdentifier>"
    )


def _subject_key_identifier(certificate: x509.Certificate) -> str:
    extension = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    return _key_identifier(_SKI, extension.value.digest)


def _thumbprint(certificate: x509.Certificate) -> str:
    return _key_identifier(_THUMBPRINT, certificate.fingerprint(SHA1()))


def _whole(certificate: x509.Certificate) -> str:
    return _key_identifier(_X509, _der(certificate))


def _embedded(certificate: x509.Certificate) -> str:
    return (
        f'<wsse:Embedded><wsse:BinarySecurityToken EncodingType="{_BASE64}" ValueType="{_X509}">'
        f"{_text(_der(certificate))}</wsse:BinarySecurityToken></wsse:Embedded>"
    )


def _issuer_serial(certificate: x509.Certificate) -> str:
    return (
        "<ds:X509Data><ds:X509IssuerSerial><ds:X509IssuerName>"
        f"{certificate.issuer.rfc4514_string()}</ds:X509IssuerName><ds:X509SerialNumber>"
        f"{certificate.serial_number}</ds:X509SerialNumber></ds:X509IssuerSerial></ds:X509Data>"
    )


WAYS: dict[str, Callable[[x509.Certificate], str]] = {
    "SubjectKeyIdentifier": _subject_key_identifier,
    "Thumbprint": _thumbprint,
    "X509KeyIdentifier": _whole,
    "Embedded": _embedded,
    "IssuerSerial": _issuer_serial,
}
"""X.509 Token Profile 1.1.1 §3.2; WS-Security 1.1.1 §7.4, §8.3."""


def named_by(way: str, message: bytes, der: bytes) -> bytes:
    """The message without its token; its KeyInfo names the certificate in another way."""
    content = WAYS[way](x509.load_der_x509_certificate(der)).encode()
    without = _TOKEN.sub(b"", message, count=1)
    return _REFERENCE.sub(lambda found: found[1] + content + found[2], without, count=1)
