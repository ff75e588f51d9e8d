"""Load private keys and certificates, and prove that they belong together. Bytes in, values out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Protocol, cast

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.hazmat.primitives.serialization.pkcs12 import (
    PKCS12KeyAndCertificates,
    load_pkcs12,
)

from signing.algorithms import default_algorithm, sign_bytes
from signing.errors import KeyUnusableError

RSA_BITS_MIN = 2048
RSA_BITS_MAX = 8192
"""Larger keys make one signature a burden for everybody who checks it."""
PEM_BYTES_MAX = 1024 * 1024

PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey
PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey

_CERTIFICATE_START = b"-----BEGIN CERTIFICATE-----"


class HeldKey(Protocol):
    """A private key that a device holds and never gives away."""

    def public_key(self) -> object:
        """Its public half."""
        ...

    def sign(self, algorithm: str, data: bytes) -> bytes:
        """The signature value of `data` as XML Signature writes it; may wait for the device.

        Raises KeyUnusableError (key and algorithm do not belong), KeyUnavailableError (the device
        cannot be reached: nothing was signed).
        """
        ...


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key with the certificate that speaks for it. Made by `make_signer` only."""

    private_key: PrivateKey | HeldKey = field(repr=False, compare=False)
    certificate: x509.Certificate = field(repr=False)
    certificate_der: bytes = field(repr=False)
    certificate_sha256: bytes
    """SHA-256 of the DER: the name by which the message log knows this certificate."""
    chain: tuple[x509.Certificate, ...] = field(repr=False)
    """What stands between the certificate and an anchor, where the key's file holds it."""
    algorithm: str
    """The signature algorithm that we use with a key of this kind."""
    sign: Callable[[str, bytes], bytes] = field(repr=False, compare=False)
    """The signature value of some data by an algorithm. Raises KeyUnusableError,
    KeyUnavailableError."""
    waits: bool
    """Signing waits for a device: it is not for the thread of an event loop."""

    def at(self, now: datetime) -> Signer:
        """This one, at any time: see `SignerInTime`."""
        return self


class SignerInTime(Protocol):
    """Whoever signs, with one key after the other or always with the same."""

    def at(self, now: datetime) -> Signer:
        """The signer to sign with at `now`."""
        ...


@dataclass(frozen=True, slots=True)
class KeyFile:
    """What a PKCS #12 file holds."""

    private_key: PrivateKey = field(repr=False)
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]


def load_private_key(pem: bytes, *, passphrase: bytes | None = None) -> PrivateKey:
    """The private key in a PEM text (PKCS #8 or traditional), decrypted with the passphrase.

    Raises KeyUnusableError: no PEM, wrong or missing passphrase, or a kind of key other than
    RSA of 2048 to 8192 bits, P-256, P-384 and Ed25519.
    """
    if len(pem) > PEM_BYTES_MAX:
        raise KeyUnusableError("the file is too large for a key")
    try:
        key = load_pem_private_key(pem, password=passphrase)
    except TypeError as error:  # cryptography: a passphrase is missing, or given for nothing
        wanted = (
            "is encrypted: a passphrase is needed" if passphrase is None else "has no passphrase"
        )
        raise KeyUnusableError(f"the private key {wanted}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        reason = (
            "no private key in PEM"
            if passphrase is None
            else "no private key in PEM, or the passphrase is wrong"
        )
        raise KeyUnusableError(reason) from error
    if not isinstance(key, PrivateKey):
        raise KeyUnusableError("expected an RSA, P-256, P-384 or Ed25519 key")
    check_public_key(key.public_key())
    return key


def check_public_key(key: object) -> PublicKey:
    """The key, if it is of a kind and size that signatures here may use.

    Raises KeyUnusableError.
    """
    if isinstance(key, RSAPublicKey):
        if not RSA_BITS_MIN <= key.key_size <= RSA_BITS_MAX:
            raise KeyUnusableError(
                f"RSA of {key.key_size} bits; expected {RSA_BITS_MIN} to {RSA_BITS_MAX}"
            )
        return key
    if isinstance(key, EllipticCurvePublicKey):
        if not isinstance(key.curve, SECP256R1 | SECP384R1):
            raise KeyUnusableError(f"the curve {key.curve.name}; expected P-256 or P-384")
        return key
    if isinstance(key, Ed25519PublicKey):
        return key
    raise KeyUnusableError("expected an RSA, P-256, P-384 or Ed25519 key")


def load_certificates(raw: bytes) -> tuple[x509.Certificate, ...]:
    """Every certificate in a PEM text, or the one in a DER file. Raises KeyUnusableError."""
    if len(raw) > PEM_BYTES_MAX:
        raise KeyUnusableError("the file is too large for certificates")
    try:
        if _CERTIFICATE_START in raw:
            return tuple(x509.load_pem_x509_certificates(raw))
        return (x509.load_der_x509_certificate(raw),)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyUnusableError("no certificate in PEM or DER") from error


def load_certificate(raw: bytes) -> x509.Certificate:
    """The one certificate in a PEM text or DER file. Raises KeyUnusableError."""
    certificates = load_certificates(raw)
    if len(certificates) != 1:
        raise KeyUnusableError(f"{len(certificates)} certificates; expected one")
    return certificates[0]


def load_key_file(raw: bytes, *, passphrase: bytes | None = None) -> KeyFile:
    """The key, its certificate and its chain in a PKCS #12 file (RFC 7292).

    Raises KeyUnusableError: no such file, wrong or missing passphrase, no key or no certificate in
    it, or a kind of key that signatures here do not use.
    """
    if len(raw) > PEM_BYTES_MAX:
        raise KeyUnusableError("the file is too large for a key")
    loaded = _load_pkcs12(raw, passphrase)
    if loaded.cert is None:  # without a key no certificate is its own
        raise KeyUnusableError("expected a private key and its certificate in the PKCS #12 file")
    if not isinstance(loaded.key, PrivateKey):
        raise KeyUnusableError("expected an RSA, P-256, P-384 or Ed25519 key")
    check_public_key(loaded.key.public_key())
    chain = tuple(one.certificate for one in loaded.additional_certs)
    return KeyFile(loaded.key, loaded.cert.certificate, chain)


def make_signer(
    private_key: PrivateKey | HeldKey,
    certificate: x509.Certificate,
    chain: tuple[x509.Certificate, ...] = (),
) -> Signer:
    """Join a key and its certificate. Raises KeyUnusableError if they do not belong together."""
    public_key = check_public_key(private_key.public_key())
    # Compared as SubjectPublicKeyInfo (RFC 5280 §4.1.2.7): kind, curve and value at once.
    if _public_bytes(public_key) != _public_bytes(_certified_key(certificate)):
        raise KeyUnusableError("the certificate was issued for another key")
    der = certificate.public_bytes(Encoding.DER)
    is_ours = isinstance(private_key, PrivateKey)
    sign = partial(sign_bytes, private_key) if is_ours else cast(HeldKey, private_key).sign
    return Signer(
        private_key=private_key,
        certificate=certificate,
        certificate_der=der,
        certificate_sha256=hashlib.sha256(der).digest(),
        chain=chain,
        algorithm=default_algorithm(public_key),
        sign=sign,
        waits=not is_ours,
    )


def load_signer(key_pem: bytes, certificate: bytes, *, passphrase: bytes | None = None) -> Signer:
    """A key in PEM and its certificate in PEM or DER, joined. Raises KeyUnusableError."""
    private_key = load_private_key(key_pem, passphrase=passphrase)
    return make_signer(private_key, load_certificate(certificate))


def _load_pkcs12(raw: bytes, passphrase: bytes | None) -> PKCS12KeyAndCertificates:
    try:
        return load_pkcs12(raw, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        reason = (
            "no PKCS #12 file, or a passphrase is needed"
            if passphrase is None
            else "no PKCS #12 file, or the passphrase is wrong"
        )
        raise KeyUnusableError(reason) from error


def _certified_key(certificate: x509.Certificate) -> PublicKey:
    try:
        return check_public_key(certificate.public_key())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyUnusableError("the certificate's public key cannot be read") from error


def _public_bytes(key: PublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
