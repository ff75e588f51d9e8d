"""Judge requests in the hub itself, beside its event loop.

Messages with attachments are: much of these is read, which a signature covers. Where there are
processes, such a message was judged there before, without what lies beside it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial

from bus.core.decision import Decision
from bus.core.pipeline import Rules
from bus.core.ports.wire_protocol import WireProtocol
from bus.core.request_decision import decide_request_in
from bus.runtime.recycled_threads import RecycledThreads
from signing.attachments import Attachment


class DecisionThread:
    """Judges requests on one thread, one after the other, within bounds of what may wait.

    The thread is given up when it has read much, and followed by another. Used from one event loop.
    """

    def __init__(
        self,
        wire: WireProtocol,
        rules: Rules,
        report: Callable[[Exception], None],
        *,
        waiting_max: int,
        waiting_bytes_max: int,
    ) -> None:
        self._wire = wire
        self._rules = rules
        self._report = report
        self._waiting_max = waiting_max
        self._waiting_bytes_max = waiting_bytes_max
        self._threads = RecycledThreads(1, "judge")
        self._rules_of_thread: Rules | None = None
        """The same rules for that work, which owns them: a trust store serves one thread."""
        self.waiting = 0
        self.waiting_bytes = 0
        self.judged = 0
        self._moved_at = time.monotonic()

    @property
    def standing_seconds(self) -> float:
        """How long what is judged now has been judged; 0: nothing is."""
        return time.monotonic() - self._moved_at if self.waiting else 0.0

    def progress(self) -> object:
        """Changes while anything is judged to its end."""
        return self.judged

    def has_room(self, byte_count: int) -> bool:
        """Whether one more message may wait, of so many bytes."""
        if not self.waiting:
            return True
        is_few = self.waiting < self._waiting_max
        return is_few and self.waiting_bytes + byte_count <= self._waiting_bytes_max

    def decide(
        self, raw: bytes, now: datetime, attachments: tuple[Attachment, ...] = ()
    ) -> asyncio.Future[Decision]:
        """The decision about a request; ask `has_room` before."""
        size = len(raw)
        work = partial(self._decide_in_thread, raw, now, attachments)
        read_bytes = size + sum(attachment.bytes_count for attachment in attachments)
        decision = asyncio.wrap_future(self._threads.read(read_bytes, work))
        if not self.waiting:
            self._moved_at = time.monotonic()
        self.waiting += 1
        self.waiting_bytes += size
        decision.add_done_callback(lambda _: self._count_out(size))
        return decision

    def _decide_in_thread(
        self, raw: bytes, now: datetime, attachments: tuple[Attachment, ...]
    ) -> Decision:
        if self._rules_of_thread is None:
            trust = self._rules.trust.for_another_thread()
            self._rules_of_thread = replace(self._rules, trust=trust)
        return decide_request_in(
            self._wire, raw, self._rules_of_thread, now, self._report, attachments
        )

    def _count_out(self, size: int) -> None:
        self.waiting -= 1
        self.waiting_bytes -= size
        self.judged += 1
        self._moved_at = time.monotonic()

    def close(self) -> None:
        """Take no more; whoever waits for one that was not begun is told that it is cancelled."""
        self._threads.shutdown(wait=False, cancel=True)
