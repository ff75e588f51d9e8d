"""Go on with the logs of hubs that are gone, each whole, until these come back.

An adopted log keeps its origin, its key and its tree. What its hub left undone is settled as at a
start of that hub: interrupted queries may come again, deliveries go on. New messages go into this
hub's own log.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from bus.core.errors import BusError, ConfigurationError
from bus.core.log.leaf import read_leaf
from bus.hub_begin import begin
from bus.hub_parts import (
    LOG_CLOSE_SECONDS_MAX,
    HubGround,
    HubKeys,
    make_deliveries,
    open_attachments,
    receipt_key_of,
    settings_of_other,
)
from bus.log.beside import keeper_beside
from bus.log.entry_writer import EntryWriter
from bus.log.message_log import HubLog
from bus.log.opening import hub_name, open_log
from bus.log.postgres.origins import LEASE_SECONDS, OriginHeld
from bus.log.postgres.watch import OriginWatch
from bus.operations.adopted_logs import AdoptedLogs
from bus.runtime.resources import Resources, opening
from bus.runtime.telemetry import places_of
from bus.settings.hub import OtherLog

LOOK_SECONDS = 2.0
"""Between two looks at who is gone, and who is back."""
CLOSE_SECONDS_MAX = LOG_CLOSE_SECONDS_MAX + 20.0

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Adopted:
    log: HubLog
    resources: Resources


class Adoption:
    """Watches the other logs of the settings. Used from one event loop."""

    def __init__(self, ground: HubGround, adopted: AdoptedLogs) -> None:
        """`adopted` is told what is adopted, for operators."""
        self._ground = ground
        self._told = adopted
        self._others = {one.origin: one for one in ground.settings.log.others}
        self._adopted: dict[str, _Adopted] = {}
        self._watching: asyncio.Task[None] | None = None
        self._watch: OriginWatch | None = None
        self._is_ending = asyncio.Event()
        self._trusts_from = 0.0
        """By the monotonic clock: before that, other hubs may not have reached the server again."""

    @property
    def origins(self) -> tuple[str, ...]:
        """Logs that this hub goes on with now, besides its own."""
        return tuple(sorted(self._adopted))

    async def start(self) -> None:
        """Begin to watch, if there are others. Raises LogUnavailable, ConfigurationError."""
        database = self._ground.settings.database
        if not self._others or database is None:
            return
        self._watch = await asyncio.to_thread(OriginWatch, database)
        self._watching = asyncio.create_task(self._look_always(self._watch))

    async def close(self) -> None:
        """Give every adopted log back, drained."""
        self._is_ending.set()
        if self._watching is not None:
            await self._watching  # not cancelled: a log that is being opened must be closed, too
        await asyncio.gather(*(self._give_back(origin) for origin in self.origins))
        if self._watch is not None:
            await asyncio.to_thread(self._watch.close)

    async def _look_always(self, watch: OriginWatch) -> None:
        while not self._is_ending.is_set():
            try:
                await self._look(watch)
            except OriginHeld:
                pass  # another hub was faster
            except (BusError, ConfigurationError, OSError) as error:
                self._trusts_from = time.monotonic() + LEASE_SECONDS
                # The server is away, or a folder cannot be written: looked at again.
                detail = error.diagnostic if isinstance(error, BusError) else str(error)
                _log.error("log.not-adopted", error=type(error).__name__, detail=detail)
            except Exception as error:  # a mistake of ours: the hub's own log goes on
                _log.error("log.not-adopted", error=type(error).__name__, places=places_of(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._is_ending.wait(), LOOK_SECONDS)

    async def _look(self, watch: OriginWatch) -> None:
        mine = self._ground.settings.log.folder
        for origin in await asyncio.to_thread(watch.wanted_back, hub_name(mine)):
            if origin in self._adopted:
                await self._give_back(origin)
        for origin in [one for one, adopted in self._adopted.items() if adopted.log.is_fenced]:
            await self._give_back(origin)
        if time.monotonic() < self._trusts_from:
            # The server was away: leases ran out whose hubs are well, and would be fenced.
            return
        absent = [origin for origin in self._others if origin not in self._adopted]
        for origin in await asyncio.to_thread(watch.left_behind, absent):
            await self._adopt(self._others[origin])

    async def _adopt(self, other: OtherLog) -> None:
        async with opening() as resources:
            ground = await self._open(other, resources)
            deliveries = make_deliveries(ground)
            interrupted = await begin(ground, deliveries, resources)
        self._adopted[other.origin] = _Adopted(ground.log, resources)
        self._told.adopted(other.origin, ground.log, lambda: deliveries.lanes.pending)
        _log.warning(
            "log.adopted", origin=other.origin, entries=ground.log.size, interrupted=interrupted
        )

    async def _open(self, other: OtherLog, resources: Resources) -> HubGround:
        """What every part of a hub stands on, for the log of another one."""
        own = self._ground
        keys = _keys_for(own.keys, other)
        settings = settings_of_other(own.settings, other)
        open_it: Callable[[], HubLog] = lambda: open_log(  # noqa: E731
            other.folder,
            key=keys.log,
            guard=other.guard,
            limits=own.ruled.rules.registry.limits,
            database=settings.database,
            adopter=hub_name(own.settings.log.folder),
        )
        log = await asyncio.to_thread(open_it)
        resources.own("adopted-log", log.close, seconds_max=LOG_CLOSE_SECONDS_MAX)
        hub = hub_name(own.settings.log.folder)
        store = open_attachments(settings, keys.sealer, hub, resources)
        await store.recover(log.names_attachments)
        entries = EntryWriter(log, store, keys.sealer)
        clock = await _clock_after(log, own.clock)
        return replace(
            own,
            settings=settings,
            keys=keys,
            log=log,
            entries=entries,
            clock=clock,
            keep_files=keeper_beside(other.folder, settings.database, other.origin, hub),
        )

    async def _give_back(self, origin: str) -> None:
        given = self._adopted.pop(origin)
        await given.resources.close()
        self._told.given_back(origin)
        _log.warning("log.given-back", origin=origin, entries=given.log.size)


def _keys_for(keys: HubKeys, other: OtherLog) -> HubKeys:
    key = keys.others[other.origin]
    return replace(keys, log=key, receipts=receipt_key_of(key))


async def _clock_after(log: HubLog, clock: Callable[[], datetime]) -> Callable[[], datetime]:
    """A clock that does not begin before the last entry of a log, and goes on from there: the hub
    that wrote it may have had one that is ahead, and times of deliveries are by that one.

    Raises LogUnavailable, LogCorrupt.
    """
    if not log.size:
        return clock
    last = read_leaf((await log.read(log.size - 1)).leaf).time
    ahead = max(last - clock(), timedelta())
    return lambda: clock() + ahead
