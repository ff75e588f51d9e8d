"""Make attachments of our own: from a file, or from bytes in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from bus.core.errors import ContentTypeInvalid
from bus.protocols.mime.content_type import parse_content_type
from bus.protocols.mime.read import is_content_id
from signing.attachments import Attachment
from signing.policy import DIGEST_SHA256, DIGEST_SHA512

READ_BYTES = 256 * 1024


def attachment_of_bytes(content: bytes, *, content_id: str, media_type: str) -> Attachment:
    """An attachment whose content is in memory.

    Raises ValueError: id or type do not have their form.
    """
    return _attachment(lambda: iter([content]), content_id, media_type)


def attachment_of_file(path: Path, *, content_id: str, media_type: str) -> Attachment:
    """An attachment whose content is a file, which must not change meanwhile.

    Raises OSError, ValueError: id or type do not have their form.
    """
    return _attachment(lambda: _read(path), content_id, media_type)


def is_whole(attachment: Attachment) -> bool:
    """Whether the content has the size and the digests that the attachment says; it is read."""
    count, digests = _measure(attachment.chunks())
    return count == attachment.bytes_count and digests == dict(attachment.digests)


def _attachment(
    chunks: Callable[[], Iterator[bytes]], content_id: str, media_type: str
) -> Attachment:
    if not is_content_id(content_id):
        raise ValueError(f"{content_id!r} is no Content-ID")
    try:
        parse_content_type(media_type)
    except ContentTypeInvalid as error:
        raise ValueError(f"{media_type!r} is no Content-Type") from error
    count, digests = _measure(chunks())
    headers = (
        ("Content-Type", media_type),
        ("Content-Transfer-Encoding", "binary"),
        ("Content-Disposition", f'attachment; filename="{_file_name(content_id)}"'),
        ("Content-ID", f"<{content_id}>"),
    )
    return Attachment(content_id, media_type, headers, count, digests, chunks)


def _file_name(content_id: str) -> str:
    """What may stand between quotes. RFC 2183 §2.3."""
    return content_id.replace("\\", "_").replace('"', "_")


def _measure(chunks: Iterable[bytes]) -> tuple[int, dict[str, bytes]]:
    sha256, sha512 = hashlib.sha256(), hashlib.sha512()
    count = 0
    for chunk in chunks:
        count += len(chunk)
        sha256.update(chunk)
        sha512.update(chunk)
    return count, {DIGEST_SHA256: sha256.digest(), DIGEST_SHA512: sha512.digest()}


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(READ_BYTES):
            yield chunk
