"""Open what carries orders to workers outside the hub, as hub.yaml says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from bus.broker.topology import Topology
from bus.core.pipeline import Rules
from bus.core.ports.broker import OrderBroker
from bus.delivery.order_forms import OrderForm, ReportReader
from bus.delivery.signed_orders import ProvedReports, SignedOrders
from bus.settings.hub import HubSettings
from signing.signed_note import SigningKey


@dataclass(frozen=True, slots=True)
class WorkBeyond:
    """What carries orders to workers elsewhere, and for whom."""

    agencies: frozenset[str]
    """By adapter id."""
    broker: OrderBroker
    orders: OrderForm
    reports: ReportReader


def elsewhere(settings: HubSettings) -> tuple[str, ...]:
    """Adapters whose submissions go to workers elsewhere."""
    return settings.broker.agencies if settings.broker is not None else ()


def open_beyond(
    settings: HubSettings, rules: Rules, log_key: SigningKey, clock: Callable[[], datetime]
) -> WorkBeyond | None:
    """What carries orders to workers elsewhere; None: there are none. Raises ConfigurationError."""
    if settings.broker is None:
        return None
    # Here, and not above: a hub whose adapters do the work holds no client of a broker in memory.
    from bus.broker.rabbitmq_hub import RabbitOrderBroker
    from bus.trust.broker_access import rabbit_address

    rabbit, origin = settings.broker.rabbitmq, settings.log.origin
    broker = RabbitOrderBroker(rabbit_address(rabbit), Topology(rabbit.prefix), origin, clock)
    trust = rules.trust.for_another_thread()
    return WorkBeyond(
        frozenset(settings.broker.agencies),
        broker,
        SignedOrders(log_key),
        ProvedReports(rules.registry, trust, origin, clock),
    )
