"""Sign and check bytes with each algorithm that a policy can name.

Sources: XML Signature 1.1 §6.4 (RSA, ECDSA: the value is r and s, each as wide as the curve's
order), RFC 9231 §2.3 (RSA-PSS with MGF1 of the same hash, Ed25519).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from signing import policy as uri
from signing.errors import AlgorithmForbidden, KeyUnusable, SignatureValueInvalid
from signing.policy import SignaturePolicy

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

DIGESTS: dict[str, Callable[[bytes], bytes]] = {
    uri.DIGEST_SHA1: lambda data: hashlib.sha1(data, usedforsecurity=False).digest(),
    uri.DIGEST_SHA256: lambda data: hashlib.sha256(data).digest(),
    uri.DIGEST_SHA384: lambda data: hashlib.sha384(data).digest(),
    uri.DIGEST_SHA512: lambda data: hashlib.sha512(data).digest(),
}

_HASHES = {
    uri.DIGEST_SHA1: "sha1",
    uri.DIGEST_SHA256: "sha256",
    uri.DIGEST_SHA384: "sha384",
    uri.DIGEST_SHA512: "sha512",
}


@dataclass(frozen=True, slots=True)
class _Rsa:
    hash: hashes.HashAlgorithm
    is_pss: bool

    def padding(self) -> padding.AsymmetricPadding:
        if self.is_pss:
            return padding.PSS(padding.MGF1(self.hash), self.hash.digest_size)
        return padding.PKCS1v15()


@dataclass(frozen=True, slots=True)
class _Ecdsa:
    hash: hashes.HashAlgorithm


@dataclass(frozen=True, slots=True)
class _Ed25519:
    pass


# SHA-1 is here to be checked where a policy makes an exception; `sign_bytes` refuses it.
_ALGORITHMS: dict[str, _Rsa | _Ecdsa | _Ed25519] = {
    uri.RSA_SHA1: _Rsa(hashes.SHA1(), is_pss=False),  # noqa: S303
    uri.ECDSA_SHA1: _Ecdsa(hashes.SHA1()),  # noqa: S303
    uri.RSA_SHA256: _Rsa(hashes.SHA256(), is_pss=False),
    uri.RSA_SHA384: _Rsa(hashes.SHA384(), is_pss=False),
    uri.RSA_SHA512: _Rsa(hashes.SHA512(), is_pss=False),
    uri.RSA_PSS_SHA256: _Rsa(hashes.SHA256(), is_pss=True),
    uri.RSA_PSS_SHA384: _Rsa(hashes.SHA384(), is_pss=True),
    uri.RSA_PSS_SHA512: _Rsa(hashes.SHA512(), is_pss=True),
    uri.ECDSA_SHA256: _Ecdsa(hashes.SHA256()),
    uri.ECDSA_SHA384: _Ecdsa(hashes.SHA384()),
    uri.ECDSA_SHA512: _Ecdsa(hashes.SHA512()),
    uri.ED25519: _Ed25519(),
}


def digest(data: bytes, algorithm: str) -> bytes:
    """The digest of `data` by a DigestMethod identifier; the policy was asked before."""
    return DIGESTS[algorithm](data)


def digest_pieces(pieces: Iterable[bytes], algorithm: str) -> bytes:
    """The same over bytes that come piece by piece."""
    running = hashlib.new(_HASHES[algorithm], usedforsecurity=False)
    for piece in pieces:
        running.update(piece)
    return running.digest()


def default_algorithm(key: PublicKey) -> str:
    """The signature algorithm that we use with a key of this kind.

    Raises KeyUnusable for a curve other than P-256 and P-384.
    """
    if isinstance(key, rsa.RSAPublicKey):
        return uri.RSA_SHA256
    if isinstance(key, ed25519.Ed25519PublicKey):
        return uri.ED25519
    if isinstance(key.curve, ec.SECP256R1):
        return uri.ECDSA_SHA256
    if isinstance(key.curve, ec.SECP384R1):
        return uri.ECDSA_SHA384
    raise KeyUnusable(f"curve {key.curve.name} is not used; expected P-256 or P-384")


def sign_bytes(key: PrivateKey, algorithm: str, data: bytes) -> bytes:
    """The signature value of `data`; raises KeyUnusable if key and algorithm do not belong."""
    if algorithm not in uri.SIGNATURE_ALGORITHMS:
        raise KeyUnusable(f"nothing is signed with {algorithm}")
    method = _ALGORITHMS[algorithm]
    if isinstance(key, rsa.RSAPrivateKey) and isinstance(method, _Rsa):
        return key.sign(data, method.padding(), method.hash)
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(method, _Ecdsa):
        width = (key.curve.key_size + 7) // 8
        r, s = decode_dss_signature(key.sign(data, ec.ECDSA(method.hash)))
        return r.to_bytes(width, "big") + s.to_bytes(width, "big")
    if isinstance(key, ed25519.Ed25519PrivateKey) and isinstance(method, _Ed25519):
        return key.sign(data)
    raise KeyUnusable(f"a key of this kind does not sign with {algorithm}")


def require_allowed(key: object, algorithm: str, policy: SignaturePolicy) -> None:
    """Refuse an algorithm outside the policy, and a key that is weak or of another kind."""
    method = _ALGORITHMS.get(algorithm)
    if method is None or algorithm not in policy.signature_algorithms:
        raise AlgorithmForbidden(f"signature algorithm {algorithm} is not allowed")
    if isinstance(method, _Rsa) and isinstance(key, rsa.RSAPublicKey):
        bits_min = max(policy.rsa_bits_min, uri.RSA_BITS_MIN)
        if key.key_size < bits_min:
            raise AlgorithmForbidden(
                f"RSA key of {key.key_size} bits; at least {bits_min} are required"
            )
        return
    if isinstance(method, _Ecdsa) and isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.name not in policy.curves:
            allowed = ", ".join(sorted(policy.curves))
            raise AlgorithmForbidden(f"curve {key.curve.name}; expected one of {allowed}")
        return
    if isinstance(method, _Ed25519) and isinstance(key, ed25519.Ed25519PublicKey):
        return
    raise AlgorithmForbidden(f"the certificate's key is not of the kind of {algorithm}")


def verify_bytes(key: PublicKey, algorithm: str, value: bytes, data: bytes) -> None:
    """Check a signature value; key and algorithm were checked by require_allowed.

    Raises SignatureValueInvalid.
    """
    method = _ALGORITHMS[algorithm]
    try:
        if isinstance(key, rsa.RSAPublicKey) and isinstance(method, _Rsa):
            key.verify(value, data, method.padding(), method.hash)
        elif isinstance(key, ec.EllipticCurvePublicKey) and isinstance(method, _Ecdsa):
            key.verify(_der_signature(key, value), data, ec.ECDSA(method.hash))
        elif isinstance(key, ed25519.Ed25519PublicKey) and isinstance(method, _Ed25519):
            key.verify(value, data)
        else:
            raise SignatureValueInvalid("the key is not of the kind of the algorithm")
    except InvalidSignature as error:
        raise SignatureValueInvalid("the signature value does not fit the key") from error


def _der_signature(key: ec.EllipticCurvePublicKey, value: bytes) -> bytes:
    width = (key.curve.key_size + 7) // 8
    if len(value) != 2 * width:
        raise SignatureValueInvalid(
            f"an ECDSA value on {key.curve.name} has {2 * width} bytes, not {len(value)}"
        )
    return encode_dss_signature(
        int.from_bytes(value[:width], "big"), int.from_bytes(value[width:], "big")
    )
