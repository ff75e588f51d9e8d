"""Take plain SOAP requests of an agency's own systems over HTTP: an ASGI application."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeVar

from bus.core import errors
from bus.core.envelope import SoapVersion
from bus.core.limits import Limits
from bus.doors.descriptions import READY, ServiceDescription
from bus.doors.soap import send_described
from bus.http.asgi import RETRY_AFTER, TEXT, Receive, Scope, Send, is_whole, send_whole
from bus.http.body import claimed_bytes, multipart_type, read_body, read_multipart, send_reply
from bus.http.body_room import BodyRoom, HeldBody, NoRoom
from bus.http.head import check_head, soap_action_of_head, version_of_head
from bus.http.server_protocol import PEER_CERTIFICATE
from bus.http.spool import Spool
from bus.protocols.mime.content_type import parse_content_type
from bus.protocols.reply import Reply
from bus.runtime.recycled_threads import RecycledThreads
from signing.attachments import Attachment

Made = TypeVar("Made")

_ANSWER_BYTES = 16 * 1024
"""About what the hub answers, which the thread of an exchange reads, too."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What came in at the door."""

    raw: bytes = field(repr=False)
    """The envelope; of a multipart request, its SOAP part."""
    charset: str = ""
    """Of the Content-Type; empty: it names none."""
    attachments: tuple[Attachment, ...] = ()
    peer_certificate_sha256: bytes = b""
    """Of the certificate that the connection showed; empty: none."""
    soap_action: str = ""
    """What the head says, without quotes."""


class PlainAnswering(Protocol):
    """What the door needs; every call may wait, and is made in a thread."""

    limits: Limits
    spool: Spool
    body_room: BodyRoom
    is_tls: bool
    """Whether a connection shows the certificate of a system."""

    def answer(self, asked: Asked) -> Reply:
        """The plain reply to a plain request."""
        ...

    def refuse_unread(
        self, error: errors.BusError, *, soap_version: SoapVersion | None = None
    ) -> Reply:
        """The reply to a request that was not read, in the version that its head names."""
        ...

    def describe(self, target: str, accept: str) -> ServiceDescription | None:
        """What the hub says to a GET of path and query; None: not about services."""
        ...


class AccessPointDoor:
    """Owns the count of requests in work and the threads they are worked on in."""

    def __init__(self, access_point: PlainAnswering, *, exchanges_at_once_max: int) -> None:
        self._access_point = access_point
        self._in_work = 0  # changed by the event loop only
        self._threads = RecycledThreads(exchanges_at_once_max, "exchange")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request (ASGI 3)."""
        if scope["type"] != "http":
            return
        try:
            await self._serve_within_bounds(scope, receive, send)
        except NoRoom:
            words = b"The access point takes no more requests now.\n"
            await send_whole(send, 503, words, [TEXT, RETRY_AFTER])

    async def _serve_within_bounds(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises NoRoom: too many requests are in work, or too many bytes of them."""
        if self._in_work >= self._access_point.limits.exchanges_at_once_max:
            raise NoRoom
        self._in_work += 1
        try:
            with self._access_point.body_room.open(claimed_bytes(scope["headers"])) as held:
                await self._serve(scope, receive, send, held)
        finally:
            self._in_work -= 1

    async def _serve(self, scope: Scope, receive: Receive, send: Send, held: HeldBody) -> None:
        if scope["method"] in ("GET", "HEAD"):
            described = await self._described(scope)
            if described is not None:
                await send_described(send, described, scope["method"])
                return
        await send_reply(send, await self._exchange(scope, receive, held))

    async def _exchange(self, scope: Scope, receive: Receive, held: HeldBody) -> Reply:
        try:
            asked = await self._read(scope, receive, held)
        except errors.BusError as error:
            version = version_of_head(scope)
            return self._access_point.refuse_unread(error, soap_version=version)
        work = partial(self._access_point.answer, asked)
        return await self._in_thread(work, len(asked.raw) + _ANSWER_BYTES)

    async def _read(self, scope: Scope, receive: Receive, held: HeldBody) -> Asked:
        limits = self._access_point.limits
        related = multipart_type(scope["headers"])
        check_head(scope, is_any_charset=True, is_multipart=related is not None)
        peer = _peer_digest(scope)
        # Whoever shows nothing hands over nothing: bodies are read of the agency's systems only.
        if self._access_point.is_tls and not peer:
            raise errors.ClientNotAuthenticated(public_detail="it showed none")
        if related is not None:
            spool = self._access_point.spool
            message = await read_multipart(receive, related, limits, spool, held)
            if message.failure is not None:
                raise message.failure
            charset = _charset(message.soap_head.header("content-type"))
            return Asked(
                message.soap, charset, message.attachments, peer, soap_action_of_head(scope)
            )
        raw = await read_body(receive, limits, held, is_whole=is_whole(scope))
        charset = _charset(_header(scope, b"content-type"))
        return Asked(raw, charset, (), peer, soap_action_of_head(scope))

    async def _described(self, scope: Scope) -> ServiceDescription | None:
        if scope["path"] == "/health":
            return READY
        query = scope["query_string"].decode("latin-1")
        path: str = scope["raw_path"].decode("latin-1")
        target = f"{path}?{query}" if query else path
        accept = _header(scope, b"accept")
        try:
            work = partial(self._access_point.describe, target, accept)
            return await self._in_thread(work, _ANSWER_BYTES)
        except errors.BusError as error:
            words = f"{error.public_reason}\n".encode()
            return ServiceDescription(503, words, "text/plain; charset=utf-8")

    async def _in_thread(self, work: Callable[[], Made], byte_count: int) -> Made:
        return await asyncio.wrap_future(self._threads.read(byte_count, work))

    def close(self) -> None:
        """Wait for the exchanges in work."""
        self._threads.shutdown(wait=True)


def _charset(content_type: str) -> str:
    return parse_content_type(content_type).parameter("charset")


def _header(scope: Scope, name: bytes) -> str:
    headers: dict[bytes, bytes] = dict(scope["headers"])
    return headers.get(name, b"").decode("latin-1")


def _peer_digest(scope: Scope) -> bytes:
    certificate = scope.get("state", {}).get(PEER_CERTIFICATE)
    return hashlib.sha256(certificate).digest() if certificate else b""
