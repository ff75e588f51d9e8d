"""Say how deliveries stand, for operators: what is open for whom, and how attempts end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bus.delivery.breaker import BreakerState
from bus.delivery.lanes import Lanes, RecipientLane
from bus.delivery.settling import SettlingCounts


@dataclass(frozen=True, slots=True)
class RecipientStatus:
    """What is open for one recipient."""

    recipient: str
    pending: int
    """Open deliveries; dead letters are none."""
    dead: int
    """Dead letters, which wait for an operator."""
    out: int
    """Attempts on their way."""
    oldest_seconds: float
    """How long the first of what is due has waited, as of the last look; 0: nothing is due."""
    breaker: str
    """closed; open: it failed too often, and is only probed; probing."""
    is_paused: bool
    """An operator lets nothing leave to it."""


@dataclass(frozen=True, slots=True)
class DeliveryStatus:
    """Deliveries of one hub at one moment."""

    pending: int = 0
    attempts: Mapping[str, int] = field(default_factory=dict)
    """Since the start, by how they ended: delivered, refused, failed, unknown."""
    unproved: int = 0
    """Reports that were not their agency's."""
    late: int = 0
    """Reports of deliveries that were closed."""
    recipients: tuple[RecipientStatus, ...] = ()
    """Who was ever owed something that this run knows of."""
    trouble: str = ""
    """Why no order leaves to workers elsewhere; empty: it can, or there are none."""
    without_queue: tuple[str, ...] = ()
    """Adapters whose workers have no queue at the broker."""

    def attention(self) -> Iterator[str]:
        """What somebody should see to, each in a sentence."""
        if self.trouble:
            yield f"no order leaves to workers elsewhere: {self.trouble}"
        for adapter in self.without_queue:
            yield f"{adapter} has no queue at the broker: lienthong broker declare"
        yield from filter(None, map(needs_attention, self.recipients))


def delivery_status(
    lanes: Lanes,
    counts: SettlingCounts,
    trouble: str,
    without_queue: frozenset[str],
    now: datetime,
) -> DeliveryStatus:
    """How deliveries stand at `now`."""
    return DeliveryStatus(
        pending=lanes.pending,
        attempts={end.value: count for end, count in counts.attempts.items()},
        unproved=counts.unproved,
        late=counts.late,
        recipients=tuple(
            _recipient(one, lanes, now) for one in sorted(lanes, key=lambda lane: lane.recipient)
        ),
        trouble=trouble,
        without_queue=tuple(sorted(without_queue)),
    )


def _recipient(lane: RecipientLane, lanes: Lanes, now: datetime) -> RecipientStatus:
    due = lane.oldest_due
    return RecipientStatus(
        recipient=lane.recipient,
        pending=lane.pending,
        dead=lane.dead,
        out=len(lane.out),
        oldest_seconds=max((now - due).total_seconds(), 0.0) if due is not None else 0.0,
        breaker=lane.breaker.state.value,
        is_paused=lanes.is_paused(lane.recipient),
    )


def needs_attention(status: RecipientStatus) -> str:
    """What somebody should see to, in a sentence; empty: nothing."""
    if status.breaker != BreakerState.CLOSED:
        return f"{status.recipient} takes no deliveries: {status.pending:,} wait"
    return f"{status.dead:,} dead letters to {status.recipient}" if status.dead else ""
