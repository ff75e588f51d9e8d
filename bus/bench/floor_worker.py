"""Run the floor's worker: the hub's signature, a signed outcome, handed in for sure."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from bus.bench.floor_broker import ORDERS, OUTCOMES, connect_floor
from bus.bench.floor_program import run_floor
from bus.bench.floor_servers import joined, parts_of
from bus.bench.programs import NO_PORT, say_ready, stop_at_end_of_input
from bus.settings.signer import SignerFiles
from bus.trust.key_store import read_signer
from signing.pki.keys import Signer
from signing.signed_note import parse_note

MODULE = "bus.bench.floor_worker"
_ECDSA = ec.ECDSA(SHA256())
_KEY_ID_BYTES = 4


class FloorCarrier(Protocol):
    """What the worker needs of a FloorBroker."""

    def give(self, content: bytes, confirmed: Callable[[], None]) -> None:
        """Hand in; `confirmed` is called when it is on the broker's disk."""
        ...

    def settle(self, number: int) -> None:
        """Acknowledge what was given out under this number."""
        ...


class FloorWorker:
    """Does orders. Used from one event loop."""

    def __init__(self, signer: Signer, hub_key: Ed25519PublicKey, broker: FloorCarrier) -> None:
        assert isinstance(signer.private_key, ec.EllipticCurvePrivateKey)
        self._key = signer.private_key
        self._hub_key = hub_key
        self._broker = broker

    def do(self, number: int, content: bytes) -> None:
        """Deliver, which costs nothing; the order is acknowledged behind its outcome.

        Raises NoteInvalid, InvalidSignature: it is not the hub's, which ends the floor.
        """
        order, _ = parts_of(content)
        note = parse_note(order)
        self._hub_key.verify(note.signatures[0].signature, note.text)
        outcome = b"delivered\n" + order
        signed = joined(outcome, self._key.sign(outcome, _ECDSA))
        self._broker.give(signed, partial(self._broker.settle, number))


def main(key_file: str, certificate_file: str, hub_key: str, broker_port: str) -> None:
    """Work until the input ends. `hub_key`: 32 bytes in hexadecimal."""
    signer = read_signer(SignerFiles(Path(key_file), Path(certificate_file)))
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(hub_key))
    run_floor(lambda: _work(signer, key, int(broker_port)))


async def _work(signer: Signer, hub_key: Ed25519PublicKey, broker_port: int) -> None:
    broker = await connect_floor(broker_port)
    with closing(broker):
        ended = asyncio.Event()
        worker = FloorWorker(signer, hub_key, broker)
        await broker.open(OUTCOMES, ORDERS, worker.do)
        stop_at_end_of_input(ended.set)
        say_ready(NO_PORT)
        await ended.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
