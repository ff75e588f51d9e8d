"""Read the body of a request, and send a multipart reply, piece by piece.

Of a multipart request nothing is read from the connection before the piece before it lies in the
spool: a sender that is faster than the disk waits, and memory holds one piece.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

from bus.core import errors
from bus.core.limits import Limits
from bus.http.asgi import Headers, Message, Receive, Send, send_whole
from bus.http.body_room import HeldBody
from bus.http.multipart import MultipartIntake, WholeMessage
from bus.http.spool import Spool
from bus.protocols.mime.content_type import MULTIPART_RELATED, ContentType, parse_content_type
from bus.protocols.mime.write import RelatedMessage
from bus.protocols.reply import Reply
from bus.runtime.off_loop import off_loop

PIECE_BYTES = 256 * 1024
"""So much is taken apart, digested and written at once, beside the event loop."""
BODY_DRAIN_BYTES_MAX = 128 * 1024 * 1024
"""Of an envelope that is too large, this much is read and thrown away, for the same reason."""
DRAIN_BYTES_MAX = 256 * 1024 * 1024
"""Of a request that is refused, this much more is read and thrown away, so that its sender gets
the fault and not a broken connection."""
BODY_GRACE_SECONDS = 10.0
"""After so long a body must have come as fast as the limits say, or is cut off."""
DIGITS_MAX = 19
_MULTIPART = b"multipart/"


async def read_body(
    receive: Receive, limits: Limits, held: HeldBody, *, is_whole: bool = False
) -> bytes:
    """The whole body of a request; `held` grows as it arrives.

    `is_whole`: all of it has come, as a small one does with its head, and no clock is needed.
    Raises NotWellFormed (broken off, or too slow), TooLarge, NoRoom.
    """
    if is_whole:
        return _kept(await _received(receive), limits, held)
    grace = min(BODY_GRACE_SECONDS, limits.request_read_seconds_max)
    try:
        async with asyncio.timeout(grace) as timer:
            return await _whole(_Body(receive, timer, limits, grace), held)
    except TimeoutError as error:
        raise errors.NotWellFormed(public_detail="the request did not arrive in time") from error


def _kept(message: Message, limits: Limits, held: HeldBody) -> bytes:
    assert not message.get("more_body", False)
    whole: bytes = message.get("body", b"")
    if len(whole) > limits.envelope_bytes_max:
        raise _too_large(limits.envelope_bytes_max)
    held.hold(len(whole))
    return whole


async def _received(receive: Receive) -> Message:
    """What comes next. Raises NotWellFormed: the connection broke off."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise errors.NotWellFormed(public_detail="the connection ended within the request")
    return message


def _too_large(bytes_max: int) -> errors.TooLarge:
    return errors.TooLarge(public_detail=f"more than {bytes_max} bytes")


async def _whole(body: _Body, held: HeldBody) -> bytes:
    bytes_max = body.bytes_max
    chunk = await body.next()
    if not body.is_more and len(chunk) <= bytes_max:
        held.hold(len(chunk))
        return chunk
    # One buffer that grows: a list of chunks would leave holes that the system never gets back.
    whole = bytearray()
    is_too_large = held.claimed_bytes > bytes_max
    while True:
        is_too_large = is_too_large or len(whole) + len(chunk) > bytes_max
        if is_too_large:
            whole.clear()
            held.hold(0)
        else:
            held.hold(len(whole) + len(chunk))
            whole += chunk
        if not body.is_more or body.bytes > BODY_DRAIN_BYTES_MAX:
            break
        chunk = await body.next()
    if is_too_large:
        raise _too_large(bytes_max)
    return await off_loop(len(whole), partial(bytes, whole))


class _Body:
    """What arrives of a body that is kept in memory, and whether it comes fast enough."""

    def __init__(
        self, receive: Receive, timer: asyncio.Timeout, limits: Limits, grace: float
    ) -> None:
        self._receive = receive
        self._timer = timer
        self._limits = limits
        self._grace = grace
        self._first_deadline = timer.when() or 0.0
        self.bytes_max = limits.envelope_bytes_max
        self.bytes = 0
        self.is_more = True

    async def next(self) -> bytes:
        """The next chunk. Raises NotWellFormed: the connection broke off."""
        message = await _received(self._receive)
        chunk: bytes = message.get("body", b"")
        self.is_more = message.get("more_body", False)
        self.bytes += len(chunk)
        if self.is_more:
            self._give_time()
        return chunk

    def _give_time(self) -> None:
        """More bytes give more time, up to the time that a request has in all."""
        limits, first = self._limits, self._first_deadline
        longest = first - self._grace + limits.request_read_seconds_max
        earned = first + self.bytes / limits.body_bytes_per_second_min
        self._timer.reschedule(min(longest, earned))


def multipart_type(headers: Headers) -> ContentType | None:
    """The Content-Type of a multipart request; None: it is none. Raises ContentTypeInvalid."""
    value = dict(headers).get(b"content-type", b"")
    return _related(value) if _is_multipart(value) else None


def claimed_bytes(headers: Headers) -> int:
    """What the head says about the size of the envelope; 0: nothing that counts.

    Of a multipart request it says nothing: attachments do not stay in memory.
    """
    lines = dict(headers)
    claimed = lines.get(b"content-length", b"")
    if not claimed.isdigit() or len(claimed) >= DIGITS_MAX:
        return 0
    return 0 if _is_multipart(lines.get(b"content-type", b"")) else int(claimed)


def _is_multipart(content_type: bytes) -> bool:
    return content_type[: len(_MULTIPART)].lower() == _MULTIPART


def _related(value: bytes) -> ContentType:
    content_type = parse_content_type(value.decode("latin-1"))
    if content_type.media_type != MULTIPART_RELATED:
        raise errors.ContentTypeInvalid(public_detail="of multipart, only related is taken")
    return content_type


KeptBytesMax = Callable[[bytes], Awaitable[int]]
"""From a SOAP part, how large an attachment beside it may be to be kept."""


async def read_multipart(
    receive: Receive,
    content_type: ContentType,
    limits: Limits,
    spool: Spool,
    held: HeldBody,
    kept_bytes_max: KeptBytesMax | None = None,
) -> WholeMessage:
    """The whole request, its attachments in the spool as far as they may be kept.

    Where the spool had no room, its failure says so. `held` counts what is in memory.
    Raises MimeInvalid, SoapMissing, ContentTypeInvalid, TooLarge, NotWellFormed (broken off, or
    too slow), NoRoom.
    """
    intake = MultipartIntake(content_type, limits, spool)
    try:
        async with asyncio.timeout(limits.request_read_seconds_max) as timer:
            await _feed(intake, _Pieces(receive, timer, limits), held, kept_bytes_max)
        return intake.end()
    except TimeoutError as error:
        raise errors.NotWellFormed(public_detail="the request did not arrive in time") from error
    finally:
        intake.close()


async def _feed(
    intake: MultipartIntake, pieces: _Pieces, held: HeldBody, ask: KeptBytesMax | None
) -> None:
    try:
        while piece := await pieces.next(held, intake.memory_bytes):
            # Of the first bytes nothing is in a file yet; then a disk may be waited for.
            await off_loop(pieces.bytes, partial(intake.feed, piece))
            held.hold(intake.memory_bytes)
            if ask is not None and (soap := intake.soap_if_whole) is not None:
                # Of the piece that brought the end of the SOAP part, the rest is in the spool.
                intake.keep_at_most(await ask(soap))
                ask = None
    except errors.BusError:
        await pieces.drain(held)
        raise


class _Pieces:
    """What arrives, in pieces of a size that is worth a thread's while."""

    def __init__(self, receive: Receive, timer: asyncio.Timeout, limits: Limits) -> None:
        self._receive = receive
        self._timer = timer
        self._first_deadline = timer.when() or 0.0
        self._bytes_per_second_min = limits.attachment_bytes_per_second_min
        self.bytes = 0
        """How much has arrived."""
        self._is_more = True

    async def next(self, held: HeldBody, memory_bytes: int) -> bytes:
        """The next piece; empty at the end.

        `held` grows as it arrives, beside what is in memory. Raises NotWellFormed (the connection
        broke off), NoRoom.
        """
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
            held.hold(memory_bytes + count)
            self.bytes += len(chunk)
            more_seconds = self.bytes / self._bytes_per_second_min
            self._timer.reschedule(self._first_deadline + more_seconds)
        return b"".join(chunks)

    async def drain(self, held: HeldBody) -> None:
        """Read on and keep nothing, within a bound."""
        drained = 0
        with contextlib.suppress(errors.NotWellFormed):
            while self._is_more and drained < DRAIN_BYTES_MAX:
                drained += len(await self.next(held, 0))


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


async def send_reply(send: Send, reply: Reply) -> None:
    """Send what was said to a request, with what goes beside it."""
    content_type = (b"content-type", reply.content_type.encode("latin-1"))
    headers: Headers = [content_type, (b"soapaction", b'""')]
    if reply.is_retryable:
        headers.append((b"retry-after", str(reply.retry_after_seconds).encode("ascii")))
    if reply.related is None:
        await send_whole(send, reply.status, reply.body, headers)
    else:
        await send_related(send, reply.status, reply.related, headers)
