"""Hand orders and reports on within one process: as values, under tickets that a broker carries.

What leaves the process is written and signed (bus.protocols.orders); what stays in it need not be
copied, whatever stands beside it, and nobody is between the hub and itself. A ticket of an earlier
process says nothing.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Generic, TypeVar

from bus.core.deliveries import DeliveryKey
from bus.delivery.order_forms import ProvedReport
from bus.delivery.signing import signed_here, signer_for
from bus.protocols.orders import AttemptReport, Order, OrderInvalid, ReportInvalid
from bus.protocols.report_notes import write_report
from signing.pki.keys import SignerInTime

_RANDOM_BYTES = 16
_NUMBER_BYTES = 8

Value = TypeVar("Value")


class LocalOrders:
    """Implements OrderForm."""

    def __init__(self) -> None:
        self._kept = _Tickets[Order]()
        self._tickets: dict[tuple[DeliveryKey, int], bytes] = {}
        self._read: set[tuple[DeliveryKey, int]] = set()

    def write(self, order: Order) -> bytes:
        """A ticket for an order."""
        ticket = self._kept.put(order)
        self._tickets[order.key, order.attempt] = ticket
        return ticket

    def read(self, content: bytes) -> Order:
        """The order of a ticket, which may be read again. Raises OrderInvalid."""
        order = self._kept.get(content)
        if order is None:
            raise OrderInvalid("no order has this ticket")
        self._read.add((order.key, order.attempt))
        return order

    def is_untouched(self, key: DeliveryKey, attempt: int) -> bool:
        """See OrderForm."""
        return (key, attempt) in self._tickets and (key, attempt) not in self._read

    def forget(self, key: DeliveryKey, attempt: int) -> None:
        """See OrderForm."""
        self._read.discard((key, attempt))
        ticket = self._tickets.pop((key, attempt), None)
        if ticket is not None:
            self._kept.drop(ticket)


class LocalReports:
    """Implements ReportWriter and ReportReader."""

    def __init__(self, signers: Mapping[str, SignerInTime]) -> None:
        """By member id."""
        self._kept = _Tickets[ProvedReport]()
        self._signers = signers

    def write(self, report: AttemptReport) -> bytes:
        """A ticket for a report, signed. Raises SigningUnavailable."""
        signer = signer_for(report.recipient, self._signers, report.time)
        # Attachments lie beside the entry that keeps this.
        evidence = signed_here(lambda: write_report(report, signer, inline_bytes_max=0))
        return self._kept.put(ProvedReport(report, evidence))

    def waits(self, recipient: str, time: datetime) -> bool:
        """See ReportWriter."""
        return signer_for(recipient, self._signers, time).waits

    def read(self, content: bytes) -> ProvedReport:
        """The report of a ticket, which may be read again. Raises ReportInvalid."""
        report = self._kept.get(content)
        if report is None:
            raise ReportInvalid("no report has this ticket")
        return report

    def forget(self, content: bytes) -> None:
        """See ReportReader."""
        self._kept.drop(content)


class _Tickets(Generic[Value]):
    """Values by tickets: how many there were before, and a random number of this process. Each step
    is one of a dictionary or a counter, which threads may share."""

    def __init__(self) -> None:
        self._values: dict[bytes, Value] = {}
        self._process = secrets.token_bytes(_RANDOM_BYTES)
        self._numbers = itertools.count()

    def put(self, value: Value) -> bytes:
        ticket = next(self._numbers).to_bytes(_NUMBER_BYTES) + self._process
        self._values[ticket] = value
        return ticket

    def get(self, ticket: bytes) -> Value | None:
        return self._values.get(ticket)

    def drop(self, ticket: bytes) -> None:
        self._values.pop(ticket, None)
