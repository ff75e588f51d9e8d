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
from prometheus_client.parser import text_string_to_metric_families

from bus.doors.operations import OperationsDoor
from bus.operations.exchange_metrics import SECONDS_BOUNDS, ExchangeMetrics
from bus.operations.hub_status import (
    CertificateStatus,
    DeciderStatus,
    HubStatus,
    LaneStatus,
    LogStatus,
    TimestampStatus,
)
from bus.operations.metrics import metrics_text
from tests.hub.running_hub import HttpReply, RunningHub, call, opened
from tests.nation import CLIENT_WITHOUT_GRANT, NOW, SmallNation, request

LOG = LogStatus(entries=7, signed_entries=7, checkpoint_age_seconds=2.5, bytes=4096, trouble="")
STAMPED = TimestampStatus(7, "2026-03-01T08:00:00+00:00", 0.0, False, "", 0.5)
STATUS = HubStatus(
    version="1.2.3",
    uptime_seconds=60.0,
    log=LOG,
    timestamps=STAMPED,
    certificates=(CertificateStatus("hub_signer", "2027-03-01T08:00:00+00:00", 365, True),),
    agencies=("population",),
    judge=DeciderStatus(
        is_wanted=True,
        is_running=True,
        judged=3,
        lanes=(
            LaneStatus("small", "working", 2, 600, 1, 0),
            LaneStatus("large", "absent", 0, 0, 4, 3),
        ),
    ),
    in_work=1,
    outcomes={"delivered": 3, "access.denied": 1},
    more={"revocation": {"watched": 4, "is_off": False, "source": "ocsp"}},
)


class StandIn:
    """A hub of which only the status is known."""

    def __init__(self, status: HubStatus = STATUS) -> None:
        self.metrics = ExchangeMetrics()
        self._status = status

    async def troubles(self) -> tuple[str, ...]:
        return self._status.troubles

    def status(self) -> HubStatus:
        return self._status


def asked(hub: Any, path: str, method: str = "GET") -> HttpReply:
    return asyncio.run(call(OperationsDoor(hub), method, path, b""))  # type: ignore[arg-type]


def samples(text: str) -> dict[tuple[str, str], float]:
    """Every sample by its name and first label, read as a scraper reads it."""
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_prometheus_reads_every_metric() -> None:
    hub = StandIn()
    for seconds in (0.001, 0.005, 0.3, 100.0):
        hub.metrics.count("delivered", seconds)

    reply = asked(hub, "/metrics")
    read = samples(reply.body.decode())

    assert reply.headers[b"content-type"] == b"text/plain; version=0.0.4; charset=utf-8"
    assert read["lienthong_exchanges_total", "access.denied"] == 1
    assert read["lienthong_exchanges_in_work", ""] == 1
    assert read["lienthong_exchange_seconds_bucket", "0.005"] == 2
    assert read["lienthong_exchange_seconds_bucket", "0.5"] == 3
    assert read["lienthong_exchange_seconds_bucket", "+Inf"] == 4
    assert read["lienthong_exchange_seconds_count", ""] == 4
    assert read["lienthong_exchange_seconds_sum", ""] == pytest.approx(100.306)
    assert read["lienthong_log_entries", ""] == 7
    assert read["lienthong_checkpoint_age_seconds", ""] == 2.5
    assert read["lienthong_certificate_days_left", "hub_signer"] == 365
    assert read["lienthong_timestamp_overdue", ""] == 0
    assert read["lienthong_timestamp_clock_offset_seconds", ""] == 0.5
    assert read["lienthong_ready", ""] == 1
    assert read["lienthong_judge_waiting_bytes", "small"] == 600
    assert read["lienthong_judge_lost_total", "large"] == 4
    assert read["lienthong_judge_refused_total", "large"] == 3
    assert read["lienthong_revocation_watched", ""] == 4
    assert ("lienthong_revocation_source", "") not in read


def test_of_several_certificates_in_a_file_the_next_to_expire_is_told() -> None:
    both = tuple(CertificateStatus("trust (ca.crt)", "", days, False) for days in (90, 5, 40))
    read = samples(metrics_text(replace(STATUS, certificates=both), ExchangeMetrics()))

    assert read["lienthong_certificate_days_left", "trust (ca.crt)"] == 5


def test_a_name_with_quotes_stays_one_label() -> None:
    odd = CertificateStatus('trust (a"b\\c.crt)', "", 1, False)
    read = samples(metrics_text(replace(STATUS, certificates=(odd,)), ExchangeMetrics()))

    assert read["lienthong_certificate_days_left", 'trust (a"b\\c.crt)'] == 1


def test_a_hub_without_a_time_authority_has_no_such_metric() -> None:
    text = metrics_text(replace(STATUS, timestamps=None), ExchangeMetrics())

    assert "timestamp" not in text


def test_each_exchange_falls_into_one_class() -> None:
    metrics = ExchangeMetrics()
    for bound in (*SECONDS_BOUNDS, 1000.0):
        metrics.count("delivered", bound)

    assert metrics.class_counts == [1] * (len(SECONDS_BOUNDS) + 1)
    assert metrics.by_outcome == {"delivered": len(SECONDS_BOUNDS) + 1}


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


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (replace(STATUS, log=replace(LOG, trouble="disk full")), "log is in trouble: disk full"),
        (replace(STATUS, timestamps=replace(STAMPED, is_overdue=True)), "takes no message"),
        (replace(STATUS, timestamps=replace(STAMPED, failure="away")), "are pending: away"),
        (replace(STATUS, judge=DeciderStatus(True, False, 3, ())), "judging process was lost"),
        (replace(STATUS, troubles=("it stands still",)), "take no message: it stands still"),
        (
            replace(STATUS, certificates=(CertificateStatus("hub_signer", "", 6, True),)),
            "the certificate of hub_signer expires in 6 days",
        ),
        (
            replace(STATUS, certificates=(CertificateStatus("hub_signer", "", -1, True),)),
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

    assert len(list(replace(STATUS, certificates=certificates).notices())) == notices


def test_a_hub_that_takes_no_message_is_not_healthy_and_says_why() -> None:
    status = replace(STATUS, troubles=("the message log does not answer", "no time"))
    for method, body in (
        ("GET", b"not ready: the message log does not answer\nnot ready: no time\n"),
        ("HEAD", b""),
    ):
        reply = asked(StandIn(status), "/health", method)
        assert (reply.status, reply.body) == (503, body)
    assert samples(metrics_text(status, ExchangeMetrics()))["lienthong_ready", ""] == 0


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
