"""Take SOAP requests over HTTP, and tell clients about services: an ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

from bus.core import errors
from bus.core.envelope import SoapVersion
from bus.core.limits import Limits
from bus.edge.descriptions import DescribedHub, Description, description_of
from bus.edge.http_body import multipart_type, read_multipart, send_related
from bus.edge.http_head import check_head, soap_action_of_head, version_of_head
from bus.kit.spool import Spool
from bus.protocols.mime.write import RelatedMessage
from signing.attachments import Attachment

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_DRAIN_BYTES_MAX = 128 * 1024 * 1024
"""Of a request that is too large, this much is read and thrown away, so that its sender gets the
fault and not a broken connection."""
RETRY_AFTER = (b"retry-after", b"2")
TEXT = (b"content-type", b"text/plain; charset=utf-8")


class Told(Protocol):
    """What is said to a request, by a hub or an access point."""

    @property
    def status(self) -> int: ...
    @property
    def body(self) -> bytes: ...
    @property
    def is_retryable(self) -> bool: ...
    @property
    def content_type(self) -> str: ...
    @property
    def related(self) -> RelatedMessage | None: ...


class Hub(DescribedHub, Protocol):
    """What a door needs of the hub."""

    limits: Limits
    spool: Spool

    def kept_bytes_max(self, soap: bytes) -> int:
        """How large an attachment beside a request may be; 0: the service takes none."""
        ...

    async def answer(
        self,
        raw: bytes,
        attachments: tuple[Attachment, ...] = (),
        *,
        soap_version: SoapVersion | None = None,
        soap_action: str = "",
    ) -> Told:
        """The reply to a request and what came beside it; its outcome is on disk.

        `soap_version` and `soap_action` are what the head names.
        """
        ...

    async def refuse_unread(
        self,
        error: errors.BusError,
        *,
        raw: bytes = b"",
        attachments: tuple[Attachment, ...] = (),
        soap_version: SoapVersion | None = None,
    ) -> Told:
        """The reply to a request that was not read, in the version that its head names."""
        ...


class HttpDoor:
    """The SOAP door. Owns the count of requests in work; used from one event loop."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._in_work = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request (ASGI 3)."""
        if scope["type"] != "http":
            return
        is_asking = scope["method"] in ("GET", "HEAD")
        described = await description_of(self._hub, scope) if is_asking else None
        if described is not None:
            await send_described(send, described, scope["method"])
            return
        if self._in_work >= self._hub.limits.exchanges_at_once_max:
            await send_whole(
                send, 503, b"The hub takes no more requests now.\n", [TEXT, RETRY_AFTER]
            )
            return
        self._in_work += 1
        try:
            answer = await self._exchange(scope, receive)
        finally:
            self._in_work -= 1
        await send_told(send, answer)

    async def _exchange(self, scope: Scope, receive: Receive) -> Told:
        try:
            related = multipart_type(scope["headers"])
            check_head(scope, is_multipart=related is not None)
            if related is not None:
                hub = self._hub
                message = await read_multipart(
                    receive, related, hub.limits, hub.spool, hub.kept_bytes_max
                )
                if message.failure is not None:
                    return await hub.refuse_unread(
                        message.failure,
                        raw=message.soap,
                        attachments=message.attachments,
                        soap_version=version_of_head(scope),
                    )
                return await hub.answer(
                    message.soap,
                    message.attachments,
                    soap_version=version_of_head(scope),
                    soap_action=soap_action_of_head(scope),
                )
            seconds = self._hub.limits.request_read_seconds_max
            async with asyncio.timeout(seconds):
                raw = await read_body(receive, self._hub.limits.envelope_bytes_max)
        except TimeoutError:
            late = errors.NotWellFormed(public_detail="the request did not arrive in time")
            return await self._hub.refuse_unread(late, soap_version=version_of_head(scope))
        except errors.BusError as error:
            return await self._hub.refuse_unread(error, soap_version=version_of_head(scope))
        return await self._hub.answer(
            raw, soap_version=version_of_head(scope), soap_action=soap_action_of_head(scope)
        )


async def read_body(receive: Receive, bytes_max: int) -> bytes:
    """The whole body of a request. Raises NotWellFormed (broken off), TooLarge."""
    chunks: list[bytes] = []
    total = 0
    is_more = True
    while is_more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise errors.NotWellFormed(public_detail="the connection ended within the request")
        chunk = message.get("body", b"")
        is_more = message.get("more_body", False)
        total += len(chunk)
        if total > bytes_max:
            chunks.clear()
            if total > _DRAIN_BYTES_MAX:
                break
        else:
            chunks.append(chunk)
    if total > bytes_max:
        raise errors.TooLarge(public_detail=f"more than {bytes_max} bytes")
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def send_told(send: Send, told: Told) -> None:
    """Send what was said to a request, with what goes beside it."""
    content_type = (b"content-type", told.content_type.encode("latin-1"))
    headers: Headers = [content_type, (b"soapaction", b'""')]
    if told.is_retryable:
        headers.append(RETRY_AFTER)
    if told.related is None:
        await send_whole(send, told.status, told.body, headers)
    else:
        await send_related(send, told.status, told.related, headers)


async def send_described(send: Send, described: Description, method: str) -> None:
    """Send what was asked for by GET; by HEAD, everything but the body. RFC 9110 §9.3.2."""
    length = str(len(described.body)).encode("ascii")
    content_type = described.content_type.encode("latin-1")
    headers = [(b"content-type", content_type), (b"content-length", length)]
    await send({"type": "http.response.start", "status": described.status, "headers": headers})
    body = b"" if method == "HEAD" else described.body
    await send({"type": "http.response.body", "body": body})


async def send_whole(send: Send, status: int, body: bytes, headers: Headers) -> None:
    """Send a reply whose bytes are all there."""
    length = (b"content-length", str(len(body)).encode("ascii"))
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})
