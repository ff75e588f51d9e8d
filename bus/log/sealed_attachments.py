"""The sealed form of attachments: one stream of frames under one key, readable at any place.

A file is `MAGIC || wrapped key (60) || frames`. A frame is AES-256-GCM over at most FRAME_BYTES of
the plaintext; its nonce is its number (11 bytes, big-endian) and whether it is the last (1 byte),
so that none can be left out, moved or added. The key is used for one file. The plaintext is
`length of the manifest (4, big-endian) || salt (32) || manifest || contents in its order`.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bus.core.attachment_manifest import (
    MANIFEST_BYTES_MAX,
    ManifestInvalid,
    read_manifest,
    write_manifest,
)
from bus.core.errors import LogCorrupt
from bus.core.log.leaf import SALT_BYTES, commit_attachments
from bus.core.ports.log_source import SealedBytes
from bus.log.sealing import Sealer
from bus.runtime.found_files import open_file
from signing.attachments import Attachment

MAGIC = b"lienthong.vn/attachments/v1\n"
FRAME_BYTES = 256 * 1024
"""Plaintext of every frame but the last; so much is in memory at a time."""
WRAP_PURPOSE = b"lienthong.vn/attachments-key/v1"
_TAG_BYTES = 16
_WRAPPED_KEY_BYTES = 60
_START = len(MAGIC) + _WRAPPED_KEY_BYTES
_LENGTH_BYTES = 4
_CONTENT_CHANGED = "attachments do not open: a byte of their file was changed"


def seal_attachments(
    attachments: Sequence[Attachment],
    sealer: Sealer,
    write: Callable[[bytes], None],
    *,
    is_content_kept: bool,
) -> bytes:
    """Write the sealed form, piece by piece; give the commitment to the attachments.

    Without `is_content_kept` it ends with the manifest.
    """
    key, salt = os.urandom(32), os.urandom(SALT_BYTES)
    manifest = write_manifest(attachments)
    write(MAGIC + sealer.wrap(key, WRAP_PURPOSE))
    head = len(manifest).to_bytes(_LENGTH_BYTES, "big") + salt + manifest
    kept = attachments if is_content_kept else ()
    contents = itertools.chain.from_iterable(one.chunks() for one in kept)
    cipher = AESGCM(key)
    frames = _frames(itertools.chain((head,), contents))
    for number, (frame, is_last) in enumerate(frames):
        write(cipher.encrypt(_nonce(number, is_last=is_last), frame, MAGIC))
    return commit_attachments(salt, manifest)


@dataclass(frozen=True, slots=True)
class OpenedAttachments:
    """What a sealed file holds."""

    commitment: bytes
    attachments: tuple[Attachment, ...] = field(repr=False)
    """Their content is read from the file when it is asked for; it raises LogCorrupt then."""
    is_content_kept: bool = False
    """False: the file says what they are and no more."""


class FileBytes:
    """The bytes of a sealed file. Closed when the last attachment that reads from it is gone."""

    def __init__(self, path: Path, *, within: Path | None = None) -> None:
        """Open it. Raises OSError."""
        self._file = os.fdopen(open_file(path, within=within), "rb", buffering=0)
        self.bytes_count = os.fstat(self._file.fileno()).st_size

    def read_at(self, offset: int, count: int) -> bytes:
        """Up to so many bytes from there on. Raises LogCorrupt: they cannot be read."""
        try:
            return os.pread(self._file.fileno(), count, offset)
        except OSError as error:
            raise LogCorrupt(f"cannot be read: {error.strerror}") from error


def open_attachments(sealed: SealedBytes, sealer: Sealer) -> OpenedAttachments:
    """Open the sealed form. Raises LogCorrupt."""
    frames = _open_frames(sealed, sealer)
    head = frames.read(0, _LENGTH_BYTES + SALT_BYTES)
    length = int.from_bytes(head[:_LENGTH_BYTES], "big")
    if length > MANIFEST_BYTES_MAX:
        raise LogCorrupt("the manifest of attachments is too large")
    salt, place = head[_LENGTH_BYTES:], len(head)
    manifest = frames.read(place, length)
    try:
        listed = read_manifest(manifest)
    except ManifestInvalid as error:
        raise LogCorrupt(str(error)) from error
    place += length
    commitment = commit_attachments(salt, manifest)
    if place == frames.plain_bytes:
        return OpenedAttachments(commitment, tuple(one.attachment(_not_kept) for one in listed))
    attachments = []
    for one in listed:
        attachments.append(one.attachment(frames.reader(place, one.bytes_count)))
        place += one.bytes_count
    if place != frames.plain_bytes:
        raise LogCorrupt("attachments are longer or shorter than their manifest says")
    return OpenedAttachments(commitment, tuple(attachments), is_content_kept=True)


def _not_kept() -> Iterator[bytes]:
    raise LogCorrupt("the content of these attachments was not kept")


def _frames(pieces: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Frames of FRAME_BYTES, and a last one, which may be shorter; whether it is the last."""
    buffer = bytearray()
    for piece in pieces:
        buffer += piece
        while len(buffer) > FRAME_BYTES:
            yield bytes(buffer[:FRAME_BYTES]), False
            del buffer[:FRAME_BYTES]
    yield bytes(buffer), True


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([is_last])


class _SealedFrames:
    """The plaintext of the sealed form, read at any place. Safe to use from several threads."""

    def __init__(self, sealed: SealedBytes, key: bytes) -> None:
        self._sealed = sealed
        self._cipher = AESGCM(key)
        sealed_bytes = sealed.bytes_count - _START
        whole = FRAME_BYTES + _TAG_BYTES
        self._count = max(1, -(-sealed_bytes // whole))
        self.plain_bytes = sealed_bytes - self._count * _TAG_BYTES

    def read(self, start: int, count: int) -> bytes:
        """A range of the plaintext. Raises LogCorrupt."""
        return b"".join(self._range(start, count))

    def reader(self, start: int, count: int) -> Callable[[], Iterator[bytes]]:
        """A function that reads a range, piece by piece."""
        return lambda: self._range(start, count)

    def _range(self, start: int, count: int) -> Iterator[bytes]:
        end = start + count
        while start < end:
            number, place = divmod(start, FRAME_BYTES)
            piece = self._frame(number)[place : place + end - start]
            if not piece:
                raise LogCorrupt(_CONTENT_CHANGED)
            start += len(piece)
            yield piece

    def _frame(self, number: int) -> bytes:
        whole = FRAME_BYTES + _TAG_BYTES
        sealed = self._sealed.read_at(_START + number * whole, whole)
        nonce = _nonce(number, is_last=number == self._count - 1)
        try:
            return self._cipher.decrypt(nonce, sealed, MAGIC)
        except (InvalidTag, ValueError) as error:
            raise LogCorrupt(_CONTENT_CHANGED) from error


def _open_frames(sealed: SealedBytes, sealer: Sealer) -> _SealedFrames:
    start = sealed.read_at(0, _START)
    if len(start) != _START or not start.startswith(MAGIC):
        raise LogCorrupt("a file of attachments does not have its form")
    return _SealedFrames(sealed, sealer.unwrap(start[len(MAGIC) :], WRAP_PURPOSE))
