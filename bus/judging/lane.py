"""A process that judges messages one after the other, and is started again when it is lost.

The process is our own child at the other end of a socket pair. It holds no key and no log; it makes
pure decisions. What it was judging when it was lost is known from memory that both share.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Coroutine
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any

import structlog

from bus.core.decision import Decision, Refused
from bus.core.errors import HubInternal
from bus.core.pipeline import Rules
from bus.judging.child import JudgeChild, JudgeEvents
from bus.judging.frame_content import decision_of, decisions_from_bytes
from bus.judging.frames import framed
from bus.judging.lane_queue import DecideHere, LaneBounds, LaneQueue, Loss
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

_log = structlog.get_logger()


class LaneState(StrEnum):
    """What is with a lane's process."""

    ABSENT = "absent"
    """None is there; the next message starts one."""
    STARTING = "starting"
    WORKING = "working"
    RESTING = "resting"
    """It was lost, and is started again in a while."""
    CLOSED = "closed"


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
        self._module = ""
        self._texts: tuple[bytes, ...] = ()
        self.state = LaneState.ABSENT
        self._process: JudgeChild | None = None
        self._requests = LaneQueue(bounds, decide_here)
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

    # --- what others ask ---------------------------------------------------------------------

    @property
    def process_id(self) -> int | None:
        """Of the process; None while there is none to be asked."""
        process = self._process if self.state is LaneState.WORKING else None
        return process.popen.pid if process is not None and process.popen is not None else None

    @property
    def waiting(self) -> int:
        """Requests that wait for a decision."""
        return len(self._requests)

    @property
    def waiting_bytes(self) -> int:
        """Their bytes."""
        return self._requests.bytes_count

    @property
    def refused(self) -> int:
        """Messages that were refused because of what judging them did to the process."""
        return self._requests.refused

    def has_room(self, byte_count: int) -> bool:
        """Whether the lane takes one more message, of so many bytes, now."""
        if self.state is not LaneState.WORKING:
            is_coming = self.state in (LaneState.ABSENT, LaneState.STARTING)
            if not (is_coming and self._is_on_demand):
                return False
        return self._requests.has_room(byte_count)

    def progress(self) -> object:
        """Changes while the process does anything: begins, decides, uses its processor."""
        used = self._process.used() if self._process is not None else None
        return None if used is None else (used, self.judged)

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
        decision = self._requests.put(raw, now)
        if self.state is LaneState.ABSENT:
            self.state = LaneState.STARTING
            self._begin(self._start())
        elif not self._will_hand_over:
            self._will_hand_over = True
            loop.call_soon(self._hand_over)
        elif self._requests.unsent >= HAND_OVER_TASKS:
            self._hand_over()
        return decision

    async def close(self) -> None:
        """End the process: its input ends, and so does it. What waits is refused."""
        self.state = LaneState.CLOSED
        process, self._process = self._process, None
        is_at_work = self._requests.is_sent
        self._stop_timers()
        for task in self._tasks:
            task.cancel()
        self._requests.refuse_all("the hub is closing")
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
        content = self._requests.next_frame()
        if not content:
            return
        process.send(framed(content))
        if self._check is None:
            self._standing, self._last_mark = 0, None
            self._check = asyncio.get_running_loop().call_later(CHECK_SECONDS, self._look)

    def _take(self, process: JudgeChild, content: memoryview) -> None:
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
            waiting = self._requests.decided(number)
            if waiting is None:
                continue
            self.judged += 1
            if not waiting.decision.done():
                waiting.decision.set_result(self._decision(encoded))
        if self._requests.unsent:
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
        if process is None or not self._requests.is_sent:
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
        process = JudgeChild()
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

    async def _spawn(self, process: JudgeChild) -> None:
        """Raises OSError."""
        events = JudgeEvents(
            taken=partial(self._take, process),
            broken=partial(self._lose, process, Loss.BROKEN_FRAME),
            ended=partial(self._lose, process, Loss.ENDED),
        )
        await process.start(self._module, self.bounds.processor_seconds_max, events)
        process.send(framed(rules_to_bytes(self._rules, self._texts)))

    def _lose(self, process: JudgeChild, loss: Loss) -> None:
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

    async def _go_on(self, process: JudgeChild, loss: Loss) -> None:
        """Settle what the process had, and start another in a while."""
        begun = process.begun
        code = await run_aside(process.kill, "judge-end")
        if loss is Loss.ENDED and code == -signal.SIGPROF:
            loss = Loss.TOO_LONG
        waiting, refused = self.waiting, self.refused
        self._requests.settle(begun, loss)
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
        if self._is_on_demand and not self._requests.unsent:
            self.state = LaneState.ABSENT
        else:
            await self._start()

    def _seconds_to_rest(self, process: JudgeChild, loss: Loss) -> float:
        if loss is Loss.TOO_LONG:
            return RESTART_SECONDS  # the message was to blame, and it was refused
        is_steady = (
            process.ready_at is not None and time.monotonic() - process.ready_at > STEADY_SECONDS
        )
        self._failures = 1 if is_steady else self._failures + 1
        return min(RESTART_SECONDS * 2.0 ** (self._failures - 1), RESTART_SECONDS_MAX)

    # --- a process that is not needed all the time ---------------------------------------------

    @property
    def _is_on_demand(self) -> bool:
        return self.bounds.idle_seconds_max is not None

    def _wait_idle(self) -> None:
        seconds = self.bounds.idle_seconds_max
        if seconds is not None and self._idle is None and self._process is not None:
            loop = asyncio.get_running_loop()
            self._idle = loop.call_later(seconds, self._end_idle, self._requests.number)

    def _end_idle(self, number: int) -> None:
        """End the process if nothing came since the message of this number."""
        self._idle = None
        process = self._process
        if process is None or self.waiting or number != self._requests.number:
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


async def _end(process: JudgeChild) -> None:
    await run_aside(process.wait, "judge-end")
