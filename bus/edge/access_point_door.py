"""Take plain SOAP requests of an agency's own systems over HTTP: an ASGI application."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from bus.core import errors
from bus.core.limits import Limits
from bus.edge.http_door import Headers, Receive, Scope, Send, read_body, send_whole
from bus.edge.http_head import check_head
from bus.edge.http_protocol import PEER_CERTIFICATE

_RETRY_AFTER = (b"retry-after", b"2")
_TEXT = (b"content-type", b"text/plain; charset=utf-8")
_CHARSET = re.compile(r"charset\s*=\s*\"?([^\s\";]*)", re.IGNORECASE)

Made = TypeVar("Made")


class _Reply(Protocol):
    """What the access point says."""

    @property
    def status(self) -> int: ...
    @property
    def body(self) -> bytes: ...
    @property
    def is_retryable(self) -> bool: ...
    @property
    def content_type(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """What came in at the door."""

    raw: bytes = field(repr=False)
    charset: str = ""
    """Of the Content-Type; empty: it names none."""
    peer_certificate_sha256: bytes = b""
    """Of the certificate that the connection showed; empty: none."""


@dataclass(frozen=True, slots=True)
class Described:
    """What the hub says about its services, made fit for the systems here."""

    status: int
    body: bytes = field(repr=False)
    content_type: str


class AccessPoint(Protocol):
    """What the door needs; every call may wait, and is made in a thread."""

    limits: Limits

    def answer(self, asked: Asked) -> _Reply:
        """The plain reply to a plain request."""
        ...

    def refuse_unread(self, error: errors.BusError, *, raw: bytes = b"") -> _Reply:
        """The reply to a request that was not read."""
        ...

    def describe(self, target: str, accept: str) -> Described | None:
        """What the hub says to a GET of path and query; None: not about services."""
        ...


class AccessPointDoor:
    """Owns the count of requests in work and the threads they are worked on in."""

    def __init__(self, access_point: AccessPoint, *, exchanges_at_once_max: int) -> None:
        self._access_point = access_point
        self._in_work = 0  # changed by the event loop only
        self._threads = ThreadPoolExecutor(exchanges_at_once_max, thread_name_prefix="exchange")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request (ASGI 3)."""
        if scope["type"] != "http":
            return
        if self._in_work >= self._access_point.limits.exchanges_at_once_max:
            words = b"The access point takes no more requests now.\n"
            await send_whole(send, 503, words, [_TEXT, _RETRY_AFTER])
            return
        self._in_work += 1
        try:
            await self._serve(scope, receive, send)
        finally:
            self._in_work -= 1

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "GET":
            described = await self._described(scope)
            if described is not None:
                content_type = (b"content-type", described.content_type.encode("latin-1"))
                await send_whole(send, described.status, described.body, [content_type])
                return
        reply = await self._exchange(scope, receive)
        headers: Headers = [
            (b"content-type", reply.content_type.encode("latin-1")),
            (b"soapaction", b'""'),
        ]
        if reply.is_retryable:
            headers.append(_RETRY_AFTER)
        await send_whole(send, reply.status, reply.body, headers)

    async def _exchange(self, scope: Scope, receive: Receive) -> _Reply:
        limits = self._access_point.limits
        try:
            check_head(scope, is_any_charset=True)
            async with asyncio.timeout(limits.request_read_seconds_max):
                raw = await read_body(receive, limits.envelope_bytes_max)
        except TimeoutError:
            late = errors.NotWellFormed(public_detail="the request did not arrive in time")
            return self._access_point.refuse_unread(late)
        except errors.BusError as error:
            return self._access_point.refuse_unread(error)
        asked = Asked(raw, _charset(scope), _peer_digest(scope))
        return await self._in_thread(lambda: self._access_point.answer(asked))

    async def _described(self, scope: Scope) -> Described | None:
        if scope["path"] == "/health":
            return Described(200, b"ready\n", "text/plain; charset=utf-8")
        query = scope["query_string"].decode("latin-1")
        target = scope["path"] + (f"?{query}" if query else "")
        accept = _header(scope, b"accept")
        try:
            return await self._in_thread(lambda: self._access_point.describe(target, accept))
        except errors.BusError as error:
            words = f"{error.public_reason}\n".encode()
            return Described(503, words, "text/plain; charset=utf-8")

    async def _in_thread(self, work: Callable[[], Made]) -> Made:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        """Wait for the exchanges in work."""
        self._threads.shutdown(wait=True)


def _charset(scope: Scope) -> str:
    found = _CHARSET.search(_header(scope, b"content-type"))
    return found[1] if found else ""


def _header(scope: Scope, name: bytes) -> str:
    headers: dict[bytes, bytes] = dict(scope["headers"])
    return headers.get(name, b"").decode("latin-1")


def _peer_digest(scope: Scope) -> bytes:
    certificate = scope.get("state", {}).get(PEER_CERTIFICATE)
    return hashlib.sha256(certificate).digest() if certificate else b""
