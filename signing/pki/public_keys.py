"""Take the key out of a certificate, and refuse one that anybody can sign with.

An authority certifies what it is asked to certify: that a key is no key, too large, or a point
under which every value fits, is for whoever verifies to see.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from signing.algorithms import PublicKey
from signing.errors import CertificateRejectedError
from signing.pki.keys import RSA_BITS_MAX

RSA_EXPONENT_BITS_MAX = 256
"""Largest public exponent. NIST SP 800-56B Rev. 2 §6.2."""

_SMALL_ORDER = frozenset(
    bytes.fromhex(point)
    for point in (
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    )
)
"""Every encoding of a point of edwards25519 whose order divides 8, without the sign of x."""


def signing_key(certificate: x509.Certificate) -> PublicKey:
    """The key of a certificate, of a kind that signatures are verified with.

    Raises CertificateRejectedError.
    """
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateRejectedError("the certificate holds no key that can be read") from error
    if isinstance(key, rsa.RSAPublicKey):
        _require_bounded(key)
        return key
    if isinstance(key, ed25519.Ed25519PublicKey):
        _require_own_order(key)
        return key
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key  # a point that is not on its curve cannot be read; every curve used is prime
    raise CertificateRejectedError("the key must be RSA, P-256, P-384 or Ed25519")


def _require_bounded(key: rsa.RSAPublicKey) -> None:
    if key.key_size > RSA_BITS_MAX:
        raise CertificateRejectedError(f"an RSA key of {key.key_size} bits is not verified with")
    exponent_bits = key.public_numbers().e.bit_length()
    if exponent_bits > RSA_EXPONENT_BITS_MAX:
        raise CertificateRejectedError(
            f"an RSA exponent of {exponent_bits} bits is not verified with"
        )


def _require_own_order(key: ed25519.Ed25519PublicKey) -> None:
    """A point of small order verifies values that nobody made. RFC 8032 §8.9."""
    point = key.public_bytes_raw()
    if point[:-1] + bytes([point[-1] & 0x7F]) in _SMALL_ORDER:
        raise CertificateRejectedError(
            "the Ed25519 key is a point of small order: anybody signs by it"
        )
