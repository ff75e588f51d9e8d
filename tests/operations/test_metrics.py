"""Prometheus reads what a hub tells of itself, in both its formats, by the rules of its makers."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import prometheus_client
import pytest
from prometheus_client import parser
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import parser as openmetrics_parser

from bus.operations.exchange_metrics import SECONDS_BOUNDS, ExchangeMetrics
from bus.operations.hub_status import CertificateStatus, HubStatus
from bus.operations.metrics import metrics_page
from tests.hub.running_hub import RunningHub, opened
from tests.nation import ADAPTER_IDS, CLIENT, CLIENT_WITHOUT_GRANT, SmallNation, request
from tests.operations.known_status import STATUS

OPERATORS_PAGE = Path(__file__).parents[2] / "docs/operators.md"
PLAIN = "text/plain; version=0.0.4; charset=utf-8"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)

Samples = dict[tuple[str, str], float]


def families(
    status: HubStatus, exchanges: ExchangeMetrics | None = None, accept: str = ""
) -> list[Metric]:
    """What a scraper reads."""
    page = metrics_page(status, exchanges or ExchangeMetrics(), accept)
    is_open = page.content_type == OPEN_METRICS
    assert is_open or page.content_type == PLAIN
    read: Callable[[str], Any] = (
        openmetrics_parser.text_string_to_metric_families
        if is_open
        else parser.text_string_to_metric_families
    )
    return list(read(page.body.decode()))


def samples(
    status: HubStatus, exchanges: ExchangeMetrics | None = None, accept: str = ""
) -> Samples:
    """Every sample of the hub by its name and its label."""
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in families(status, exchanges, accept)
        for sample in family.samples
        if sample.name.startswith("lienthong_")
    }


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text"])
def test_prometheus_reads_every_metric(accept: str) -> None:
    exchanges = ExchangeMetrics()
    for seconds in (0.001, 0.005, 0.3, 100.0):
        exchanges.count("delivered", seconds)

    read = samples(STATUS, exchanges, accept)

    none_accepted = {
        ("lienthong_acceptance_seconds_bucket", f"{bound}"): 0.0 for bound in SECONDS_BOUNDS
    }
    buckets = none_accepted | {
        ("lienthong_exchange_seconds_bucket", f"{bound}"): 2.0 + (bound >= 0.5)
        for bound in SECONDS_BOUNDS
    }
    assert read.pop(("lienthong_exchange_seconds_sum", "")) == pytest.approx(100.306)
    assert read == buckets | {
        ("lienthong_acceptance_seconds_bucket", "+Inf"): 0,
        ("lienthong_acceptance_seconds_count", ""): 0,
        ("lienthong_acceptance_seconds_sum", ""): 0,
        ("lienthong_delivery_seconds_bucket", "0.5"): 2,
        ("lienthong_delivery_seconds_bucket", "60.0"): 3,
        ("lienthong_delivery_seconds_bucket", "+Inf"): 4,
        ("lienthong_delivery_seconds_count", ""): 4,
        ("lienthong_delivery_seconds_sum", ""): 700,
        ("lienthong_exchange_seconds_bucket", "+Inf"): 4,
        ("lienthong_exchange_seconds_count", ""): 4,
        ("lienthong_info", "1.2.3"): 1,
        ("lienthong_uptime_seconds", ""): 60,
        ("lienthong_exchanges_in_work", ""): 1,
        ("lienthong_exchanges_total", "delivered"): 3,
        ("lienthong_exchanges_total", "access.denied"): 1,
        ("lienthong_log_entries", ""): 7,
        ("lienthong_log_signed_entries", ""): 7,
        ("lienthong_log_commits_total", ""): 3,
        ("lienthong_log_bytes", ""): 4096,
        ("lienthong_checkpoint_age_seconds", ""): 2.5,
        ("lienthong_log_disk_free_bytes", ""): 9000,
        ("lienthong_log_disk_needed_bytes", ""): 2000,
        ("lienthong_log_trouble", ""): 0,
        ("lienthong_ready", ""): 1,
        ("lienthong_judge_running", ""): 1,
        ("lienthong_judge_wanted", ""): 1,
        ("lienthong_judged_total", ""): 3,
        ("lienthong_judge_waiting", "small"): 2,
        ("lienthong_judge_waiting", "large"): 0,
        ("lienthong_judge_waiting_bytes", "small"): 600,
        ("lienthong_judge_waiting_bytes", "large"): 0,
        ("lienthong_judge_lost_total", "small"): 1,
        ("lienthong_judge_lost_total", "large"): 4,
        ("lienthong_judge_refused_total", "small"): 0,
        ("lienthong_judge_refused_total", "large"): 3,
        ("lienthong_timestamp_entries", ""): 7,
        ("lienthong_timestamp_pending_seconds", ""): 0,
        ("lienthong_timestamp_failing", ""): 0,
        ("lienthong_timestamp_overdue", ""): 0,
        ("lienthong_timestamp_clock_offset_seconds", ""): 0.5,
        ("lienthong_certificate_days_left", "hub_signer"): 365,
        ("lienthong_deliveries_open", "VN/GOV/H14/vanban"): 12,
        ("lienthong_deliveries_open", "VN/GOV/H41/vanban"): 0,
        ("lienthong_deliveries_dead", "VN/GOV/H14/vanban"): 0,
        ("lienthong_deliveries_dead", "VN/GOV/H41/vanban"): 0,
        ("lienthong_deliveries_out", "VN/GOV/H14/vanban"): 2,
        ("lienthong_deliveries_out", "VN/GOV/H41/vanban"): 0,
        ("lienthong_deliveries_oldest_seconds", "VN/GOV/H14/vanban"): 30.5,
        ("lienthong_deliveries_oldest_seconds", "VN/GOV/H41/vanban"): 0,
        ("lienthong_deliveries_breaker_open", "VN/GOV/H14/vanban"): 0,
        ("lienthong_deliveries_breaker_open", "VN/GOV/H41/vanban"): 0,
        ("lienthong_deliveries_paused", "VN/GOV/H14/vanban"): 0,
        ("lienthong_deliveries_paused", "VN/GOV/H41/vanban"): 1,
        ("lienthong_delivery_attempts_total", "delivered"): 40,
        ("lienthong_delivery_attempts_total", "refused"): 1,
        ("lienthong_delivery_attempts_total", "failed"): 6,
        ("lienthong_delivery_attempts_total", "unknown"): 2,
        ("lienthong_delivery_reports_unproved_total", ""): 3,
        ("lienthong_delivery_reports_late_total", ""): 4,
        ("lienthong_broker_trouble", ""): 0,
        ("lienthong_broker_queues_missing", ""): 0,
        ("lienthong_spool_bytes", ""): 5,
        ("lienthong_bodies_bytes", ""): 900,
        ("lienthong_bodies_large_bytes", ""): 300,
        ("lienthong_bodies_bytes_max", ""): 4000,
        ("lienthong_bodies_refused_total", ""): 6,
        ("lienthong_revocation_certificates", ""): 4,
        ("lienthong_revocation_revoked", ""): 1,
        ("lienthong_revocation_unknown", ""): 2,
        ("lienthong_revocation_overdue", ""): 0,
        ("lienthong_queries_in_work", "one_agency"): 2,
        ("lienthong_queries_in_work", "land"): 0,
        ("lienthong_queries_hanging", "one_agency"): 1,
        ("lienthong_queries_hanging", "land"): 0,
        ("lienthong_queries_refused_total", "one_agency"): 8,
        ("lienthong_queries_refused_total", "land"): 0,
        ("lienthong_senders_in_work", "VN/GOV/G03"): 0,
        ("lienthong_senders_in_work", "VN/GOV/H26"): 1,
        ("lienthong_senders_in_work", "VN/GOV/H41"): 5,
        ("lienthong_senders_refused_total", "VN/GOV/G03"): 0,
        ("lienthong_senders_refused_total", "VN/GOV/H26"): 0,
        ("lienthong_senders_refused_total", "VN/GOV/H41"): 9,
        ("lienthong_senders_limited_total", "VN/GOV/G03"): 0,
        ("lienthong_senders_limited_total", "VN/GOV/H26"): 0,
        ("lienthong_senders_limited_total", "VN/GOV/H41"): 4,
        ("lienthong_senders_in_work_most", ""): 5,
        ("lienthong_recipient_reached", "VN/GOV/H26/vanban"): 1,
        ("lienthong_recipient_reached", "VN/GOV/H41/vanban"): 0,
        ("lienthong_probes_failed_total", "VN/GOV/H26/vanban"): 2,
        ("lienthong_probes_failed_total", "VN/GOV/H41/vanban"): 3,
        ("lienthong_probes_failed_total", "VN/GOV/H42/vanban"): 0,
        ("lienthong_adopted_logs", ""): 1,
        ("lienthong_log_adoptions_total", ""): 3,
        ("lienthong_logs_given_back_total", ""): 2,
        ("lienthong_adopted_deliveries_open", "log.example/b"): 7,
        ("lienthong_adopted_log_trouble", "log.example/b"): 0,
    }


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", PLAIN),
        ("*/*", PLAIN),
        ("text/plain;version=0.0.4", PLAIN),
        ("text/html, application/openmetrics-text-but-not", PLAIN),
        ("application/openmetrics-text", OPEN_METRICS),
        ("text/html, Application/OpenMetrics-Text ;q=0.1", OPEN_METRICS),
        (PROMETHEUS_3, OPEN_METRICS),
        ("application/openmetrics-text; version=abc", OPEN_METRICS),
        ("application/openmetrics-text; version=9.9\u20ac", OPEN_METRICS),
        ("text/plain; version=1..1", PLAIN),
        (",;=,", PLAIN),
    ],
)
def test_it_comes_as_the_scraper_asks_and_says_nothing_of_its_words(
    accept: str, content_type: str
) -> None:
    assert metrics_page(STATUS, ExchangeMetrics(), accept).content_type == content_type


UNITS = r"milliseconds|minutes|hours|weeks|kilobytes|megabytes|percent|ms|kb|mb"


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text"])
def test_names_types_and_helps_are_as_their_makers_ask(accept: str) -> None:
    """What `promtool check metrics` looks for; prometheus.io/docs/practices/naming."""
    read = families(STATUS, accept=accept)

    names = [family.name for family in read]
    assert len(names) == len(set(names))
    for family in read:
        if family.name.startswith(("process_", "python_")):
            continue
        assert re.fullmatch(r"lienthong(_[a-z]+)*", family.name), family.name
        assert not re.search(rf"_({UNITS})\Z", family.name), family.name
        assert not re.search(r"_(gauge|counter|histogram|bucket|count|sum)\Z", family.name)
        assert re.fullmatch(r"[A-Z1].*\.", family.documentation), family.name
        assert family.type in ("gauge", "counter", "histogram", "info"), family.name
        for sample in family.samples:
            is_counter = sample.name.endswith("_total")
            assert is_counter == (family.type == "counter"), sample.name
            assert len(sample.labels) <= 1, sample.name
            assert set(sample.labels) <= {
                "adapter", "end", "lane", "le", "member", "origin", "outcome", "recipient",
                "used_for", "version",
            }  # fmt: skip


def test_the_page_of_operators_names_every_metric() -> None:
    rows = [
        re.findall(r"`((?:lienthong|…)_[a-z_]+)(?:{[a-z_]+})?`", line)
        for line in OPERATORS_PAGE.read_text("utf-8").splitlines()
        if line.startswith("| `lienthong_")
    ]
    # `…` stands for the first two words of the first name of its row.
    written = {
        name.replace("…", "_".join(names[0].split("_")[:2])) for names in rows for name in names
    }

    told = {one.name + "_total" * (one.type == "counter") for one in families(STATUS)}

    assert written == {name for name in told if name.startswith("lienthong_")}


def test_its_process_is_told_by_the_names_that_everybody_uses() -> None:
    names = {family.name for family in families(STATUS)}

    assert {"process_resident_memory_bytes", "process_cpu_seconds", "process_open_fds"} <= names


def test_nothing_of_it_is_in_the_registry_that_everybody_shares() -> None:
    metrics_page(STATUS, ExchangeMetrics())

    shared = prometheus_client.REGISTRY.collect()
    assert not [one.name for one in shared if one.name.startswith("lienthong")]


def test_of_several_certificates_in_a_file_the_next_to_expire_is_told() -> None:
    both = tuple(CertificateStatus("trust (ca.crt)", "", days, False) for days in (90, 5, 40))
    read = samples(replace(STATUS, certificates=both))

    assert read["lienthong_certificate_days_left", "trust (ca.crt)"] == 5


def test_a_name_with_quotes_stays_one_label() -> None:
    odd = CertificateStatus('trust (a"b\\c.crt)', "", 1, False)
    read = samples(replace(STATUS, certificates=(odd,)))

    assert read["lienthong_certificate_days_left", 'trust (a"b\\c.crt)'] == 1


def test_what_a_hub_does_not_have_has_no_metric() -> None:
    page = metrics_page(replace(STATUS, timestamps=None, revocation=None), ExchangeMetrics())

    assert b"timestamp" not in page.body
    assert b"revocation" not in page.body
    read = samples(replace(STATUS, senders=()))
    assert read["lienthong_senders_in_work_most", ""] == 0


def test_a_hub_that_takes_no_message_is_not_ready() -> None:
    assert samples(replace(STATUS, troubles=("no time",)))["lienthong_ready", ""] == 0


def test_each_exchange_falls_into_one_class() -> None:
    metrics = ExchangeMetrics()
    for bound in (*SECONDS_BOUNDS, 1000.0):
        metrics.count("delivered", bound)

    assert metrics.seconds.class_counts == [1] * (len(SECONDS_BOUNDS) + 1)
    assert metrics.by_outcome == {"delivered": len(SECONDS_BOUNDS) + 1}


def test_labels_are_configured_adapters_and_proved_members_whatever_strangers_send(
    nation: SmallNation, tmp_path: Path
) -> None:
    async def story(running: RunningHub) -> Samples:
        proved = request(nation, "m-1")
        await running.post(proved)
        await running.post(request(nation, "m-2", client=CLIENT_WITHOUT_GRANT))
        await running.post(proved.replace(b"H41", b"H99"))
        await running.post(proved.replace(b"<id:memberCode>", b"<id:memberCode>x"))
        return samples(running.hub.status())

    with opened(nation, tmp_path) as hub:
        read: Samples = hub.tell(story)

    def labels(name: str) -> set[str]:
        return {label for (of, label) in read if of == name}

    assert labels("lienthong_queries_in_work") == set(ADAPTER_IDS)
    assert labels("lienthong_senders_refused_total") == {str(CLIENT.member)}
    assert read["lienthong_exchanges_total", "delivered"] == 1
