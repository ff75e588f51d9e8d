"""Have requests judged in a process beside the hub, so that a second core verifies signatures.

The process is our own child at the other end of a socket pair. It holds no key and no log; it makes
pure decisions. When it is busy the hub judges by itself; when it is lost the hub judges everything
by itself and says so. Neither judges where it works: a thread is given up when it has read much.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import Any

import structlog

from bus.core.pipeline import Rules
from bus.edge.renewed_threads import READ_BYTES_MAX, RenewedThreads
from bus.protocols.soap_xroad.judging import (
    Decision,
    Task,
    decision_of,
    decisions_from_bytes,
    decisions_to_bytes,
    judge_request,
    task_of,
    tasks_from_bytes,
    tasks_to_bytes,
)
from signing.attachments import Attachment

LENGTH = struct.Struct(">I")
"""Before each frame: the length of its content in bytes."""
WAITING_MAX = 512
"""Requests that may wait for the process; the next one is judged by the hub itself."""
HAND_OVER_TASKS = 16
"""So many requests are sent before a turn of the loop is done, so that the process begins."""
DECISIONS_TOGETHER = 16
"""So many decisions at most come back in one frame."""
START_SECONDS_MAX = 30
"""How long the process may take to read its rules."""
JUDGE_SECONDS_MAX = 20
"""A process that takes longer over a request counts as lost."""
STOP_SECONDS_MAX = 5
_SOCKET_BUFFER_BYTES = 1024 * 1024

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A request that the process has, and who waits for it."""

    raw: bytes = field(repr=False)
    now: datetime
    decision: asyncio.Future[Decision]


class Judges:
    """Judges requests here and, if it was started, in a process beside.

    Owns the process; used from one event loop.
    """

    def __init__(self, rules: Rules, report: Callable[[Exception], None]) -> None:
        self._rules = rules
        self._report = report
        self._process: subprocess.Popen[bytes] | None = None
        self._transport: asyncio.Transport | None = None
        self._waiting: dict[int, _Waiting] = {}
        self._gathered: list[Task] = []
        self._number = 0
        # What is judged in this process is judged beside the event loop, one after the other.
        # Messages with attachments always are: of these, much is read that a signature covers.
        self._threads = RenewedThreads(1, "judge")
        self._rules_beside: Rules | None = None
        """The same rules for that work, which owns them: a trust store serves one thread."""
        self._is_ready = asyncio.Event()
        """Set when the process has said its first word, or is lost."""
        self.judged_beside = 0
        """Decisions that the process beside has made."""

    @property
    def process_id(self) -> int | None:
        """Of the process beside; None while there is none to be asked."""
        return self._process.pid if self._process and self._transport else None

    @property
    def was_started(self) -> bool:
        """There was a process beside, whether it still works or not."""
        return self._process is not None

    async def start(self, module: str, settings_file: Path) -> None:
        """Start `python -m module settings_file` as the process beside; it is ready then."""
        ours, theirs = socket.socketpair()
        with theirs:
            for end in (ours, theirs):
                for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                    end.setsockopt(socket.SOL_SOCKET, option, _SOCKET_BUFFER_BYTES)
            command = [sys.executable, "-m", module, str(settings_file)]
            self._process = subprocess.Popen(command, stdin=theirs.fileno())  # noqa: S603 - our own
        ours.setblocking(False)  # noqa: FBT003 - the socket's own interface
        loop = asyncio.get_running_loop()
        connection = _Connection(self._take_decisions, self._lose)
        transport, _ = await loop.create_connection(lambda: connection, sock=ours)
        self._transport = transport
        try:
            async with asyncio.timeout(START_SECONDS_MAX):
                await self._is_ready.wait()
        except TimeoutError:
            self._lose()

    async def judge(
        self, raw: bytes, now: datetime, attachments: tuple[Attachment, ...] = ()
    ) -> Decision:
        """The decision about a request. For any bytes: a decision."""
        if attachments or self._transport is None or len(self._waiting) >= WAITING_MAX:
            return await self._judge_here(raw, now, attachments)
        self._number += 1
        loop = asyncio.get_running_loop()
        decision: asyncio.Future[Decision] = loop.create_future()
        self._waiting[self._number] = _Waiting(raw, now, decision)
        if not self._gathered:
            loop.call_soon(self._hand_over)
        self._gathered.append(task_of(self._number, raw, now))
        if len(self._gathered) >= HAND_OVER_TASKS:
            self._hand_over()
        return await decision

    def _judge_here(
        self, raw: bytes, now: datetime, attachments: tuple[Attachment, ...] = ()
    ) -> asyncio.Future[Decision]:
        work = partial(self._judge_beside, raw, now, attachments)
        return asyncio.wrap_future(self._threads.read(len(raw), work))

    def _judge_beside(
        self, raw: bytes, now: datetime, attachments: tuple[Attachment, ...]
    ) -> Decision:
        if self._rules_beside is None:
            trust = self._rules.trust.for_another_thread()
            self._rules_beside = replace(self._rules, trust=trust)
        return judge_request(raw, self._rules_beside, now, self._report, attachments)

    def _hand_over(self) -> None:
        """Send what one turn of the event loop brought, as one frame."""
        tasks, self._gathered = self._gathered, []
        if self._transport is None or not tasks:
            return
        content = tasks_to_bytes(tasks)
        self._transport.write(LENGTH.pack(len(content)) + content)
        last = tasks[-1][0]
        asyncio.get_running_loop().call_later(JUDGE_SECONDS_MAX, self._check_alive, last)

    def _take_decisions(self, content: bytes) -> None:
        self._is_ready.set()
        for number, plain in decisions_from_bytes(content):
            waiting = self._waiting.pop(number, None)
            if waiting is not None and not waiting.decision.done():
                self.judged_beside += 1
                waiting.decision.set_result(decision_of(plain, waiting.raw, self._rules))

    def _check_alive(self, number: int) -> None:
        if number in self._waiting:
            self._lose()

    def _lose(self) -> None:
        """Go on without the process: judge here what it had, and everything from now on."""
        if self._transport is None:
            return
        transport, self._transport = self._transport, None
        transport.abort()
        self._is_ready.set()
        if self._process is not None:
            self._process.kill()
            _log.error("judge.lost", waiting=len(self._waiting))
        waiting, self._waiting = self._waiting, {}
        for one in waiting.values():
            if not one.decision.done():
                judged = self._judge_here(one.raw, one.now)
                judged.add_done_callback(partial(_hand_on, one.decision))

    async def close(self) -> None:
        """End the process: its input ends, and so does it."""
        self._threads.shutdown(wait=False, cancel=True)
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()
        if self._process is not None:
            await asyncio.to_thread(_end, self._process)


def _hand_on(decision: asyncio.Future[Decision], judged: asyncio.Future[Decision]) -> None:
    if judged.cancelled():
        decision.cancel()
    elif not decision.done():
        decision.set_result(judged.result())


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class _Connection(asyncio.Protocol):
    """Cuts what arrives into frames."""

    def __init__(self, take: Callable[[bytes], None], lose: Callable[[], None]) -> None:
        self._take = take
        self._lose = lose
        self._buffer = bytearray()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= LENGTH.size:
            (length,) = LENGTH.unpack_from(self._buffer)
            end = LENGTH.size + length
            if len(self._buffer) < end:
                return
            content = bytes(self._buffer[LENGTH.size : end])
            del self._buffer[:end]
            self._take(content)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose()


def serve_decisions(
    connection: socket.socket, judge: Callable[[bytes, datetime], Decision]
) -> None:
    """The process's own loop: decide about each frame's requests until the input ends.

    `judge` gives a decision for a request's bytes and its policy time.
    """
    _send(connection, [])  # the first word: ready
    with connection.makefile("rb") as requests:
        is_more = True
        while is_more:
            with ThreadPoolExecutor(1) as thread:
                is_more = thread.submit(_serve_a_while, requests, connection, judge).result()


def _serve_a_while(
    requests: BufferedReader,
    connection: socket.socket,
    judge: Callable[[bytes, datetime], Decision],
) -> bool:
    """Serve until a thread has read enough (see `bus.edge.renewed_threads`); false: input ended."""
    read_bytes = 0
    while read_bytes < READ_BYTES_MAX:
        if len(head := requests.read(LENGTH.size)) < LENGTH.size:
            return False
        content = requests.read(LENGTH.unpack(head)[0])
        for some in _in_parts(tasks_from_bytes(content)):
            decided = [(number, judge(raw, now)) for number, now, raw in some]
            _send(connection, decided)
            # All of it, also of what passed: names may stand where no schema looks.
            read_bytes += sum(len(raw) for _, _, raw in some)
    return True


def _send(connection: socket.socket, decided: list[tuple[int, Decision]]) -> None:
    content = decisions_to_bytes(decided)
    connection.sendall(LENGTH.pack(len(content)) + content)


def _in_parts(tasks: list[Any]) -> list[list[Any]]:
    """Some at a time: the hub can go on with the first while the last are judged."""
    return [
        tasks[first : first + DECISIONS_TOGETHER]
        for first in range(0, len(tasks), DECISIONS_TOGETHER)
    ]
