"""What carries orders to workers and outcomes back, as an interface: in this process, or RabbitMQ.

A broker holds a bounded window of what is in a store already, and never the state of anything: it
may lose, double, reorder and deliver again, and may be wiped. What it carries is bytes; whoever
wrote them proves it inside (bus.protocols.orders).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Protocol, TypeVar

Made = TypeVar("Made")
PARCEL_BYTES_MAX = 16 * 1024 * 1024
"""What a broker takes in one message: RabbitMQ from version 4 on."""


class Sent(Enum):
    """What became of handing something to the broker."""

    CONFIRMED = "confirmed"
    """The broker has it, and keeps it over a crash of its own."""
    REFUSED = "refused"
    """It does not have it: no room, or there is no such queue. Try again later."""
    UNKNOWN = "unknown"
    """The connection was lost before it said so: it may have it."""


@dataclass(frozen=True, slots=True)
class OrderParcel:
    """An order on its way to a worker of one agency."""

    agency: str
    """Whose workers take it: a name of the letters a-z, 0-9, `_` and `-`."""
    content: bytes = field(repr=False)
    begin_before: datetime
    """The broker may drop it after this; whoever takes it later does nothing."""
    is_urgent: bool = False


@dataclass(frozen=True, slots=True)
class Taken:
    """Something that the broker gave out."""

    content: bytes = field(repr=False)
    sender: str
    """Who handed it to the broker, as the broker knows; empty: it does not tell."""
    is_redelivered: bool
    """Somebody may have had it before. Outcomes come again until they are settled; orders only
    where the broker doubled them."""
    came: float = field(default=0.0, compare=False)
    """When the broker gave it out, by the monotonic clock of this machine; 0: it does not tell."""


HandleOutcome = Callable[[Taken], Awaitable[None]]
"""Settles an outcome: when it returns, the outcome is acknowledged; when it raises LogUnavailable,
it comes again later."""
HandleLost = Callable[[Taken], Awaitable[None]]
"""Hears of an order that the broker gave up, by the order's own bytes: it expired, or whoever took
it went away or could not do it. `is_redelivered` says whether anybody had it; if not, nobody acted,
and nobody will."""
HandleOrder = Callable[[Taken], Awaitable[bytes | None]]
"""Does the work of an order and gives the outcome to be sent; None: there is nothing to say. The
order is acknowledged when the broker has confirmed the outcome. When it raises, the broker gives
the order up: one attempt is given out once, and whether there is another is for the hub to say."""


HandleLate = Callable[[Taken], Awaitable[None]]
"""Hears of an answer to a query that nobody waits for: it came too late, or more than once. It is
told once, and what cannot be written down is forgotten."""
ReadAnswer = Callable[[Taken], Awaitable[Made | None]]
"""What an answer to a query says; None: it is none to this query, and it is waited on."""


class OrderBroker(Protocol):
    """The hub's side. Used from one event loop."""

    @property
    def trouble(self) -> str:
        """Why nothing can be sent now; empty while it can."""
        ...

    @property
    def without_queue(self) -> frozenset[str]:
        """Agencies whose last order or query had no queue to go to: none was declared."""
        ...

    async def start(
        self, handle: HandleOutcome, lost: HandleLost, late: HandleLate | None = None
    ) -> None:
        """Connect, and hand every outcome to `handle`, several at a time, and every order that was
        given up to `lost`; both are told again what they could not write down. `late` hears of
        answers that nobody waits for.

        It returns when the broker answers; connecting again after a loss is its own work.
        Raises ConfigurationError (it refuses who we are, or its queues are others).
        """
        ...

    async def send(self, order: OrderParcel) -> Sent:
        """Hand an order over, durably. Many may wait at one time; they share confirmations."""
        ...

    def takes_at_once(self, agency: str) -> bool:
        """Whether orders for this agency may be offered."""
        ...

    def offer(self, order: OrderParcel) -> bool:
        """Hand an order over without waiting; False: it was not taken, and may be sent."""
        ...

    async def ask(
        self, order: OrderParcel, answer_before: datetime, read: ReadAnswer[Made]
    ) -> Made:
        """Hand a query over and wait for the first answer of which `read` makes something; nothing
        of it is kept over a crash, and it is tried once.

        Raises WorkerAway (nobody takes its queries now, and nobody was asked, as far as is known),
        RecipientUnavailable (who took it broke off), RecipientTimeout, and what `read` raises."""
        ...

    async def close(self) -> None:
        """Let go; outcomes that were not settled come again to whoever starts next."""
        ...


class WorkBroker(Protocol):
    """The worker's side. Used from one event loop."""

    @property
    def trouble(self) -> str:
        """Why no work comes; empty while it can."""
        ...

    async def work(self, agency: str, handle: HandleOrder, *, concurrency: int) -> None:
        """Take the agency's orders from now on, urgent ones first, so many at a time; as many
        queries may be in work beside them.

        Raises ConfigurationError.
        """
        ...

    async def pause(self, agency: str) -> None:
        """Take no more of the agency's orders until `work` is called again; those in work go on."""
        ...

    async def drain(self, seconds_max: float) -> None:
        """Take no more orders; wait for those in work and their confirmations, then let go."""
        ...
