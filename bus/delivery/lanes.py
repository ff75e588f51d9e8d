"""Know of each recipient, in memory, what is on its way to it, what waits, and whether it is well.

All of it is found again by a hub that starts anew: the rows hold what is open, and breakers learn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from bus.core.deliveries import DeliveryKey, DeliveryRow, DeliveryState, RecipientCounts
from bus.core.limits import Limits
from bus.delivery.breaker import Breaker, BreakerState

ORDERS_OUT_BYTES_MAX = 128 * 1024 * 1024
"""Bytes of orders on their way, of all recipients; above it what is due waits in the store."""


_ABSENT = object()


@dataclass(slots=True)
class RecipientLane:
    """The way to one recipient."""

    recipient: str
    breaker: Breaker = field(default_factory=Breaker)
    out: dict[DeliveryKey, DeliveryRow | None] = field(default_factory=dict)
    """Attempts on their way, with their rows where they are known whole."""
    reserved: int = 0
    """First attempts whose entry is being written."""
    pending: int = 0
    """Open deliveries; dead letters are none."""
    has_backlog: bool = False
    """More is due than could leave: whoever makes room has the rows asked."""
    wants_look: bool = False
    """The rows are to be asked for what is due."""
    held_until: datetime | None = None
    """Nothing leaves before: what was sent last was not taken."""
    dead: int = 0
    """Dead letters."""
    oldest_due: datetime | None = None
    """When the first of what is due came due, as of the last look; None: nothing is."""

    def room(self, window_max: int, now: datetime) -> int:
        """How many more attempts may leave now."""
        if self.held_until is not None and self.held_until > now:
            return 0
        if self.reserved and self.breaker.state is not BreakerState.CLOSED:
            return 0  # that is the probe
        return self.breaker.room(len(self.out) + self.reserved, window_max, now)


class Lanes:
    """One lane for each recipient; used from one event loop."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lanes: dict[str, RecipientLane] = {}
        self._bytes_out: dict[DeliveryKey, int] = {}
        self.news = asyncio.Event()
        """Set when a lane wants a look."""
        self.bytes_out = 0
        """Of orders on their way."""
        self.pending = 0
        """Open deliveries of all recipients; dead letters are none."""
        self.is_unsure = False
        """A commit was not confirmed: what is known here may not be what stands in the rows."""
        self.commits_begun = 0
        self.commits_in_work = 0
        """What is counted here is what stands in the rows only while there is none."""
        self.paused: frozenset[str] = frozenset()
        """Members and subsystems to which nothing leaves, because an operator says so."""

        self.is_cut_off: Callable[[str], bool] = lambda _: False
        """Whether what carries orders to a recipient takes none now."""

    def is_paused(self, recipient: str) -> bool:
        """Whether nothing leaves to a recipient, or to all of its member."""
        return recipient in self.paused or recipient.rpartition("/")[0] in self.paused

    def of(self, recipient: str) -> RecipientLane:
        """The lane of a recipient."""
        lane = self._lanes.get(recipient)
        if lane is None:
            lane = self._lanes[recipient] = RecipientLane(recipient)
        return lane

    def __iter__(self) -> Iterator[RecipientLane]:
        """Every recipient that something was ever owed, in order of first appearance."""
        return iter(list(self._lanes.values()))

    def count(self, counts: Mapping[str, RecipientCounts]) -> None:
        """Go on with what the rows say: at the start, and when that is unsure."""
        for lane in self._lanes.values():
            lane.pending = 0
        for recipient, found in counts.items():
            lane = self.of(recipient)
            lane.pending = found.pending
            lane.dead = found.by_state.get(DeliveryState.DEAD, 0)
            lane.has_backlog = True
            self.want_look(recipient)
        self.pending = sum(lane.pending for lane in self._lanes.values())

    @contextmanager
    def committing(self) -> Iterator[None]:
        """Around a commit, until what it does is counted here. Where it fails it may stand all the
        same: then that is found out again."""
        self.commits_begun += 1
        self.commits_in_work += 1
        try:
            yield
        except BaseException:
            self.is_unsure = True
            raise
        finally:
            self.commits_in_work -= 1

    def opened(self, recipients: Iterable[str]) -> None:
        """So many recipients are owed one delivery more."""
        for recipient in recipients:
            self.of(recipient).pending += 1
            self.pending += 1

    def closed(self, recipient: str) -> None:
        """One delivery is owed no more, or is a dead letter."""
        self.of(recipient).pending -= 1
        self.pending -= 1

    def room(self, recipient: str, now: datetime) -> int:
        """How many attempts may leave to a recipient now."""
        if self.bytes_out >= ORDERS_OUT_BYTES_MAX or self.is_paused(recipient):
            return 0
        if self.is_cut_off(recipient):
            return 0
        return self.of(recipient).room(self._limits.orders_out_per_recipient_max, now)

    def left(self, row: DeliveryRow, order_bytes: int) -> None:
        """An attempt is on its way."""
        self.left_again(row)
        self.of(row.recipient).breaker.left()
        # Of the attempt before, nothing may have been heard here.
        self.bytes_out -= self._bytes_out.get(row.key, 0)
        self._bytes_out[row.key] = order_bytes
        self.bytes_out += order_bytes

    def left_again(self, row: DeliveryRow) -> None:
        """The row of an attempt on its way is another now."""
        # The store gave a row its place in its conversation: such a row is to be read.
        is_whole = row.conversation is None or row.place > 0
        self.of(row.recipient).out[row.key] = row if is_whole else None

    def ended(self, recipient: str, key: DeliveryKey) -> None:
        """An attempt is not on its way any more, whatever came of it."""
        lane = self.of(recipient)
        if lane.out.pop(key, _ABSENT) is not _ABSENT and lane.has_backlog:
            self.want_look(recipient)
        self.bytes_out -= self._bytes_out.pop(key, 0)

    def want_look(self, recipient: str) -> None:
        """Have the rows asked for what is due to a recipient."""
        self.of(recipient).wants_look = True
        self.news.set()

    def reached(self, recipient: str, now: datetime) -> None:
        """A recipient can be reached again: what is due may try."""
        lane = self._lanes.get(recipient)
        if lane is not None and lane.breaker.reached(now):
            self.want_look(recipient)

    def row_out(self, recipient: str, key: DeliveryKey) -> DeliveryRow | None:
        """The row of an attempt on its way; None: it is not known here."""
        lane = self._lanes.get(recipient)
        return lane.out.get(key) if lane is not None else None
