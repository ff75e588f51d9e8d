"""Bound what connections may cost: their number, heads in bytes and seconds, bodies nobody reads.

uvicorn bounds none of these: a connection could send one head for ever, or as many lines as fit
into memory. Trailers and the framing of chunks count as head, so that they cannot stand in for it.
"""

from __future__ import annotations

import asyncio
import resource
from functools import cache
from typing import Any

from bus.http.asgi import WHOLE_BODY
from bus.http.upgrade import StayingProtocol

HEAD_BYTES_MAX = 64 * 1024
"""Most bytes of one request that are no body."""
FRAMING_BYTES_MAX = 8
"""Most bytes around one byte of a body, for chunks that are very small."""
HEAD_SECONDS_MAX = 30.0
"""How long a head may take to arrive."""
CONNECTIONS_MAX = 4096
"""Most connections at one time, or as many as there are descriptors; then the one that has been
silent the longest makes room, if nothing is in work on it."""
UNREAD_BYTES_MAX = 128 * 1024 * 1024
"""Of a body whose request was answered before it was read, so much is thrown away; then the
connection ends."""
UNREAD_SECONDS_MAX = 30.0
"""How long such a body may go on."""
_DESCRIPTORS_KEPT = 192
"""For everything that is no connection: the log, the spool, agencies."""

_TOO_MANY = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 2\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


@cache
def connections_max() -> int:
    """How many connections a door takes at one time."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptors == resource.RLIM_INFINITY:
        return CONNECTIONS_MAX
    return max(min(CONNECTIONS_MAX, descriptors - _DESCRIPTORS_KEPT), 1)


class BoundedProtocol(StayingProtocol):
    """HTTP/1.1 as uvicorn speaks it, with bounds. Used from one event loop."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._other_bytes = 0
        """Of this request, what was no body."""
        self._body_bytes = 0
        self._is_reading = False
        self._head_since: float | None = None
        """When the head began that is not complete; None: no head is awaited."""
        self._watch: asyncio.TimerHandle | None = None
        self._heard_at = 0.0
        """When something came last."""
        self._unread_bytes = 0
        self._unread_since: float | None = None
        """Since when a body has come that nobody reads; None: there is none."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._heard_at = self.loop.time()
        if len(self.connections) >= connections_max() and not self._make_room():
            transport.write(_TOO_MANY)
            transport.close()
        super().connection_made(transport)
        self._head_since = self.loop.time()
        self._watch = self.loop.call_later(HEAD_SECONDS_MAX, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)

    def _make_room(self) -> bool:
        """Close the connection that has been silent the longest; false: all are in work."""
        idle = [one for one in self.connections if isinstance(one, BoundedProtocol) and one.is_idle]
        if not idle:
            return False
        longest = min(idle, key=lambda one: one._heard_at)  # noqa: SLF001 - of this class
        self.connections.discard(longest)
        longest.transport.close()
        return True

    @property
    def is_idle(self) -> bool:
        """Whether no request is in work or coming in."""
        return self.cycle is None or (self.cycle.response_complete and not self.pipeline)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and close the connection over what it has too much of."""
        self._heard_at = self.loop.time()
        if self._is_reading:  # a head that is read again was counted
            super().data_received(data)
            return
        self._other_bytes += len(data)
        self._is_reading = True
        try:
            super().data_received(data)
        finally:
            self._is_reading = False
        if self._other_bytes > HEAD_BYTES_MAX + FRAMING_BYTES_MAX * self._body_bytes:
            self._refuse()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_since = self.loop.time()

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._head_since = None

    def on_body(self, body: bytes) -> None:
        self._other_bytes -= len(body)
        self._body_bytes += len(body)
        if self.cycle is not None and self.cycle.response_complete:
            self._throw_away(len(body))
            return
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        # Of a head that will be read again no request was made: then this is the one before it.
        if self.cycle is not None and not self.cycle.more_body:
            self.cycle.scope["state"][WHOLE_BODY] = True
        self._other_bytes = self._body_bytes = self._unread_bytes = 0
        self._unread_since = None

    def _throw_away(self, count: int) -> None:
        now = self.loop.time()
        if self._unread_since is None:
            self._unread_since = now
        self._unread_bytes += count
        is_late = now - self._unread_since > UNREAD_SECONDS_MAX
        if is_late or self._unread_bytes > UNREAD_BYTES_MAX:
            self.transport.close()

    def _look(self) -> None:
        since, now = self._head_since, self.loop.time()
        unread = self._unread_since
        if (since is not None and now - since >= HEAD_SECONDS_MAX) or (
            unread is not None and now - unread >= UNREAD_SECONDS_MAX
        ):
            self.transport.close()
            return
        self._watch = self.loop.call_later(HEAD_SECONDS_MAX, self._look)

    def _refuse(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()
