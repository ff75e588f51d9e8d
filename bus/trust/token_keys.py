"""Sign with keys that a PKCS #11 token holds; find a lost session again.

Cryptoki knows one application for each process: its sessions and its login belong to the whole
process, so that everything here is shared by the process, too. A PIN is read from its file when
somebody logs in, and kept nowhere.
"""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from bus.core.errors import ConfigurationError, Problem
from bus.settings.signer import TokenKeyPlace
from signing import policy as uri
from signing.algorithms import DIGESTS, default_algorithm, verify_bytes
from signing.errors import KeyUnavailableError, KeyUnusableError, SignatureValueInvalidError
from signing.pki.keys import PublicKey, check_public_key

HOLD_OFF_SECONDS = 2.0
"""A token that could not be reached is left alone for so long: no message waits for it."""

_TRIAL = b"lienthong: does this key belong to its certificate?\n"

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _TokenKeysWay:
    """How a token makes a signature: its mechanism, and what it is handed."""

    key_kind: type[object]
    mechanism: str
    prepare: Callable[[bytes], bytes] = bytes
    pss_hash: str = ""
    """The hash of RSA-PSS, for data and mask alike; its salt is as long."""
    pss_salt_bytes: int = 0


_WAYS = {
    uri.RSA_SHA256: _TokenKeysWay(RSAPublicKey, "SHA256_RSA_PKCS"),
    uri.RSA_SHA384: _TokenKeysWay(RSAPublicKey, "SHA384_RSA_PKCS"),
    uri.RSA_SHA512: _TokenKeysWay(RSAPublicKey, "SHA512_RSA_PKCS"),
    uri.RSA_PSS_SHA256: _TokenKeysWay(
        RSAPublicKey, "SHA256_RSA_PKCS_PSS", pss_hash="SHA256", pss_salt_bytes=32
    ),
    uri.RSA_PSS_SHA384: _TokenKeysWay(
        RSAPublicKey, "SHA384_RSA_PKCS_PSS", pss_hash="SHA384", pss_salt_bytes=48
    ),
    uri.RSA_PSS_SHA512: _TokenKeysWay(
        RSAPublicKey, "SHA512_RSA_PKCS_PSS", pss_hash="SHA512", pss_salt_bytes=64
    ),
    # Not every token hashes for ECDSA, so we do. The value is r and s, as XML Signature has it.
    uri.ECDSA_SHA256: _TokenKeysWay(EllipticCurvePublicKey, "ECDSA", DIGESTS[uri.DIGEST_SHA256]),
    uri.ECDSA_SHA384: _TokenKeysWay(EllipticCurvePublicKey, "ECDSA", DIGESTS[uri.DIGEST_SHA384]),
    uri.ECDSA_SHA512: _TokenKeysWay(EllipticCurvePublicKey, "ECDSA", DIGESTS[uri.DIGEST_SHA512]),
    uri.ED25519: _TokenKeysWay(Ed25519PublicKey, "EDDSA"),
}

_KEY_TYPES = {RSAPublicKey: "RSA", EllipticCurvePublicKey: "EC", Ed25519PublicKey: "EC_EDWARDS"}

_NEVER = (
    "MechanismInvalid",
    "MechanismParamInvalid",
    "KeyTypeInconsistent",
    "KeySizeRange",
    "DataLenRange",
    "FunctionNotSupported",
)
"""What a token says when it cannot do this at all; everything else may pass."""
_PIN_TROUBLE = ("PinIncorrect", "PinLocked", "PinExpired", "PinInvalid", "PinLenRange")
"""After these no login is tried again: a token locks itself after a few."""
_SENTENCES = {
    "NoSuchToken": "there is no token of this label",
    "MultipleTokensReturned": "several tokens have this label",
    "NoSuchKey": "it has no such private key",
    "MultipleObjectsReturned": "several of its private keys are named like this",
    "PinIncorrect": "its PIN is refused",
    "PinLocked": "its PIN is locked",
    "PinExpired": "its PIN has expired",
    "PinInvalid": "its PIN is refused",
    "PinLenRange": "its PIN is refused: too short or too long",
}


def open_token_key(
    place: TokenKeyPlace, certificate: x509.Certificate, read_pin: Callable[[Path], str]
) -> TokenKey:
    """The key at `place`, after a trial signature that the certificate's key accepts.

    Raises ConfigurationError (no library, no driver, no PIN), KeyUnusableError (the key belongs to
    another certificate), KeyUnavailableError (the token or the key cannot be reached now).
    """
    public_key = check_public_key(certificate.public_key())
    key = TokenKey(_token_at(place, read_pin), place.label, place.id, public_key)
    algorithm = default_algorithm(public_key)
    try:
        value = key.sign(algorithm, _TRIAL)
        verify_bytes(public_key, algorithm, value, _TRIAL)
    except SignatureValueInvalidError as error:
        raise KeyUnusableError(
            "the certificate was issued for another key than the token's"
        ) from error
    return key


@dataclass(frozen=True, slots=True)
class TokenKey:
    """One key of a token: a `signing.pki.keys.HeldKey`."""

    token: Pkcs11Token = field(repr=False)
    label: str
    id: bytes
    certified_key: PublicKey = field(repr=False)

    def public_key(self) -> PublicKey:
        """The one in its certificate; `open_token_key` has seen that they belong together."""
        return self.certified_key

    def sign(self, algorithm: str, data: bytes) -> bytes:
        """See `HeldKey.sign`."""
        way = _WAYS[algorithm]
        if not isinstance(self.certified_key, way.key_kind):
            raise KeyUnusableError(f"a key of this kind does not sign with {algorithm}")
        return self.token.sign(self, way, data)


class Pkcs11Token:
    """One token of one driver. Owns its session; used from any thread, one call at a time."""

    def __init__(
        self,
        place: TokenKeyPlace,
        read_pin: Callable[[Path], str],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`monotonic` gives seconds that never go back. Raises ConfigurationError: no driver."""
        self._place = place
        self._read_pin = read_pin
        self._monotonic = monotonic
        self._library = _library(place)
        self._session: Any = None
        self._keys: dict[tuple[str, bytes], Any] = {}
        """Handles of keys in the session. Guarded, as all of this, by the driver's lock."""
        self._lock = _lock_of(place.module)
        self._is_lost = False
        """It was open once, or should have been: the driver is started anew first."""
        self._refused = ""
        """Why no login is tried any more."""
        self._left_alone_until = 0.0

    def sign(self, key: TokenKey, way: _TokenKeysWay, data: bytes) -> bytes:
        """One signature. Raises KeyUnusableError, KeyUnavailableError; ConfigurationError of the
        PIN's file.

        A session that was lost is opened again, once: what was lost has signed nothing.
        """
        errors = self._library.exceptions
        prepared = way.prepare(data)
        with self._lock:
            was_open = self._session is not None
            try:
                return self._sign(key, way, prepared)
            except _named(errors, _NEVER) as error:
                # Here and below not `from error`: nothing that the driver was handed goes on.
                raise KeyUnusableError(f"the token cannot sign like this: {_name(error)}") from None
            except errors.PKCS11Error as error:
                self._lose()
                if not was_open:
                    raise self._failure(error) from None
            try:
                return self._sign(key, way, prepared)
            except errors.PKCS11Error as error:
                self._lose()
                raise self._failure(error) from None

    def _sign(self, key: TokenKey, way: _TokenKeysWay, prepared: bytes) -> bytes:
        handle = self._keys.get((key.label, key.id)) or self._find(key, way)
        mechanism = self._library.Mechanism[way.mechanism]
        value: bytes = handle.sign(prepared, mechanism=mechanism, mechanism_param=self._param(way))
        return value

    def _find(self, key: TokenKey, way: _TokenKeysWay) -> Any:
        if self._session is None:
            self._require_patience()
            if self._is_lost:
                self._reload_driver()
            self._session = self._open()
            if self._is_lost:
                self._is_lost = False
                _log.warning("token.reopened", token=self._place.token)
        named = {"label": key.label or None, "id": key.id or None}
        private = self._library.ObjectClass.PRIVATE_KEY
        handle = self._session.get_key(object_class=private, **named)
        if handle.key_type.name != _KEY_TYPES[way.key_kind]:
            raise KeyUnusableError("the certificate was issued for another key than the token's")
        if not hasattr(handle, "sign"):
            raise KeyUnusableError("the token says that this key is not for signing")
        self._keys[key.label, key.id] = handle
        return handle

    def _require_patience(self) -> None:
        if self._refused or self._monotonic() < self._left_alone_until:
            reason = self._refused or "it failed a moment ago"
            raise KeyUnavailableError(f"the token {self._place.token!r} is left alone: {reason}")

    def _failure(self, error: Exception) -> KeyUnavailableError:
        self._left_alone_until = self._monotonic() + HOLD_OFF_SECONDS
        reason = _SENTENCES.get(_name(error), _name(error))
        if _name(error) in _PIN_TROUBLE:
            self._refused = reason
        _log.error("token.lost", token=self._place.token, error=_name(error))
        return KeyUnavailableError(f"the token {self._place.token!r} cannot be used: {reason}")

    def _open(self) -> Any:
        driver = self._library.lib(str(self._place.module))
        token = driver.get_token(token_label=self._place.token)
        try:
            return token.open(user_pin=self._read_pin(self._place.pin_file))
        except self._library.exceptions.UserAlreadyLoggedIn:
            # A session that was lost to us still counts as logged in, and ours with it.
            return token.open()

    def close(self) -> None:
        """Close the session; the login ends with it. Whoever signs later opens another."""
        with self._lock:
            self._drop()

    def _lose(self) -> None:
        self._is_lost = True
        self._drop()

    def _drop(self) -> None:
        """Forget the session and what we know of it; it may be gone already."""
        session, self._session = self._session, None
        self._keys.clear()
        if session is not None:
            try:
                session.close()
            except self._library.exceptions.PKCS11Error:
                return  # what was lost need not be closed

    def _reload_driver(self) -> None:
        """Start the driver anew: some see a token that came back only then."""
        for token in _tokens_of(self._place.module):
            token._session = None  # noqa: SLF001 - of this class
            token._keys.clear()  # noqa: SLF001
        self._library.lib(str(self._place.module)).reinitialize()

    def _param(self, way: _TokenKeysWay) -> Any:
        if not way.pss_hash:
            return None
        library = self._library
        return (
            library.Mechanism[way.pss_hash],
            library.MGF[way.pss_hash],
            way.pss_salt_bytes,
        )


# --- what belongs to the process ------------------------------------------------------------------

_guard = threading.Lock()
"""Guards the two tables below."""
_tokens: dict[tuple[Path, str], Pkcs11Token] = {}
_locks: dict[Path, threading.Lock] = {}
"""One for each driver: starting it anew takes every session of the process with it."""


def _token_at(place: TokenKeyPlace, read_pin: Callable[[Path], str]) -> Pkcs11Token:
    with _guard:
        token = _tokens.get((place.module, place.token))
    if token is None:
        token = Pkcs11Token(place, read_pin)
        with _guard:
            token = _tokens.setdefault((place.module, place.token), token)
    return token


def close_tokens() -> None:
    """Log out of every token and forget it: whoever signs later logs in as after a restart.

    A device on the network may keep a session for long that nobody closed, and has few of them.
    """
    with _guard:
        tokens = list(_tokens.values())
        _tokens.clear()
    for token in tokens:
        token.close()


def _tokens_of(module: Path) -> list[Pkcs11Token]:
    with _guard:
        return [token for (of, _), token in _tokens.items() if of == module]


def _lock_of(module: Path) -> threading.Lock:
    with _guard:
        return _locks.setdefault(module, threading.Lock())


def _library(place: TokenKeyPlace) -> ModuleType:
    try:
        library = importlib.import_module("pkcs11")
    except ImportError as error:
        message = "PKCS #11 needs the extra: pip install 'lienthong[pkcs11]'"
        raise ConfigurationError([Problem(str(place.module), "", message)]) from error
    try:
        library.lib(str(place.module))
    except (library.exceptions.PKCS11Error, RuntimeError, OSError) as error:
        message = f"cannot be used as a PKCS #11 driver: {type(error).__name__}"
        raise ConfigurationError([Problem(str(place.module), "", message)]) from None
    return library


def _name(error: Exception) -> str:
    """What a driver answered; the text of its errors stays out of ours."""
    return type(error).__name__


def _named(errors: ModuleType, names: tuple[str, ...]) -> tuple[type[Exception], ...]:
    return tuple(getattr(errors, name) for name in names)
