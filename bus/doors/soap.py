"""Take SOAP requests over HTTP, and tell clients about services: an ASGI application."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol

from bus.core import errors
from bus.core.envelope import SoapVersion
from bus.core.limits import Limits
from bus.doors.descriptions import DescribedHub, ServiceDescription, description_of
from bus.http.asgi import RETRY_AFTER, TEXT, Receive, Scope, Send, is_whole, send_whole
from bus.http.body import (
    claimed_bytes,
    multipart_type,
    read_body,
    read_multipart,
    send_reply,
)
from bus.http.body_room import BodyRoom, HeldBody, NoRoom
from bus.http.head import check_head, require_utf8, soap_action_of_head, version_of_head
from bus.http.multipart import WholeMessage
from bus.http.spool import Spool
from bus.protocols.reply import Reply
from signing.attachments import Attachment


class AnsweringHub(DescribedHub, Protocol):
    """What a door needs of the hub."""

    limits: Limits
    spool: Spool
    body_room: BodyRoom

    async def kept_bytes_max(self, soap: bytes) -> int:
        """How large an attachment beside a request may be; 0: the service takes none."""
        ...

    async def answer(
        self,
        raw: bytes,
        attachments: tuple[Attachment, ...] = (),
        *,
        soap_version: SoapVersion | None = None,
        soap_action: str = "",
    ) -> Reply:
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
    ) -> Reply:
        """The reply to a request that was not read, in the version that its head names."""
        ...


class HttpDoor:
    """The SOAP door. Owns the count of requests in work; used from one event loop."""

    def __init__(self, hub: AnsweringHub) -> None:
        self._hub = hub
        self._in_work = 0
        """Requests that were read; what still comes in is bounded by its bytes and its time."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request (ASGI 3)."""
        if scope["type"] != "http":
            return
        is_asking = scope["method"] in ("GET", "HEAD")
        described = await description_of(self._hub, scope) if is_asking else None
        if described is not None:
            await send_described(send, described, scope["method"])
            return
        try:
            self._require_room()
            with self._hub.body_room.open(claimed_bytes(scope["headers"])) as held:
                answer = await self._exchange(scope, receive, held)
                await send_reply(send, answer)
        except NoRoom:
            # Nothing more is read of it, and no entry is made: strangers could fill the log.
            await send_whole(
                send, 503, b"The hub takes no more requests now.\n", [TEXT, RETRY_AFTER]
            )

    def _require_room(self) -> None:
        if self._in_work >= self._hub.limits.exchanges_at_once_max:
            raise NoRoom

    async def _exchange(self, scope: Scope, receive: Receive, held: HeldBody) -> Reply:
        hub, version = self._hub, version_of_head(scope)
        try:
            message = await self._read(scope, receive, held)
        except errors.BusError as error:
            self._require_room()
            work = hub.refuse_unread(error, soap_version=version)
        else:
            self._require_room()
            work = self._answer(message, version, soap_action_of_head(scope))
        self._in_work += 1
        try:
            return await work
        finally:
            self._in_work -= 1

    async def _read(self, scope: Scope, receive: Receive, held: HeldBody) -> bytes | WholeMessage:
        """The body, or a multipart message. Raises a BusError, NoRoom."""
        hub = self._hub
        related = multipart_type(scope["headers"])
        check_head(scope, is_multipart=related is not None)
        if related is not None:
            message = await read_multipart(
                receive, related, hub.limits, hub.spool, held, hub.kept_bytes_max
            )
            require_utf8(message.soap_head.content_type)
            return message
        return await read_body(receive, hub.limits, held, is_whole=is_whole(scope))

    def _answer(
        self, message: bytes | WholeMessage, version: SoapVersion | None, action: str
    ) -> Coroutine[Any, Any, Reply]:
        hub = self._hub
        if isinstance(message, bytes):
            return hub.answer(message, soap_version=version, soap_action=action)
        if message.failure is None:
            soap, beside = message.soap, message.attachments
            return hub.answer(soap, beside, soap_version=version, soap_action=action)
        return self._hub.refuse_unread(
            message.failure,
            raw=message.soap,
            attachments=message.attachments,
            soap_version=version,
        )


async def send_described(send: Send, described: ServiceDescription, method: str) -> None:
    """Send what was asked for by GET; by HEAD, everything but the body. RFC 9110 §9.3.2."""
    length = str(len(described.body)).encode("ascii")
    content_type = described.content_type.encode("latin-1")
    headers = [(b"content-type", content_type), (b"content-length", length)]
    await send({"type": "http.response.start", "status": described.status, "headers": headers})
    body = b"" if method == "HEAD" else described.body
    await send({"type": "http.response.body", "body": body})
