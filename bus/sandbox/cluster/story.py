"""Play the whole of it: start a cluster, load it, strike each part, drain it, check every log."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bus.sandbox.cluster.checking import ClusterVerdict, check_cluster
from bus.sandbox.cluster.programs import Cluster, running_cluster
from bus.sandbox.cluster.sending import Senders, SendingAccounts
from bus.sandbox.cluster.striking import STRIKE_SECONDS_MAX, StrikeEvent, Strikes, drained
from bus.sandbox.servers.private import private_servers

PER_SECOND = 20.0
"""So many messages are sent in a second: little enough for a machine of two cores."""
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class ClusterProgress:
    """How far it is, for whoever watches."""

    sent: int
    told: int
    """Accepted or answered."""
    under_way: int | None
    """Deliveries that are to be made still; None: not asked."""


@dataclass(frozen=True, slots=True)
class ClusterWatcher:
    """Who is told how it goes."""

    say: Callable[[str], None]
    event: Callable[[StrikeEvent], None]
    progress: Callable[[ClusterProgress], None]


@dataclass(frozen=True, slots=True)
class ClusterStory:
    """What was seen from beginning to end."""

    seconds: float
    told: SendingAccounts
    verdict: ClusterVerdict


def play_cluster(
    folder: Path, watcher: ClusterWatcher, *, strikes: int = 0, seed: int = 0
) -> ClusterStory:
    """Everything, in an empty folder; nothing runs any more when this returns.

    One strike of each kind, or so many `strikes` as are wanted, drawn by the seed.

    Raises ServersMissing, ServerBroken, NotStarted, StrikeFailed, ConfigurationError,
    LogUnavailable, LogCorrupt.
    """
    began = time.monotonic()
    watcher.say("Starting a PostgreSQL and a RabbitMQ of our own …")
    with private_servers() as servers:
        watcher.say("Starting two hubs, two workers, and the agencies …")
        with running_cluster(folder, servers) as cluster:
            told = _load_and_strike(cluster, watcher, strikes, seed)
            cluster.stop()
            watcher.say("Verifying every log: rows, tree, payloads, decisions, deliveries …")
            verdict = check_cluster(cluster, told)
    return ClusterStory(time.monotonic() - began, told, verdict)


class _Load:
    """What is sent, and who watches how far it is."""

    def __init__(self, senders: Senders, progress: Callable[[ClusterProgress], None]) -> None:
        self._senders = senders
        self._progress = progress
        self.send_copies = senders.send_copies

    def has_sent(self, count: int) -> bool:
        until = time.monotonic() + STRIKE_SECONDS_MAX
        wanted = self._senders.counts()[1] + count
        while (counts := self._senders.counts())[1] < wanted:
            if time.monotonic() > until or self._senders.has_failed:
                return False
            self._progress(ClusterProgress(*counts, None))
            time.sleep(_POLL_SECONDS)
        return True


def _load_and_strike(
    cluster: Cluster, watcher: ClusterWatcher, count: int, seed: int
) -> SendingAccounts:
    senders = Senders(cluster.site, PER_SECOND)
    senders.start()
    try:
        strikes = Strikes(cluster, watcher.event, _Load(senders, watcher.progress))
        if count:
            strikes.strike_drawn(count, seed)
        else:
            strikes.strike_each()
    except BaseException:
        with contextlib.suppress(Exception):  # what failed before says more
            senders.stop(is_given_up=True)
        raise
    told = senders.stop()
    watcher.say("Nothing new is sent; what is owed is delivered …")
    for count in drained(cluster):
        watcher.progress(ClusterProgress(*senders.counts(), count))
    return told
