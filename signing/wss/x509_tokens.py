"""Read the certificate that signs out of a binary security token.

Source: WSS X.509 Certificate Token Profile 1.1.1 §3.1. What else a token carries is not used, also
not as an intermediate: a path is built from the certificates of this hub alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from asn1crypto import core as asn1
from asn1crypto import x509 as asn1_x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import load_der_pkcs7_certificates

from signing import names
from signing.errors import CertificateRejectedError, SignatureMalformedError
from signing.pki.known_certificates import leaf_of

TOKEN_BYTES_MAX = 64 * 1024
"""Largest token that is read, in bytes."""
CERTIFICATES_MAX = 10
"""Most certificates in one token."""


class _PkiPath(asn1.SequenceOf):  # type: ignore[misc]
    """PkiPath of X.509: from the certificate next to an anchor to the one that signs."""

    _child_spec = asn1_x509.Certificate


def end_entity(token: bytes, value_type: str) -> bytes:
    """The DER of the certificate that signs, out of a token of this ValueType.

    Raises SignatureMalformedError (a kind of token that is not read), CertificateRejectedError.
    """
    read = _READERS.get(value_type)
    if read is None:
        raise SignatureMalformedError("a security token must hold X.509 v3 certificates")
    if len(token) > TOKEN_BYTES_MAX:
        raise CertificateRejectedError(f"a token of {len(token)} bytes is not looked at")
    return read(token)


def _single(token: bytes) -> bytes:
    return token


def _last_of_path(token: bytes) -> bytes:
    try:
        path: Any = _PkiPath.load(token, strict=True)
        certificates = [one.dump() for one in itertools.islice(path, CERTIFICATES_MAX + 1)]
    except (ValueError, TypeError) as error:
        raise CertificateRejectedError("the token is no PkiPath") from error
    return bytes(_bounded(certificates)[-1])


def _leaf_of_bag(token: bytes) -> bytes:
    try:
        certificates = load_der_pkcs7_certificates(token)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateRejectedError(
            "the token holds no certificates as PKCS #7 writes them"
        ) from error
    return leaf_of(_bounded([one.public_bytes(Encoding.DER) for one in certificates]))


def _bounded(certificates: list[bytes]) -> list[bytes]:
    if not 1 <= len(certificates) <= CERTIFICATES_MAX:
        raise CertificateRejectedError(f"a token must hold 1 to {CERTIFICATES_MAX} certificates")
    return certificates


_READERS: dict[str, Callable[[bytes], bytes]] = {
    names.X509_V3: _single,
    names.X509_PKI_PATH: _last_of_path,
    names.X509_PKCS7: _leaf_of_bag,
}
