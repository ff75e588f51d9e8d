"""See from time to time whether agencies can be reached, without a message and beside messages.

A probe is a call of the adapter, on its own threads, and leaves no entry. That an agency is back
lets the next delivery go at once; whether it takes deliveries, these alone say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import structlog

from bus.core.errors import AgencyBusy, BusError
from bus.core.identifiers import SubsystemId
from bus.core.registry import MemberRegistry
from bus.delivery.adapter_calls import AdapterCalls
from bus.runtime.telemetry import places_of

PROBE_SECONDS = 10.0
"""How long an agency may take to show that it is there."""
AWAY_SECONDS = 10.0
"""Between two probes of one that could not be reached, if it is less than the others wait."""
TURN_SECONDS = 1.0

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ProbeStatus:
    """What probes of one recipient came to."""

    recipient: str
    adapter: str
    is_reached: bool | None
    """None: it was not probed yet."""
    code: str
    """Why it could not be reached; empty: it could, or was not probed."""
    seconds: float
    """How long it has been so."""
    failed: int
    """Probes since the start that did not reach it."""


@dataclass(slots=True)
class _Probed:
    """One recipient."""

    recipient: SubsystemId
    calls: AdapterCalls
    due: float
    is_reached: bool | None = None
    code: str = ""
    since: float = 0.0
    failed: int = 0


class Probing:
    """Probes recipients whose adapters can; used from one event loop.

    Each adapter makes one probe at a time; one that hangs delays those of no other.
    """

    def __init__(
        self,
        agencies: Mapping[str, AdapterCalls],
        registry: MemberRegistry,
        when_back: Callable[[str], None],
        *,
        every_seconds: float,
        monotonic: Callable[[], float],
    ) -> None:
        """`when_back` is told a recipient that can be reached again. `every_seconds` 0: none is
        probed by itself. `monotonic` gives seconds."""
        self._when_back = when_back
        self._every_seconds = every_seconds
        self._monotonic = monotonic
        self._by_adapter: dict[str, list[_Probed]] = {}
        now = monotonic()
        for adapter, calls in agencies.items():
            if calls.can_probe:
                found = sorted(recipients_of(adapter, registry), key=str)
                # A hub that starts has other work first; and they do not come together.
                self._by_adapter[adapter] = [
                    _Probed(one, calls, now + every_seconds * (1 + place / len(found)))
                    for place, one in enumerate(found)
                ]
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Probe from now on."""
        if self._every_seconds:
            for adapter, probed in self._by_adapter.items():
                task = asyncio.create_task(self._keep_probing(probed), name=f"probe-{adapter}")
                self._tasks.append(task)

    async def close(self) -> None:
        """Probe no more; what is being asked is not waited for."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def turn(self) -> None:
        """Probe each recipient that is due."""
        await asyncio.gather(*(self._turn_of(probed) for probed in self._by_adapter.values()))

    async def once(self) -> None:
        """Probe every recipient now."""
        for probed in self._by_adapter.values():
            for one in probed:
                one.due = self._monotonic()
        await self.turn()

    def status(self) -> tuple[ProbeStatus, ...]:
        """What is known of each recipient that can be probed."""
        now = self._monotonic()
        return tuple(
            ProbeStatus(
                str(one.recipient),
                adapter,
                one.is_reached,
                one.code,
                round(now - one.since, 1) if one.is_reached is not None else 0.0,
                one.failed,
            )
            for adapter, probed in sorted(self._by_adapter.items())
            for one in probed
        )

    async def _keep_probing(self, probed: Iterable[_Probed]) -> None:
        while True:
            await asyncio.sleep(TURN_SECONDS)
            try:
                await self._turn_of(probed)
            except Exception as error:  # a mistake of ours: messages go on without probes
                _log.error("probing.broken", error=type(error).__name__, places=places_of(error))
                return

    async def _turn_of(self, probed: Iterable[_Probed]) -> None:
        for one in probed:
            if one.due <= self._monotonic():
                await self._probe(one)

    async def _probe(self, one: _Probed) -> None:
        code = ""
        try:
            await one.calls.probe(one.recipient, PROBE_SECONDS)
        except AgencyBusy:  # every thread is at work or hangs: that says nothing of the way there
            one.due = self._monotonic() + AWAY_SECONDS
            return
        except BusError as error:
            code, one.failed = error.code, one.failed + 1
        is_reached, now = not code, self._monotonic()
        if is_reached != one.is_reached:
            self._tell(one, code)
            one.since = now
        one.is_reached, one.code = is_reached, code
        every = self._every_seconds
        one.due = now + (every if is_reached else min(every, AWAY_SECONDS))

    def _tell(self, one: _Probed, code: str) -> None:
        recipient = str(one.recipient)
        if code:
            _log.warning("recipient.away", recipient=recipient, code=code)
        elif one.is_reached is not None:
            _log.info("recipient.back", recipient=recipient)
            self._when_back(recipient)


def recipients_of(adapter: str, registry: MemberRegistry) -> set[SubsystemId]:
    """Everybody that an adapter reaches."""
    providers = {one.id.provider for one in registry.services.values() if one.adapter == adapter}
    return providers | {one for one, named in registry.recipients.items() if named == adapter}
