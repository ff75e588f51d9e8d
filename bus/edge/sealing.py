"""Seal payloads: one random key a message, wrapped under the log's read key (AES-256-GCM)."""

from __future__ import annotations

import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bus.core.errors import LogCorrupt
from bus.core.log_entries import SALT_BYTES, commit_payload
from bus.core.ports import SealedPayload

READ_KEY_BYTES = 32
_NONCE_BYTES = 12
_KEY_END = 32
_SALT_END = _KEY_END + SALT_BYTES
_NONCE_END = _SALT_END + _NONCE_BYTES
_RANDOM_BYTES = _NONCE_END + _NONCE_BYTES
_WRAP_PURPOSE = b"lienthong.vn/payload-key/v1"
"""Bound into each wrapped key, so that nothing else under the read key passes for one."""


class Sealer:
    """Seals and opens payloads. Safe to use from several threads."""

    __slots__ = ("_wrapping",)

    def __init__(self, read_key: bytes) -> None:
        if len(read_key) != READ_KEY_BYTES:
            raise ValueError(f"the read key must have {READ_KEY_BYTES} bytes")
        self._wrapping = AESGCM(read_key)

    def seal(self, raw: bytes) -> tuple[SealedPayload, bytes, bytes]:
        """Encrypt `raw`; give it sealed, the commitment to it, and the digest of the ciphertext.

        A random nonce under the read key may repeat after 2**32 messages with probability 2**-33
        (NIST SP 800-38D §8.3): give the log a new read key long before. The key of a message is
        used once.
        """
        random = os.urandom(_RANDOM_BYTES)  # one call: each costs a switch into the kernel
        key, salt = random[:_KEY_END], random[_KEY_END:_SALT_END]
        nonce, wrap_nonce = random[_SALT_END:_NONCE_END], random[_NONCE_END:]
        ciphertext = nonce + AESGCM(key).encrypt(nonce, salt + raw, None)
        wrapped_key = wrap_nonce + self._wrapping.encrypt(wrap_nonce, key, _WRAP_PURPOSE)
        sealed = SealedPayload(ciphertext, wrapped_key)
        return sealed, commit_payload(salt, raw), hashlib.sha256(ciphertext).digest()

    def wrap(self, key: bytes, purpose: bytes) -> bytes:
        """A key, wrapped under the read key for one purpose: 60 bytes for one of 32."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._wrapping.encrypt(nonce, key, purpose)

    def unwrap(self, wrapped_key: bytes, purpose: bytes) -> bytes:
        """The key that `wrap` wrapped. Raises LogCorrupt."""
        try:
            nonce, wrapped = wrapped_key[:_NONCE_BYTES], wrapped_key[_NONCE_BYTES:]
            return self._wrapping.decrypt(nonce, wrapped, purpose)
        except (InvalidTag, ValueError) as error:
            raise LogCorrupt("a key does not open under this read key") from error

    def open_sealed(self, sealed: SealedPayload) -> tuple[bytes, bytes]:
        """Decrypt; give salt and raw bytes.

        Raises LogCorrupt: changed since it was sealed, or sealed under another read key.
        """
        wrap_nonce = sealed.wrapped_key[:_NONCE_BYTES]
        nonce = sealed.ciphertext[:_NONCE_BYTES]
        try:
            wrapped = sealed.wrapped_key[_NONCE_BYTES:]
            key = self._wrapping.decrypt(wrap_nonce, wrapped, _WRAP_PURPOSE)
            plain = AESGCM(key).decrypt(nonce, sealed.ciphertext[_NONCE_BYTES:], None)
        except (InvalidTag, ValueError) as error:  # ValueError: cut shorter than a nonce or key
            raise LogCorrupt("a payload does not open under this read key") from error
        return plain[:SALT_BYTES], plain[SALT_BYTES:]
