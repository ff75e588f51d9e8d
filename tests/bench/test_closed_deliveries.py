"""What a log says of deliveries that were measured; one that is open or failed spoils figures."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bus.bench.closed_deliveries import closing_seconds
from bus.bench.programs import ProgramFailed
from bus.core.deliveries import (
    Delivery,
    DeliveryChange,
    DeliveryKey,
    DeliveryRow,
    DeliveryState,
    NewDelivery,
)
from bus.core.log.leaf import Event, build_leaf
from bus.core.ports.message_log import LogWrite, SealedPayload
from bus.log.opening import open_log
from signing.signed_note import SigningKey

NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
DELIVERY = Delivery(
    DeliveryState.WAITING, 0, 9, doubt=False, due=NOW, expires=NOW + timedelta(1), key=bytes(32)
)
NEW = NewDelivery("VN/GOV/H41/motcua", "VN/GOV/H41/motcua/nop/v1", DELIVERY)


def leaf_of_delivery(event: Event, verdict: str, seconds: float) -> bytes:
    time = NOW + timedelta(seconds=seconds)
    return build_leaf(
        event, time, continues=0, position=0, recipient=NEW.recipient, attempt=1, verdict=verdict
    )


def log_with(folder: Path, *leaves: bytes, closes: bool = True) -> None:
    """One submission, then these entries; the last of them closes its delivery."""

    async def write() -> None:
        log = open_log(folder, key=SigningKey("bench.example/log", Ed25519PrivateKey.generate()))
        received = build_leaf(Event.RECEIVED, NOW, verdict="accepted", recipients=1)
        carried = SealedPayload(bytes(16), bytes(60))
        await log.append(LogWrite(received, deliveries=(NEW,), carried=carried))
        row = DeliveryRow(DeliveryKey(0, 0), NEW.recipient, NEW.service, DELIVERY)
        for number, leaf in enumerate(leaves):
            is_last = closes and number == len(leaves) - 1
            becomes = None if is_last else replace(row, version=row.version + 1)
            await log.append(LogWrite(leaf, change=DeliveryChange(row, becomes)))
            row = becomes or row
        await log.close()

    asyncio.run(write())


def test_it_is_the_time_from_acceptance_to_closing(tmp_path: Path) -> None:
    log_with(tmp_path, leaf_of_delivery(Event.OUTCOME, "delivered", 1.5))

    assert closing_seconds(tmp_path, 0, 0) == [1.5]
    assert closing_seconds(tmp_path, 1, 0) == []  # of a message before that


def test_a_delivery_that_is_open_is_told(tmp_path: Path) -> None:
    log_with(tmp_path, closes=False)

    with pytest.raises(ProgramFailed, match="1 deliveries were not closed"):
        closing_seconds(tmp_path, 0, 0)
    assert closing_seconds(tmp_path, 0, 1) == []


@pytest.mark.parametrize(
    ("leaves", "words"),
    [
        (
            [leaf_of_delivery(Event.OUTCOME, "recipient.refused", 1)],
            "ended with recipient.refused",
        ),
        (
            [
                leaf_of_delivery(Event.ATTEMPT, "recipient.timeout", 1),
                leaf_of_delivery(Event.OUTCOME, "delivered", 2),
            ],
            "came to nothing: recipient.timeout",
        ),
    ],
)
def test_what_was_no_plain_delivery_is_told(
    tmp_path: Path, leaves: list[bytes], words: str
) -> None:
    log_with(tmp_path, *leaves)

    with pytest.raises(ProgramFailed, match=words):
        closing_seconds(tmp_path, 0, 0)
