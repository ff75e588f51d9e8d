"""Read keys and certificates from files, and refuse private keys that others may read."""

from __future__ import annotations

import base64
import binascii
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar, assert_never

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bus.core.errors import ConfigurationError, Problem
from bus.settings.signer import (
    Pkcs12File,
    SignerFiles,
    SignerSource,
    TokenKeyPlace,
    in_succession,
)
from bus.trust.key_file_kinds import why_not_expected
from bus.trust.token_keys import open_token_key
from signing.errors import KeyUnavailableError, KeyUnusableError
from signing.pki.keys import (
    PrivateKey,
    Signer,
    load_certificate,
    load_certificates,
    load_key_file,
    load_private_key,
    make_signer,
)
from signing.pki.succession import KeySuccession
from signing.signed_note import KeyTextInvalid, VerifyingKey

SYMMETRIC_KEY_BYTES = 32
KEY_FILE_BYTES_MAX = 1024 * 1024

_OTHERS_MAY = stat.S_IRWXG | stat.S_IRWXO

Loaded = TypeVar("Loaded")


def read_signer(source: SignerSource) -> Signer:
    """A private key and its certificate. Raises ConfigurationError naming the file at fault."""
    match source:
        case SignerFiles():
            return _read_pem(source)
        case Pkcs12File():
            return _read_pkcs12(source)
        case TokenKeyPlace():
            return _open_token_key(source)
        case _:
            assert_never(source)


def read_succession(source: SignerSource) -> KeySuccession:
    """A signer's key and the one that follows it. Raises ConfigurationError with every problem."""
    signers: list[Signer] = []
    problems: list[Problem] = []
    for one in in_succession(source):
        try:
            signers.append(read_signer(one))
        except ConfigurationError as error:
            problems += error.problems
    if problems:
        raise ConfigurationError(problems)
    return KeySuccession(*signers)


def _read_pem(files: SignerFiles) -> Signer:
    passphrase = _passphrase(files.passphrase_file)
    private_key = _private_key(files.key, passphrase)
    certificate = _read_certificate(files.certificate)
    return _loaded(files.certificate, lambda: make_signer(private_key, certificate))


def _read_pkcs12(file: Pkcs12File) -> Signer:
    passphrase = _passphrase(file.passphrase_file)
    raw = read_private(file.file, "a PKCS #12 file")
    loaded = _loaded(file.file, lambda: load_key_file(raw, passphrase=passphrase))
    return _loaded(
        file.file, lambda: make_signer(loaded.private_key, loaded.certificate, loaded.chain)
    )


def _open_token_key(place: TokenKeyPlace) -> Signer:
    certificate = _read_certificate(place.certificate)
    try:
        key = open_token_key(place, certificate, read_secret)
    except KeyUnavailableError as error:
        raise _refused(place.module, str(error)) from error
    except KeyUnusableError as error:
        raise _refused(place.certificate, str(error)) from error
    return make_signer(key, certificate)


def _passphrase(file: Path | None) -> bytes | None:
    return None if file is None else read_secret(file).encode()


def _read_certificate(path: Path) -> x509.Certificate:
    raw = read_certificate_file(path)
    return _loaded(path, lambda: load_certificate(raw))


def _private_key(path: Path, passphrase: bytes | None = None) -> PrivateKey:
    pem = read_private(path, "a private key in PEM")
    return _loaded(path, lambda: load_private_key(pem, passphrase=passphrase))


def read_ed25519_key(path: Path) -> Ed25519PrivateKey:
    """An Ed25519 private key in PEM, not encrypted. Raises ConfigurationError."""
    key = _private_key(path)
    if not isinstance(key, Ed25519PrivateKey):
        raise _refused(path, "expected an Ed25519 key")
    return key


def read_symmetric_key(path: Path) -> bytes:
    """32 bytes, written in base64. Raises ConfigurationError."""
    try:
        raw = read_private(path, "a key in base64")
        key = base64.b64decode(raw.strip(), validate=True)
    except binascii.Error as error:
        raise _refused(path, "expected a key in base64") from error
    if len(key) != SYMMETRIC_KEY_BYTES:
        raise _refused(path, f"a key of {len(key)} bytes; expected {SYMMETRIC_KEY_BYTES}")
    return key


def read_secret(path: Path) -> str:
    """The first line of a file that only its owner may read. Raises ConfigurationError."""
    lines = _loaded(path, lambda: read_private(path, "a secret").decode().splitlines())
    if not lines or not lines[0]:
        raise _refused(path, "expected a secret in the first line")
    return lines[0]


def read_certificates(paths: Iterable[Path]) -> tuple[x509.Certificate, ...]:
    """Every certificate in some files. Raises ConfigurationError with every file at fault."""
    certificates: list[x509.Certificate] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            raw = read_certificate_file(path)
            certificates += _loaded(path, lambda raw=raw: load_certificates(raw))  # type: ignore[misc]
        except ConfigurationError as error:
            problems += error.problems
    if problems:
        raise ConfigurationError(problems)
    return tuple(certificates)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            raw = file.read(KEY_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise _refused(path, f"cannot be read: {error.strerror}") from error
    if len(raw) > KEY_FILE_BYTES_MAX:
        raise _refused(path, f"larger than {KEY_FILE_BYTES_MAX} bytes")
    return raw


def read_certificate_file(path: Path) -> bytes:
    """A file that may hold certificates. Raises ConfigurationError."""
    raw = _read(path)
    if reason := why_not_expected(raw, "a certificate"):
        raise _refused(path, reason)
    return raw


def read_private(path: Path, expected: str) -> bytes:
    """A file that only its owner may read, of the kind expected. Raises ConfigurationError."""
    raw = _read(path)
    # Before the mode: whoever gave another file's name need not set that file's mode.
    if reason := why_not_expected(raw, expected) or why_not_private(path):
        raise _refused(path, reason)
    return raw


def why_not_private(path: Path) -> str:
    """Why a file that exists is no place for a secret; empty if only its owner may use it."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if not mode & _OTHERS_MAY:
        return ""
    return f"others than its owner may use it (mode {mode:04o}); set mode 0600"


def _loaded(path: Path, load: Callable[[], Loaded]) -> Loaded:
    try:
        return load()
    except KeyUnusableError as error:
        raise _refused(path, str(error)) from error
    except UnicodeDecodeError as error:
        raise _refused(path, "expected UTF-8") from error


def _refused(path: Path, message: str) -> ConfigurationError:
    return ConfigurationError([Problem(str(path), "", message)])


def read_verifying_key(path: Path) -> VerifyingKey:
    """A verifier key from its file of one line. Raises ConfigurationError."""
    try:
        raw = path.read_bytes()
        if reason := why_not_expected(raw, "a verifier key"):
            raise ConfigurationError([Problem(str(path), "", reason)])
        return VerifyingKey.parse(raw.decode().strip())
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise ConfigurationError([Problem(str(path), "", message)]) from error
    except (KeyTextInvalid, UnicodeDecodeError) as error:
        raise ConfigurationError([Problem(str(path), "", f"no verifier key: {error}")]) from error
