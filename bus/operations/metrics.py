"""Write a hub's metrics as Prometheus scrapes them: a collector for prometheus-client.

Nothing is counted here: what the hub counts anyway is read when somebody asks. The counters of the
library take a lock and some microseconds with each message, and whatever else imports it adds to
its global registry: both stay unused. Labels come from closed lists only: error codes, entries of
hub.yaml and routes.yaml, parts of the hub.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from bus.operations.delivery_metrics import delivery_metrics
from bus.operations.exchange_metrics import ExchangeMetrics
from bus.operations.hub_status import HubStatus
from bus.runtime.seconds_histogram import SecondsCounts

_OPEN_METRICS = "application/openmetrics-text"


@dataclass(frozen=True, slots=True)
class MetricsPage:
    """What a scraper gets."""

    content_type: str
    body: bytes


def metrics_page(status: HubStatus, exchanges: ExchangeMetrics, accept: str = "") -> MetricsPage:
    """Every metric of a hub and of its process, in the format that `accept` asks for."""
    registry = CollectorRegistry()
    registry.register(_HubCollector(status, exchanges))
    ProcessCollector(registry=registry)
    # The library would raise TypeError at versions that are no numbers, and repeat the others.
    asked = (one.partition(";")[0].strip().lower() for one in accept.split(","))
    encode, content_type = choose_encoder(_OPEN_METRICS if _OPEN_METRICS in asked else "")
    return MetricsPage(content_type, encode(registry))


class _HubCollector(Collector):
    """The metrics of a hub at one moment."""

    def __init__(self, status: HubStatus, exchanges: ExchangeMetrics) -> None:
        self._status = status
        self._exchanges = exchanges

    def collect(self) -> Iterator[Metric]:
        """Every metric, one after the other."""
        status = self._status
        yield from _exchange_metrics(status, self._exchanges)
        yield from _log_metrics(status)
        yield from _judge_metrics(status)
        yield from _timestamp_metrics(status)
        yield from _certificate_metrics(status)
        yield from _room_metrics(status)
        yield from _revocation_metrics(status)
        yield from _query_metrics(status)
        yield from _sender_metrics(status)
        yield from delivery_metrics(status.deliveries)
        yield from _probe_metrics(status)
        yield from _adoption_metrics(status)


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(f"lienthong_{name}", meaning, value)


def _counter(name: str, meaning: str, value: float) -> Metric:
    return CounterMetricFamily(f"lienthong_{name}", meaning, value)


def _gauges(name: str, meaning: str, label: str, values: Iterator[tuple[str, float]]) -> Metric:
    metric = GaugeMetricFamily(f"lienthong_{name}", meaning, labels=(label,))
    for key, value in values:
        metric.add_metric((key,), value)
    return metric


def _counters(name: str, meaning: str, label: str, values: Iterator[tuple[str, float]]) -> Metric:
    metric = CounterMetricFamily(f"lienthong_{name}", meaning, labels=(label,))
    for key, value in values:
        metric.add_metric((key,), value)
    return metric


def _histogram(name: str, meaning: str, counts: SecondsCounts) -> Metric:
    bounds = [*map(floatToGoString, counts.bounds), "+Inf"]
    classes = [*zip(bounds, counts.up_to, strict=True)]
    return HistogramMetricFamily(f"lienthong_{name}", meaning, classes, counts.seconds_sum)


def _exchange_metrics(status: HubStatus, exchanges: ExchangeMetrics) -> Iterator[Metric]:
    yield InfoMetricFamily(
        "lienthong", "Always 1; the version of the hub.", {"version": status.version}
    )
    yield _gauge("uptime_seconds", "Since the start of the hub.", status.uptime_seconds)
    yield _gauge("exchanges_in_work", "Requests that were read and not answered.", status.in_work)
    yield _counters(
        "exchanges",
        "Exchanges by what came of them: delivered, answered-again, or a code of docs/errors.md.",
        "outcome",
        iter(sorted(status.outcomes.items())),
    )
    meaning = "From a request that was read to its reply."
    yield _histogram("exchange_seconds", meaning, exchanges.seconds.read())
    meaning = "The same of submissions: to the acceptance, which is on disk."
    yield _histogram("acceptance_seconds", meaning, exchanges.accepted.read())
    meaning = "From the acceptance of a message to the entry that closes one of its deliveries."
    yield _histogram("delivery_seconds", meaning, status.delivery_seconds)


def _log_metrics(status: HubStatus) -> Iterator[Metric]:
    log = status.log
    yield _gauge("log_entries", "Committed entries of the message log.", log.entries)
    yield _gauge("log_signed_entries", "Entries under the last checkpoint.", log.signed_entries)
    yield _counter(
        "log_commits", "Transactions; entries that come together share one.", log.commits
    )
    yield _gauge("log_bytes", "Of the database and its write-ahead log.", log.bytes)
    meaning = "Free room on the disk of the log's folder."
    yield _gauge("log_disk_free_bytes", meaning, log.disk_free_bytes)
    meaning = "Below so much of it no message is taken: disk_free_bytes_min."
    yield _gauge("log_disk_needed_bytes", meaning, log.disk_needed_bytes)
    age = log.checkpoint_age_seconds
    yield _gauge("checkpoint_age_seconds", "Since the last checkpoint was published.", age)
    yield _gauge("log_trouble", "1: the log cannot commit or publish.", bool(log.trouble))
    yield _gauge("ready", "1: a probe went through judging and log.", not status.troubles)


def _judge_metrics(status: HubStatus) -> Iterator[Metric]:
    judge, lane = status.judge, "lane"
    meaning = "1: no judging process was lost and is still to be started again."
    yield _gauge("judge_running", meaning, judge.is_running)
    yield _gauge("judge_wanted", "1: the hub was started with judging processes.", judge.is_wanted)
    yield _counter("judged", "Requests that the judging processes judged.", judge.judged)
    waiting = ((one.name, one.waiting) for one in judge.lanes)
    yield _gauges("judge_waiting", "Requests that wait for a judging process.", lane, waiting)
    waiting = ((one.name, one.waiting_bytes) for one in judge.lanes)
    yield _gauges("judge_waiting_bytes", "Bytes of requests that wait for it.", lane, waiting)
    lost = ((one.name, one.lost) for one in judge.lanes)
    yield _counters("judge_lost", "Judging processes that were lost.", lane, lost)
    refused = ((one.name, one.refused) for one in judge.lanes)
    meaning = "Requests that were refused for what judging them did to a process."
    yield _counters("judge_refused", meaning, lane, refused)


def _timestamp_metrics(status: HubStatus) -> Iterator[Metric]:
    stamped = status.timestamps
    if stamped is None:
        return
    yield _gauge("timestamp_entries", "Entries under the last timestamp.", stamped.stamped_entries)
    meaning = "How long the oldest entry without a timestamp has waited."
    yield _gauge("timestamp_pending_seconds", meaning, stamped.pending_seconds)
    yield _gauge("timestamp_failing", "1: the last attempt failed.", bool(stamped.failure))
    yield _gauge("timestamp_overdue", "1: the hub takes no message.", stamped.is_overdue)
    meaning = "How far our clock was ahead of the authority's."
    yield _gauge("timestamp_clock_offset_seconds", meaning, stamped.clock_offset_seconds)


def _certificate_metrics(status: HubStatus) -> Iterator[Metric]:
    soonest: dict[str, int] = {}
    for one in status.certificates:  # a file may hold several
        soonest[one.used_for] = min(one.days_left, soonest.get(one.used_for, one.days_left))
    meaning = "Full days until a certificate expires; negative afterwards."
    yield _gauges("certificate_days_left", meaning, "used_for", iter(soonest.items()))


def _room_metrics(status: HubStatus) -> Iterator[Metric]:
    bodies = status.bodies
    yield _gauge("spool_bytes", "Attachments in work.", status.spool.bytes)
    yield _gauge("bodies_bytes", "Requests that come in or are in work.", bodies.bytes)
    yield _gauge("bodies_large_bytes", "Of these, the large ones.", bodies.large_bytes)
    yield _gauge("bodies_bytes_max", "How much there is room for.", bodies.bytes_max)
    yield _counter("bodies_refused", "Requests for which there was no room.", bodies.refused)


def _revocation_metrics(status: HubStatus) -> Iterator[Metric]:
    senders = status.revocation
    if senders is None:
        return
    meaning = "Certificates of senders that were seen lately."
    yield _gauge("revocation_certificates", meaning, senders.certificates)
    yield _gauge("revocation_revoked", "Of these, revoked.", senders.revoked)
    yield _gauge("revocation_unknown", "Of these, nobody could say.", senders.unknown)
    meaning = "Of these, what was said of them is no longer new enough to count."
    yield _gauge("revocation_overdue", meaning, senders.overdue)


def _query_metrics(status: HubStatus) -> Iterator[Metric]:
    queries, label = status.queries, "adapter"
    in_work = ((one.adapter, one.in_work) for one in queries)
    yield _gauges("queries_in_work", "Queries to an agency that run or wait.", label, in_work)
    hanging = ((one.adapter, one.hanging) for one in queries)
    meaning = "Calls that nobody waits for any more and that hold a thread."
    yield _gauges("queries_hanging", meaning, label, hanging)
    refused = ((one.adapter, one.refused) for one in queries)
    meaning = "Queries for which the agency had no room."
    yield _counters("queries_refused", meaning, label, refused)


def _probe_metrics(status: HubStatus) -> Iterator[Metric]:
    probed = [one for one in status.probes if one.is_reached is not None]
    if not status.probes:
        return
    label = "recipient"
    meaning = "1: the last probe reached the recipient; 0: it did not."
    reached = ((one.recipient, float(bool(one.is_reached))) for one in probed)
    yield _gauges("recipient_reached", meaning, label, reached)
    failed = ((one.recipient, float(one.failed)) for one in status.probes)
    yield _counters("probes_failed", "Probes that did not reach a recipient.", label, failed)


def _sender_metrics(status: HubStatus) -> Iterator[Metric]:
    senders, label = status.senders, "member"
    in_work = ((one.member, one.in_work) for one in senders)
    yield _gauges("senders_in_work", "Exchanges of a member in work.", label, in_work)
    refused = ((one.member, one.refused) for one in senders)
    meaning = "Exchanges of a member beyond what it may have in work."
    yield _counters("senders_refused", meaning, label, refused)
    limited = ((one.member, one.limited) for one in senders)
    meaning = "Exchanges of a member beyond its rate_per_second."
    yield _counters("senders_limited", meaning, label, limited)
    most = max((one.in_work for one in senders), default=0)
    yield _gauge("senders_in_work_most", "Of the member that has most in work.", most)


def _adoption_metrics(status: HubStatus) -> Iterator[Metric]:
    adoption = status.adoption
    meaning = "Logs of other hubs that are gone, with which this one goes on."
    yield _gauge("adopted_logs", meaning, len(adoption.adopted))
    yield _counter("log_adoptions", "Logs of other hubs that were adopted.", adoption.adoptions)
    meaning = "Adopted logs that were given back, or lost to another hub."
    yield _counter("logs_given_back", meaning, adoption.given_back)
    pending = ((one.origin, float(one.pending)) for one in adoption.adopted)
    meaning = "Open deliveries of a log of another hub, without dead letters."
    yield _gauges("adopted_deliveries_open", meaning, "origin", pending)
    trouble = ((one.origin, float(bool(one.trouble))) for one in adoption.adopted)
    meaning = "1: the log of another hub cannot commit or publish."
    yield _gauges("adopted_log_trouble", meaning, "origin", trouble)
