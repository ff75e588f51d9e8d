"""Seal payloads: packed, then encrypted with a random key a message (AES-256-GCM), which is wrapped
under the log's read key."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from collections.abc import Callable
from functools import partial

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bus.core.errors import LogCorrupt
from bus.core.log.leaf import SALT_BYTES, commit_payload
from bus.core.ports.message_log import SealedPayload
from bus.log.packing_words import WORDS
from bus.runtime.off_loop import INLINE_BYTES_MAX

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

READ_KEY_BYTES = 32
_WORDS = zstd.ZstdDict(WORDS, is_raw=True)
_NONCE_BYTES = 12
_KEY_END = 32
_SALT_END = _KEY_END + SALT_BYTES
_NONCE_END = _SALT_END + _NONCE_BYTES
_RANDOM_BYTES = _NONCE_END + _NONCE_BYTES
_PACKED_KEY = b"lienthong.vn/packed-payload-key/v2"
"""Bound into the wrapped key of a payload that was packed with the words of envelopes, so that
nothing else under the read key passes for one, and nobody can mistake how it was packed."""
_WORDLESS_KEY = b"lienthong.vn/packed-payload-key/v1"
"""The same of a payload that was packed without them: in logs that were written before."""
_PLAIN_KEY = b"lienthong.vn/payload-key/v1"
"""The same of a payload that was not packed: in logs that were written before payloads were."""
_PACKING_LEVEL = 1
"""Of Zstandard (RFC 8878). With the words of envelopes an envelope shrinks to a quarter."""
_QUICK_LEVEL = -3
"""For what does not stay: a fifth more bytes, in half of the time."""
UNPACKED_BYTES_MAX = 1 << 30
"""Largest payload that is unpacked: whoever holds the read key of a log could have packed more."""


class Sealer:
    """Seals and opens payloads. Safe to use from several threads."""

    __slots__ = ("_packer", "_quick_packer", "_wrapping")

    def __init__(self, read_key: bytes) -> None:
        if len(read_key) != READ_KEY_BYTES:
            raise ValueError(f"the read key must have {READ_KEY_BYTES} bytes")
        self._wrapping = AESGCM(read_key)
        # Made once: a new one for each payload takes as long again. It serves one thread at a time.
        self._packer = _new_packer(_PACKING_LEVEL)
        self._quick_packer = _new_packer(_QUICK_LEVEL)

    def seal(self, raw: bytes) -> tuple[SealedPayload, bytes, bytes]:
        """Pack and encrypt `raw`; give it sealed, the commitment to it, and the digest of the
        ciphertext.

        A random nonce under the read key may repeat after 2**32 messages with probability 2**-33
        (NIST SP 800-38D §8.3): give the log a new read key long before. The key of a message is
        used once.
        """
        # A small payload must not wait until another thread has packed a large one.
        is_small = len(raw) <= INLINE_BYTES_MAX
        packer = self._packer if is_small else _new_packer(_PACKING_LEVEL)
        sealed, salt = self._sealed(packer.compress(raw, zstd.ZstdCompressor.FLUSH_FRAME))
        return sealed, commit_payload(salt, raw), hashlib.sha256(sealed.ciphertext).digest()

    def seal_for_a_while(self, raw: bytes) -> SealedPayload:
        """Pack in haste and encrypt what no leaf names; it opens as the others do."""
        is_small = len(raw) <= INLINE_BYTES_MAX
        packer = self._quick_packer if is_small else _new_packer(_QUICK_LEVEL)
        return self._sealed(packer.compress(raw, zstd.ZstdCompressor.FLUSH_FRAME))[0]

    def _sealed(self, packed: bytes) -> tuple[SealedPayload, bytes]:
        """What was packed, encrypted under a key of its own; and its salt."""
        random = os.urandom(_RANDOM_BYTES)  # one call: each costs a switch into the kernel
        key, salt = random[:_KEY_END], random[_KEY_END:_SALT_END]
        nonce, wrap_nonce = random[_SALT_END:_NONCE_END], random[_NONCE_END:]
        ciphertext = nonce + AESGCM(key).encrypt(nonce, salt + packed, None)
        wrapped_key = wrap_nonce + self._wrapping.encrypt(wrap_nonce, key, _PACKED_KEY)
        return SealedPayload(ciphertext, wrapped_key), salt

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
            key, unpack = self._message_key(sealed.wrapped_key)
            plain = AESGCM(key).decrypt(nonce, sealed.ciphertext[_NONCE_BYTES:], None)
        except (InvalidTag, ValueError) as error:  # ValueError: cut shorter than a nonce or key
            raise LogCorrupt("a payload does not open under this read key") from error
        salt, content = plain[:SALT_BYTES], plain[SALT_BYTES:]
        return salt, unpack(content)

    def _message_key(self, wrapped_key: bytes) -> tuple[bytes, Callable[[bytes], bytes]]:
        """A message's key, and what unpacks its payload. Raises InvalidTag, ValueError."""
        wrap_nonce, wrapped = wrapped_key[:_NONCE_BYTES], wrapped_key[_NONCE_BYTES:]
        for purpose, unpack in _UNPACKING.items():
            with contextlib.suppress(InvalidTag):
                return self._wrapping.decrypt(wrap_nonce, wrapped, purpose), unpack
        raise InvalidTag


def _new_packer(level: int) -> zstd.ZstdCompressor:
    return zstd.ZstdCompressor(level=level, zstd_dict=_WORDS)


def _unpack(packed: bytes, words: zstd.ZstdDict | None) -> bytes:
    """Raises LogCorrupt."""
    unpacker = zstd.ZstdDecompressor(zstd_dict=words)
    try:
        raw = unpacker.decompress(packed, UNPACKED_BYTES_MAX)
    except zstd.ZstdError as error:
        raise LogCorrupt("a payload was not packed as it must be") from error
    if not unpacker.eof or unpacker.unused_data:
        raise LogCorrupt("a payload was packed of too much, or of something else")
    return raw


_UNPACKING: dict[bytes, Callable[[bytes], bytes]] = {
    _PACKED_KEY: partial(_unpack, words=_WORDS),
    _WORDLESS_KEY: partial(_unpack, words=None),
    _PLAIN_KEY: bytes,
}
"""By the purpose of the key, newest first."""
