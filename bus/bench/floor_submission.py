"""Run the floor of submissions under load: what nobody that stores and forwards can leave out.

Parse, digests, the RSA value, one commit of the message, an Ed25519 receipt for its sender; then an
order to each recipient, a P-256 signature under what came of it, one commit of that. What a hub
needs besides is left out on purpose: certificate path, policy, freshness, grants, schema,
duplicates, encryption, doubt, retries, a signed acceptance. Never run this for anything but a
comparison.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
from base64 import b64encode
from contextlib import closing
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from bus.bench.citizen_answer import CITIZEN_ANSWER
from bus.bench.floor_exchange import FloorExchange
from bus.bench.floor_program import run_floor, serve_floor
from bus.bench.floor_store import FloorStore, Stored
from bus.settings.signer import SignerFiles
from bus.trust.key_store import read_signer
from signing.pki.keys import Signer
from signing.signed_note import SigningKey, sign_note

MODULE = "bus.bench.floor_submission"
_ECDSA = ec.ECDSA(SHA256())


class FloorReceipts:
    """Proves messages, and says in the floor's name that it has them."""

    def __init__(self, signer: Signer, key: Ed25519PrivateKey) -> None:
        self._proving = FloorExchange(signer, CITIZEN_ANSWER)
        self._key = SigningKey("bench.example/floor", key)
        self._accepted = 0

    def answer(self, raw: bytes, moment: datetime) -> bytes:
        """The receipt for a message that is proved. Raises what FloorExchange.verified raises."""
        self._proving.verified(raw)
        self._accepted += 1
        digest = hashlib.sha256(raw).digest()
        text = f"{self._accepted}\n{moment.isoformat()}\n{b64encode(digest).decode()}\n"
        return self.signed(text)

    def signed(self, text: str) -> bytes:
        """A note of the floor."""
        return sign_note(text, [self._key])


class FloorSubmission:
    """Takes messages and delivers them. Used from one event loop."""

    def __init__(self, signer: Signer, store: FloorStore, recipients_count: int) -> None:
        assert isinstance(signer.private_key, ec.EllipticCurvePrivateKey)
        self._agency_key = signer.private_key
        self._receipts = FloorReceipts(signer, Ed25519PrivateKey.generate())
        self._store = store
        self._recipients_count = recipients_count
        self._loop = asyncio.get_running_loop()

    def answer(self, raw: bytes, moment: datetime) -> bytes:
        """The receipt for a message that is proved. Raises what FloorExchange.verified raises."""
        return self._receipts.answer(raw, moment)

    def put(self, stored: Stored) -> None:
        """Store a message with its receipt; tell its sender, then deliver it."""

        def is_stored(receipt: bytes) -> None:
            stored.report(receipt)
            for position in range(self._recipients_count):
                self._loop.call_soon(self._deliver, receipt, position)

        self._store.put(Stored(stored.request, stored.answer, is_stored))

    def _deliver(self, receipt: bytes, position: int) -> None:
        outcome = b"%d\ndelivered\n%b" % (position, receipt)
        signature = self._agency_key.sign(outcome, _ECDSA)
        self._store.put(Stored(outcome, signature, _ignore))


def _ignore(_: bytes) -> None:
    """The store counts what it has."""


def main(key_file: str, certificate_file: str, database: str, recipients: str) -> None:
    """Serve until the input ends."""
    signer = read_signer(SignerFiles(Path(key_file), Path(certificate_file)))
    run_floor(lambda: _serve(signer, Path(database), int(recipients)))


async def _serve(signer: Signer, database: Path, recipients_count: int) -> None:
    # Without its end, the writer's thread would keep this process for ever.
    with closing(FloorStore(database)) as store:
        floor = FloorSubmission(signer, store, recipients_count)
        await serve_floor(floor.answer, floor.put, store)


if __name__ == "__main__":
    main(*sys.argv[1:])
