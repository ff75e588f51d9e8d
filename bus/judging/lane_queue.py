"""Keep the requests of a lane: what waits, what its process has, what a loss of it decides."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import partial

from bus.core.decision import Decision, Refused
from bus.core.errors import BusError, JudgingUnavailable, TooCostly
from bus.judging.frame_content import task_of, tasks_to_bytes

DEATHS_MAX = 2
"""A message whose judge was killed so often while it was judged is refused."""


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


class Loss(StrEnum):
    """Why a process is given up."""

    ENDED = "it ended"
    TOO_LONG = "a message took too much processor time"
    STANDS_STILL = "it stands still"
    BROKEN_FRAME = "what it sent has not its form"
    OTHER_RULES = "it judges by other rules"
    NOT_STARTED = "it did not start"


@dataclass(slots=True)
class WaitingRequest:
    """A request that a lane has, and who waits for it."""

    raw: bytes = field(repr=False)
    now: datetime
    decision: asyncio.Future[Decision]
    deaths: int = 0
    """How many processes were killed while they judged it."""


DecideHere = Callable[[bytes, datetime], "asyncio.Future[Decision] | None"]
"""Has the hub judge a request by itself; None: it does not."""


class LaneQueue:
    """The requests of a lane; used from one event loop."""

    def __init__(self, bounds: LaneBounds, decide_here: DecideHere) -> None:
        """`decide_here` takes what the process had when it was lost, where the hub can."""
        self._bounds = bounds
        self._decide_here = decide_here
        self._queue: deque[WaitingRequest] = deque()
        """What is still to be sent."""
        self._sent: dict[int, WaitingRequest] = {}
        """What the process has, by number, in order."""
        self._sent_bytes = 0
        self._has_suspect = False
        """The process has a message alone that another process was lost with."""
        self.bytes_count = 0
        """Of all that waits."""
        self.number = 0
        """Of the message that was sent last."""
        self.refused = 0
        """Messages that were refused because of what judging them did to the process."""

    def __len__(self) -> int:
        """Requests that wait for a decision."""
        return len(self._queue) + len(self._sent)

    @property
    def unsent(self) -> int:
        """Requests that the process does not have yet."""
        return len(self._queue)

    @property
    def is_sent(self) -> bool:
        """Whether the process has any."""
        return bool(self._sent)

    def has_room(self, byte_count: int) -> bool:
        """Whether one more message may wait, of so many bytes."""
        if not len(self):
            return True  # of any size that the hub takes
        is_few = len(self) < self._bounds.waiting_max
        return is_few and self.bytes_count + byte_count <= self._bounds.waiting_bytes_max

    def put(self, raw: bytes, now: datetime) -> asyncio.Future[Decision]:
        """Have a request wait; give what its decision will be."""
        decision: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
        self._queue.append(WaitingRequest(raw, now, decision))
        self.bytes_count += len(raw)
        return decision

    def next_frame(self) -> bytes:
        """What the process may have now, as the content of a frame; empty: nothing."""
        tasks = []
        queue, sent, bounds = self._queue, self._sent, self._bounds
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
            self.number += 1
            sent[self.number] = waiting
            self._sent_bytes += size
            tasks.append(task_of(self.number, waiting.raw, waiting.now))
        return tasks_to_bytes(tasks) if tasks else b""

    def decided(self, number: int) -> WaitingRequest | None:
        """Count out the request of this number, which the process judged; None: it has no such."""
        waiting = self._sent.pop(number, None)
        if waiting is not None:
            self._sent_bytes -= len(waiting.raw)
            self.bytes_count -= len(waiting.raw)
        if not self._sent:
            self._has_suspect = False
        return waiting

    def settle(self, begun: int, loss: Loss) -> None:
        """Decide about everything that waits, when a process was lost."""
        sent, self._sent, self._sent_bytes = self._sent, {}, 0
        self._has_suspect = False
        if loss is Loss.NOT_STARTED:
            self._queue.extendleft(reversed(sent.values()))
            self.refuse_all("the judging process does not start")
            return
        kept: list[WaitingRequest] = []
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
                self.bytes_count -= len(waiting.raw)
                here.add_done_callback(partial(_hand_on, waiting.decision))

    def refuse_all(self, why: str) -> None:
        """Refuse everything that waits."""
        waiting = [*self._sent.values(), *self._queue]
        self._sent, self._sent_bytes = {}, 0
        self._queue.clear()
        for one in waiting:
            self._refuse(one, JudgingUnavailable(why))

    def _refuse(self, waiting: WaitingRequest, error: BusError) -> None:
        self.bytes_count -= len(waiting.raw)
        if not waiting.decision.done():
            waiting.decision.set_result(Refused(error))


def _refusal_of(
    waiting: WaitingRequest, loss: Loss, *, is_begun: bool, is_done: bool
) -> BusError | None:
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
