"""How orders and reports look to whoever carries them, as interfaces: bytes, or tickets of values.

Within one process bus.delivery.local_orders, between processes bus.delivery.signed_orders.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from bus.core.deliveries import DeliveryKey
from bus.protocols.orders import AttemptReport, Order


class OrderReader(Protocol):
    """Orders as whoever does them gets them. Used from several threads."""

    def read(self, content: bytes) -> Order:
        """The order that was carried, proved to be the hub's. Raises OrderInvalid."""
        ...


class OrderForm(OrderReader, Protocol):
    """Orders as bytes and back. Used from several threads."""

    def write(self, order: Order) -> bytes:
        """What a broker carries of an order. Raises OrderInvalid: it cannot be carried."""
        ...

    def is_untouched(self, key: DeliveryKey, attempt: int) -> bool:
        """Whether nobody has read the order of an attempt, as far as is known for sure."""
        ...

    def forget(self, key: DeliveryKey, attempt: int) -> None:
        """It was settled: whatever is kept for it may go."""
        ...


@dataclass(frozen=True, slots=True)
class ProvedReport:
    """What an agency reports, and how it says so."""

    report: AttemptReport
    evidence: bytes = field(repr=False)
    """The report as the agency signed it, with its answer: what the log keeps."""


class ReportWriter(Protocol):
    """Reports as whoever did an order writes them. Used from several threads."""

    def write(self, report: AttemptReport) -> bytes:
        """What a broker carries of a report, signed in the name of its recipient's agency.

        May wait for a device. Raises SigningUnavailable.
        """
        ...

    def waits(self, recipient: str, time: datetime) -> bool:
        """Whether it does, for a report about this recipient at this time."""
        ...


class ReportReader(Protocol):
    """Reports as the hub gets them. Used from several threads."""

    def read(self, content: bytes) -> ProvedReport:
        """The report that was carried, proved to be its agency's.

        Raises ReportInvalid.
        """
        ...

    def forget(self, content: bytes) -> None:
        """It was settled: whatever is kept for it may go."""
        ...
