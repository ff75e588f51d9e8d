"""Put what an order or a report consists of into one run of bytes, and take it apart again.

    "LTO" | version (1 byte) | kind (1) | number of parts (2) | length of each part (4) | the parts

Numbers are big-endian. A frame proves nothing: what its parts must be is said in a note, which is
one of them, by their digests.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from bus.core.attachment_manifest import (
    MANIFEST_BYTES_MAX,
    ListedAttachment,
    ManifestInvalid,
    read_manifest,
    write_manifest,
)
from signing.attachments import Attachment
from signing.policy import DIGEST_SHA256

FRAME_BYTES_MAX = 64 * 1024 * 1024
PARTS_MAX = 512
INLINE_BYTES_MAX = 1024 * 1024
"""So many bytes of attachments travel within a frame; a larger one stays where it lies."""

FRAME_START = b"LTO\x01"
_HEAD = struct.Struct(">4sBH")
_INLINE = b"\x01"

HeldContent = Callable[[ListedAttachment], Callable[[], Iterator[bytes]]]
"""The content of an attachment that did not travel; may raise a LookupError."""


class FrameInvalid(ValueError):
    """These bytes are no such frame."""


class FrameKind(IntEnum):
    """What a frame holds."""

    ORDER = 1
    SIGNED_ORDER = 2
    REPORT = 3


@dataclass(frozen=True, slots=True)
class Beside:
    """Attachments as the parts of a frame."""

    manifest: bytes
    contents: tuple[bytes, ...] = field(repr=False)
    """Of each attachment: a mark and its content, or nothing: it stayed where it lies."""


def write_frame(kind: FrameKind, parts: Sequence[bytes]) -> bytes:
    """The frame of these parts. Raises FrameInvalid: they are too many, or too large."""
    head = _HEAD.pack(FRAME_START, kind, len(parts)) if len(parts) <= PARTS_MAX else b""
    size = len(head) + 4 * len(parts) + sum(map(len, parts))
    if not head or size > FRAME_BYTES_MAX:
        raise FrameInvalid(f"{len(parts)} parts of {size} bytes are too many for one frame")
    lengths = struct.pack(f">{len(parts)}I", *map(len, parts))
    return b"".join((head, lengths, *parts))


def read_frame(content: bytes, kind: FrameKind, parts_min: int) -> list[bytes]:
    """The parts of a frame of this kind, at least so many. Raises FrameInvalid."""
    if not _HEAD.size <= len(content) <= FRAME_BYTES_MAX:
        raise FrameInvalid(f"{len(content)} bytes are no frame")
    start, found, count = _HEAD.unpack_from(content)
    if start != FRAME_START:
        raise FrameInvalid("it does not begin as a frame of version 1")
    if found != kind:
        raise FrameInvalid(f"a frame of kind {found}; expected {kind.value}")
    at = _HEAD.size + 4 * count
    if not parts_min <= count <= PARTS_MAX or at > len(content):
        raise FrameInvalid(f"a frame of {count} parts; expected {parts_min} to {PARTS_MAX}")
    parts = []
    for length in struct.unpack_from(f">{count}I", content, _HEAD.size):
        parts.append(content[at : at + length])
        at += length
    if at != len(content):
        raise FrameInvalid("its parts do not fill it")
    return parts


def pack_attachments(
    attachments: Sequence[Attachment], inline_bytes_max: int = INLINE_BYTES_MAX
) -> Beside:
    """What these attachments are, with the content of those that may travel within a frame."""
    if not attachments:
        return _NOTHING_BESIDE
    room = inline_bytes_max
    contents = []
    for one in attachments:
        travels = one.bytes_count <= room
        room -= one.bytes_count if travels else 0
        contents.append(b"".join((_INLINE, *one.chunks())) if travels else b"")
    return Beside(write_manifest(attachments), tuple(contents))


_NOTHING_BESIDE = Beside(write_manifest(()), ())


def unpack_attachments(beside: Beside, held: HeldContent | None) -> tuple[Attachment, ...]:
    """The attachments of a manifest that was proved, each with its content.

    Content that travelled is what the manifest says; `held` gives what did not.
    Raises FrameInvalid.
    """
    if len(beside.manifest) > MANIFEST_BYTES_MAX:
        raise FrameInvalid("the list of attachments is too long")
    try:
        listed = read_manifest(beside.manifest)
    except ManifestInvalid as error:
        raise FrameInvalid(str(error)) from error
    if len(listed) != len(beside.contents):
        raise FrameInvalid(f"{len(beside.contents)} contents of {len(listed)} attachments")
    attachments = tuple(
        one.attachment(_chunks(number, one, content, held))
        for number, (one, content) in enumerate(zip(listed, beside.contents, strict=True), 1)
    )
    _require_own_spelling(beside.manifest, attachments)
    return attachments


def _require_own_spelling(manifest: bytes, attachments: Sequence[Attachment]) -> None:
    """Whoever signs a list may write it in any way that a reader of JSON takes; we take one."""
    try:
        is_ours = write_manifest(attachments) == manifest
    except ValueError:  # a text that is no Unicode
        is_ours = False
    if not is_ours:
        raise FrameInvalid("the list of attachments is not spelled as it must be")


def _chunks(
    number: int, listed: ListedAttachment, content: bytes, held: HeldContent | None
) -> Callable[[], Iterator[bytes]]:
    if not content:
        if held is None:
            raise FrameInvalid(f"attachment {number} did not travel with it")
        try:
            return held(listed)
        except LookupError as error:
            raise FrameInvalid(f"attachment {number} is nowhere to be found") from error
    if content[:1] != _INLINE:
        raise FrameInvalid(f"attachment {number} has no mark")
    inline = content[1:]
    digest = hashlib.sha256(inline).digest()
    is_whole = hmac.compare_digest(digest, listed.digests[DIGEST_SHA256])
    if not is_whole or len(inline) != listed.bytes_count:
        raise FrameInvalid(f"attachment {number} is not the one that was named")
    return lambda: iter((inline,))
