"""Write a hub's figures in Prometheus' text format, version 0.0.4.

The format is a dozen lines to write, and its client library costs some microseconds with each
message; ours are plain counters. Labels come from closed lists only: error codes, entries of
hub.yaml, parts of the hub.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate

from bus.operations.exchange_metrics import SECONDS_BOUNDS, ExchangeMetrics
from bus.operations.hub_status import HubStatus

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Value = int | float | bool
Sample = tuple[str, Mapping[str, str], Value]
"""What stands behind the metric's name, labels, value."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric with its samples."""

    name: str
    kind: str
    """counter, gauge or histogram."""
    help: str
    samples: tuple[Sample, ...]

    def lines(self) -> Iterator[str]:
        """The metric as a scraper reads it."""
        yield f"# HELP {self.name} {self.help}"
        yield f"# TYPE {self.name} {self.kind}"
        for suffix, labels, value in self.samples:
            text = ",".join(f'{key}="{_escaped(label)}"' for key, label in labels.items())
            braced = f"{{{text}}}" if text else ""
            yield f"{self.name}{suffix}{braced} {_number(value)}"


_LANE_METRICS = (
    ("waiting", "gauge", "Requests that wait for a judging process."),
    ("waiting_bytes", "gauge", "Their bytes."),
    ("lost", "counter", "Judging processes that were lost."),
    ("refused", "counter", "Requests that were refused for what judging them did to a process."),
)


def metrics_text(status: HubStatus, exchanges: ExchangeMetrics) -> str:
    """Every metric of a hub."""
    metrics = (
        *_exchange_metrics(status, exchanges),
        *_log_metrics(status),
        *_timestamp_metrics(status),
        *_certificate_metrics(status),
        *_part_metrics(status),
    )
    return "".join(f"{line}\n" for metric in metrics for line in metric.lines())


def _gauge(name: str, meaning: str, value: Value) -> Metric:
    return Metric(f"lienthong_{name}", "gauge", meaning, (("", {}, value),))


def _exchange_metrics(status: HubStatus, exchanges: ExchangeMetrics) -> Iterator[Metric]:
    yield Metric(
        "lienthong_info",
        "gauge",
        "Always 1; the version of the hub.",
        (("", {"version": status.version}, 1),),
    )
    yield _gauge("uptime_seconds", "Since the start of the hub.", status.uptime_seconds)
    yield _gauge("exchanges_in_work", "Requests that were read and not answered.", status.in_work)
    outcomes = sorted(status.outcomes.items())
    yield Metric(
        "lienthong_exchanges_total",
        "counter",
        "Exchanges by what came of them: delivered, answered-again, or a code of docs/errors.md.",
        tuple(("", {"outcome": outcome}, count) for outcome, count in outcomes),
    )
    yield Metric(
        "lienthong_exchange_seconds",
        "histogram",
        "From a request that was read to its reply.",
        tuple(_histogram(exchanges)),
    )


def _histogram(exchanges: ExchangeMetrics) -> Iterator[Sample]:
    counts = list(accumulate(exchanges.class_counts))
    for bound, count in zip(SECONDS_BOUNDS, counts, strict=False):
        yield "_bucket", {"le": _number(bound)}, count
    yield "_bucket", {"le": "+Inf"}, counts[-1]
    yield "_sum", {}, exchanges.seconds_sum
    yield "_count", {}, counts[-1]


def _log_metrics(status: HubStatus) -> Iterator[Metric]:
    log, judge = status.log, status.judge
    yield _gauge("log_entries", "Committed entries of the message log.", log.entries)
    yield _gauge("log_signed_entries", "Entries under the last checkpoint.", log.signed_entries)
    yield _gauge("log_bytes", "Of the database and its write-ahead log.", log.bytes)
    age = log.checkpoint_age_seconds
    yield _gauge("checkpoint_age_seconds", "Since the last checkpoint was published.", age)
    yield _gauge("log_trouble", "1: the log cannot commit or publish.", bool(log.trouble))
    yield _gauge("ready", "1: a probe went through judging and log.", not status.troubles)
    meaning = "1: no judging process was lost and is still to be started again."
    yield _gauge("judge_running", meaning, judge.is_running)
    yield _gauge("judge_wanted", "1: the hub was started with judging processes.", judge.is_wanted)
    yield Metric(
        "lienthong_judged_total",
        "counter",
        "Requests that the judging processes judged.",
        (("", {}, judge.judged),),
    )
    for name, kind, meaning in _LANE_METRICS:
        by_lane = ((lane.name, getattr(lane, name)) for lane in judge.lanes)
        end = "_total" if kind == "counter" else ""
        yield Metric(
            f"lienthong_judge_{name}{end}",
            kind,
            meaning,
            tuple(("", {"lane": lane}, value) for lane, value in by_lane),
        )


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
    yield Metric(
        "lienthong_certificate_days_left",
        "gauge",
        "Full days until a certificate expires; negative afterwards.",
        tuple(("", {"used_for": name}, days) for name, days in soonest.items()),
    )


def _part_metrics(status: HubStatus) -> Iterator[Metric]:
    """What other parts say of themselves, where it is a number."""
    for part, exchanges in sorted(status.more.items()):
        for name, value in sorted(exchanges.items()):
            if isinstance(value, bool | int | float):
                yield _gauge(f"{part}_{name}", f"Of {part}; see docs/operators.md.", value)


def _number(value: Value) -> str:
    if isinstance(value, bool):
        return str(int(value))
    return repr(value) if isinstance(value, float) else str(value)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
