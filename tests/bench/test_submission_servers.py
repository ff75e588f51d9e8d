"""What the floor on servers hands on comes back whole; processor time is that of whole trees."""

import subprocess
import sys
from collections.abc import Callable

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from bus.bench.floor_servers import joined, parts_of
from bus.bench.floor_worker import FloorWorker
from bus.bench.submission_nation import PROVIDER
from bus.bench.submission_servers import tree_cpu_seconds
from signing.signed_note import SigningKey, sign_note
from tests.nation import SmallNation

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
BURN = "import os; pid = os.fork()\nfor _ in range(3_000_000): pass\nif pid: os.wait(); input()"


@pytest.mark.parametrize(("first", "second"), [(b"", b""), (b"a", b""), (b"", b"b"), (b"ab", b"c")])
def test_two_parts_travel_as_one(first: bytes, second: bytes) -> None:
    assert parts_of(joined(first, second)) == (first, second)


class KeepingBroker:
    def __init__(self) -> None:
        self.given: list[bytes] = []
        self.settled: list[int] = []

    def give(self, content: bytes, confirmed: Callable[[], None]) -> None:
        self.given.append(content)
        confirmed()

    def settle(self, number: int) -> None:
        self.settled.append(number)


def order_signed_by(key: Ed25519PrivateKey) -> bytes:
    return joined(sign_note("0\naccepted\n", [SigningKey("floor", key)]), b"<Envelope/>")


def test_the_floors_worker_signs_what_came_of_its_hubs_orders(nation: SmallNation) -> None:
    broker, signer = KeepingBroker(), nation.signers[PROVIDER]
    worker = FloorWorker(signer, KEY.public_key(), broker)
    worker.do(7, order_signed_by(KEY))
    assert broker.settled == [7]
    outcome, signature = parts_of(broker.given[0])
    public = signer.certificate.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(signature, outcome, ec.ECDSA(SHA256()))
    assert outcome.startswith(b"delivered\n0\naccepted\n")


def test_the_floors_worker_does_nothing_for_strangers(nation: SmallNation) -> None:
    broker = KeepingBroker()
    worker = FloorWorker(nation.signers[PROVIDER], KEY.public_key(), broker)
    with pytest.raises(InvalidSignature):
        worker.do(7, order_signed_by(Ed25519PrivateKey.generate()))
    assert (broker.given, broker.settled) == ([], [])


def test_processor_time_is_that_of_a_process_and_of_all_that_it_started() -> None:
    program = [sys.executable, "-c", BURN]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as started:
        assert started.stdin is not None
        while not tree_cpu_seconds(started.pid) >= 0.02:
            pass
        started.stdin.write(b"\n")
        started.stdin.close()
        started.wait()
    assert tree_cpu_seconds(started.pid) == 0
