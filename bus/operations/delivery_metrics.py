"""Say how deliveries stand, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from bus.delivery.breaker import BreakerState
from bus.delivery.delivery_status import DeliveryStatus, RecipientStatus

_GAUGES: tuple[tuple[str, str, Callable[[RecipientStatus], float]], ...] = (
    ("open", "Open deliveries to a recipient, without dead letters.", lambda one: one.pending),
    ("dead", "Dead letters to a recipient.", lambda one: one.dead),
    ("out", "Attempts on their way to a recipient.", lambda one: one.out),
    ("oldest_seconds", "How long what is due first has waited.", lambda one: one.oldest_seconds),
    (
        "breaker_open",
        "1: the recipient failed too often, and is only probed.",
        lambda one: one.breaker != BreakerState.CLOSED,
    ),
    ("paused", "1: an operator lets nothing leave to the recipient.", lambda one: one.is_paused),
)


def delivery_metrics(status: DeliveryStatus) -> Iterator[Metric]:
    """Every metric of deliveries."""
    for name, meaning, value_of in _GAUGES:
        gauge = GaugeMetricFamily(f"lienthong_deliveries_{name}", meaning, labels=("recipient",))
        for one in status.recipients:
            gauge.add_metric((one.recipient,), value_of(one))
        yield gauge
    attempts = CounterMetricFamily(
        "lienthong_delivery_attempts", "Attempts by how they ended.", labels=("end",)
    )
    for end, count in sorted(status.attempts.items()):
        attempts.add_metric((end,), count)
    yield attempts
    meaning = "Reports of attempts that were not their agency's."
    yield CounterMetricFamily("lienthong_delivery_reports_unproved", meaning, status.unproved)
    meaning = "Reports of deliveries that were closed."
    yield CounterMetricFamily("lienthong_delivery_reports_late", meaning, status.late)
    meaning = "1: no order leaves to workers elsewhere."
    yield GaugeMetricFamily("lienthong_broker_trouble", meaning, bool(status.trouble))
    meaning = "Adapters whose workers have no queue at the broker."
    yield GaugeMetricFamily("lienthong_broker_queues_missing", meaning, len(status.without_queue))
