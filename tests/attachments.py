"""Make attachments for tests."""

from __future__ import annotations

import hashlib

from signing.attachments import Attachment
from signing.policy import DIGEST_SHA256, DIGEST_SHA512


def attachment(
    content: bytes = b"%PDF", content_id: str = "a@x", media_type: str = "application/pdf"
) -> Attachment:
    return Attachment(
        content_id,
        media_type,
        (("Content-Type", media_type), ("Content-ID", f"<{content_id}>")),
        len(content),
        {
            DIGEST_SHA256: hashlib.sha256(content).digest(),
            DIGEST_SHA512: hashlib.sha512(content).digest(),
        },
        lambda: iter([content]),
    )
