"""Seal payloads: packed, then encrypted with a random key a message (AES-256-GCM), which is wrapped
under the log's read key."""

from __future__ import annotations

import hashlib
import os
import sys

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bus.core.errors import LogCorrupt
from bus.core.log.leaf import SALT_BYTES, commit_payload
from bus.core.ports.message_log import SealedPayload
from bus.runtime.off_loop import INLINE_BYTES_MAX

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

READ_KEY_BYTES = 32
_NONCE_BYTES = 12
_KEY_END = 32
_SALT_END = _KEY_END + SALT_BYTES
_NONCE_END = _SALT_END + _NONCE_BYTES
_RANDOM_BYTES = _NONCE_END + _NONCE_BYTES
_PACKED_KEY = b"lienthong.vn/packed-payload-key/v1"
"""Bound into the wrapped key of a packed payload, so that nothing else under the read key passes
for one, and nobody can mistake what was packed for what was not."""
_PLAIN_KEY = b"lienthong.vn/payload-key/v1"
"""The same of a payload that was not packed: in logs that were written before payloads were."""
_PACKING_LEVEL = 1
"""Of Zstandard (RFC 8878): envelopes shrink to a third, in ten microseconds."""
UNPACKED_BYTES_MAX = 1 << 30
"""Largest payload that is unpacked: whoever holds the read key of a log could have packed more."""


class Sealer:
    """Seals and opens payloads. Safe to use from several threads."""

    __slots__ = ("_packer", "_wrapping")

    def __init__(self, read_key: bytes) -> None:
        if len(read_key) != READ_KEY_BYTES:
            raise ValueError(f"the read key must have {READ_KEY_BYTES} bytes")
        self._wrapping = AESGCM(read_key)
        # Made once: a new one for each payload takes as long again. It serves one thread at a time.
        self._packer = zstd.ZstdCompressor(level=_PACKING_LEVEL)

    def seal(self, raw: bytes) -> tuple[SealedPayload, bytes, bytes]:
        """Pack and encrypt `raw`; give it sealed, the commitment to it, and the digest of the
        ciphertext.

        A random nonce under the read key may repeat after 2**32 messages with probability 2**-33
        (NIST SP 800-38D §8.3): give the log a new read key long before. The key of a message is
        used once.
        """
        random = os.urandom(_RANDOM_BYTES)  # one call: each costs a switch into the kernel
        key, salt = random[:_KEY_END], random[_KEY_END:_SALT_END]
        nonce, wrap_nonce = random[_SALT_END:_NONCE_END], random[_NONCE_END:]
        # A small payload must not wait until another thread has packed a large one.
        is_small = len(raw) <= INLINE_BYTES_MAX
        packer = self._packer if is_small else zstd.ZstdCompressor(level=_PACKING_LEVEL)
        packed = packer.compress(raw, zstd.ZstdCompressor.FLUSH_FRAME)
        ciphertext = nonce + AESGCM(key).encrypt(nonce, salt + packed, None)
        wrapped_key = wrap_nonce + self._wrapping.encrypt(wrap_nonce, key, _PACKED_KEY)
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
        """Decrypt and unpack; give salt and raw bytes.

        Raises LogCorrupt: changed since it was sealed, or sealed under another read key.
        """
        nonce = sealed.ciphertext[:_NONCE_BYTES]
        try:
            key, is_packed = self._message_key(sealed.wrapped_key)
            plain = AESGCM(key).decrypt(nonce, sealed.ciphertext[_NONCE_BYTES:], None)
        except (InvalidTag, ValueError) as error:  # ValueError: cut shorter than a nonce or key
            raise LogCorrupt("a payload does not open under this read key") from error
        salt, content = plain[:SALT_BYTES], plain[SALT_BYTES:]
        return salt, _unpack(content) if is_packed else content

    def _message_key(self, wrapped_key: bytes) -> tuple[bytes, bool]:
        """A message's key, and whether its payload was packed. Raises InvalidTag, ValueError."""
        wrap_nonce, wrapped = wrapped_key[:_NONCE_BYTES], wrapped_key[_NONCE_BYTES:]
        try:
            return self._wrapping.decrypt(wrap_nonce, wrapped, _PACKED_KEY), True
        except InvalidTag:
            return self._wrapping.decrypt(wrap_nonce, wrapped, _PLAIN_KEY), False


def _unpack(packed: bytes) -> bytes:
    """Raises LogCorrupt."""
    unpacker = zstd.ZstdDecompressor()
    try:
        raw = unpacker.decompress(packed, UNPACKED_BYTES_MAX)
    except zstd.ZstdError as error:
        raise LogCorrupt("a payload was not packed as it must be") from error
    if not unpacker.eof or unpacker.unused_data:
        raise LogCorrupt("a payload was packed of too much, or of something else")
    return raw
