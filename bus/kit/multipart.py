"""Take a multipart/related message apart as it arrives, its attachments into the spool."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from bus.core.errors import SpoolUnavailable
from bus.core.limits import Limits
from bus.kit.spool import Spool, SpooledPart
from bus.protocols.mime.content_type import ContentType
from bus.protocols.mime.read import MultipartReader, PartHead
from signing.attachments import Attachment


@dataclass(frozen=True, slots=True)
class WholeMessage:
    """A multipart/related message that was read to its end."""

    soap_head: PartHead
    soap: bytes = field(repr=False)
    attachments: tuple[Attachment, ...]
    failure: SpoolUnavailable | None = None
    """Why the content of an attachment is not there, though it may come: there was no room."""


KeptBytesMax = Callable[[bytes], int]
"""From a SOAP part, how large an attachment beside it may be to be kept."""


class MultipartIntake:
    """Takes one message: `feed` its bytes, then `end`; then, or after an error, `close`.

    With `kept_bytes_max` attachments that its SOAP part may not have are measured, not kept.
    """

    def __init__(
        self,
        content_type: ContentType,
        limits: Limits,
        spool: Spool,
        kept_bytes_max: KeptBytesMax | None = None,
    ) -> None:
        """Raises MimeInvalid."""
        self._ask = kept_bytes_max
        self._kept_bytes_max: int | None = None
        self._spool = spool
        self._parts: list[SpooledPart] = []
        self._reader = MultipartReader(content_type, limits, self._open)

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes.

        Raises MimeInvalid, ContentTypeInvalid, TooLarge.
        """
        self._reader.feed(chunk)

    def end(self) -> WholeMessage:
        """No more bytes follow. Raises MimeInvalid, SoapMissing."""
        head = self._reader.end()
        attachments = tuple(part.attachment() for part in self._parts)
        failure = next((part.failure for part in self._parts if part.failure), None)
        return WholeMessage(head, self._reader.soap, attachments, failure)

    def close(self) -> None:
        """Let go of what was taken; whole attachments that `end` gave stay with their holders."""
        self._parts.clear()
        self._reader.close()

    def _open(self, head: PartHead) -> SpooledPart:
        if self._ask is not None and not self._parts:
            self._kept_bytes_max = self._ask(self._reader.soap)
        part = self._spool.open(head, kept_bytes_max=self._kept_bytes_max)
        self._parts.append(part)
        return part
