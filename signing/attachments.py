"""An attachment beside an envelope: what a signature can reach of it, without its bytes in memory.

Source: WS-Security SOAP Messages with Attachments Profile 1.1.1 §4, §5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Attachment:
    """One MIME part behind the SOAP part."""

    content_id: str
    """Content-ID without angle brackets, percent-decoded as `cid:` URLs name it. RFC 2392."""
    media_type: str
    """The Content-Type header as received, with its parameters; text/plain if there was none."""
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    """Every MIME header as received, in order: name, value."""
    bytes_count: int
    """Size of the content."""
    digests: Mapping[str, bytes] = field(repr=False)
    """Digests of the content made while it streamed in, by DigestMethod identifier."""
    chunks: Callable[[], Iterator[bytes]] = field(repr=False, compare=False)
    """The content again from its start, piece by piece; may be called more than once."""
