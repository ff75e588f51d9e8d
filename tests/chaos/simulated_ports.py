"""Ports whose other side fails, as a seed says: a log over a store, its rows, and a broker.

What is committed stays so over every crash, as on a disk. Each call comes out well, fails before
anything was done, or is done and its confirmation is lost; and it takes its time.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NoReturn, cast

from bus.core.deliveries import Changed, DeliveryChange, Moved, ReceiptRemoval
from bus.core.errors import LogUnavailable
from bus.core.ports.broker import (
    HandleLost,
    HandleOrder,
    HandleOutcome,
    OrderParcel,
    Sent,
    Taken,
)
from bus.core.ports.delivery_rows import DeliveryRows
from bus.core.ports.message_log import AlreadyTaken, Appended, Claim, LogWrite, StoredEntry
from tests.chaos.simulated_loop import SimulatedLoop
from tests.log.memory_entry_store import MemoryEntryStore

TAKEN_TIMES_MAX = 5
WAITING_MAX = 64


@dataclass(slots=True)
class Faults:
    """How likely what goes wrong is, from 0 to 1; all of it ends when the world heals."""

    luck: random.Random
    fails: float = 0.0
    """Nothing was done, and that is said."""
    unconfirmed: float = 0.0
    """It was done, and failure is said."""
    late: float = 0.0
    """It takes seconds."""
    doubles: float = 0.0
    """It comes twice."""
    loses: float = 0.0
    """It never comes, and nobody is told."""
    has_healed: bool = False
    struck: dict[str, int] = field(default_factory=dict)
    """How often what went wrong."""

    def strikes(self, chance: float, name: str) -> bool:
        if self.has_healed or not chance or self.luck.random() >= chance:
            return False
        self.struck[name] = self.struck.get(name, 0) + 1
        return True

    async def pass_time(self, loop: SimulatedLoop) -> None:
        late = self.strikes(self.late, "late")
        await asyncio.sleep(self.luck.uniform(0.5, 8.0) if late else loop.moment())


class FaultyLog:
    """Implements `MessageLog` over a store in memory. What waits side by side changes places."""

    def __init__(self, store: MemoryEntryStore, loop: SimulatedLoop, faults: Faults) -> None:
        self._store = store
        self._loop = loop
        self._faults = faults
        self.committed: Callable[[int], None] = lambda _: None
        """Told the index of each entry when it is on disk."""

    async def append(self, write: LogWrite) -> Appended | AlreadyTaken | Moved:
        result = await self._commit(write)
        assert not isinstance(result, Changed)
        return result

    async def change(self, change: DeliveryChange) -> Changed | Moved:
        result = await self._commit(change)
        assert isinstance(result, Changed | Moved)
        return result

    async def _commit(
        self, work: LogWrite | DeliveryChange
    ) -> Appended | AlreadyTaken | Changed | Moved:
        await self._faults.pass_time(self._loop)
        if self._faults.strikes(self._faults.fails, "commit failed"):
            raise LogUnavailable("the disk failed")
        result = self._store.commit([work])[0]
        if isinstance(result, Appended):
            self.committed(result.index)
        await self._faults.pass_time(self._loop)
        if self._faults.strikes(self._faults.unconfirmed, "commit unconfirmed"):
            raise LogUnavailable("the disk failed after it was written")
        return result

    async def remove_receipts(self, removal: ReceiptRemoval) -> int:
        await self._faults.pass_time(self._loop)
        if self._faults.strikes(self._faults.fails, "commit failed"):
            raise LogUnavailable("the disk failed")
        return self._store.remove_receipts(removal)

    async def claimed(self, claim: Claim) -> AlreadyTaken | None:
        return self._store.claimed(claim)

    async def read(self, index: int, origin: str | None = None) -> StoredEntry:
        await asyncio.sleep(self._loop.moment())
        if self._faults.strikes(self._faults.fails, "read failed"):
            raise LogUnavailable("the disk failed")
        entry = self._store.entry(index)
        assert entry is not None
        return entry

    async def close(self) -> None:
        pass


class _FaultyRows:
    """Rows that cannot be read at times."""

    def __init__(self, rows: DeliveryRows, faults: Faults) -> None:
        self._rows = rows
        self._faults = faults

    def __getattr__(self, name: str) -> Callable[..., Any]:
        read: Callable[..., Any] = getattr(self._rows, name)

        def read_or_fail(*args: object) -> Any:
            if self._faults.strikes(self._faults.fails, "rows failed"):
                raise LogUnavailable("the disk failed")
            return read(*args)

        return read_or_fail


def faulty_rows(rows: DeliveryRows, faults: Faults) -> DeliveryRows:
    """The same rows, behind a disk that fails."""
    return cast(DeliveryRows, _FaultyRows(rows, faults))


@dataclass(slots=True)
class _CarriedOrder:
    parcel: OrderParcel
    taken_times: int = 0


class FaultyBroker:
    """OrderBroker and WorkBroker of a server apart: it outlives hubs and workers, and its
    connections break. What it gave out and nobody settled, it gives out again, and says so."""

    trouble = ""
    without_queue: frozenset[str] = frozenset()

    def __init__(self, loop: SimulatedLoop, faults: Faults, clock: Callable[[], datetime]) -> None:
        self._loop = loop
        self._faults = faults
        self._luck = faults.luck
        self._clock = clock
        self._orders: dict[str, list[_CarriedOrder]] = {}
        self._in_work: dict[int, tuple[str, _CarriedOrder]] = {}
        self._told: list[tuple[bool, Taken]] = []
        """Whether it is a lost order, and what the hub is told."""
        self._telling: list[tuple[bool, Taken]] = []
        self._number = 0

    # --- the hub's side ------------------------------------------------------------------------

    async def start(self, handle: HandleOutcome, lost: HandleLost, late: object = None) -> None:
        for _ in range(4):
            asyncio.get_running_loop().create_task(self._tell_hub(handle, lost))

    async def send(self, order: OrderParcel) -> Sent:
        await self._faults.pass_time(self._loop)
        waiting = self._orders.setdefault(order.agency, [])
        if self._faults.strikes(self._faults.fails, "order refused") or len(waiting) > WAITING_MAX:
            return Sent.REFUSED
        is_lost = self._faults.strikes(self._faults.loses, "order lost")
        is_unknown = self._faults.strikes(self._faults.unconfirmed, "order unconfirmed")
        if not is_lost and not (is_unknown and self._luck.random() < 0.5):
            # It may come behind what was sent later.
            waiting.insert(self._luck.randint(0, len(waiting)), _CarriedOrder(order))
        await self._faults.pass_time(self._loop)
        return Sent.UNKNOWN if is_unknown else Sent.CONFIRMED

    def takes_at_once(self, agency: str) -> bool:
        return self._luck.random() < 0.5

    def offer(self, order: OrderParcel) -> bool:
        waiting = self._orders.setdefault(order.agency, [])
        if self._faults.strikes(self._faults.fails, "order refused") or len(waiting) > WAITING_MAX:
            return False
        if not self._faults.strikes(self._faults.loses, "order lost"):
            waiting.insert(self._luck.randint(0, len(waiting)), _CarriedOrder(order))
        return True

    async def ask(self, order: OrderParcel, answer_before: object, read: object) -> NoReturn:
        raise NotImplementedError("queries are not simulated")

    async def close(self) -> None:
        pass

    async def _tell_hub(self, handle: HandleOutcome, lost: HandleLost) -> None:
        while True:
            await asyncio.sleep(self._luck.uniform(0.05, 0.6))
            if not self._told:
                continue
            told = self._told.pop(self._luck.randrange(len(self._told)))
            self._telling.append(told)
            is_lost, taken = told
            try:
                await (lost if is_lost else handle)(taken)
                is_told = not self._faults.strikes(self._faults.doubles, "told again")
            except LogUnavailable:
                is_told = False
            self._telling.remove(told)
            if not is_told:
                self._tell_again(told)

    def hub_died(self) -> None:
        """All that it was being told is told again."""
        for told in self._telling:
            self._tell_again(told)
        self._telling.clear()

    def _tell_again(self, told: tuple[bool, Taken]) -> None:
        is_lost, taken = told
        is_redelivered = taken.is_redelivered if is_lost else True
        self._told.append((is_lost, Taken(taken.content, taken.sender, is_redelivered)))

    # --- the workers' side ---------------------------------------------------------------------

    async def work(self, agency: str, handle: HandleOrder, *, concurrency: int) -> None:
        for _ in range(concurrency):
            asyncio.get_running_loop().create_task(self._take_orders(agency, handle))

    async def pause(self, agency: str) -> None:
        raise NotImplementedError("no worker pauses here")

    async def drain(self, seconds_max: float) -> None:
        raise NotImplementedError("no worker drains here")

    async def _take_orders(self, agency: str, handle: HandleOrder) -> None:
        waiting = self._orders.setdefault(agency, [])
        while True:
            await asyncio.sleep(self._luck.uniform(0.05, 0.6))
            if not waiting:
                continue
            order = waiting.pop(self._luck.randrange(len(waiting)))
            now = self._clock()
            if order.parcel.begin_before <= now:
                self._give_up(order)
                continue
            self._number += 1
            number = self._number
            self._in_work[number] = agency, order
            taken = Taken(order.parcel.content, "worker", order.taken_times > 0)
            order.taken_times += 1
            if self._faults.strikes(self._faults.doubles, "order given to another"):
                self._give_again(number)  # its connection is lost, and it goes on
            try:
                outcome = await handle(taken)
            except Exception:
                self._give_again(number)
                continue
            await self._faults.pass_time(self._loop)
            if outcome is not None and not self._faults.strikes(self._faults.loses, "outcome lost"):
                told = False, Taken(outcome, "worker", is_redelivered=False)
                is_twice = self._faults.strikes(self._faults.doubles, "outcome sent twice")
                self._told.extend([told, told] if is_twice else [told])
            self._in_work.pop(number, None)

    def worker_died(self) -> None:
        """All that it had in work is given out again."""
        for number in list(self._in_work):
            self._give_again(number)

    def _give_again(self, number: int) -> None:
        found = self._in_work.pop(number, None)
        if found is None:
            return
        agency, order = found
        if order.taken_times >= TAKEN_TIMES_MAX:
            self._give_up(order)
        else:
            self._orders[agency].insert(0, _CarriedOrder(order.parcel, order.taken_times))

    def _give_up(self, order: _CarriedOrder) -> None:
        taken = Taken(order.parcel.content, "", order.taken_times > 0)
        self._told.append((True, taken))
