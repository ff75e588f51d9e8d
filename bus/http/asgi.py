"""Speak ASGI: read a whole body within bounds, send a reply whose bytes are all there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
WHOLE_BODY = "whole_body"
"""Key of a request's state, where all of its body has come; left out: it may still be coming."""
RETRY_AFTER = (b"retry-after", b"2")
TEXT = (b"content-type", b"text/plain; charset=utf-8")


def is_whole(scope: Scope) -> bool:
    """Whether all of the body has come, so that nobody waits who reads it."""
    return WHOLE_BODY in scope.get("state", ())


async def send_whole(send: Send, status: int, body: bytes, headers: Headers) -> None:
    """Send a reply whose bytes are all there."""
    length = (b"content-length", str(len(body)).encode("ascii"))
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})
