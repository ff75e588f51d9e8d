"""Bound what the head of a request may cost: bytes that are no body, and seconds.

uvicorn bounds neither: a connection could send one head for ever, or as many lines as fit into
memory. Trailers and the framing of chunks count as head, so that they cannot stand in for it.
"""

from __future__ import annotations

import asyncio
from typing import Any

from bus.edge.http_upgrade import StayingProtocol

HEAD_BYTES_MAX = 64 * 1024
"""Most bytes of one request that are no body."""
FRAMING_BYTES_MAX = 8
"""Most bytes around one byte of a body, for chunks that are very small."""
HEAD_SECONDS_MAX = 30.0
"""How long a head may take to arrive."""

_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


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

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head_since = self.loop.time()
        self._watch = self.loop.call_later(HEAD_SECONDS_MAX, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and close the connection over what it has too much of."""
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
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._other_bytes = self._body_bytes = 0

    def _look(self) -> None:
        since, now = self._head_since, self.loop.time()
        if since is not None and now - since >= HEAD_SECONDS_MAX:
            self.transport.close()
            return
        self._watch = self.loop.call_later(HEAD_SECONDS_MAX, self._look)

    def _refuse(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()
