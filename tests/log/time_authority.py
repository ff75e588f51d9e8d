"""A time authority in the process of a test: it stamps, fails, or speaks nonsense as told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from bus.log.timestamping import TimestampFailed
from bus.sandbox.authority import Authority
from bus.sandbox.timestamp_authority import answer_timestamp_request
from bus.settings.timestamp import TimestampSettings
from signing.pki.keys import load_signer
from signing.pki.timestamps import TimestampTrust
from tests.hang_limits import HANG_SECONDS_MAX
from tests.nation import NOW

ROOT = Authority.create("Test Time Root", NOW)
_ISSUED = ROOT.issue_for_time("Test Time", NOW)
SIGNER = load_signer(_ISSUED.key_pem, _ISSUED.certificate_pem)
TRUST = TimestampTrust([ROOT.certificate.public_bytes(Encoding.DER)])


class TimeAuthority:
    """Stands in for the way to an authority; counts what it is asked."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self.asked = 0
        self.failure = ""
        """Why it is away; empty while it is there."""
        self.ahead = timedelta(0)

    def __call__(self, settings: TimestampSettings, request: bytes) -> bytes:
        self.asked += 1
        if self.failure:
            raise TimestampFailed(self.failure)
        return answer_timestamp_request(request, SIGNER, self._clock() + self.ahead)


@contextmanager
def http_authority(
    answer: Callable[[bytes], tuple[int, bytes]], *, seconds_between_bytes: float = 0.0
) -> Iterator[str]:
    """A server on this machine that answers each request as `answer` says; gives its address."""
    is_over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status, content = answer(body)
            self.send_response(status)
            self.send_header("content-type", "application/timestamp-reply")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            if not seconds_between_bytes:
                self.wfile.write(content)
                return
            for byte in content:
                if is_over.wait(seconds_between_bytes):
                    return
                self.wfile.write(bytes([byte]))

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/time"
    finally:
        is_over.set()
        server.shutdown()
        server.server_close()
        thread.join(HANG_SECONDS_MAX)
