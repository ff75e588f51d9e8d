"""Fill a log with submissions that were accepted and not delivered: their recipient is away."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice

import uvloop

from bus.bench.submission_nation import AWAY, NOTICE_SERVICE
from bus.core.deliveries import Delivery, DeliveryState, NewDelivery
from bus.core.exchange_leaves import ACCEPTED
from bus.core.log.leaf import Event, build_leaf
from bus.core.ports.message_log import Claim, InboxState, LogWrite, SealedPayload
from bus.log.message_log import HubLog
from bus.log.opening import open_log
from bus.runtime.clock import now
from bus.settings.hub import HubSettings
from bus.trust.key_store import read_ed25519_key
from signing.signed_note import SigningKey

SEALED_BYTES = 600
"""Of each payload, and of what its delivery needs: small, for it is the rows that count."""
_WRAPPED_KEY_BYTES = 60
_WAITING_MAX = 256
_CLIENT = "VN/GOV/G22/dichvucong"
_AWAY_FOR = timedelta(days=1)
_EXPIRES_AFTER = timedelta(days=3)


def fill_with_pending(settings: HubSettings, count: int) -> None:
    """Append so many submissions to a hub's log, one row each, due a day from now."""
    of = settings.log
    key = SigningKey(of.origin, read_ed25519_key(of.signing_key))
    log = open_log(of.folder, key=key, guard=of.guard)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_fill(log, count))


async def _fill(log: HubLog, count: int) -> None:
    writes = islice(_writes(now()), count)

    async def append() -> None:
        for write in writes:
            await log.append(write)

    try:
        await asyncio.gather(*(append() for _ in range(_WAITING_MAX)))
    finally:
        await log.close()


def _writes(time: datetime) -> Iterator[LogWrite]:
    """Never ends."""
    # What a cipher gives cannot be told from chance, and no step of the log looks into it.
    sealed = SealedPayload(os.urandom(SEALED_BYTES), os.urandom(_WRAPPED_KEY_BYTES))
    number = 0
    while True:
        digest = hashlib.sha256(f"pending {number}".encode()).digest()
        leaf = build_leaf(
            Event.RECEIVED,
            time,
            client=_CLIENT,
            service=NOTICE_SERVICE,
            message=digest.hex()[:22],
            case=digest.hex()[22:44],
            signer=digest,
            signature=digest,
            config=digest,
            verdict=ACCEPTED,
            payload=digest,
            sealed=digest,
            raw_bytes=SEALED_BYTES,
            recipients=1,
        )
        yield LogWrite(
            leaf,
            sealed,
            claim=Claim(digest[:16], digest, InboxState.ACCEPTED),
            deliveries=(_waiting(digest, time),),
            carried=sealed,
        )
        number += 1


def _waiting(key: bytes, time: datetime) -> NewDelivery:
    delivery = Delivery(
        state=DeliveryState.WAITING,
        attempt=0,
        attempt_max=20,
        doubt=False,
        due=time + _AWAY_FOR,
        expires=time + _EXPIRES_AFTER,
        key=key,
    )
    return NewDelivery(AWAY, NOTICE_SERVICE, delivery)
