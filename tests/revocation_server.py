"""An authority's responder and list over real HTTP, which a test can make wrong in many ways."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography import x509
from cryptography.x509 import ocsp

from tests.certificates import Issuer
from tests.hang_limits import HANG_SECONDS_MAX
from tests.nation import NOW
from tests.revocation import HOUR, make_crl, make_responder, ocsp_response


@dataclass(slots=True)
class StatusServer:
    """What the authority says at the moment. Set by the test, read by the server's threads."""

    issuer: Issuer
    url: str = ""
    time: datetime = NOW
    """The authority's clock."""
    known: dict[int, x509.Certificate] = field(default_factory=dict)
    revoked: dict[x509.Certificate, datetime] = field(default_factory=dict)
    valid_for: timedelta = HOUR
    answer: Callable[[bytes], bytes] | None = None
    """Instead of a sound OCSP response; may raise ConnectionError to break off."""
    serves_lists: bool = True
    listed: bytes | None = None
    """Instead of a sound list."""
    is_redirecting: bool = False
    asked: list[str] = field(default_factory=list)
    """Paths of the requests that came."""
    gate: threading.Event = field(default_factory=threading.Event)
    """Responses wait for it."""
    responder: Issuer | None = None

    @property
    def ocsp_url(self) -> str:
        return f"{self.url}/ocsp"

    @property
    def crl_url(self) -> str:
        return f"{self.url}/ca.crl"

    def asked_of(self, path: str) -> int:
        return self.asked.count(path)

    def respond(self, request: bytes) -> bytes:
        """A sound response to an OCSP request."""
        serial = ocsp.load_der_ocsp_request(request).serial_number
        certificate = self.known[serial]
        return ocsp_response(
            certificate,
            self.issuer,
            self.time,
            responder=self.responder,
            revoked_at=self.revoked.get(certificate),
            valid_for=self.valid_for,
        )

    def lists(self) -> bytes:
        if self.listed is not None:
            return self.listed
        return make_crl(self.issuer, self.time, self.revoked, valid_for=self.valid_for)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    status_server: StatusServer

    def do_POST(self) -> None:
        request = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.headers["Content-Type"] == "application/ocsp-request"
        self._answer(lambda: (self.status_server.answer or self.status_server.respond)(request))

    def do_GET(self) -> None:
        self._answer(self.status_server.lists if self.status_server.serves_lists else None)

    def _answer(self, make: Callable[[], bytes] | None) -> None:
        server = self.status_server
        server.asked.append(self.path)
        server.gate.wait(HANG_SECONDS_MAX)
        try:
            body = make() if make else b""
        except ConnectionError:
            self.close_connection = True
            return
        self.send_response(302 if server.is_redirecting else 200 if make else 404)
        if server.is_redirecting:
            self.send_header("Location", server.ocsp_url)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(ConnectionError):  # who asked may have gone
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def status_server(issuer: Issuer) -> Iterator[StatusServer]:
    """An authority that is asked over HTTP until the block ends."""
    told = StatusServer(issuer, responder=make_responder(issuer, NOW))
    told.gate.set()
    handler = type("Handler", (_Handler,), {"status_server": told})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        told.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield told
        finally:
            told.gate.set()
            server.shutdown()
            thread.join()
