"""Keep one connection to RabbitMQ on an event loop, and channels whose calls can be awaited.

Of several nodes any will do: they are tried in a new order each time, and after a round in which
none answered, again after a while that grows and is never the same.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pika
import pika.exceptions
import structlog
from pika.adapters.asyncio_connection import AsyncioConnection

HEARTBEAT_SECONDS = 30
BLOCKED_SECONDS_MAX = 30
"""A broker that takes nothing for so long is left."""
CONNECTING_SECONDS_MAX = 10.0
"""To one node."""
BEGINNING_SECONDS_MAX = 10.0
"""For what is begun on a channel. A broker whose queue has just lost its leader may keep a call
waiting until that node is back, while one on another channel would be answered at once.
"""
RECONNECT_SECONDS_MIN = 0.2
RECONNECT_SECONDS_MAX = 10.0

_log = structlog.get_logger()
_luck = random.SystemRandom()


class BrokerRefused(Exception):
    """The broker answers, and does not take who we are or what we ask of it."""


class ChannelLost(Exception):
    """The channel is gone, or the whole connection."""


@dataclass(frozen=True, slots=True)
class RabbitAddress:
    """Where a broker is, and who connects."""

    nodes: tuple[tuple[str, int], ...]
    """Host and port of each."""
    user: str
    password: str = field(repr=False)
    virtual_host: str = "/"
    tls: ssl.SSLContext | None = field(default=None, repr=False)


class RabbitLink:
    """One connection, made again whenever it is lost, until it is closed."""

    def __init__(self, address: RabbitAddress, name: str) -> None:
        """`name` is what the broker's operator sees."""
        self._address = address
        self._name = name
        self._raw: Any = None
        self._is_open = asyncio.Event()
        self._is_blocked = False
        self._keeper: asyncio.Task[None] | None = None
        self._refusal = ""
        self._first_answer: asyncio.Future[None] | None = None

    @property
    def trouble(self) -> str:
        """Why nothing can be handed in; empty while it can."""
        if self._refusal:
            return self._refusal
        if not self._is_open.is_set():
            return "no node of the broker answers"
        return "the broker takes nothing: its memory or disk is full" if self._is_blocked else ""

    async def start(self, seconds_max: float) -> None:
        """Connect, and stay connected. Without an answer it goes on in the background.

        Raises BrokerRefused.
        """
        self._first_answer = asyncio.get_running_loop().create_future()
        self._keeper = asyncio.create_task(self._keep())
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._first_answer), seconds_max)

    async def channel(self) -> Channel:
        """A new channel, once there is a connection. Raises ChannelLost."""
        await self._is_open.wait()
        opened: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        try:
            raw = self._raw.channel(on_open_callback=lambda raw: _set(opened, raw))
        except pika.exceptions.AMQPError as error:
            raise ChannelLost(type(error).__name__) from error
        channel = Channel(raw)
        await channel.until(opened)
        return channel

    async def close(self) -> None:
        """Let go of it."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
            self._keeper = None

    async def _keep(self) -> None:
        pause = RECONNECT_SECONDS_MIN
        while True:
            closed = await self._connect_any()
            if closed is not None:
                pause = RECONNECT_SECONDS_MIN
                _log.info("broker.connected", name=self._name)
                await self._until_closed(closed)
            await asyncio.sleep(pause * _luck.uniform(0.5, 1.5))
            pause = min(pause * 2, RECONNECT_SECONDS_MAX)

    async def _until_closed(self, closed: asyncio.Future[str]) -> None:
        try:
            reason = await closed
            _log.warning("broker.lost", name=self._name, reason=reason)
        except asyncio.CancelledError:
            with suppress(pika.exceptions.AMQPError):
                self._raw.close()
                await asyncio.wait({closed}, timeout=CONNECTING_SECONDS_MAX)
            raise
        finally:
            self._is_open.clear()
            self._is_blocked = False
            self._raw = None

    async def _connect_any(self) -> asyncio.Future[str] | None:
        """Connect to one node: what is done when that is lost; None: none answered."""
        nodes = list(self._address.nodes)
        _luck.shuffle(nodes)
        for node in nodes:
            closed = await self._connect(*node)
            if closed is not None:
                return closed
        return None

    async def _connect(self, host: str, port: int) -> asyncio.Future[str] | None:
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[Exception | None] = loop.create_future()
        closed: asyncio.Future[str] = loop.create_future()
        raw = AsyncioConnection(
            self._parameters(host, port),
            on_open_callback=lambda _: _set(opened, None),
            on_open_error_callback=lambda _, error: _set(opened, error),
            on_close_callback=lambda _, error: _set(closed, type(error).__name__),
            custom_ioloop=loop,
        )
        try:
            error = await opened
        except asyncio.CancelledError:
            with suppress(pika.exceptions.AMQPError):
                raw.close()
            raise
        if error is not None:
            self._note_failure(host, port, error)
            return None
        raw.add_on_connection_blocked_callback(lambda *_: self._set_blocked(is_blocked=True))
        raw.add_on_connection_unblocked_callback(lambda *_: self._set_blocked(is_blocked=False))
        self._raw = raw
        self._refusal = ""
        self._is_open.set()
        self._answer(None)
        return closed

    def _parameters(self, host: str, port: int) -> pika.ConnectionParameters:
        address = self._address
        tls = address.tls
        return pika.ConnectionParameters(
            host=host,
            port=port,
            virtual_host=address.virtual_host,
            credentials=pika.PlainCredentials(address.user, address.password),
            heartbeat=HEARTBEAT_SECONDS,
            blocked_connection_timeout=BLOCKED_SECONDS_MAX,
            connection_attempts=1,
            socket_timeout=CONNECTING_SECONDS_MAX,
            stack_timeout=CONNECTING_SECONDS_MAX,
            ssl_options=None if tls is None else pika.SSLOptions(tls, host),
            client_properties={"connection_name": self._name},
        )

    def _note_failure(self, host: str, port: int, error: Exception) -> None:
        cause = _cause(error)
        reason = type(cause).__name__
        _log.warning("broker.unreachable", name=self._name, host=host, port=port, reason=reason)
        if isinstance(cause, _REFUSALS):
            self._refusal = f"the broker refuses user {self._address.user} or its virtual host"
            self._answer(BrokerRefused(self._refusal))

    def _answer(self, refusal: BrokerRefused | None) -> None:
        first = self._first_answer
        if first is None or first.done():
            return
        if refusal is None:
            first.set_result(None)
        else:
            _refuse(first, refusal)

    def _set_blocked(self, *, is_blocked: bool) -> None:
        self._is_blocked = is_blocked
        if is_blocked:
            _log.error("broker.blocked", name=self._name)
        else:
            _log.warning("broker.unblocked", name=self._name)


_REFUSALS = (
    pika.exceptions.AuthenticationError,
    pika.exceptions.ProbableAuthenticationError,
    pika.exceptions.ProbableAccessDeniedError,
)


class Channel:
    """A channel whose calls are awaited; each raises ChannelLost when it is gone."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw
        self.closed: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        raw.add_on_close_callback(lambda _, error: _set(self.closed, error))

    async def call(self, method: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Call what answers by a callback, and wait for the answer."""
        answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.now(method, *arguments, callback=lambda frame: _set(answered, frame), **named)
        return await self.until(answered)

    def now(self, method: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Call what nobody answers."""
        try:
            return method(*arguments, **named)
        except pika.exceptions.AMQPError as error:
            raise ChannelLost(type(error).__name__) from error

    async def until(self, answered: asyncio.Future[Any]) -> Any:
        """Wait for an answer, or for the end of the channel."""
        await asyncio.wait({answered, self.closed}, return_when=asyncio.FIRST_COMPLETED)
        if answered.done():
            return answered.result()
        raise self.lost()

    def lost(self) -> Exception:
        """Why it is gone: BrokerRefused, where the broker closed it over what was asked."""
        error = self.closed.result()
        if isinstance(error, pika.exceptions.ChannelClosedByBroker):
            return BrokerRefused(f"{error.reply_code}: {error.reply_text[:200]}")
        return ChannelLost(type(error).__name__)

    def give_up(self) -> None:
        """Begin to close it."""
        with suppress(pika.exceptions.AMQPError):
            self.raw.close()

    async def close(self) -> None:
        """Close it; what was not settled on it counts as not dealt with."""
        if not self.closed.done():
            self.give_up()
            await asyncio.wait({self.closed}, timeout=CONNECTING_SECONDS_MAX)


class ChannelKeeper:
    """Something done on a channel of its own, begun anew on another one whenever that is lost.

    What closes one channel does not touch the others.
    """

    def __init__(
        self,
        link: RabbitLink,
        begin: Callable[[Channel], Awaitable[None]],
        *,
        beginning_seconds_max: float = BEGINNING_SECONDS_MAX,
    ) -> None:
        self._link = link
        self._begin = begin
        self._beginning_seconds_max = beginning_seconds_max
        self._task: asyncio.Task[None] | None = None
        self.channel: Channel | None = None
        """While it works."""

    async def start(self, seconds_max: float) -> None:
        """Begin. Without an answer in time it goes on in the background. Raises BrokerRefused."""
        first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._keep(first))
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(first), seconds_max)

    async def close(self) -> None:
        """End it, and its channel."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _keep(self, first: asyncio.Future[None]) -> None:
        pause = RECONNECT_SECONDS_MIN
        while True:
            channel = None
            try:
                channel = await self._link.channel()
                async with asyncio.timeout(self._beginning_seconds_max):
                    await self._begin(channel)
                self.channel = channel
                _set(first, None)
                pause = RECONNECT_SECONDS_MIN
                await asyncio.wait({channel.closed})
                raise channel.lost()
            except BrokerRefused as error:
                _log.error("broker.channel-refused", reason=str(error))
                if not first.done():
                    _refuse(first, error)
            except ChannelLost:
                pass
            except TimeoutError:
                _log.warning("broker.channel-not-answered", seconds=self._beginning_seconds_max)
                assert channel is not None
                channel.give_up()  # it will not answer this either
                channel = None
            finally:
                self.channel = None
                if channel is not None:
                    await channel.close()
            await asyncio.sleep(pause * _luck.uniform(0.5, 1.5))
            pause = min(pause * 2, RECONNECT_SECONDS_MAX)


def _set(future: asyncio.Future[Any], value: Any) -> None:
    if not future.done():
        future.set_result(value)


def _refuse(future: asyncio.Future[None], error: BrokerRefused) -> None:
    """Whether anybody waits for it or not."""
    future.set_exception(error)
    future.exception()


def _cause(error: BaseException) -> BaseException:
    """What a library wrapped: the innermost of it."""
    seen = 0
    while seen < 10:
        inner = error.args[0] if error.args and isinstance(error.args[0], BaseException) else None
        nested = getattr(error, "exceptions", None)
        if nested:
            inner = nested[-1]
        if inner is None:
            return error
        error, seen = inner, seen + 1
    return error
