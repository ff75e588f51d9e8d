"""A process that judges messages one after the other, and is started again when it is lost.

The process is our own child at the other end of a socket pair. It holds no key and no log; it makes
pure decisions. What it was judging when it was lost is known from memory that both share.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from bus.core.decision import Decision, Refused
from bus.core.errors import BusError, HubInternal, JudgingUnavailable, TooCostly
from bus.core.pipeline import Rules
from bus.judging.frame_content import decision_of, decisions_from_bytes, task_of, tasks_to_bytes
from bus.judging.frames import Board, FrameProtocol, framed, make_board
from bus.judging.serving import rules_to_bytes
from bus.runtime.daemon_threads import run_aside

HAND_OVER_TASKS = 16
"""So many requests are sent before a turn of the loop is done, so that the process begins."""
START_SECONDS_MAX = 30
"""How long a process may take to compile its rules."""
CHECK_SECONDS = 1.0
"""How often a process that has work is looked at."""
STANDING_CHECKS_MAX = 20
"""A process that has work, and at so many looks in turn had begun nothing, said nothing and used no
processor time, stands still."""
RESTART_SECONDS = 0.25
"""After a loss, a process is started again after so long; after each further one, twice as long."""
RESTART_SECONDS_MAX = 60
STEADY_SECONDS = 60
"""A process that worked for so long counts as the first one again."""
DEATHS_MAX = 2
"""A message whose judge was killed so often while it was judged is refused."""
STOP_SECONDS_MAX = 5
_SOCKET_BUFFER_BYTES = 1024 * 1024

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class LaneBounds:
    """What a lane takes."""

    name: str
    processor_seconds_max: float
    """What a message may cost before its process is ended."""
    waiting_max: int
    waiting_bytes_max: int
    """Requests that the lane has, and their bytes."""
    sent_max: int
    sent_bytes_max: int
    """Of these, so many are on their way to the process, and so many bytes; always one at least."""
    idle_seconds_max: float | None = None
    """None: the process lives as long as the hub. Else it is started when a message comes, and
    ended when none came for so long."""


class LaneState(StrEnum):
    """What is with a lane's process."""

    ABSENT = "absent"
    """None is there; the next message starts one."""
    STARTING = "starting"
    WORKING = "working"
    RESTING = "resting"
    """It was lost, and is started again in a while."""
    CLOSED = "closed"


class Loss(StrEnum):
    """Why a process is given up."""

    ENDED = "it ended"
    TOO_LONG = "a message took too much processor time"
    STANDS_STILL = "it stands still"
    BROKEN_FRAME = "what it sent has not its form"
    OTHER_RULES = "it judges by other rules"
    NOT_STARTED = "it did not start"


@dataclass(slots=True)
class _Waiting:
    """A request that the lane has, and who waits for it."""

    raw: bytes = field(repr=False)
    now: datetime
    decision: asyncio.Future[Decision]
    deaths: int = 0
    """How many processes were killed while they judged it."""


@dataclass(slots=True, eq=False)
class _Process:
    """A process and the ways to it, as far as it came."""

    popen: subprocess.Popen[bytes] | None = None
    board: Board | None = None
    transport: asyncio.Transport | None = None
    is_awaited_no_more: asyncio.Event = field(default_factory=asyncio.Event)
    """It has said its first word, or was given up."""
    ready_at: float | None = None
    """When it had; None: it is not ready."""

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


DecideHere = Callable[[bytes, datetime], "asyncio.Future[Decision] | None"]
"""Has the hub judge a request by itself; None: it does not."""


class Lane:
    """Judges requests in a process. Owns the process; used from one event loop."""

    def __init__(
        self,
        bounds: LaneBounds,
        rules: Rules,
        report: Callable[[Exception], None],
        decide_here: DecideHere,
    ) -> None:
        """`decide_here` takes what the process had when it was lost, where the hub can."""
        self.bounds = bounds
        self._rules = rules
        self._report = report
        self._decide_here = decide_here
        self._module = ""
        self._texts: tuple[bytes, ...] = ()
        self.state = LaneState.ABSENT
        self._process: _Process | None = None
        self._queue: deque[_Waiting] = deque()
        """What is still to be sent."""
        self._sent: dict[int, _Waiting] = {}
        """What the process has, by number, in order."""
        self._sent_bytes = 0
        self._has_suspect = False
        """The process has a message alone that another process was lost with."""
        self._bytes = 0
        """Of all that waits."""
        self._number = 0
        self._will_hand_over = False
        self._check: asyncio.TimerHandle | None = None
        self._standing = 0
        self._last_mark: object = None
        self._idle: asyncio.TimerHandle | None = None
        self._failures = 0
        """Losses in turn, none of which worked for a while."""
        self._tasks: set[asyncio.Task[Any]] = set()
        """Start a process, or start it again, or wait for its end."""
        self.judged = 0
        """Decisions that its processes have made."""
        self.lost = 0
        """Processes that were lost."""
        self.refused = 0
        """Messages that were refused because of what judging them did to the process."""

    # --- what others ask ---------------------------------------------------------------------

    @property
    def process_id(self) -> int | None:
        """Of the process; None while there is none to be asked."""
        process = self._process if self.state is LaneState.WORKING else None
        return process.popen.pid if process is not None and process.popen is not None else None

    @property
    def waiting(self) -> int:
        """Requests that wait for a decision."""
        return len(self._queue) + len(self._sent)

    @property
    def waiting_bytes(self) -> int:
        """Their bytes."""
        return self._bytes

    def has_room(self, byte_count: int) -> bool:
        """Whether the lane takes one more message, of so many bytes, now."""
        if self.state is not LaneState.WORKING:
            is_coming = self.state in (LaneState.ABSENT, LaneState.STARTING)
            if not (is_coming and self._is_on_demand):
                return False
        if not self.waiting:
            return True  # of any size that the hub takes
        is_few = len(self._queue) + len(self._sent) < self.bounds.waiting_max
        return is_few and self._bytes + byte_count <= self.bounds.waiting_bytes_max

    def progress(self) -> object:
        """Changes while the process does anything: begins, decides, uses its processor."""
        process = self._process
        if process is None or process.board is None or process.popen is None:
            return None
        return process.board.begun, self.judged, _processor_ticks(process.popen.pid)

    async def start(self, module: str, texts: tuple[bytes, ...]) -> None:
        """Know what to run, `python -m module`, and by which rules; run it, if it is to live as
        long as the hub. When this returns it works, or was lost and is started again in a while.
        """
        self._module, self._texts = module, texts
        if not self._is_on_demand:
            await self._start()

    def decide(self, raw: bytes, now: datetime) -> asyncio.Future[Decision]:
        """The decision about a request; ask `has_room` before."""
        loop = asyncio.get_running_loop()
        decision: asyncio.Future[Decision] = loop.create_future()
        self._queue.append(_Waiting(raw, now, decision))
        self._bytes += len(raw)
        if self.state is LaneState.ABSENT:
            self.state = LaneState.STARTING
            self._begin(self._start())
        elif not self._will_hand_over:
            self._will_hand_over = True
            loop.call_soon(self._hand_over)
        elif len(self._queue) >= HAND_OVER_TASKS:
            self._hand_over()
        return decision

    async def close(self) -> None:
        """End the process: its input ends, and so does it. What waits is refused."""
        self.state = LaneState.CLOSED
        process, self._process = self._process, None
        is_at_work = bool(self._sent)
        self._stop_timers()
        for task in self._tasks:
            task.cancel()
        self._refuse_all("the hub is closing")
        if process is not None:
            if process.transport is not None:
                process.transport.close()
            # Nobody waits any more for what it judges, which may take for ever.
            await run_aside(process.kill if is_at_work else process.wait, "judge-end")
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- to and from the process --------------------------------------------------------------

    def _hand_over(self) -> None:
        """Send what waits, as far as the process may have it, as one frame."""
        self._will_hand_over = False
        process = self._process
        if self.state is not LaneState.WORKING or process is None or process.transport is None:
            return
        tasks = []
        queue, sent, bounds = self._queue, self._sent, self.bounds
        while queue and not self._has_suspect:
            size = len(queue[0].raw)
            is_full = len(sent) >= bounds.sent_max
            if sent and (is_full or self._sent_bytes + size > bounds.sent_bytes_max):
                break
            if queue[0].deaths:
                # Judged with no other near it: it will be known whether it was the reason.
                if sent:
                    break
                self._has_suspect = True
            waiting = queue.popleft()
            self._number += 1
            sent[self._number] = waiting
            self._sent_bytes += size
            tasks.append(task_of(self._number, waiting.raw, waiting.now))
        if not tasks:
            return
        process.transport.write(framed(tasks_to_bytes(tasks)))
        if self._check is None:
            self._standing, self._last_mark = 0, None
            self._check = asyncio.get_running_loop().call_later(CHECK_SECONDS, self._look)

    def _take(self, process: _Process, content: memoryview) -> None:
        if process is not self._process:
            return
        try:
            digest, decided = decisions_from_bytes(content)
        except Exception as error:  # whatever a broken process sends
            self._report(error)
            self._lose(process, Loss.BROKEN_FRAME)
            return
        if digest != self._rules.digest:
            # Never used: the log would name rules that did not make the decision.
            self._lose(process, Loss.OTHER_RULES)
            return
        process.is_awaited_no_more.set()
        for number, encoded in decided:
            waiting = self._sent.pop(number, None)
            if waiting is None:
                continue
            self._sent_bytes -= len(waiting.raw)
            self._bytes -= len(waiting.raw)
            self.judged += 1
            if not waiting.decision.done():
                waiting.decision.set_result(self._decision(encoded))
        if not self._sent:
            self._has_suspect = False
        if self._queue:
            self._hand_over()

    def _decision(self, encoded: bytes) -> Decision:
        try:
            return decision_of(encoded, self._rules)
        except Exception as error:  # a mistake of ours: nobody waits for ever because of it
            self._report(error)
            return Refused(HubInternal(type(error).__name__))

    def _look(self) -> None:
        """See whether the process goes on, as long as it has work."""
        self._check = None
        process = self._process
        if process is None or not self._sent:
            self._wait_idle()
            return
        mark = self.progress()
        # Looks are counted, not seconds: a hub that was itself stopped must not blame its process.
        self._standing = self._standing + 1 if mark == self._last_mark else 0
        self._last_mark = mark
        if self._standing >= STANDING_CHECKS_MAX:
            self._lose(process, Loss.STANDS_STILL)
            return
        self._check = asyncio.get_running_loop().call_later(CHECK_SECONDS, self._look)

    # --- starting, and losing --------------------------------------------------------------------

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _start(self) -> None:
        """Start the process; when this returns it works, or is started again in a while."""
        self.state = LaneState.STARTING
        process = _Process()
        self._process = process
        try:
            await self._spawn(process)
            async with asyncio.timeout(START_SECONDS_MAX):
                await process.is_awaited_no_more.wait()
        except TimeoutError:
            self._lose(process, Loss.NOT_STARTED)
        except OSError as error:  # no memory, no descriptors, no processes
            self._report(error)
            self._lose(process, Loss.NOT_STARTED)
        if self._process is not process or process.popen is None:
            return  # lost, and what comes next is on its way
        process.ready_at = time.monotonic()
        self.state = LaneState.WORKING
        _log.info("judge.started", lane=self.bounds.name, process_id=process.popen.pid)
        self._hand_over()
        self._wait_idle()

    async def _spawn(self, process: _Process) -> None:
        """Raises OSError."""
        ours, theirs = socket.socketpair()
        with contextlib.ExitStack() as at_failure, theirs:
            at_failure.callback(ours.close)
            for end in (ours, theirs):
                for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                    end.setsockopt(socket.SOL_SOCKET, option, _SOCKET_BUFFER_BYTES)
            process.popen = await run_aside(partial(self._run, process, theirs), "judge-start")
            at_failure.pop_all()
        ours.setblocking(False)  # noqa: FBT003 - the socket's own interface
        protocol = FrameProtocol(
            partial(self._take, process),
            when_broken=partial(self._lose, process, Loss.BROKEN_FRAME),
            when_ended=partial(self._lose, process, Loss.ENDED),
        )
        loop = asyncio.get_running_loop()
        process.transport, _ = await loop.create_connection(lambda: protocol, sock=ours)
        process.transport.write(framed(rules_to_bytes(self._rules, self._texts)))

    def _run(self, process: _Process, connection: socket.socket) -> subprocess.Popen[bytes]:
        board_fd = make_board()
        try:
            process.board = Board(board_fd)
            seconds = str(self.bounds.processor_seconds_max)
            command = [sys.executable, "-m", self._module, str(board_fd), seconds]
            return subprocess.Popen(  # noqa: S603 - our own
                command, stdin=connection.fileno(), pass_fds=[board_fd]
            )
        finally:
            os.close(board_fd)

    def _lose(self, process: _Process, loss: Loss) -> None:
        """Give a process up: nothing that it says counts from here on."""
        if process is not self._process:
            return
        self._process = None
        was_ready = process.ready_at is not None
        self.state = LaneState.RESTING
        self._stop_timers()
        if process.transport is not None:
            process.transport.abort()
        process.is_awaited_no_more.set()
        self._begin(self._go_on(process, loss if was_ready else Loss.NOT_STARTED))

    async def _go_on(self, process: _Process, loss: Loss) -> None:
        """Settle what the process had, and start another in a while."""
        begun = process.board.begun if process.board is not None else 0
        code = await run_aside(process.kill, "judge-end")
        if loss is Loss.ENDED and code == -signal.SIGPROF:
            loss = Loss.TOO_LONG
        waiting, refused = self.waiting, self.refused
        self._settle(begun, loss)
        seconds = self._seconds_to_rest(process, loss)
        self.lost += 1
        _log.error(
            "judge.lost",
            lane=self.bounds.name,
            reason=loss.value,
            exit_code=code,
            waiting=waiting,
            refused=self.refused - refused,
            next_start_seconds=seconds,
        )
        await asyncio.sleep(seconds)
        if self._is_on_demand and not self._queue:
            self.state = LaneState.ABSENT
        else:
            await self._start()

    def _seconds_to_rest(self, process: _Process, loss: Loss) -> float:
        if loss is Loss.TOO_LONG:
            return RESTART_SECONDS  # the message was to blame, and it was refused
        is_steady = (
            process.ready_at is not None and time.monotonic() - process.ready_at > STEADY_SECONDS
        )
        self._failures = 1 if is_steady else self._failures + 1
        return min(RESTART_SECONDS * 2.0 ** (self._failures - 1), RESTART_SECONDS_MAX)

    def _settle(self, begun: int, loss: Loss) -> None:
        """Decide about everything that waits, when a process was lost."""
        sent, self._sent, self._sent_bytes = self._sent, {}, 0
        self._has_suspect = False
        if loss is Loss.NOT_STARTED:
            self._queue.extendleft(reversed(sent.values()))
            self._refuse_all("the judging process does not start")
            return
        kept: list[_Waiting] = []
        for number, waiting in sent.items():
            error = _refusal_of(waiting, loss, is_begun=number == begun, is_done=number <= begun)
            if error is None:
                kept.append(waiting)
                continue
            self.refused += 1
            self._refuse(waiting, error)
        # A message that was begun is not judged by the hub itself: it may be the reason.
        waiting_on = [*kept, *self._queue]
        self._queue.clear()
        for waiting in waiting_on:
            here = None if waiting.deaths else self._decide_here(waiting.raw, waiting.now)
            if here is None:
                self._queue.append(waiting)
            else:
                self._bytes -= len(waiting.raw)
                here.add_done_callback(partial(_hand_on, waiting.decision))

    def _refuse_all(self, why: str) -> None:
        waiting = [*self._sent.values(), *self._queue]
        self._sent, self._sent_bytes = {}, 0
        self._queue.clear()
        for one in waiting:
            self._refuse(one, JudgingUnavailable(why))

    def _refuse(self, waiting: _Waiting, error: BusError) -> None:
        self._bytes -= len(waiting.raw)
        if not waiting.decision.done():
            waiting.decision.set_result(Refused(error))

    # --- a process that is not needed all the time ---------------------------------------------

    @property
    def _is_on_demand(self) -> bool:
        return self.bounds.idle_seconds_max is not None

    def _wait_idle(self) -> None:
        seconds = self.bounds.idle_seconds_max
        if seconds is not None and self._idle is None and self._process is not None:
            loop = asyncio.get_running_loop()
            self._idle = loop.call_later(seconds, self._end_idle, self._number)

    def _end_idle(self, number: int) -> None:
        """End the process if nothing came since the message of this number."""
        self._idle = None
        process = self._process
        if process is None or self.waiting or number != self._number:
            self._wait_idle()
            return
        self._process, self.state = None, LaneState.ABSENT
        self._stop_timers()
        _log.info("judge.rests", lane=self.bounds.name)
        self._begin(_end(process))

    def _stop_timers(self) -> None:
        for timer in (self._check, self._idle):
            if timer is not None:
                timer.cancel()
        self._check = self._idle = None


async def _end(process: _Process) -> None:
    await run_aside(process.wait, "judge-end")


def _refusal_of(waiting: _Waiting, loss: Loss, *, is_begun: bool, is_done: bool) -> BusError | None:
    """Why a message that a lost process had is refused; None: it is judged by another.

    Messages are judged in order: those before the begun one are done, and only not told.
    """
    if is_begun and loss is Loss.TOO_LONG:
        return TooCostly(loss.value)
    if is_begun and loss is Loss.STANDS_STILL:
        # It used no processor: the machine may be at fault, or who stopped the process.
        return JudgingUnavailable(loss.value)
    if (is_begun and loss is Loss.ENDED) or (is_done and loss is Loss.BROKEN_FRAME):
        waiting.deaths += 1
    if waiting.deaths >= DEATHS_MAX:
        return TooCostly(f"{waiting.deaths} processes were lost while they judged it")
    return None


def _hand_on(decision: asyncio.Future[Decision], judged: asyncio.Future[Decision]) -> None:
    if decision.done():
        return
    if judged.cancelled() or judged.exception() is not None:
        decision.set_result(Refused(JudgingUnavailable("the hub is closing")))
    else:
        decision.set_result(judged.result())


def _processor_ticks(process_id: int) -> object:
    """Processor time that a process has used, in the system's ticks; None: the system does not say.

    Source: proc(5), fields utime and stime.
    """
    try:
        stat = Path(f"/proc/{process_id}/stat").read_bytes()
    except OSError:
        return None
    return stat.rpartition(b")")[2].split()[11:13]
