"""Say in canonical JSON what attachments are, without their content; read it again."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from bus.core.canonical_json import JsonValue, canonical_json
from signing.attachments import Attachment
from signing.policy import DIGEST_SHA256, DIGEST_SHA512

MANIFEST_BYTES_MAX = 1024 * 1024
_DIGESTS = {"sha256": DIGEST_SHA256, "sha512": DIGEST_SHA512}


class ManifestInvalid(ValueError):
    """These bytes are no manifest."""


@dataclass(frozen=True, slots=True)
class ListedAttachment:
    """What a manifest says of one attachment."""

    content_id: str
    media_type: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    bytes_count: int
    digests: dict[str, bytes] = field(repr=False)
    """By DigestMethod identifier."""

    def attachment(self, chunks: Callable[[], Iterator[bytes]]) -> Attachment:
        """The attachment, with its content from `chunks`."""
        return Attachment(
            self.content_id,
            self.media_type,
            self.headers,
            self.bytes_count,
            self.digests,
            chunks,
        )


def write_manifest(attachments: Sequence[Attachment]) -> bytes:
    """What these attachments are, in order: id, type, headers, size, digests."""
    listed: list[JsonValue] = [
        {
            "bytes": one.bytes_count,
            "headers": [[name, value] for name, value in one.headers],
            "id": one.content_id,
            "type": one.media_type,
            **{name: _text(one.digests[algorithm]) for name, algorithm in _DIGESTS.items()},
        }
        for one in attachments
    ]
    return canonical_json(listed)


def read_manifest(raw: bytes) -> tuple[ListedAttachment, ...]:
    """Read a manifest. Raises ManifestInvalid."""
    try:
        return tuple(
            ListedAttachment(
                str(one["id"]),
                str(one["type"]),
                tuple((str(name), str(value)) for name, value in one["headers"]),
                int(one["bytes"]),
                {
                    algorithm: base64.b64decode(one[name], validate=True)
                    for name, algorithm in _DIGESTS.items()
                },
            )
            for one in json.loads(raw)
        )
    except (ValueError, TypeError, LookupError, RecursionError, OverflowError) as error:
        raise ManifestInvalid("the manifest of attachments cannot be read") from error


def _text(digest: bytes) -> str:
    return base64.b64encode(digest).decode("ascii")
