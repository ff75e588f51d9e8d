"""Take SOAP requests over HTTP, and tell clients about services: an ASGI application."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Protocol
from urllib.parse import parse_qs

from bus.core import errors
from bus.core.limits import Limits

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_DRAIN_BYTES_MAX = 128 * 1024 * 1024
"""Of a request that is too large, this much is read and thrown away, so that its sender gets the
fault and not a broken connection."""
_RETRY_AFTER = (b"retry-after", b"2")
_XML = (b"content-type", b"text/xml; charset=utf-8")
_TEXT = (b"content-type", b"text/plain; charset=utf-8")
_SOAP_ACTION = re.compile(rb'\s*(?:"[^"\x00-\x1f]*")?\s*\Z')
_CONTENT_TYPE = re.compile(rb"\s*text/xml\s*(?:;.*)?\Z", re.IGNORECASE)
_CHARSET = re.compile(rb"charset\s*=\s*\"?([^\s\";]*)", re.IGNORECASE)
_CHARSETS = frozenset({b"utf-8", b"utf8", b"us-ascii"})
_WSDL_PARAMETERS = (
    "xRoadInstance",
    "memberClass",
    "memberCode",
    "subsystemCode",
    "serviceCode",
    "version",
)


class _Answer(Protocol):
    """What the hub says to a request."""

    @property
    def status(self) -> int: ...
    @property
    def body(self) -> bytes: ...
    @property
    def is_retryable(self) -> bool: ...
    @property
    def content_type(self) -> str: ...


class Hub(Protocol):
    """What a door needs of the hub."""

    limits: Limits

    async def answer(self, raw: bytes) -> _Answer:
        """The reply to a request; its outcome is on disk."""
        ...

    async def refuse_unread(self, error: errors.BusError, *, raw: bytes = b"") -> _Answer:
        """The reply to a request that was not read."""
        ...

    def describe(self, service: str) -> bytes | None:
        """The WSDL of a service, named as `VN/GOV/G01/dancu/Code/v1`; None: there is none."""
        ...

    def services(self) -> Mapping[str, str]:
        """Titles by service id."""
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
        if scope["method"] == "GET" and await self._serve_description(scope, send):
            return
        if self._in_work >= self._hub.limits.exchanges_at_once_max:
            await send_whole(
                send, 503, b"The hub takes no more requests now.\n", [_TEXT, _RETRY_AFTER]
            )
            return
        self._in_work += 1
        try:
            answer = await self._exchange(scope, receive)
        finally:
            self._in_work -= 1
        content_type = (b"content-type", answer.content_type.encode("latin-1"))
        headers: Headers = [content_type, (b"soapaction", b'""')]
        if answer.is_retryable:
            headers.append(_RETRY_AFTER)
        await send_whole(send, answer.status, answer.body, headers)

    async def _exchange(self, scope: Scope, receive: Receive) -> _Answer:
        try:
            check_head(scope)
            seconds = self._hub.limits.request_read_seconds_max
            async with asyncio.timeout(seconds):
                raw = await read_body(receive, self._hub.limits.envelope_bytes_max)
        except TimeoutError:
            return await self._hub.refuse_unread(
                errors.NotWellFormed(public_detail="the request did not arrive in time")
            )
        except errors.BusError as error:
            return await self._hub.refuse_unread(error)
        return await self._hub.answer(raw)

    async def _serve_description(self, scope: Scope, send: Send) -> bool:
        """Answer a GET for health, the list of services or a WSDL; False: it was for neither."""
        path, query = scope["path"], scope["query_string"].decode("latin-1")
        if path == "/health":
            await send_whole(send, 200, b"ready\n", [_TEXT])
            return True
        if path == "/services":
            lines = (f"{service}\t{title}\n" for service, title in self._hub.services().items())
            await send_whole(send, 200, "".join(sorted(lines)).encode(), [_TEXT])
            return True
        if path.startswith("/services/") and query.lower().startswith("wsdl"):
            service = path.removeprefix("/services/")
        elif path == "/wsdl":
            # Clients of older X-Road servers ask like this; so does pyxroad.
            parameters = parse_qs(query)
            parts = [parameters.get(name, [""])[0] for name in _WSDL_PARAMETERS]
            service = "/".join(part for part in parts if part)
        else:
            return False
        wsdl = self._hub.describe(service)
        if wsdl is None:
            await send_whole(send, 404, b"There is no such service; see /services.\n", [_TEXT])
        else:
            await send_whole(send, 200, wsdl, [_XML])
        return True


def check_head(scope: Scope, *, is_any_charset: bool = False) -> None:
    """Refuse what the head of a request shows to be no SOAP request. Raises a BusError."""
    if scope["method"] != "POST":
        raise errors.HttpMethodInvalid(public_detail=f"got {scope['method'][:16]}")
    headers: dict[bytes, bytes] = dict(scope["headers"])
    content_type = headers.get(b"content-type", b"")
    charset = _CHARSET.search(content_type)
    is_utf8 = charset is None or charset[1].lower() in _CHARSETS
    if not _CONTENT_TYPE.match(content_type) or not (is_utf8 or is_any_charset):
        raise errors.ContentTypeInvalid
    if not _SOAP_ACTION.match(headers.get(b"soapaction", b"")):
        raise errors.SoapActionInvalid


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


async def send_whole(send: Send, status: int, body: bytes, headers: Headers) -> None:
    """Send a reply whose bytes are all there."""
    length = (b"content-length", str(len(body)).encode("ascii"))
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})
