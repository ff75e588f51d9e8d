"""An event loop without a world: its time is virtual, its order comes from a seed, and whoever runs
on it can be killed at any step.

Callbacks that are ready run in random order, as nothing but luck orders what a real loop hears of;
a task's own steps keep theirs. Time stands still while anything is ready, and then goes to the next
timer. Whatever runs in a thread runs here, as a step of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import heapq
import random
from collections.abc import Callable, Coroutine, Generator, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar, TypeVarTuple

from bus.runtime.daemon_threads import DaemonThreads

Result = TypeVar("Result")
Args = TypeVarTuple("Args")
STEPS_MAX = 400_000
"""More steps than any simulation takes that comes to an end."""
LATENCY_SECONDS_MAX = 0.02
"""Of whatever a thread does, at most, in virtual time."""


class LoopStuckError(AssertionError):
    """Nothing is ready, no timer runs, and what is waited for has not come."""


class Life:
    """Who runs: everything that is started in its context dies with it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_dead = False


_LIFE: contextvars.ContextVar[Life | None] = contextvars.ContextVar("life", default=None)
_Owned = tuple[asyncio.Handle, Life | None]
"""What is to be called, and with whom it dies."""


class SimulatedLoop(asyncio.BaseEventLoop):
    """Runs until its first task is done. The same seed gives the same run."""

    def __init__(self, luck: random.Random) -> None:
        self._luck = luck
        self._now = 0.0
        self._has_ended = False
        self._due: list[_Owned] = []
        self._timers: list[tuple[float, int, _Owned]] = []
        self._timer_count = 0
        self._tasks: list[asyncio.Task[Any]] = []
        """All that were ever made: a dead one is not to be collected in the middle of a run."""
        self._errors: list[str] = []
        self.steps = 0
        super().__init__()
        self._due.clear()  # whether it is in debug mode is said here, and is nobody's business

    # --- running -------------------------------------------------------------------------------

    def run(self, main: Coroutine[Any, Any, Result]) -> Result:
        """What `main` gives. Raises LoopStuckError, and whatever `main` raises."""
        asyncio.set_event_loop(self)
        asyncio._set_running_loop(self)
        try:
            task = self.create_task(main)
            while not task.done():
                self._step()
            return task.result()
        finally:
            self._bury()
            self._has_ended = True
            asyncio._set_running_loop(None)
            asyncio.set_event_loop(None)

    def _step(self) -> None:
        self.steps += 1
        if self.steps > STEPS_MAX:
            raise LoopStuckError(f"no end after {STEPS_MAX} steps, at {self._now:.1f} s")
        self._release_timers()
        while not self._due:
            if not self._timers:
                raise LoopStuckError(f"nothing is left to be done, at {self._now:.1f} s")
            self._now = max(self._now, self._timers[0][0])
            self._release_timers()
        at = self._luck.randrange(len(self._due))
        handle, life = self._due[at]
        self._due[at] = self._due[-1]
        self._due.pop()
        if not handle.cancelled() and (life is None or not life.is_dead):
            handle._run()

    def _release_timers(self) -> None:
        while self._timers and self._timers[0][0] <= self._now:
            _, _, owned = heapq.heappop(self._timers)
            if not owned[0].cancelled():
                self._due.append(owned)

    def _bury(self) -> None:
        """End what is left of the dead: nothing of it may be told to whoever runs next."""
        for task in self._tasks:
            if not task.done():
                vars_of: Any = task
                vars_of._log_destroy_pending = False
                coroutine = task.get_coro()
                assert coroutine is not None
                # It may want to wait for something while it ends.
                with contextlib.suppress(RuntimeError, AssertionError):
                    coroutine.close()
            elif not task.cancelled():
                task.exception()  # somebody has looked
        self._due.clear()
        self._timers.clear()

    # --- lives ---------------------------------------------------------------------------------

    def start(self, life: Life, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        """Run something as part of a life."""
        context = contextvars.copy_context()
        context.run(_LIFE.set, life)
        return self.create_task(work, context=context)

    # --- what asyncio asks of a loop -----------------------------------------------------------

    def time(self) -> float:
        return self._now

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return self._has_ended

    def get_debug(self) -> bool:
        return False

    def call_soon(
        self,
        callback: Callable[[*Args], object],
        *args: *Args,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._due.append((handle, _life_in(context)))
        return handle

    call_soon_threadsafe = call_soon

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Args], object],
        *args: *Args,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Args], object],
        *args: *Args,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._timer_count += 1
        heapq.heappush(self._timers, (when, self._timer_count, (timer, _life_in(context))))
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It is dropped when its time comes."""

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Generator[Any, None, Result] | Coroutine[Any, Any, Result],
        *,
        name: object = None,
        context: contextvars.Context | None = None,
    ) -> asyncio.Task[Result]:
        assert isinstance(coro, Coroutine)
        task = asyncio.Task(coro, loop=self, name=str(name) if name else None, context=context)
        self._tasks.append(task)
        return task

    def run_in_executor(
        self, executor: object, func: Callable[..., Result], *args: object
    ) -> asyncio.Future[Result]:
        """Do it here, a moment later; what came of it is known another moment later."""
        future: asyncio.Future[Result] = self.create_future()
        self.call_later(self.moment(), self._do, future, func, args)
        return future

    def _do(
        self, future: asyncio.Future[Result], func: Callable[..., Result], args: Sequence[object]
    ) -> None:
        if future.cancelled():
            return
        try:
            result = func(*args)
        except Exception as error:
            self.call_later(self.moment(), _fail, future, error)
        else:
            self.call_later(self.moment(), _settle, future, result)

    def moment(self) -> float:
        """Seconds that something takes which is not at once; often none."""
        return self._luck.choice((0.0, 0.0, 0.001, self._luck.uniform(0, LATENCY_SECONDS_MAX)))

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self._errors.append(f"{context.get('message')}: {error!r}")

    @property
    def errors(self) -> Sequence[str]:
        """What nobody caught."""
        return self._errors


class SimulatedThreads(DaemonThreads):
    """Threads of an adapter: work is done as a step of the loop, and known a while later."""

    def __init__(self, loop: SimulatedLoop, seconds_of: Callable[[], tuple[float, float]]) -> None:
        """`seconds_of` says how long the next work takes, before its effect and after it."""
        super().__init__(1, "simulated")
        self._loop = loop
        self._seconds_of = seconds_of

    def submit(self, work: Callable[[], Result]) -> Future[Result]:
        future: Future[Result] = Future()
        before, after = self._seconds_of()
        self._loop.call_later(before, self._do, future, work, after)
        return future

    def _do(self, future: Future[Result], work: Callable[[], Result], after: float) -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = work()
        except Exception as error:
            self._loop.call_later(after, future.set_exception, error)
        else:
            self._loop.call_later(after, future.set_result, result)


def _life_in(context: contextvars.Context | None) -> Life | None:
    return _LIFE.get() if context is None else context.get(_LIFE)


def _settle(future: asyncio.Future[Result], result: Result) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
