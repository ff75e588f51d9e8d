"""Show applications what uvicorn hides of a connection: the peer's certificate, odd addresses."""

from __future__ import annotations

import asyncio
from typing import Any

from bus.http.head_bounds import BoundedProtocol

PEER_CERTIFICATE = "peer_certificate"
"""Key of a request's state: DER of the certificate that the peer showed; left out: none."""
_AUTHORITY_MARK = b"://"


class SeeingProtocol(BoundedProtocol):
    """HTTP/1.1 as uvicorn speaks it, for doors that must know who is at the other end."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._peer_certificate: bytes | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        tls = transport.get_extra_info("ssl_object")
        self._peer_certificate = tls.getpeercert(binary_form=True) if tls else None

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._peer_certificate is not None:
            self.scope["state"][PEER_CERTIFICATE] = self._peer_certificate

    def on_headers_complete(self) -> None:
        # A client that takes us for a proxy may name a host without a path: RFC 9112 §3.2.2.
        _, mark, rest = self.url.partition(_AUTHORITY_MARK)
        if mark and b"/" not in rest:
            host, question, query = rest.partition(b"?")
            self.url = b"http://" + host + b"/" + question + query
        super().on_headers_complete()
