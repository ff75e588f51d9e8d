"""Do some agencies' work in the hub's process and let workers elsewhere do that of others."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from bus.core.deliveries import DeliveryKey
from bus.core.ports.broker import (
    HandleLate,
    HandleLost,
    HandleOutcome,
    Made,
    OrderBroker,
    OrderParcel,
    ReadAnswer,
    Sent,
)
from bus.delivery.order_forms import OrderForm, ProvedReport, ReportReader
from bus.protocols.order_frames import FRAME_START
from bus.protocols.orders import Order


class SplitBroker:
    """Implements OrderBroker over two: one within this process, one beyond it."""

    def __init__(self, here: OrderBroker, beyond: OrderBroker, elsewhere: Collection[str]) -> None:
        """`elsewhere`: the agencies whose work goes beyond."""
        self._here = here
        self._beyond = beyond
        self._elsewhere = frozenset(elsewhere)

    @property
    def trouble(self) -> str:
        """See OrderBroker: of the one here. What is in trouble beyond keeps nothing here."""
        return self._here.trouble

    @property
    def without_queue(self) -> frozenset[str]:
        """See OrderBroker: of either."""
        return self._here.without_queue | self._beyond.without_queue

    async def start(
        self, handle: HandleOutcome, lost: HandleLost, late: HandleLate | None = None
    ) -> None:
        """See OrderBroker."""
        await self._here.start(handle, lost, late)
        await self._beyond.start(handle, lost, late)

    async def send(self, order: OrderParcel) -> Sent:
        """See OrderBroker."""
        return await self._of(order.agency).send(order)

    def takes_at_once(self, agency: str) -> bool:
        """See OrderBroker."""
        return self._of(agency).takes_at_once(agency)

    def offer(self, order: OrderParcel) -> bool:
        """See OrderBroker."""
        return self._of(order.agency).offer(order)

    async def ask(
        self, order: OrderParcel, answer_before: datetime, read: ReadAnswer[Made]
    ) -> Made:
        """See OrderBroker."""
        return await self._of(order.agency).ask(order, answer_before, read)

    async def close(self) -> None:
        """See OrderBroker."""
        await self._beyond.close()
        await self._here.close()

    def _of(self, agency: str) -> OrderBroker:
        return self._beyond if agency in self._elsewhere else self._here


class SplitOrders:
    """Implements OrderForm: values under tickets here, signed bytes beyond."""

    def __init__(self, here: OrderForm, beyond: OrderForm, elsewhere: Collection[str]) -> None:
        self._here = here
        self._beyond = beyond
        self._elsewhere = frozenset(elsewhere)

    def write(self, order: Order) -> bytes:
        """See OrderForm."""
        is_beyond = order.accepted.recipients[0].adapter in self._elsewhere
        return (self._beyond if is_beyond else self._here).write(order)

    def read(self, content: bytes) -> Order:
        """See OrderForm. Tickets begin with a number that never grows as large as a frame's."""
        return (self._beyond if content.startswith(FRAME_START) else self._here).read(content)

    def is_untouched(self, key: DeliveryKey, attempt: int) -> bool:
        """See OrderForm."""
        return self._here.is_untouched(key, attempt)

    def forget(self, key: DeliveryKey, attempt: int) -> None:
        """See OrderForm."""
        self._here.forget(key, attempt)


class SplitReports:
    """Implements ReportReader: values under tickets here, signed bytes from beyond."""

    def __init__(self, here: ReportReader, beyond: ReportReader) -> None:
        self._here = here
        self._beyond = beyond

    def read(self, content: bytes) -> ProvedReport:
        """See ReportReader."""
        return (self._beyond if content.startswith(FRAME_START) else self._here).read(content)

    def forget(self, content: bytes) -> None:
        """See ReportReader."""
        self._here.forget(content)
