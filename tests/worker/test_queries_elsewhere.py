"""An agency whose worker is elsewhere answers queries as one does whose adapter is in the hub."""

from __future__ import annotations

import asyncio
import os
import pwd
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bus.core.limits import Limits
from bus.hub import Hub
from bus.protocols.reply import Reply
from bus.protocols.soap_xroad.parse import parse
from bus.protocols.soap_xroad.verify_answer import (
    KnownHub,
    VerifiedAnswer,
    VerifiedFault,
    verify_answer,
)
from bus.settings.routes import read_registry
from bus.trust.certificate_checks import read_trust_store
from bus.trust.key_store import read_ed25519_key
from signing.signed_note import SigningKey
from tests.hang_limits import HANG_SECONDS_MAX
from tests.nation import PROVIDER
from tests.worker.elsewhere import Elsewhere, make_elsewhere
from tests.worker.worker_process import (
    NOBODY,
    closed,
    opened,
    submission,
    told_by,
    until,
    worker_of,
)

pytestmark = pytest.mark.slow
UNAVAILABLE, TIMEOUT = "delivery.recipient-unavailable", "delivery.recipient-timeout"


def proved(place: Elsewhere, raw: bytes, reply: Reply) -> VerifiedAnswer | VerifiedFault:
    """What came back, as its sender proves it."""
    log = place.hub.log
    receipts = SigningKey(f"{log.origin}/receipt", read_ed25519_key(log.signing_key))
    known = KnownHub(
        trust=read_trust_store(place.hub.trust),
        member=read_registry(place.hub.routes).hub.member,
        receipt_key=receipts.verifying_key,
    )
    return verify_answer(reply.body, parse(raw, Limits()), known, datetime.now(UTC))


async def asked(hub: Hub, place: Elsewhere, message_id: str) -> VerifiedAnswer | VerifiedFault:
    raw = submission(place, message_id)
    return proved(place, raw, await hub.answer(raw))


async def answered(hub: Hub, place: Elsewhere, raw: bytes) -> VerifiedAnswer:
    """The answer to a query that is sent again until somebody takes it."""
    async with asyncio.timeout(HANG_SECONDS_MAX):
        while True:
            told = proved(place, raw, await hub.answer(raw))
            if isinstance(told, VerifiedAnswer):
                return told
            assert told.fault.code == UNAVAILABLE
            await asyncio.sleep(0.1)


def test_a_worker_of_another_user_answers_queries(folder: Path, rabbit: tuple[int, str]) -> None:
    place = make_elsewhere(folder, *rabbit, proves_senders=True, asks_seconds=30)

    async def story() -> None:
        async with opened(place) as hub:
            nobody = await asked(hub, place, "before")
            assert isinstance(nobody, VerifiedFault)
            assert (nobody.fault.code, nobody.fault.is_retryable) == (UNAVAILABLE, True)
            with worker_of(place) as worker:
                raw = submission(place, "m")
                answer = await answered(hub, place, raw)
                assert answer.signer == PROVIDER.member
                assert (await answered(hub, place, raw)).receipt == answer.receipt
                (place.taken / "refuse").write_text("")
                refused = await asked(hub, place, "refused")
                assert isinstance(refused, VerifiedFault)
                assert refused.fault.code == "delivery.refused"
                assert "no such person" in refused.fault.reason
            assert "order.invalid" not in told_by(worker)

    asyncio.run(story())
    if os.geteuid() == 0:
        begun = (place.taken / "m.begun").read_text()
        assert begun == str(pwd.getpwnam(NOBODY.name).pw_uid)
    assert not (place.taken / "before").exists()
    assert closed(place)[-2:] == ["delivered", "delivery.refused"]


def test_what_is_not_answered_in_time_is_told_so(folder: Path, rabbit: tuple[int, str]) -> None:
    place = make_elsewhere(folder, *rabbit, asks_seconds=5)

    async def story() -> None:
        async with opened(place) as hub:
            with worker_of(place) as worker:
                await answered(hub, place, submission(place, "first"))
                (place.taken / "hold").write_text("")
                held = await asked(hub, place, "held")
                assert isinstance(held, VerifiedFault)
                assert (held.fault.code, held.fault.is_retryable) == (TIMEOUT, True)
                (place.taken / "hold").unlink()
                await until(lambda: (place.taken / "held").exists(), worker)
                await answered(hub, place, submission(place, "next"))

    asyncio.run(story())
    assert closed(place)[-2:] == [TIMEOUT, "delivered"]
