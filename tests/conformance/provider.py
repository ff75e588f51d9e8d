"""A service of the provider over real HTTP: it answers what the row says, to whoever asks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bus.http.client import AgencyHttp
from bus.http.spool import Spool
from bus.kit.contract import Adapter, Answer, Query
from bus.kit.xroad_agency import XRoadAgency, XRoadForm
from bus.runtime.deadline import Deadline
from tests.conformance.table import ProviderReply

_NOTHING = ProviderReply(500, "text/html", b"<html/>")


class Provider:
    """What the service will say next; set by the one who asks."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.reply = _NOTHING
        self.got = b""
        """Head and body of what it was asked last."""

    def prepare(self, reply: ProviderReply | None) -> None:
        self.reply = reply or _NOTHING
        self.got = b""


@contextmanager
def running_provider() -> Iterator[Provider]:
    """The service on a free loopback port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            provider.got = bytes(self.headers) + self._body()
            reply = provider.reply
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.content_type)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        def _body(self) -> bytes:
            if "Content-Length" in self.headers:
                return self.rfile.read(int(self.headers["Content-Length"]))
            chunks = []
            while size := int(self.rfile.readline(), 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider = Provider(f"http://127.0.0.1:{server.server_address[1]}/service")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class ProviderAdapter(Adapter):
    """Hands queries to the service as X-Road's servers would, and holds it to their rules."""

    def __init__(self, address: str, spool: Spool) -> None:
        super().__init__({})
        self._http = AgencyHttp(spool=spool)
        form = XRoadForm(requires_headers=True, names_answer_freely=True)
        self._agency = XRoadAgency(address=address, http=self._http, form=form)

    def answer(self, query: Query) -> Answer:
        return self._agency.call(query, deadline=Deadline.after(query.timeout_seconds))

    def close(self) -> None:
        self._http.close()
