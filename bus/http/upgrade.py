"""Stay with HTTP/1.1 when a client offers to leave it, and read its request all the same.

A server may ignore an offer (RFC 9110 §7.8). Java's own client makes one with every request over
plain HTTP. The parser stops behind such a head and takes the body for another protocol's, so the
head is read again without the offer, and the body after it.
"""

from __future__ import annotations

from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_OFFER = frozenset({b"upgrade", b"http2-settings"})


class StayingProtocol(HttpToolsProtocol):
    """HTTP/1.1 as uvicorn speaks it, whatever else the client would like to speak."""

    def data_received(self, data: bytes) -> None:
        """Feed the parser, once more without the offer where it stopped at one."""
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
        except httptools.HttpParserUpgrade as stopped:
            if self._offers_upgrade():
                head = self._head_without_offer()
                self.parser = _new_parser(self)
                self.data_received(head + data[stopped.args[0] :])

    def on_headers_complete(self) -> None:
        """Start the exchange, unless this head will be read again."""
        if not self._offers_upgrade():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End the request, unless its head will be read again."""
        if not self._offers_upgrade():
            super().on_message_complete()

    def _offers_upgrade(self) -> bool:
        # A CONNECT stops the parser too, without an offer in its head; it has no body to lose.
        return self.parser.should_upgrade() and any(name in _OFFER for name, _ in self.headers)

    def _head_without_offer(self) -> bytes:
        version = self.parser.get_http_version().encode("ascii")
        lines = [self.parser.get_method() + b" " + self.url + b" HTTP/" + version]
        lines += [name + b": " + value for name, value in self.headers if name not in _OFFER]
        return b"\r\n".join((*lines, b"", b""))


def _new_parser(protocol: Any) -> httptools.HttpRequestParser:
    parser = httptools.HttpRequestParser(protocol)
    # As uvicorn does: an answer to the first request of a pipeline that then closes.
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser
