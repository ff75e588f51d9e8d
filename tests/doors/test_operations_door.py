"""Operators see how the hub is, in a form that Prometheus reads; strangers see nothing of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bus.doors.operations import OperationsDoor
from bus.operations.adopted_logs import NOTHING_ADOPTED
from bus.operations.exchange_metrics import ExchangeMetrics
from bus.operations.hub_status import CertificateStatus, DeciderStatus, HubStatus
from tests.hub.running_hub import HttpReply, RunningHub, call, opened
from tests.nation import CLIENT_WITHOUT_GRANT, NOW, SmallNation, request
from tests.operations.known_status import LOG, STAMPED, STATUS


class StandIn:
    """A hub of which only the status is known."""

    def __init__(self, status: HubStatus = STATUS) -> None:
        self.metrics = ExchangeMetrics()
        self._status = status

    async def troubles(self) -> tuple[str, ...]:
        return self._status.troubles

    def status(self) -> HubStatus:
        return self._status


def asked(hub: Any, path: str, method: str = "GET", *accepts: bytes) -> HttpReply:
    headers = [(b"accept", one) for one in accepts]
    door: Any = OperationsDoor(hub)
    return asyncio.run(call(door, method, path, b"", headers=headers))


@pytest.mark.parametrize(
    ("accepts", "content_type"),
    [
        ([], b"text/plain; version=0.0.4; charset=utf-8"),
        ([b"\xff, text/plain"], b"text/plain; version=0.0.4; charset=utf-8"),
        (
            [b"text/html", b"application/openmetrics-text;version=x"],
            b"application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
    ],
)
def test_metrics_come_in_the_format_that_is_asked_for(
    accepts: list[bytes], content_type: bytes
) -> None:
    reply = asked(StandIn(), "/metrics", "GET", *accepts)

    assert reply.headers[b"content-type"] == content_type
    assert b'\nlienthong_exchanges_total{outcome="access.denied"} 1.0\n' in reply.body
    assert int(reply.headers[b"content-length"]) == len(reply.body)


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/", "GET", 404),
        ("/status/x", "GET", 404),
        ("/status", "POST", 405),
        ("/metrics", "DELETE", 405),
        ("/health", "GET", 200),
    ],
)
def test_it_serves_what_it_serves(path: str, method: str, status: int) -> None:
    assert asked(StandIn(), path, method).status == status


def test_a_head_request_gets_the_length_and_no_body() -> None:
    reply = asked(StandIn(), "/status", "HEAD")

    assert (reply.status, reply.body) == (200, b"")
    assert int(reply.headers[b"content-length"]) > 100


def test_the_door_of_operators_is_no_web_socket() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError

    asyncio.run(OperationsDoor(StandIn())({"type": "websocket"}, receive, send))

    assert sent == []


ALONE = replace(STATUS, adoption=NOTHING_ADOPTED)
"""A hub that goes on with no log but its own."""


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (replace(ALONE, log=replace(LOG, trouble="disk full")), "log is in trouble: disk full"),
        (replace(ALONE, timestamps=replace(STAMPED, is_overdue=True)), "takes no message"),
        (replace(ALONE, timestamps=replace(STAMPED, failure="away")), "are pending: away"),
        (replace(ALONE, judge=DeciderStatus(True, False, 3, ())), "judging process was lost"),
        (replace(ALONE, troubles=("it stands still",)), "take no message: it stands still"),
        (
            replace(ALONE, certificates=(CertificateStatus("hub_signer", "", 6, True),)),
            "the certificate of hub_signer expires in 6 days",
        ),
        (
            replace(ALONE, certificates=(CertificateStatus("hub_signer", "", -1, True),)),
            "the certificate of hub_signer has expired",
        ),
    ],
)
def test_what_needs_somebody_is_said_in_a_sentence(status: HubStatus, sentence: str) -> None:
    values = json.loads(asked(StandIn(status), "/status").body)

    assert len(values["attention"]) == 1
    assert sentence in values["attention"][0]


@pytest.mark.parametrize(("days", "notices"), [(60, 0), (59, 1), (30, 1), (7, 1), (6, 0)])
def test_a_certificate_that_expires_in_weeks_is_a_notice(days: int, notices: int) -> None:
    certificates = (CertificateStatus("hub_signer", "", days, True),)

    told = replace(STATUS, certificates=certificates).notices()

    assert len([one for one in told if "certificate" in one]) == notices


def test_a_hub_that_takes_no_message_is_not_healthy_and_says_why() -> None:
    status = replace(STATUS, troubles=("the message log does not answer", "no time"))
    for method, body in (
        ("GET", b"not ready: the message log does not answer\nnot ready: no time\n"),
        ("HEAD", b""),
    ):
        reply = asked(StandIn(status), "/health", method)
        assert (reply.status, reply.body) == (503, body)


# --- of a hub at work -----------------------------------------------------------------------------


def told(
    nation: SmallNation, folder: Path, story: Callable[[RunningHub], Coroutine[Any, Any, Any]]
) -> Any:
    with opened(nation, folder) as hub:
        return hub.tell(story)


def test_a_hub_counts_what_came_of_each_exchange(nation: SmallNation, tmp_path: Path) -> None:
    async def story(running: RunningHub) -> HubStatus:
        raw = request(nation, "m-1")
        await running.post(raw)
        await running.post(raw)
        await running.post(request(nation, "m-2", client=CLIENT_WITHOUT_GRANT))
        await running.post(b"x", content_type=b"text/plain")
        return running.hub.status()

    status = told(nation, tmp_path, story)

    assert dict(status.outcomes) == {
        "delivered": 1,
        "answered-again": 1,
        "access.denied": 1,
        "envelope.content-type": 1,
    }
    assert (status.in_work, status.log.trouble) == (0, "")
    assert status.log.entries >= 6
    assert status.log.bytes > 0


def test_the_status_tells_days_left_as_time_goes_by(nation: SmallNation, tmp_path: Path) -> None:
    async def story(running: RunningHub) -> list[int]:
        days = []
        for passed in (0, 360):
            running.clock.now = NOW + timedelta(days=passed, minutes=1)
            days.append(running.hub.status().certificates[0].days_left)
        return days

    assert told(nation, tmp_path, story) == [364, 4]


def test_status_and_metrics_show_nothing_of_messages_and_keys(
    nation: SmallNation, tmp_path: Path
) -> None:
    async def story(running: RunningHub) -> bytes:
        await running.post(request(nation, "MC-khong-lo-ra", user_id="VN-nguoi-dung", issue="HS-1"))
        door = OperationsDoor(running.hub)
        paths = ("/status", "/metrics", "/health")
        replies = [await call(door, "GET", path, b"") for path in paths]  # type: ignore[arg-type]
        return b"".join(reply.body for reply in replies)

    shown = told(nation, tmp_path, story)

    for secret in (b"MC-khong-lo-ra", b"VN-nguoi-dung", b"HS-1", b"PRIVATE", b"nghe-an", b"/keys/"):
        assert secret not in shown


def test_the_doors_for_messages_tell_strangers_nothing_of_it(
    nation: SmallNation, tmp_path: Path
) -> None:
    async def story(running: RunningHub) -> list[HttpReply]:
        return [await running.get(path) for path in ("/status", "/metrics")]

    for reply in told(nation, tmp_path, story):
        assert reply.status != 200
        assert b"lienthong_" not in reply.body
        assert b"uptime" not in reply.body


def test_a_broker_in_trouble_is_told_though_messages_are_taken() -> None:
    deliveries = replace(STATUS.deliveries, trouble="no node answers", without_queue=("census",))
    status = replace(STATUS, deliveries=deliveries)
    reply = asked(StandIn(status), "/health")
    said = b"ready\nno order leaves to workers elsewhere: no node answers\n"
    assert (reply.status, reply.body) == (200, said)
    assert list(deliveries.attention())[:2] == [
        "no order leaves to workers elsewhere: no node answers",
        "census has no queue at the broker: lienthong broker declare",
    ]
    assert set(deliveries.attention()) <= set(status.attention())
    metrics = asked(StandIn(status), "/metrics").body
    assert b"lienthong_broker_trouble 1.0\n" in metrics
    assert b"lienthong_broker_queues_missing 1.0\n" in metrics
