"""A hub that answers as a test wants: real signatures and receipts, over real HTTP."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bus.client.hub_client import HubClient
from bus.core import errors
from bus.core.decision import Accepted, Refused, facts_of
from bus.core.exchange_leaves import Entry
from bus.core.identifiers import SubsystemId
from bus.core.limits import Limits
from bus.core.log.merkle import hash_leaf
from bus.core.log.receipts import RECEIPT_NAME
from bus.core.log.submission_receipts import AcceptanceReceipt
from bus.core.registry import FaultStyle
from bus.exchange.faults import Faults
from bus.exchange.messages import IncomingRequest
from bus.exchange.replies import Replies, ReplyFacts
from bus.protocols.soap_xroad.parse import parse
from bus.protocols.soap_xroad.verify_answer import KnownHub
from bus.protocols.soap_xroad.wire import SOAP_XROAD
from bus.protocols.soap_xroad.write import SigningTime, write_answer
from signing.pki.certificates import TrustStore
from signing.pki.keys import Signer
from signing.signed_note import SigningKey, sign_note
from tests.hang_limits import HANG_SECONDS_MAX
from tests.nation import (
    ANSWER,
    CLIENT,
    HUB,
    NOW,
    PROVIDER,
    SmallNation,
    decide_request,
    payload,
)

LOG_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
RECEIPT_KEY = SigningKey(f"lienthong.example/test{RECEIPT_NAME}", LOG_KEY)
BROKEN_PARTS = (
    "multipart/related; boundary=b; type=text/xml",
    "multipart/related; boundary=other",
    "multipart/related",
    'multipart/related; boundary=""',
    "Multipart/Related; boundary=b; start=nobody",
)
"""Content-Types of replies that begin `--b` and hold no parts."""
Post = Callable[[bytes], tuple[int, bytes]]


@dataclass(frozen=True)
class StandIn:
    """Answers one request; what a test replaces is what is wrong with the answer."""

    nation: SmallNation
    answerer: SubsystemId = PROVIDER
    fault_signer: SubsystemId = HUB
    receipt_key: SigningKey = RECEIPT_KEY

    def replies(self) -> Replies:
        style, signer = FaultStyle(), self.nation.signers[self.fault_signer]
        faults = Faults(SOAP_XROAD, signer, style.spelling, True)
        return Replies(SOAP_XROAD, faults, self.receipt_key, style)

    def answer(self, request: bytes, *, about: bytes | None = None) -> bytes:
        """The signed answer with its receipt; `about`: whose headers and hash it has."""
        envelope = parse(about or request, Limits())
        signer: Signer = self.nation.signers[self.answerer]
        time = NOW.astimezone(UTC)
        body = write_answer(envelope, payload(ANSWER), signer, SigningTime(time))
        return self.receipted(body, request)

    def acceptance(self, request: bytes, *, count: int = 34) -> bytes:
        """The signed acceptance of what was submitted, with its receipt."""
        accepted = decide_request(request, self.nation.rules, NOW, lambda error: None)
        assert isinstance(accepted, Accepted)
        signer = self.nation.signers[self.fault_signer]
        body = SOAP_XROAD.acceptance(accepted, count, signer, NOW)
        digest = hashlib.sha256(request).digest()
        receipt = AcceptanceReceipt(
            self.receipt_key.name, NOW, 7, hash_leaf(b"{}"), digest, (), count
        )
        return SOAP_XROAD.with_receipt(body, sign_note(receipt.text(), [self.receipt_key]))

    def receipted(self, body: bytes, request: bytes) -> bytes:
        asked = facts_of(parse(request, Limits()))
        behind = ReplyFacts(Entry(b"{}", 7), Entry(b"[]", 8), asked.digest, asked.version)
        return self.replies().receipted(body, behind, NOW.astimezone(UTC))

    def fault(self, request: bytes, error: errors.BusError) -> bytes:
        """The signed fault, without receipt."""
        refused = Refused(error, facts_of(parse(request, Limits())))
        incoming = IncomingRequest(request, (), NOW)
        return self.replies().faults.write(refused, incoming, "fault-1", NOW)

    def but(self, **changes: object) -> StandIn:
        return replace(self, **changes)  # type: ignore[arg-type]


def client_of(nation: SmallNation, url: str) -> HubClient:
    """A client that knows the stand-in's keys."""
    known = KnownHub(
        trust=TrustStore([nation.anchor]),
        member=HUB.member,
        receipt_key=RECEIPT_KEY.verifying_key,
    )
    signer = nation.signers[CLIENT]
    return HubClient(
        url, signer, CLIENT, known, clock=lambda: NOW, answer_seconds_max=HANG_SECONDS_MAX
    )


@contextmanager
def listening(post: Post, *, content_type: str = "") -> Iterator[str]:
    """Serve POST on a free loopback port; gives the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            status, body = post(self.rfile.read(length))
            self.send_response(status)
            if content_type:
                self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
