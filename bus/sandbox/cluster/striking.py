"""Strike one part of a cluster after the other under load, and wait until the rest has it in hand.

Each strike is something that happens: a machine loses its power (SIGKILL), or stands still for too
long (SIGSTOP). Each wait is for what must come of it, as the database or a program says.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import permutations
from typing import Protocol

from bus.client.hub_client import AnswerRejected, FaultReceived, HubUnreachable
from bus.core.errors import LogUnavailable
from bus.log.postgres.origins import LEASE_SECONDS
from bus.log.postgres.watch import OriginState
from bus.sandbox.cluster.programs import Cluster
from bus.sandbox.cluster.sending import CopyToldElse

STRIKE_SECONDS_MAX = 240.0
"""How long what comes of a strike may take, on a machine with much else to do."""
BETWEEN = 20
"""So many messages are accepted or answered between two strikes."""
COPIES = 10
"""So many messages of a dead hub are sent again, to the one that goes on with its log."""
_POLL_SECONDS = 0.2
_FENCED = "Another hub took over the message log"


class StrikeFailed(Exception):
    """What must come of a strike did not come; the text says what."""


@dataclass(frozen=True, slots=True)
class StrikeEvent:
    """Something that happened, in words."""

    seconds: float
    """Since the load began."""
    what: str


class StruckLoad(Protocol):
    """What is sent meanwhile."""

    def has_sent(self, count: int) -> bool:
        """Wait until so many more messages were accepted; False: none come any more."""

    def send_copies(self, origin: str, hub: str, count: int) -> int:
        """See `Senders.send_copies`."""


class Strikes:
    """The whole series. Used from one thread; the load runs meanwhile."""

    def __init__(
        self,
        cluster: Cluster,
        tell: Callable[[StrikeEvent], None],
        load: StruckLoad,
    ) -> None:
        self._cluster = cluster
        self._tell = tell
        self._load = load
        self._began = time.monotonic()

    def strike_each(self) -> None:
        """One of each, with messages accepted between two.

        Raises StrikeFailed, NotStarted, ServerBroken.
        """
        first, second = [*self._cluster.site.hubs][:2]
        self._strike_all(
            [
                partial(self.kill_worker, next(iter(self._cluster.site.workers))),
                self.kill_broker,
                self.kill_database,
                partial(self.kill_hub, first, second),
                partial(self.pause_hub, second, first),
            ]
        )

    def strike_drawn(self, count: int, seed: int) -> None:
        """So many, drawn by the seed from all that there are.

        Raises StrikeFailed, NotStarted, ServerBroken.
        """
        luck = random.Random(seed)  # noqa: S311 - the same seed strikes the same
        self._strike_all([luck.choice(self._every_strike()) for _ in range(count)])

    def _every_strike(self) -> list[Callable[[], None]]:
        hubs, workers = [*self._cluster.site.hubs], [*self._cluster.site.workers]
        pairs = list(permutations(hubs, 2))
        return [
            *(partial(self.kill_worker, one) for one in workers),
            self.kill_workers,
            self.kill_broker,
            self.kill_database,
            *(partial(self.restart_hub, one) for one in hubs),
            self.kill_hubs,
            *(partial(self.kill_hub, gone, other) for gone, other in pairs),
            *(partial(self.pause_hub, paused, other) for paused, other in pairs),
        ]

    def _strike_all(self, strikes: Sequence[Callable[[], None]]) -> None:
        for strike in strikes:
            self._let_pass(BETWEEN)
            strike()
        self._let_pass(BETWEEN)

    def kill_worker(self, name: str) -> None:
        """One worker is gone for a while; the other does its orders."""
        self._say(f"worker {name} is killed (SIGKILL): the other does its orders")
        self._cluster.kill(f"worker-{name}")
        self._let_pass(BETWEEN)
        self._cluster.start_worker(name)
        self._say(f"worker {name} is there again")

    def kill_workers(self) -> None:
        """Every worker is gone for a moment: what is accepted waits."""
        self._say("every worker is killed (SIGKILL): what is accepted waits")
        for name in self._cluster.site.workers:
            self._cluster.kill(f"worker-{name}")
        for name in self._cluster.site.workers:
            self._cluster.start_worker(name)
        self._say("every worker is there again")

    def kill_broker(self) -> None:
        """The broker is gone for a while; what is accepted waits in the database."""
        node = self._cluster.servers.rabbit
        self._say("the broker is killed (SIGKILL): what is accepted waits in the database")
        node.end()
        self._let_pass(BETWEEN)
        node.start()
        node.wait()
        self._say("the broker is there again, over what it had on its disk")

    def kill_database(self) -> None:
        """PostgreSQL is gone, longer than leases last: nothing is accepted meanwhile, and no hub
        takes the other for dead afterwards."""
        server = self._cluster.servers.postgres
        assert server is not None
        away = f"for longer than leases last, {LEASE_SECONDS} s"
        self._say(f"PostgreSQL is killed (SIGKILL), {away}: senders are told to come again")
        server.end()
        time.sleep(LEASE_SECONDS + 1)
        server.start()
        self._let_pass(BETWEEN)
        for name in self._cluster.site.hubs:
            self._await(name, partial(self._has, name), f"hub {name} does not renew its lease")
            if self._cluster.has_ended(f"hub-{name}"):
                raise StrikeFailed(f"hub {name} ended while PostgreSQL was away")
        self._say("PostgreSQL is there again: each hub goes on with its own log")

    def restart_hub(self, name: str) -> None:
        """A hub is killed and started at once: it waits for no lease, and nobody adopts its log."""
        self._say(f"hub {name} is killed (SIGKILL) and started again at once")
        self._cluster.kill(f"hub-{name}")
        self._cluster.start_hub(name)
        self._await_own(name)

    def kill_hubs(self) -> None:
        """Every hub is gone for a moment."""
        self._say("every hub is killed (SIGKILL): nobody answers senders")
        for name in self._cluster.site.hubs:
            self._cluster.kill(f"hub-{name}")
        for name in self._cluster.site.hubs:
            self._cluster.start_hub(name, wait=False)
        for name in self._cluster.site.hubs:
            self._cluster.await_hub(name)
            self._await_own(name)

    def kill_hub(self, gone: str, other: str) -> None:
        """A hub is gone: the other goes on with its log, and gives it back when it returns."""
        before = self._cluster.origins()[gone]
        self._say(f"hub {gone} is killed (SIGKILL) with {before.entries:,} entries in its log")
        self._cluster.kill(f"hub-{gone}")
        self._await_adoption(gone, other, before)
        self._send_copies(gone, other)
        self._let_pass(BETWEEN)
        self._cluster.start_hub(gone)
        self._await_own(gone)

    def pause_hub(self, paused: str, other: str) -> None:
        """A hub stands still beyond its lease; when it wakes it is fenced, and ends."""
        before = self._cluster.origins()[paused]
        lease = f"longer than its lease of {LEASE_SECONDS} s"
        self._say(f"hub {paused} stands still (SIGSTOP), {lease}")
        self._cluster.signal(f"hub-{paused}", signal.SIGSTOP)
        self._await_adoption(paused, other, before)
        entries = self._cluster.origins()[paused].entries
        self._cluster.signal(f"hub-{paused}", signal.SIGCONT)
        self._say(f"hub {paused} wakes (SIGCONT) and believes that the log is still its own")
        self._cluster.await_end(f"hub-{paused}")
        if not self._cluster.has_said(f"hub-{paused}", _FENCED):
            raise StrikeFailed(f"hub {paused} was fenced and did not say so")
        if self._cluster.hub_of(self._cluster.origins()[paused]) != other:
            raise StrikeFailed(f"hub {paused} took its log back without asking")
        self._say(f"hub {paused} is fenced: it wrote nothing, said so, and ended")
        if self._cluster.origins()[paused].entries < entries:
            raise StrikeFailed(f"the log of hub {paused} lost entries")
        self._cluster.start_hub(paused)
        self._await_own(paused)

    # --- parts ------------------------------------------------------------------------------------

    def _await_adoption(self, gone: str, other: str, before: OriginState) -> None:
        after = self._await(
            gone,
            lambda state: self._cluster.hub_of(state) == other,
            f"hub {other} does not go on with the log of hub {gone}",
        )
        if after.epoch <= before.epoch or after.entries < before.entries:
            raise StrikeFailed(f"hub {other} took the log of hub {gone} without fencing it")
        self._say(
            f"hub {other} goes on with the log of hub {gone}: epoch {before.epoch} → {after.epoch}"
        )

    def _has(self, name: str, state: OriginState) -> bool:
        """Whether a hub has this log, and is there."""
        return self._cluster.hub_of(state) == name and state.is_written

    def _send_copies(self, gone: str, other: str) -> None:
        try:
            count = self._load.send_copies(self._cluster.site.hubs[gone].origin, other, COPIES)
        except (CopyToldElse, HubUnreachable, FaultReceived, AnswerRejected) as error:
            raise StrikeFailed(f"hub {other}, of what hub {gone} accepted: {error}") from error
        self._say(
            f"{count} messages that hub {gone} had accepted are sent again, to hub {other}: each "
            f"is told the first acceptance, under the receipt of hub {gone}"
        )

    def _await_own(self, name: str) -> None:
        after = self._await(
            name,
            lambda state: self._cluster.hub_of(state) == name,
            f"hub {name} does not get its log back",
        )
        self._say(f"hub {name} is back and got its log: {after.entries:,} entries")

    def _await(
        self, name: str, is_so: Callable[[OriginState], bool], otherwise: str
    ) -> OriginState:
        until = time.monotonic() + STRIKE_SECONDS_MAX
        while True:
            try:
                state = self._cluster.origins()[name]
                if is_so(state):
                    return state
            except LogUnavailable:
                pass  # the database is away for a moment
            if time.monotonic() > until:
                raise StrikeFailed(f"{otherwise} in {STRIKE_SECONDS_MAX:.0f} s")
            time.sleep(_POLL_SECONDS)

    def _let_pass(self, count: int) -> None:
        if not self._load.has_sent(count):
            raise StrikeFailed("messages are accepted no more")

    def _say(self, what: str) -> None:
        self._tell(StrikeEvent(time.monotonic() - self._began, what))


def drained(cluster: Cluster) -> Iterator[int]:
    """How many deliveries are to be made still, again and again, until there are none.

    Raises StrikeFailed: some stay.
    """
    until = time.monotonic() + STRIKE_SECONDS_MAX
    while count := cluster.under_way():
        if time.monotonic() > until:
            raise StrikeFailed(f"{count} deliveries are not made in {STRIKE_SECONDS_MAX:.0f} s")
        yield count
        time.sleep(_POLL_SECONDS)
