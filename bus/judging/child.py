"""Start a process that judges, and end it: our own child at the other end of a socket pair."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bus.judging.frames import Board, FrameProtocol, make_board
from bus.runtime.daemon_threads import run_aside

STOP_SECONDS_MAX = 5
_SOCKET_BUFFER_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class JudgeEvents:
    """Who is told what comes from a process."""

    taken: Callable[[memoryview], None]
    """The content of a frame."""
    broken: Callable[[], None]
    """What it sends has not the form of frames."""
    ended: Callable[[], None]


@dataclass(slots=True, eq=False)
class JudgeChild:
    """A process and the ways to it, as far as it came."""

    popen: subprocess.Popen[bytes] | None = None
    board: Board | None = None
    transport: asyncio.Transport | None = None
    is_awaited_no_more: asyncio.Event = field(default_factory=asyncio.Event)
    """It has said its first word, or was given up."""
    ready_at: float | None = None
    """When it had; None: it is not ready."""

    async def start(self, module: str, processor_seconds: float, events: JudgeEvents) -> None:
        """Run `python -m module` and connect to it. Raises OSError."""
        ours, theirs = socket.socketpair()
        with contextlib.ExitStack() as at_failure, theirs:
            at_failure.callback(ours.close)
            for end in (ours, theirs):
                for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                    end.setsockopt(socket.SOL_SOCKET, option, _SOCKET_BUFFER_BYTES)
            run = partial(self._run, module, processor_seconds, theirs)
            self.popen = await run_aside(run, "judge-start")
            at_failure.pop_all()
        ours.setblocking(False)  # noqa: FBT003 - the socket's own interface
        protocol = FrameProtocol(events.taken, when_broken=events.broken, when_ended=events.ended)
        loop = asyncio.get_running_loop()
        self.transport, _ = await loop.create_connection(lambda: protocol, sock=ours)

    def _run(
        self, module: str, processor_seconds: float, connection: socket.socket
    ) -> subprocess.Popen[bytes]:
        board_fd = make_board()
        try:
            self.board = Board(board_fd)
            command = [sys.executable, "-m", module, str(board_fd), str(processor_seconds)]
            return subprocess.Popen(  # noqa: S603 - our own
                command, stdin=connection.fileno(), pass_fds=[board_fd]
            )
        finally:
            os.close(board_fd)

    def send(self, frame: bytes) -> None:
        """Send a frame; nothing, before it is connected."""
        if self.transport is not None:
            self.transport.write(frame)

    @property
    def begun(self) -> int:
        """The number of the message that it began last; 0: none."""
        return self.board.begun if self.board is not None else 0

    def used(self) -> object:
        """What changes while it does anything: what it began, the processor time that it used."""
        if self.board is None or self.popen is None:
            return None
        return self.board.begun, _processor_ticks(self.popen.pid)

    def kill(self) -> int | None:
        """End it at once; give its exit code, or None if the system keeps it."""
        if self.popen is None:
            return None
        self.popen.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.popen.wait(STOP_SECONDS_MAX)
        return None

    def wait(self) -> None:
        """Wait for its end, which the end of its input brings."""
        if self.popen is None:
            return
        try:
            self.popen.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.kill()


def _processor_ticks(process_id: int) -> object:
    """Processor time that a process has used, in the system's ticks; None: the system does not say.

    Source: proc(5), fields utime and stime.
    """
    try:
        stat = Path(f"/proc/{process_id}/stat").read_bytes()
    except OSError:
        return None
    return stat.rpartition(b")")[2].split()[11:13]
