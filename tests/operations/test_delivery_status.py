"""Operators hear of recipients that take nothing, and of dead letters, wherever they look."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bus.cli.status import status_lines
from bus.delivery.delivery_status import DeliveryStatus, RecipientStatus, needs_attention
from bus.operations.delivery_metrics import delivery_metrics
from tests.operations.known_status import STATUS

WELL = RecipientStatus("VN/GOV/H14/vanban", 3, 0, 1, 0.0, "closed", is_paused=False)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, ""),
        ({"is_paused": True}, ""),
        ({"breaker": "open"}, "takes no deliveries: 3 wait"),
        ({"breaker": "probing"}, "takes no deliveries"),
        ({"dead": 2}, "2 dead letters"),
    ],
)
def test_what_somebody_should_see_to_is_said(change: dict[str, object], words: str) -> None:
    status = replace(WELL, **change)  # type: ignore[arg-type]
    said = needs_attention(status)
    assert words in said
    assert bool(said) == bool(words)
    hub = replace(STATUS, deliveries=DeliveryStatus(recipients=(status,)))
    assert (said in list(hub.attention())) == bool(words)


def test_a_broker_that_takes_nothing_is_in_the_status() -> None:
    hub = replace(STATUS, deliveries=DeliveryStatus(trouble="no connection"))
    assert "no order leaves to workers elsewhere: no connection" in list(hub.attention())


def test_a_breaker_is_a_metric() -> None:
    status = DeliveryStatus(recipients=(replace(WELL, breaker="open", dead=4),))
    values = {
        family.name: [sample.value for sample in family.samples]
        for family in delivery_metrics(status)
    }
    assert values["lienthong_deliveries_breaker_open"] == [1]
    assert values["lienthong_deliveries_dead"] == [4]


def test_what_waits_for_whom_is_shown() -> None:
    recipient = replace(WELL, oldest_seconds=90.0, dead=1, is_paused=True)
    hub = replace(STATUS, deliveries=DeliveryStatus(pending=3, recipients=(recipient,)))
    lines = "\n".join(status_lines(hub.as_json()))
    assert "to VN/GOV/H14/vanban: 3 open, 1 on their way, 1 dead letters" in lines
    assert "the first due for 90 s; breaker closed, paused" in lines
