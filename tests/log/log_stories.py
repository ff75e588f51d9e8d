"""Write small logs with real parts, for the tests of the log."""

from __future__ import annotations

import asyncio
import hashlib
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bus.core.log.leaf import Event, build_leaf
from bus.core.log.pseudonyms import Pseudonyms
from bus.core.ports.message_log import Appended, Claim, InboxState, LogWrite, Settlement
from bus.log.message_log import HubLog
from bus.log.opening import open_log
from bus.log.sealing import Sealer
from signing.signed_note import SigningKey

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
KEY = SigningKey("lienthong.vn/log", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
READ_KEY = bytes(range(32))
SEALER = Sealer(READ_KEY)
NAMES = Pseudonyms(bytes(32))
CONFIGURATION = b"instance: VN\n"
CONFIGURATION_DIGEST = hashlib.sha256(CONFIGURATION).digest()
CLIENT = "VN/GOV/H41/motcua"


def claim_of(message_id: str, raw: bytes = b"") -> Claim:
    return Claim(NAMES.claim_key(CLIENT, message_id), hashlib.sha256(raw).digest())


def received(message_id: str, raw: bytes = b"<x/>", *, seconds: int = 0) -> LogWrite:
    time = START + timedelta(seconds=seconds)
    sealed, commitment, digest = SEALER.seal(raw)
    leaf = build_leaf(
        Event.RECEIVED,
        time,
        client=CLIENT,
        message=NAMES.of(message_id, time),
        config=CONFIGURATION_DIGEST,
        verdict="accepted",
        payload=commitment,
        sealed=digest,
        raw_bytes=len(raw),
    )
    return LogWrite(leaf, sealed, claim_of(message_id, raw))


def outcome(message_id: str, index: int, state: InboxState = InboxState.ANSWERED) -> LogWrite:
    leaf = build_leaf(Event.OUTCOME, START, continues=index, verdict="delivered")
    return LogWrite(leaf, settlement=Settlement(claim_of(message_id).key, state))


def heartbeat(second: int = 0) -> LogWrite:
    return LogWrite(build_leaf(Event.HEARTBEAT, START + timedelta(seconds=second)))


async def exchange(log: HubLog, number: int, raw: bytes | None = None) -> None:
    message_id = f"{log.size}-{number}"
    taken = await log.append(received(message_id, raw or b"<x>%d</x>" % number, seconds=number))
    assert isinstance(taken, Appended)
    await log.append(outcome(message_id, taken.index))


async def fill(log: HubLog, exchanges: int, raw: bytes | None = None) -> None:
    await log.append_text(CONFIGURATION)
    await asyncio.gather(*(exchange(log, number, raw) for number in range(exchanges)))


def write_log(folder: Path, exchanges: int, raw: bytes | None = None) -> None:
    """A closed log of so many messages and their outcomes."""

    async def story() -> None:
        log = open_log(folder, key=KEY)
        await fill(log, exchanges, raw)
        await log.close()

    asyncio.run(story())


def write_for_ever(folder: Path) -> None:
    """Append until killed; say each index that was confirmed."""

    async def one_after_the_other(log: HubLog, writer: int) -> None:
        number = 0
        while True:
            number += 1
            message_id = f"{writer}-{number}-{log.size}"
            size = 3 if number % 7 else 9000
            taken = await log.append(received(message_id, b"<x/>" * size))
            assert isinstance(taken, Appended)
            print(taken.index, flush=True)
            done = await log.append(outcome(message_id, taken.index))
            assert isinstance(done, Appended)
            print(done.index, flush=True)

    async def story() -> None:
        log = open_log(folder, key=KEY, guard=folder.with_name("guard"))
        await log.append_text(CONFIGURATION)
        print("ready", flush=True)
        await asyncio.gather(*(one_after_the_other(log, writer) for writer in range(8)))

    asyncio.run(story())


if __name__ == "__main__":
    from bus.log.sqlite import store

    store.FOLD_BYTES = int(sys.argv[2])
    write_for_ever(Path(sys.argv[1]))
