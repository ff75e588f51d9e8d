"""Load a program: keep-alive connections in a closed loop, each answer timed."""

from __future__ import annotations

import asyncio
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import perf_counter
from typing import cast

import uvloop

SAMPLE_EVERY = 100
"""Of so many answers, the first is kept and verified after the clock has stopped."""
SAMPLES_MAX = 64
ROUND_SECONDS_GRACE = 30
"""How long the last answers of a round may take."""

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)
_HEAD_END = b"\r\n\r\n"


class LoadFailed(RuntimeError):
    """A program did not answer every request as it must."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request as it was sent, and the body of its answer."""

    request: bytes = field(repr=False)
    answer: bytes = field(repr=False)


@dataclass(slots=True)
class Round:
    """What one round of load has found. Owned by the loop that loads."""

    seconds: float = 0.0
    latencies: array[float] = field(default_factory=lambda: array("d"), repr=False)
    """In seconds, one for each answer, in the order of arrival."""
    answer_bytes: int = 0
    """All bodies together."""
    samples: list[Exchange] = field(default_factory=list, repr=False)

    @property
    def rate(self) -> float:
        """Answers in a second."""
        return len(self.latencies) / self.seconds


def load(port: int, requests: Iterator[bytes], *, connections: int, seconds: float) -> Round:
    """Send requests for so many seconds, or until there are no more. Raises LoadFailed."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_load(port, _Supply(requests, Round(), seconds), connections))


class _Supply:
    """The requests that are left, and what came of the ones before. One for each round."""

    def __init__(self, requests: Iterator[bytes], found: Round, seconds: float) -> None:
        self.found = found
        self.failure = ""
        self._requests = requests
        self._begin = perf_counter()
        self._end = self._begin + seconds

    def take(self) -> bytes | None:
        """The next request; None: the round is over."""
        if self.failure or perf_counter() >= self._end:
            return None
        return next(self._requests, None)

    def wants_sample(self) -> bool:
        """The next answer is to be kept."""
        found = self.found
        return len(found.latencies) % SAMPLE_EVERY == 0 and len(found.samples) < SAMPLES_MAX

    def add(self, answer_bytes: int, latency_seconds: float) -> None:
        """Count an answer."""
        self.found.latencies.append(latency_seconds)
        self.found.answer_bytes += answer_bytes

    def seconds_left(self) -> float:
        """Until no further request is sent."""
        return max(0.0, self._end - perf_counter())

    def close(self) -> Round:
        """Stop the clock."""
        self.found.seconds = perf_counter() - self._begin
        return self.found


class _LoadConnection(asyncio.Protocol):
    """One client: asks, waits, asks again.

    It shares the processors with the program under load, and so does no more than it must: of an
    answer it reads the head, and keeps the body only of samples and of what is no answer.
    """

    def __init__(self, supply: _Supply) -> None:
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._supply = supply
        self._request = b""
        self._began = 0.0
        self._head = b""
        """What has come of a head that is not complete."""
        self._left_bytes = 0
        """Of the answer, what has not come yet; 0: its head has not."""
        self._body_bytes = 0
        self._is_good = True
        self._kept: list[bytes] | None = None
        """The pieces of the answer, if it is to be kept."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        if self._left_bytes:
            self._left_bytes -= len(data)
        else:
            data = self._head + data
            end = data.find(_HEAD_END)
            if end < 0:
                self._head = data
                return
            self._head = b""
            if not self._read_head(data, end + len(_HEAD_END)):
                return
        if self._kept is not None:
            self._kept.append(data)
        if not self._left_bytes:
            self._answered()

    def connection_lost(self, error: Exception | None) -> None:
        if self._request:
            self._supply.failure = self._supply.failure or "a connection ended without an answer"
        if not self.over.done():
            self.over.set_result(None)

    def _ask(self) -> None:
        request = self._supply.take()
        if request is None:
            self._request = b""
            self._transport.close()
            return
        self._request = request
        self._began = perf_counter()
        self._transport.write(request)

    def _read_head(self, data: bytes, head_bytes: int) -> bool:
        length = _LENGTH.search(data, 0, head_bytes)
        if length is None:
            self._fail("an answer has no Content-Length")
            return False
        self._body_bytes = int(length[1])
        self._left_bytes = head_bytes + self._body_bytes - len(data)
        self._is_good = data[9:12] == b"200"
        self._kept = [] if not self._is_good or self._supply.wants_sample() else None
        return True

    def _answered(self) -> None:
        latency_seconds = perf_counter() - self._began
        if self._kept is not None:
            whole, self._kept = b"".join(self._kept), None
            status, (_, _, body) = whole[9:12], whole.partition(_HEAD_END)
            if not self._is_good:
                self._fail(f"answered with {status.decode('latin-1')}: {body[-400:]!r}")
                return
            self._supply.found.samples.append(Exchange(self._request, body))
        self._supply.add(self._body_bytes, latency_seconds)
        self._ask()

    def _fail(self, reason: str) -> None:
        self._supply.failure = self._supply.failure or reason
        self._request = b""
        self._transport.close()


async def _load(port: int, supply: _Supply, connections: int) -> Round:
    loop = asyncio.get_running_loop()
    clients = [
        (await loop.create_connection(lambda: _LoadConnection(supply), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    waiting = [client.over for client in clients]
    try:
        async with asyncio.timeout(supply.seconds_left() + ROUND_SECONDS_GRACE):
            await asyncio.gather(*waiting)
    except TimeoutError as error:
        raise LoadFailed("the last answers did not come") from error
    found = supply.close()
    if supply.failure:
        raise LoadFailed(supply.failure)
    if not found.latencies:
        raise LoadFailed("nothing was answered")
    return found
