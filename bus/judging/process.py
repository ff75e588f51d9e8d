"""Have requests judged in processes beside the hub, so that a second core verifies signatures.

Small messages are judged in one process, large ones in another, so that no large message delays a
small one, and what a message does to the process that judges it, it does not do to the hub. When
small ones find no room, or their process was lost, the hub judges them by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from bus.core.decision import Decision, Refused
from bus.core.errors import HubInternal, JudgingUnavailable, TooCostly
from bus.core.pipeline import Rules
from bus.core.ports.wire_protocol import WireProtocol
from bus.judging.lane import Lane, LaneState
from bus.judging.lane_queue import LaneBounds
from bus.judging.threads import DecisionThread
from signing.attachments import Attachment

SMALL_BYTES_MAX = 64 * 1024
"""A larger message is judged in the process for large ones, and never by the hub itself before
that, unless the hub has no processes."""
SMALL = LaneBounds(
    name="small",
    processor_seconds_max=5.0,
    waiting_max=512,
    waiting_bytes_max=8 * 1024 * 1024,
    sent_max=512,
    sent_bytes_max=4 * 1024 * 1024,
)
LARGE = LaneBounds(
    name="large",
    processor_seconds_max=15.0,
    waiting_max=64,
    waiting_bytes_max=64 * 1024 * 1024,
    sent_max=2,
    sent_bytes_max=1024 * 1024,
    idle_seconds_max=300.0,
)
HERE_SMALL_BYTES_MAX = 8 * 1024 * 1024
"""Of small messages, so many bytes may wait for the hub's own thread."""
HERE_LARGE_BYTES_MAX = 64 * 1024 * 1024
HERE_WAITING_MAX = 512
"""Messages that may wait for each of the hub's own threads; the next one is refused for a while."""
PROBE_SECONDS_MAX = 3.0
"""A way to judge that does not move for so long, with a probe before it, is stuck."""
HERE_SECONDS_MAX = 60.0
"""What the hub judges by itself, with its attachments, takes no longer, or that stands still."""
_PROBE_LOOK_SECONDS = 0.05
PROBE = b"<probe/>"
"""No message of any wire protocol: it is judged as one, and refused."""


class Decider:
    """Judges requests in the processes beside, if they were started, or here.

    Owns processes and threads; used from one event loop.
    """

    def __init__(
        self, wire: WireProtocol, rules: Rules, report: Callable[[Exception], None]
    ) -> None:
        self._here_small = DecisionThread(
            wire,
            rules,
            report,
            waiting_max=HERE_WAITING_MAX,
            waiting_bytes_max=HERE_SMALL_BYTES_MAX,
        )
        self._here_large = DecisionThread(
            wire,
            rules,
            report,
            waiting_max=HERE_WAITING_MAX,
            waiting_bytes_max=HERE_LARGE_BYTES_MAX,
        )
        self._small = Lane(SMALL, rules, report, self._instead_of_a_process)
        self._large = Lane(LARGE, rules, report, self._instead_of_a_process)
        self._probes_beside = 0
        """Probes that processes judged."""
        self.was_started = False
        """There were to be processes beside, whether they still work or not."""

    @property
    def lanes(self) -> tuple[Lane, Lane]:
        """The ways through processes: for small messages, for large ones."""
        return self._small, self._large

    @property
    def process_id(self) -> int | None:
        """Of the process for small messages; None while there is none to be asked."""
        return self._small.process_id

    @property
    def decided_by_process(self) -> int:
        """Decisions that processes beside have made."""
        return self._small.judged + self._large.judged - self._probes_beside

    async def start(self, module: str, texts: tuple[bytes, ...]) -> None:
        """Judge in processes, `python -m module`, by the rules that are made of these texts.

        When this returns, the one for small messages works, or is started again in a while.
        """
        self.was_started = True
        await self._large.start(module, texts)
        await self._small.start(module, texts)

    async def decide(
        self, raw: bytes, now: datetime, attachments: tuple[Attachment, ...] = ()
    ) -> Decision:
        """The decision about a request. For any bytes: a decision."""
        size = len(raw)
        if self.was_started:
            lane = self._small if size <= SMALL_BYTES_MAX else self._large
            if lane.has_room(size):
                decision = await lane.decide(raw, now)
                if not attachments or _harms_a_judge(decision):
                    return decision
                # It was judged without what lies beside it, and harmed nobody: the rest is here,
                # where that can be read.
            elif size > SMALL_BYTES_MAX:
                return _unavailable(f"no room for {size} bytes, the process is {lane.state}")
        # What lies beside a message is read, too, before its sender is proved.
        whole = size + sum(one.bytes_count for one in attachments)
        here = self._here_small if whole <= SMALL_BYTES_MAX else self._here_large
        if not here.has_room(size):
            return _unavailable(f"no room for {size} bytes")
        return await here.decide(raw, now, attachments)

    def _instead_of_a_process(self, raw: bytes, now: datetime) -> asyncio.Future[Decision] | None:
        """What the hub judges by itself when a process was lost."""
        size = len(raw)
        if size > SMALL_BYTES_MAX or not self._here_small.has_room(size):
            return None
        return self._here_small.decide(raw, now)

    # --- how judging is ----------------------------------------------------------------------

    async def troubles(self, now: datetime) -> tuple[str, ...]:
        """Why messages cannot be judged; nothing: a probe went through every way that is in use."""
        ways = [_Way("the judging process for small messages", self._small)]
        if self._small.state is not LaneState.WORKING:
            ways = [_Way("the hub's own judging", self._here_small)]
        if self._large.state is LaneState.WORKING:
            ways.append(_Way("the judging process for large messages", self._large))
        found = await asyncio.gather(*(self._trouble(way, now) for way in ways))
        if self._here_large.standing_seconds > HERE_SECONDS_MAX:
            found.append("the hub's own judging of large messages stands still")
        return tuple(trouble for trouble in found if trouble)

    async def _trouble(self, way: _Way, now: datetime) -> str:
        """Why a way does not judge; empty: it does, or goes on with what it has."""
        loop = asyncio.get_running_loop()
        before, end = way.through.progress(), loop.time() + PROBE_SECONDS_MAX
        probe: asyncio.Future[Decision] | None = None
        if way.through.has_room(len(PROBE)):
            probe = way.through.decide(PROBE, now)
            if isinstance(way.through, Lane):
                probe.add_done_callback(self._count_probe)
        while loop.time() < end:
            if probe is not None and probe.done():
                return "" if _is_judged(probe) else f"{way.name} fails"
            if way.through.progress() != before:
                return ""
            await asyncio.sleep(_PROBE_LOOK_SECONDS)
        return f"{way.name} stands still"

    def _count_probe(self, _probe: asyncio.Future[Decision]) -> None:
        self._probes_beside += 1

    async def close(self) -> None:
        """End the processes; what waits is refused."""
        for here in (self._here_small, self._here_large):
            here.close()
        await asyncio.gather(*(lane.close() for lane in self.lanes))


@dataclass(frozen=True, slots=True)
class _Way:
    """A way to judge that is in use."""

    name: str
    through: Lane | DecisionThread


def _harms_a_judge(decision: Decision) -> bool:
    """Whether a decision is what judging came to, and not what the message leads to."""
    return isinstance(decision, Refused) and isinstance(
        decision.error, TooCostly | JudgingUnavailable
    )


def _is_judged(probe: asyncio.Future[Decision]) -> bool:
    """Whether a probe was refused for what it is."""
    decision = probe.result()
    is_refused = isinstance(decision, Refused) and not isinstance(decision.error, HubInternal)
    return is_refused and not _harms_a_judge(decision)


def _unavailable(why: str) -> Refused:
    return Refused(JudgingUnavailable(why))
