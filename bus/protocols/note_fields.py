"""Write and read the fields that notes of orders and reports have in common: one spelling each."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from datetime import datetime

from signing.utc_text import text_in_microseconds

NUMBER = r"(?:0|[1-9][0-9]{0,17})"
DIGEST = r"[A-Za-z0-9+/]{43}="
TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z"
NAME = r"[^\s\x00-\x1f\x7f-\x9f]{1,400}"
"""A subsystem or a service; each part has at most 64 characters."""
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class FieldInvalid(ValueError):
    """A field does not say what it should."""


def order_kind(*, is_query: bool) -> str:
    """What a note calls what it is about."""
    return "query" if is_query else "delivery"


def digest_text(content: bytes) -> str:
    """SHA-256 of some bytes as a note says it."""
    return value_text(hashlib.sha256(content).digest())


def value_text(digest: bytes) -> str:
    """A digest of 32 bytes as a note says it."""
    return base64.b64encode(digest).decode("ascii")


def read_value(text: str) -> bytes:
    """The digest of a text of the form DIGEST."""
    return base64.b64decode(text)


def require_digest(text: str, content: bytes, of_what: str) -> None:
    """Raises FieldInvalid unless a note's digest is that of the bytes."""
    if not hmac.compare_digest(digest_text(content), text):
        raise FieldInvalid(f"the {of_what} is not the one that was signed")


def time_text(moment: datetime) -> str:
    """A moment (aware) as a note says it: UTC, microseconds."""
    return text_in_microseconds(moment)


def read_time(text: str) -> datetime:
    """The moment of a text of the form TIME. Raises FieldInvalid."""
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise FieldInvalid("there is no such time") from error


def one_line(text: str, characters_max: int) -> str:
    """A text that may stand in one line of a note: what may not becomes a space or a mark."""
    return _UNFIT.sub(" ", text[:characters_max]).strip()
