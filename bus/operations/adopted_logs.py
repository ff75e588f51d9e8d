"""Say which logs of other hubs this one goes on with, for operators."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from bus.log.message_log import HubLog


@dataclass(frozen=True, slots=True)
class AdoptedStatus:
    """A log of another hub that this one goes on with."""

    origin: str
    entries: int
    signed_entries: int
    seconds: float
    """Since it was adopted."""
    pending: int
    """Open deliveries; dead letters are none."""
    trouble: str
    """Why it cannot commit or publish at the moment; empty while it can."""


@dataclass(frozen=True, slots=True)
class AdoptionStatus:
    """Logs of other hubs at one moment."""

    adopted: tuple[AdoptedStatus, ...] = ()
    """Those that this hub goes on with now."""
    adoptions: int = 0
    """Since the start."""
    given_back: int = 0
    """Since the start: to hubs that came back, or lost to another one."""


NOTHING_ADOPTED = AdoptionStatus()
"""Of a hub that goes on with its own log alone."""


@dataclass(frozen=True, slots=True)
class _CountedLog:
    log: HubLog
    pending: Callable[[], int]
    since: float


class AdoptedLogs:
    """Counts what is adopted and given back. Used from one event loop."""

    def __init__(self) -> None:
        self._now: dict[str, _CountedLog] = {}
        self._adoptions = 0
        self._given_back = 0

    def adopted(self, origin: str, log: HubLog, pending: Callable[[], int]) -> None:
        """This hub goes on with a log; `pending` tells how many of its deliveries are open."""
        self._now[origin] = _CountedLog(log, pending, time.monotonic())
        self._adoptions += 1

    def given_back(self, origin: str) -> None:
        """It does not any more."""
        del self._now[origin]
        self._given_back += 1

    def status(self) -> AdoptionStatus:
        """How things stand."""
        now = time.monotonic()
        return AdoptionStatus(
            adopted=tuple(
                AdoptedStatus(
                    origin=origin,
                    entries=one.log.size,
                    signed_entries=one.log.published_size,
                    seconds=round(now - one.since, 1),
                    pending=one.pending(),
                    trouble=one.log.trouble,
                )
                for origin, one in sorted(self._now.items())
            ),
            adoptions=self._adoptions,
            given_back=self._given_back,
        )
