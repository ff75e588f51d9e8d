"""Run the floor of submissions on PostgreSQL and RabbitMQ: the hub's side of it.

What no hub can leave out that has its log in a database and its workers elsewhere: parse, digests,
the RSA value, one commit of the message, an Ed25519 receipt; a signed order with the message in it,
handed to the broker and confirmed; of each outcome the P-256 signature proved, one commit, one
acknowledgement behind it. Left out on purpose is what bus.bench.floor_submission leaves out.
"""

from __future__ import annotations

import sys
from contextlib import closing
from datetime import datetime
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from bus.bench.floor_broker import ORDERS, OUTCOMES, FloorBroker, connect_floor
from bus.bench.floor_database import FloorDatabase
from bus.bench.floor_program import run_floor, serve_floor
from bus.bench.floor_store import Stored
from bus.bench.floor_submission import FloorReceipts
from bus.settings.signer import SignerFiles
from bus.trust.key_store import read_signer
from signing.pki.keys import Signer

MODULE = "bus.bench.floor_servers"
_ECDSA = ec.ECDSA(SHA256())
LENGTH_BYTES = 4
"""Before the first part of a message between hub and worker, its length, big-endian."""


class FloorHub:
    """Takes messages, orders their delivery, hears of it. Used from one event loop."""

    def __init__(
        self,
        signer: Signer,
        key: Ed25519PrivateKey,
        store: FloorDatabase,
        broker: FloorBroker,
        recipients_count: int,
    ) -> None:
        self._receipts = FloorReceipts(signer, key)
        agency_key = signer.certificate.public_key()
        assert isinstance(agency_key, ec.EllipticCurvePublicKey)
        self._agency_key = agency_key
        self._store = store
        self._broker = broker
        self._recipients_count = recipients_count

    def answer(self, raw: bytes, moment: datetime) -> bytes:
        """The receipt for a message that is proved. Raises what FloorExchange.verified raises."""
        return self._receipts.answer(raw, moment)

    def put(self, stored: Stored) -> None:
        """Store a message with its receipt; tell its sender, then order its delivery."""

        def is_stored(receipt: bytes) -> None:
            stored.report(receipt)
            for position in range(self._recipients_count):
                # What a worker believes: the order names receipt and recipient.
                order = self._receipts.signed(f"{position}\n{receipt.decode()}")
                self._broker.give(joined(order, stored.request), _nothing)

        self._store.put(Stored(stored.request, stored.answer, is_stored))

    def hear(self, number: int, content: bytes) -> None:
        """An outcome: proved, stored, acknowledged."""
        outcome, signature = parts_of(content)
        try:
            self._agency_key.verify(signature, outcome, _ECDSA)
        except InvalidSignature:
            self._broker.settle(number)  # it is nobody's word
            return
        self._store.put(Stored(outcome, signature, lambda _: self._broker.settle(number)))


def joined(first: bytes, second: bytes) -> bytes:
    """Two parts as one message."""
    return len(first).to_bytes(LENGTH_BYTES) + first + second


def parts_of(content: bytes) -> tuple[bytes, bytes]:
    """What `joined` joined."""
    end = LENGTH_BYTES + int.from_bytes(content[:LENGTH_BYTES])
    return content[LENGTH_BYTES:end], content[end:]


def _nothing() -> None:
    """Its confirmation is waited for by nobody: a floor repeats nothing."""


def main(
    key_file: str,
    certificate_file: str,
    order_key: str,
    dsn: str,
    broker_port: str,
    recipients: str,
) -> None:
    """Serve until the input ends. `order_key`: 32 bytes in hexadecimal, made for this run."""
    signer = read_signer(SignerFiles(Path(key_file), Path(certificate_file)))
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(order_key))
    run_floor(lambda: _serve(signer, key, dsn, int(broker_port), int(recipients)))


async def _serve(
    signer: Signer,
    key: Ed25519PrivateKey,
    dsn: str,
    broker_port: int,
    recipients_count: int,
) -> None:
    broker = await connect_floor(broker_port)
    with closing(FloorDatabase(dsn)) as store, closing(broker):
        hub = FloorHub(signer, key, store, broker, recipients_count)
        await broker.open(ORDERS, OUTCOMES, hub.hear)
        await serve_floor(hub.answer, hub.put, store)


if __name__ == "__main__":
    main(*sys.argv[1:])
