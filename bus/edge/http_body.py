"""Read the body of a multipart request, and send a multipart reply, piece by piece.

Nothing is read from the connection before the piece before it lies in the spool: a sender that is
faster than the disk waits, and memory holds one piece.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any

from bus.core import errors
from bus.core.limits import Limits
from bus.kit.multipart import KeptBytesMax, MultipartIntake, WholeMessage
from bus.kit.spool import Spool
from bus.protocols.mime.content_type import MULTIPART_RELATED, ContentType, parse_content_type
from bus.protocols.mime.write import RelatedMessage

PIECE_BYTES = 256 * 1024
"""So much is taken apart, digested and written at once, beside the event loop."""
DRAIN_BYTES_MAX = 256 * 1024 * 1024
"""Of a request that is refused, this much more is read and thrown away, so that its sender gets
the fault and not a broken connection."""
_MULTIPART = b"multipart/"

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]


def multipart_type(headers: Headers) -> ContentType | None:
    """The Content-Type of a multipart request; None: it is none. Raises ContentTypeInvalid."""
    for name, value in headers:
        if name == b"content-type" and value[: len(_MULTIPART)].lower() == _MULTIPART:
            return _related(value)
    return None


def _related(value: bytes) -> ContentType:
    content_type = parse_content_type(value.decode("latin-1"))
    if content_type.media_type != MULTIPART_RELATED:
        raise errors.ContentTypeInvalid(public_detail="of multipart, only related is taken")
    return content_type


async def read_multipart(
    receive: Receive,
    content_type: ContentType,
    limits: Limits,
    spool: Spool,
    kept_bytes_max: KeptBytesMax | None = None,
) -> WholeMessage:
    """The whole request, its attachments in the spool as far as they may be kept.

    Where the spool had no room, its failure says so. Raises MimeInvalid, SoapMissing,
    ContentTypeInvalid, TooLarge, NotWellFormed (broken off, or too slow).
    """
    intake = MultipartIntake(content_type, limits, spool, kept_bytes_max)
    try:
        async with asyncio.timeout(limits.request_read_seconds_max) as timer:
            await _feed(intake, _Pieces(receive, timer, limits))
        return intake.end()
    except TimeoutError as error:
        raise errors.NotWellFormed(public_detail="the request did not arrive in time") from error
    finally:
        intake.close()


async def _feed(intake: MultipartIntake, pieces: _Pieces) -> None:
    try:
        while piece := await pieces.next():
            if len(piece) < PIECE_BYTES:
                intake.feed(piece)
            else:
                await asyncio.to_thread(intake.feed, piece)
    except errors.BusError:
        await pieces.drain()
        raise


class _Pieces:
    """What arrives, in pieces of a size that is worth a thread's while."""

    def __init__(self, receive: Receive, timer: asyncio.Timeout, limits: Limits) -> None:
        self._receive = receive
        self._timer = timer
        self._first_deadline = timer.when() or 0.0
        self._bytes_per_second_min = limits.attachment_bytes_per_second_min
        self._bytes = 0
        self._is_more = True

    async def next(self) -> bytes:
        """The next piece; empty at the end. Raises NotWellFormed: the connection broke off."""
        chunks: list[bytes] = []
        count = 0
        while self._is_more and count < PIECE_BYTES:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._is_more = False
                raise errors.NotWellFormed(public_detail="the connection ended within the request")
            chunk = message.get("body", b"")
            self._is_more = message.get("more_body", False)
            chunks.append(chunk)
            count += len(chunk)
            self._bytes += len(chunk)
            more_seconds = self._bytes / self._bytes_per_second_min
            self._timer.reschedule(self._first_deadline + more_seconds)
        return b"".join(chunks)

    async def drain(self) -> None:
        """Read on and keep nothing, within a bound."""
        drained = 0
        with contextlib.suppress(errors.NotWellFormed):
            while self._is_more and drained < DRAIN_BYTES_MAX:
                drained += len(await self.next())


async def send_related(send: Send, status: int, message: RelatedMessage, headers: Headers) -> None:
    """Send a reply with attachments; the next piece is read when the last one is on its way."""
    length = (b"content-length", str(len(message)).encode("ascii"))
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    chunks = iter(message)
    while chunk := await asyncio.to_thread(_next_chunk, chunks):
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _next_chunk(chunks: Iterator[bytes]) -> bytes:
    """The next chunk that is not empty; empty at the end."""
    return next((chunk for chunk in chunks if chunk), b"")
