"""Sign and check bytes with each algorithm that a policy can name.

Sources: XML Signature 1.1 §6.4 (RSA, ECDSA: the value is r and s, each as wide as the curve's
order), RFC 9231 §2.3 (RSA-PSS with MGF1 of the same hash, Ed25519).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from signing import policy as uri
from signing.errors import AlgorithmForbiddenError, KeyUnusableError, SignatureValueInvalidError
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


_RSA: Any = rsa.RSAPublicKey
_EC: Any = ec.EllipticCurvePublicKey
_EDWARDS: Any = ed25519.Ed25519PublicKey
_SIGNING_KINDS: dict[Any, Any] = {
    rsa.RSAPrivateKey: _RSA,
    ec.EllipticCurvePrivateKey: _EC,
    ed25519.Ed25519PrivateKey: _EDWARDS,
}


def _find_kind(key_class: type) -> type | None:
    """The kind of a public key by its class; None: signatures are not verified with it."""
    return next((kind for kind in (_RSA, _EC, _EDWARDS) if issubclass(key_class, kind)), None)


def _find_signing_kind(key_class: type) -> type | None:
    """The kind of the public key that belongs to a private one; None: we do not sign with it."""
    found = (kind for base, kind in _SIGNING_KINDS.items() if issubclass(key_class, base))
    return next(found, None)


# Both are asked with every message; to ask an abstract class itself takes ten times as long.
_kind_of: Callable[[type], type | None] = lru_cache(maxsize=64)(_find_kind)
_signing_kind_of: Callable[[type], type | None] = lru_cache(maxsize=64)(_find_signing_kind)


@dataclass(frozen=True, slots=True)
class _Rsa:
    hash: hashes.HashAlgorithm
    padding: padding.AsymmetricPadding
    kind: type = _RSA


def _pkcs1(hash_algorithm: hashes.HashAlgorithm) -> _Rsa:
    return _Rsa(hash_algorithm, padding.PKCS1v15())


def _pss(hash_algorithm: hashes.HashAlgorithm) -> _Rsa:
    salt_bytes = hash_algorithm.digest_size
    return _Rsa(hash_algorithm, padding.PSS(padding.MGF1(hash_algorithm), salt_bytes))


@dataclass(frozen=True, slots=True)
class _Ecdsa:
    scheme: ec.ECDSA
    kind: type = _EC


@dataclass(frozen=True, slots=True)
class _Ed25519:
    kind: type = _EDWARDS


# SHA-1 is here to be checked where a policy makes an exception; `sign_bytes` refuses it.
_ALGORITHMS: dict[str, _Rsa | _Ecdsa | _Ed25519] = {
    uri.RSA_SHA1: _pkcs1(hashes.SHA1()),  # noqa: S303
    uri.ECDSA_SHA1: _Ecdsa(ec.ECDSA(hashes.SHA1())),  # noqa: S303
    uri.RSA_SHA256: _pkcs1(hashes.SHA256()),
    uri.RSA_SHA384: _pkcs1(hashes.SHA384()),
    uri.RSA_SHA512: _pkcs1(hashes.SHA512()),
    uri.RSA_PSS_SHA256: _pss(hashes.SHA256()),
    uri.RSA_PSS_SHA384: _pss(hashes.SHA384()),
    uri.RSA_PSS_SHA512: _pss(hashes.SHA512()),
    uri.ECDSA_SHA256: _Ecdsa(ec.ECDSA(hashes.SHA256())),
    uri.ECDSA_SHA384: _Ecdsa(ec.ECDSA(hashes.SHA384())),
    uri.ECDSA_SHA512: _Ecdsa(ec.ECDSA(hashes.SHA512())),
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

    Raises KeyUnusableError for a curve other than P-256 and P-384.
    """
    if isinstance(key, rsa.RSAPublicKey):
        return uri.RSA_SHA256
    if isinstance(key, ed25519.Ed25519PublicKey):
        return uri.ED25519
    if isinstance(key.curve, ec.SECP256R1):
        return uri.ECDSA_SHA256
    if isinstance(key.curve, ec.SECP384R1):
        return uri.ECDSA_SHA384
    raise KeyUnusableError(f"curve {key.curve.name} is not used; expected P-256 or P-384")


def sign_bytes(key: Any, algorithm: str, data: bytes) -> bytes:
    """The signature value of `data` under a PrivateKey.

    Raises KeyUnusableError: key and algorithm do not belong together.
    """
    if algorithm not in uri.SIGNATURE_ALGORITHMS:
        raise KeyUnusableError(f"nothing is signed with {algorithm}")
    method = _ALGORITHMS[algorithm]
    if _signing_kind_of(type(key)) is not method.kind:
        raise KeyUnusableError(f"a key of this kind does not sign with {algorithm}")
    value: bytes
    if isinstance(method, _Rsa):
        value = key.sign(data, method.padding, method.hash)
    elif isinstance(method, _Ecdsa):
        width = (key.curve.key_size + 7) // 8
        r, s = decode_dss_signature(key.sign(data, method.scheme))
        value = r.to_bytes(width, "big") + s.to_bytes(width, "big")
    else:
        value = key.sign(data)
    return value


def require_allowed(key: Any, algorithm: str, policy: SignaturePolicy) -> None:
    """Refuse an algorithm outside the policy, and a key that is weak or of another kind."""
    method = _ALGORITHMS.get(algorithm)
    if method is None or algorithm not in policy.signature_algorithms:
        raise AlgorithmForbiddenError(f"signature algorithm {algorithm} is not allowed")
    kind = _kind_of(type(key))
    if kind is not method.kind:
        raise AlgorithmForbiddenError(f"the certificate's key is not of the kind of {algorithm}")
    if kind is _RSA:
        bits, bits_min = key.key_size, policy.rsa_bits_min
        if bits < bits_min or bits < uri.RSA_BITS_MIN:
            bits_min = max(bits_min, uri.RSA_BITS_MIN)
            raise AlgorithmForbiddenError(
                f"RSA key of {bits} bits; at least {bits_min} are required"
            )
    elif kind is _EC:
        curve = key.curve.name
        if curve not in policy.curves:
            allowed = ", ".join(sorted(policy.curves))
            raise AlgorithmForbiddenError(f"curve {curve}; expected one of {allowed}")


def verify_bytes(key: Any, algorithm: str, value: bytes, data: bytes) -> None:
    """Check a signature value; key (a PublicKey) and algorithm were checked by require_allowed.

    Raises SignatureValueInvalidError.
    """
    method = _ALGORITHMS[algorithm]
    if _kind_of(type(key)) is not method.kind:
        raise SignatureValueInvalidError("the key is not of the kind of the algorithm")
    try:
        if isinstance(method, _Rsa):
            key.verify(value, data, method.padding, method.hash)
        elif isinstance(method, _Ecdsa):
            key.verify(_der_signature(key, value), data, method.scheme)
        else:
            key.verify(value, data)
    except InvalidSignature as error:
        raise SignatureValueInvalidError("the signature value does not fit the key") from error


def _der_signature(key: ec.EllipticCurvePublicKey, value: bytes) -> bytes:
    width = (key.curve.key_size + 7) // 8
    if len(value) != 2 * width:
        raise SignatureValueInvalidError(
            f"an ECDSA value on {key.curve.name} has {2 * width} bytes, not {len(value)}"
        )
    return encode_dss_signature(
        int.from_bytes(value[:width], "big"), int.from_bytes(value[width:], "big")
    )
