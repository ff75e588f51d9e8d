"""A hub that something strikes: real door, log and deliveries, and an agency that remembers.

Its clock may be set by others meanwhile, and it leaves when another hub has its log, as
`lienthong serve` does.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from bus.bench.programs import listen, say_ready, stop_at_end_of_input
from bus.delivery.carrying import adapters_named
from bus.doors.operator_socket import OperatorSocket
from bus.doors.soap import HttpDoor
from bus.http.server import run, serve_http
from bus.hub import Hub, open_hub
from bus.kit.contract import Adapter
from bus.runtime.clock import now as read_clock
from bus.runtime.telemetry import configure_telemetry
from bus.settings.hub import HubSettings, read_hub_settings
from bus.settings.routes import read_registry
from tests.chaos.journaling_agency import JournalingAgency

_FENCED_LOOK_SECONDS = 0.5


def main(settings_file: str, journal_file: str, clock_file: str = "") -> None:
    configure_telemetry("warning")
    agency = JournalingAgency({"journal": journal_file})
    clock = skewed_clock(Path(clock_file)) if clock_file else read_clock
    run(_serve(read_hub_settings(Path(settings_file)), agency, clock))


def skewed_clock(file: Path) -> Callable[[], datetime]:
    """A clock that goes wrong by as many seconds as the file says at the moment."""
    descriptor = os.open(file, os.O_RDONLY)

    def now() -> datetime:
        return read_clock() + timedelta(seconds=float(os.pread(descriptor, 32, 0) or b"0"))

    return now


async def _serve(settings: HubSettings, agency: Adapter, clock: Callable[[], datetime]) -> None:
    adapters = dict.fromkeys(adapters_named(read_registry(settings.routes)), agency)
    with listen() as door:
        hub = await open_hub(settings, adapters=adapters, judge_process=False, clock=clock)
        operators = OperatorSocket(settings.log.folder, hub.operating)
        try:
            await operators.open()
            watching = asyncio.create_task(_leave_when_fenced(hub))
            stop_at_end_of_input(lambda: os.kill(os.getpid(), signal.SIGTERM))
            say_ready(door)
            await serve_http(HttpDoor(hub), door)
            watching.cancel()
        finally:
            await operators.close()
            await hub.close()


async def _leave_when_fenced(hub: Hub) -> None:
    while not hub.is_fenced:
        await asyncio.sleep(_FENCED_LOOK_SECONDS)
    signal.raise_signal(signal.SIGTERM)
