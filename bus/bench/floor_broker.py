"""Carry the floor's messages over RabbitMQ: hand in with confirmations, take and acknowledge."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pika
from pika.adapters.asyncio_connection import AsyncioConnection

PREFETCH = 256
ORDERS = "floor.orders"
OUTCOMES = "floor.outcomes"
_PERSISTENT = pika.BasicProperties(delivery_mode=2)
_QUORUM = {"x-queue-type": "quorum"}

OnMessage = Callable[[int, bytes], None]
"""Takes the number of a message that was given out, and its content."""


class FloorBroker:
    """One connection with a channel each way; used from one event loop, which ends if it breaks."""

    def __init__(self, connection: AsyncioConnection) -> None:
        """Use `connect_floor`."""
        self._connection = connection
        self._giving: Any = None
        self._taking: Any = None
        self._handed_in = 0
        self._unconfirmed: OrderedDict[int, Callable[[], None]] = OrderedDict()
        self._open: OrderedDict[int, bool] = OrderedDict()
        """What was given out, in order; True: it may be acknowledged."""
        self._is_due = False
        self._loop = asyncio.get_running_loop()

    async def open(self, gives: str, takes: str, on_message: OnMessage) -> None:
        """Make both queues where they are not there; begin to take."""
        self._giving = await self._channel()
        self._taking = await self._channel()
        for queue in (gives, takes):
            await self._call(self._giving.queue_declare, queue, durable=True, arguments=_QUORUM)
        await self._call(self._giving.confirm_delivery, self._on_confirmation)
        await self._call(self._taking.basic_qos, prefetch_count=PREFETCH)

        def on_delivery(_channel: Any, method: Any, _properties: Any, body: bytes) -> None:
            self._open[method.delivery_tag] = False
            on_message(method.delivery_tag, body)

        await self._call(self._taking.basic_consume, takes, on_delivery)
        self._gives = gives

    def give(self, content: bytes, confirmed: Callable[[], None]) -> None:
        """Hand in; `confirmed` is called when it is on the broker's disk."""
        self._handed_in += 1
        self._unconfirmed[self._handed_in] = confirmed
        self._giving.basic_publish("", self._gives, content, _PERSISTENT)

    def settle(self, number: int) -> None:
        """Acknowledge it, with what else this turn of the loop settles."""
        self._open[number] = True
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._acknowledge)

    def close(self) -> None:
        """Let go."""
        if self._connection.is_open:
            self._connection.close()

    def _acknowledge(self) -> None:
        self._is_due = False
        last = 0
        for number, is_settled in list(self._open.items()):
            if not is_settled:
                break
            last = number
            del self._open[number]
        if last:
            self._taking.basic_ack(last, multiple=True)

    def _on_confirmation(self, frame: Any) -> None:
        assert frame.method.NAME == "Basic.Ack", "the floor's queues have no bound"
        last = frame.method.delivery_tag
        numbers = [last]
        if frame.method.multiple:
            numbers = [number for number in self._unconfirmed if number <= last]
        for number in numbers:
            self._unconfirmed.pop(number)()

    async def _channel(self) -> Any:
        opened: asyncio.Future[Any] = self._loop.create_future()
        self._connection.channel(on_open_callback=opened.set_result)
        return await opened

    async def _call(self, method: Callable[..., Any], *arguments: Any, **named: Any) -> None:
        done: asyncio.Future[Any] = self._loop.create_future()
        method(*arguments, callback=done.set_result, **named)
        await done


async def connect_floor(port: int) -> FloorBroker:
    """A connection to a broker on loopback, as its first user. Raises OSError: there is none."""
    loop = asyncio.get_running_loop()
    opened: asyncio.Future[Any] = loop.create_future()

    def failed(_connection: Any, error: Any) -> None:
        if not opened.done():
            opened.set_exception(OSError(f"no broker at port {port}: {type(error).__name__}"))

    AsyncioConnection(
        pika.ConnectionParameters("127.0.0.1", port),
        on_open_callback=opened.set_result,
        on_open_error_callback=failed,
        custom_ioloop=loop,
    )
    return FloorBroker(await opened)
