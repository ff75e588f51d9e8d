"""Take a multipart/related message apart as it arrives, its attachments into the spool."""

from __future__ import annotations

from dataclasses import dataclass, field

from bus.core.errors import SpoolUnavailable
from bus.core.limits import Limits
from bus.http.spool import Spool, SpooledPart
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


class MultipartIntake:
    """Takes one message: `feed` its bytes, then `end`; then, or after an error, `close`.

    As soon as `soap_if_whole` is there, whoever feeds may say by `keep_at_most` that attachments
    which the SOAP part may not have are measured and not kept.
    """

    def __init__(
        self,
        content_type: ContentType,
        limits: Limits,
        spool: Spool,
    ) -> None:
        """Raises MimeInvalid."""
        self._kept_bytes_max: int | None = None
        self._spool = spool
        self._parts: list[SpooledPart] = []
        self._reader = MultipartReader(content_type, limits, self._open)

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes.

        Raises MimeInvalid, ContentTypeInvalid, TooLarge.
        """
        self._reader.feed(chunk)

    @property
    def soap_if_whole(self) -> bytes | None:
        """The SOAP part; None: no attachment has begun behind it."""
        return self._reader.soap if self._parts else None

    @property
    def memory_bytes(self) -> int:
        """How much of the message is in memory."""
        return self._reader.soap_bytes + sum(part.memory_bytes for part in self._parts)

    def keep_at_most(self, bytes_max: int) -> None:
        """Keep no attachment that is larger, of those that are there and those to come."""
        self._kept_bytes_max = bytes_max
        for part in self._parts:
            part.keep_at_most(bytes_max)

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
        part = self._spool.open(head, kept_bytes_max=self._kept_bytes_max)
        self._parts.append(part)
        return part
