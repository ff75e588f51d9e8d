"""Let attempts leave: what is due, as far as each recipient has room, fairly among recipients.

An attempt is on disk, with its number and its deadline, before its order leaves. What was just
accepted leaves straight from memory: its first attempts are part of the accepting transaction. All
else is asked of the rows, when somebody makes room and every half second.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog

from bus.core import errors
from bus.core.deliveries import (
    DeliveryKey,
    DeliveryRow,
    DeliveryState,
    NewDelivery,
)
from bus.core.limits import Limits
from bus.core.ports.broker import OrderBroker, OrderParcel, Sent
from bus.core.ports.delivery_rows import DeliveryRows
from bus.core.routing import delivery_idempotency_key
from bus.delivery.carried_messages import CarriedMessage, CarriedMessages
from bus.delivery.delivery_writer import DeliveryWriter
from bus.delivery.lanes import RecipientLane
from bus.delivery.lifecycle import (
    begin_attempt,
    not_sent,
    offer,
    send_again,
)
from bus.delivery.order_forms import OrderForm
from bus.protocols.orders import Order, OrderInvalid
from bus.runtime.off_loop import INLINE_BYTES_MAX, off_loop

MARGIN_SECONDS = 5.0
"""Beyond the time that a recipient may take, until the deadline: for clocks and the way back."""
NOT_TAKEN_SECONDS = 1.0
"""So long a recipient is left alone after the broker did not take an order for it."""
LANES_AT_ONCE_MAX = 32
"""Recipients that are looked at side by side, so that they share commits."""
ROWS_AT_ONCE_MAX = 64
"""Rows of one recipient that are looked at in one turn: then it is another's turn."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class DispatchDependencies:
    """What letting attempts leave needs."""

    rows: DeliveryRows
    writer: DeliveryWriter
    broker: OrderBroker
    orders: OrderForm
    limits: Limits
    origin: str
    """Of the log; names who orders."""
    clock: Callable[[], datetime]


class Dispatcher:
    """Sends orders; used from one event loop. Raises nothing but mistakes of ours."""

    def __init__(self, dependencies: DispatchDependencies) -> None:
        self._rows = dependencies.rows
        self._writer = dependencies.writer
        self._broker = dependencies.broker
        self._orders = dependencies.orders
        self._lanes = dependencies.writer.lanes
        self._limits = dependencies.limits
        self._origin = dependencies.origin
        self._clock = dependencies.clock
        self._messages = CarriedMessages(dependencies.rows, dependencies.writer.writer)
        self._sending: set[asyncio.Task[None]] = set()
        self._turn = 0

    # --- what is being accepted --------------------------------------------------------------

    def reserve(
        self, deliveries: Sequence[NewDelivery], timeout_seconds: float
    ) -> tuple[NewDelivery, ...]:
        """The same deliveries, with the first attempt out where there is room for it.

        `accepted` follows when they are on disk, `release` when they will not be.
        """
        now = self._clock()
        return tuple(self._reserve(one, timeout_seconds, now) for one in deliveries)

    def _reserve(self, new: NewDelivery, timeout_seconds: float, now: datetime) -> NewDelivery:
        if new.delivery.state is not DeliveryState.WAITING:
            return new
        lane = self._lanes.of(new.recipient)
        # What came earlier goes earlier, but for what is urgent.
        is_next = new.is_urgent or not lane.has_backlog
        if self._broker.trouble or not is_next or not self._lanes.room(new.recipient, now):
            lane.has_backlog = True
            return new
        lane.reserved += 1
        deadline = self._deadline(now, timeout_seconds)
        return NewDelivery(
            new.recipient,
            new.service,
            begin_attempt(new.delivery, deadline),
            new.is_urgent,
            new.conversation,
        )

    def release(self, deliveries: Sequence[NewDelivery]) -> None:
        """These will not be: their room is free."""
        for new in deliveries:
            if new.delivery.state is DeliveryState.OUT:
                self._lanes.of(new.recipient).reserved -= 1

    def accepted(
        self,
        received_index: int,
        deliveries: Sequence[NewDelivery],
        blocked: Sequence[int],
        message: CarriedMessage,
    ) -> None:
        """These are on disk: their orders leave, each as soon as the broker takes it."""
        self.release(deliveries)
        self._writer.note_sender(received_index, str(message.accepted.facts.client))
        self._lanes.opened(new.recipient for new in deliveries)
        for position, new in enumerate(deliveries):
            key = DeliveryKey(received_index, position)
            if new.delivery.state is DeliveryState.OUT and position not in blocked:
                row = DeliveryRow(
                    key,
                    new.recipient,
                    new.service,
                    new.delivery,
                    new.is_urgent,
                    new.conversation,
                )
                self._leave(row, message)
            elif new.delivery.state is DeliveryState.WAITING:
                self._lanes.want_look(new.recipient)

    # --- what is due ---------------------------------------------------------------------------

    async def poll(self) -> None:
        """Ask the rows who is owed something that is due, and since when."""
        try:
            oldest = await asyncio.to_thread(self._oldest_due)
        except errors.LogUnavailable as error:
            _log.warning("delivery.rows-unavailable", detail=error.diagnostic)
            return
        for lane in self._lanes:
            lane.oldest_due = None
        for recipient, due in oldest:
            lane = self._lanes.of(recipient)
            lane.oldest_due, lane.has_backlog = due, True
            self._lanes.want_look(recipient)

    def _oldest_due(self) -> list[tuple[str, datetime]]:
        """Who is owed something that is due, and the time of its first row that goes next."""
        now, rows = self._clock(), self._rows
        firsts = [rows.due(recipient, now, 1) for recipient in rows.due_recipients(now)]
        return [(row.recipient, row.delivery.due) for found in firsts for row in found]

    async def look(self) -> None:
        """Let leave what is due to those that want a look: each in its turn, so many at a time."""
        self._lanes.news.clear()
        if self._broker.trouble:
            return
        wanting = [lane for lane in self._lanes if lane.wants_look]
        if not wanting:
            return
        self._turn = (self._turn + 1) % len(wanting)
        lanes = wanting[self._turn :] + wanting[: self._turn]
        for start in range(0, len(lanes), LANES_AT_ONCE_MAX):
            await asyncio.gather(
                *(self._look_at(lane) for lane in lanes[start : start + LANES_AT_ONCE_MAX])
            )

    async def _look_at(self, lane: RecipientLane) -> None:
        lane.wants_look = False
        now = self._clock()
        room = min(self._lanes.room(lane.recipient, now), ROWS_AT_ONCE_MAX)
        if not room:
            return  # whoever makes room, or the next poll, has it asked again
        try:
            rows = await asyncio.to_thread(self._rows.due, lane.recipient, now, room)
            lane.has_backlog = len(rows) == room
            begins = [await self._ready(row) for row in rows]
            await asyncio.gather(*(begin() for begin in begins))
        except errors.LogUnavailable as error:
            _log.warning("delivery.rows-unavailable", detail=error.diagnostic)
            return
        if lane.has_backlog:
            self._lanes.want_look(lane.recipient)

    async def _ready(self, row: DeliveryRow) -> Callable[[], Coroutine[Any, Any, None]]:
        """What lets an attempt leave, its message at hand. Raises LogUnavailable."""
        try:
            message = await self._messages.of(row.key.received_index)
        except errors.LogCorrupt as error:
            return partial(self._writer.give_up, row, error)
        if not message.accepted.recipients[row.key.position].adapter:
            return partial(self._offer, row)
        return partial(self._begin, row, message)

    async def _offer(self, row: DeliveryRow) -> None:
        """What its recipient fetches waited for another of its conversation, or for an operator."""
        await self._writer.change(row, replace(row, delivery=offer(row.delivery)))

    async def _begin(self, row: DeliveryRow, message: CarriedMessage) -> None:
        deadline = self._deadline(self._clock(), message.accepted.timeout_seconds)
        begun = replace(row, delivery=begin_attempt(row.delivery, deadline))
        out = await self._writer.change(row, begun)
        if out is not None:
            self._leave(out, message)

    def _leave(self, row: DeliveryRow, message: CarriedMessage) -> None:
        """An attempt that is on disk leaves, unless that took until after its deadline: then it may
        be settled already, and whatever is told of it here would be about nothing."""
        deadline = row.delivery.deadline
        assert deadline is not None  # it is out
        if deadline > self._clock():
            self._lanes.left(row, message.bytes_held)
            if message.bytes_held > INLINE_BYTES_MAX or not self._hand_over(row, message):
                self._spawn(self._send(row, message))

    # --- orders --------------------------------------------------------------------------------

    def _hand_over(self, row: DeliveryRow, message: CarriedMessage) -> bool:
        """Hand an order over now, if that waits for nothing; True: it was taken."""
        if not self._broker.takes_at_once(message.accepted.recipients[row.key.position].adapter):
            return False
        order = self._order(row, message)
        try:
            content = self._orders.write(order)
        except OrderInvalid:
            return False  # what cannot be written cannot be sent either, and that is settled there
        return self._broker.offer(self._parcel(order, content, row))

    async def _send(self, row: DeliveryRow, message: CarriedMessage) -> None:
        """Hand an order over; an attempt that was not taken waits again."""
        try:
            try:
                order = self._order(row, message)
                content = await off_loop(message.bytes_held, lambda: self._orders.write(order))
            except OrderInvalid as error:
                await self._give_up_unsent(row, str(error))
                return
            parcel = self._parcel(order, content, row)
            sent = await self._broker.send(parcel)
            if sent is Sent.REFUSED:
                await self._take_back(row)
            elif sent is Sent.UNKNOWN:
                await self._send_again(row, parcel)
        except errors.LogUnavailable as error:
            # It stays out until its deadline settles it.
            _log.error("delivery.not-sent", error=type(error).__name__)

    async def _give_up_unsent(self, row: DeliveryRow, why: str) -> None:
        """A dead letter of what can never be sent: of this attempt nobody knows anything."""
        _log.error("delivery.too-large", detail=why)
        whole = await self._whole(row)
        if whole is not None:
            await self._writer.give_up(whole, errors.OrderTooLarge(why))

    def _order(self, row: DeliveryRow, message: CarriedMessage) -> Order:
        accepted, position = message.accepted, row.key.position
        deadline = row.delivery.deadline
        assert deadline is not None  # it is out
        begin_before = deadline - timedelta(seconds=accepted.timeout_seconds + MARGIN_SECONDS)
        return Order(
            origin=self._origin,
            key=row.key,
            attempt=row.delivery.attempt,
            recipient=row.recipient,
            service=row.service,
            idempotency_key=delivery_idempotency_key(row.delivery.key),
            sent_at=self._clock(),
            begin_before=begin_before,
            accepted=accepted.for_recipient(position),
            raw=message.raw,
            attachments=message.attachments,
        )

    def _parcel(self, order: Order, content: bytes, row: DeliveryRow) -> OrderParcel:
        (recipient,) = order.accepted.recipients
        return OrderParcel(recipient.adapter, content, order.begin_before, row.is_urgent)

    async def _take_back(self, row: DeliveryRow) -> None:
        """Nobody took it: it waits again, at its place, and its recipient is let alone a while."""
        now, lane = self._clock(), self._lanes.of(row.recipient)
        lane.held_until = now + timedelta(seconds=NOT_TAKEN_SECONDS)
        lane.breaker.not_sent(now)
        lane.has_backlog = True
        self._orders.forget(row.key, row.delivery.attempt)
        whole = await self._whole(row)
        if whole is not None:
            waiting = replace(whole, delivery=not_sent(whole.delivery, whole.delivery.due))
            await self._writer.change(whole, waiting)
        self._lanes.ended(row.recipient, row.key)

    async def _send_again(self, row: DeliveryRow, parcel: OrderParcel) -> None:
        """The confirmation was lost: it may be there twice now, and the row says so before."""
        whole = await self._whole(row)
        if whole is None:
            return
        doubtful = replace(whole, delivery=send_again(whole.delivery))
        out = await self._writer.change(whole, doubtful)
        # It may have come to its end while that was confirmed.
        if out is not None and row.key in self._lanes.of(row.recipient).out:
            self._lanes.left_again(out)
            await self._broker.send(parcel)  # whatever becomes of it, its deadline settles it

    async def _whole(self, row: DeliveryRow) -> DeliveryRow | None:
        """The row with its place in its conversation, which the store gave; None: it moved on."""
        if row.conversation is None or row.place:
            return row
        found = await asyncio.to_thread(self._rows.delivery, row.key)
        is_same = found is not None and found.delivery == row.delivery
        return found if is_same else None

    async def recall(self) -> None:
        """Take back what nobody has begun, once nobody begins anything any more."""
        for lane in self._lanes:
            for key, row in list(lane.out.items()):
                # What cannot be taken back is settled by the next start.
                with contextlib.suppress(errors.LogUnavailable):
                    found = row or await asyncio.to_thread(self._rows.delivery, key)
                    if found is not None and self._orders.is_untouched(key, found.delivery.attempt):
                        await self._take_back(found)

    def _deadline(self, now: datetime, timeout_seconds: float) -> datetime:
        seconds = self._limits.order_wait_seconds + timeout_seconds + MARGIN_SECONDS
        return now + timedelta(seconds=seconds)

    def _spawn(self, sending: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(sending)
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def drain(self) -> None:
        """Wait until the broker has what is on its way to it."""
        while self._sending:
            await asyncio.wait(self._sending)
