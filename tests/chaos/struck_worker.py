"""A worker that something strikes; it works until its input ends, as `lienthong worker` does.

Its clock may be set by others meanwhile.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from bus.bench.programs import stop_at_end_of_input
from bus.http.server import run
from bus.runtime.clock import now as read_clock
from bus.runtime.resources import opening
from bus.runtime.telemetry import configure_telemetry
from bus.settings.worker import WorkerSettings, read_worker_settings
from bus.worker import open_worker
from tests.chaos.struck_hub import skewed_clock

_DRAIN_SECONDS_MAX = 10


def main(settings_file: str, clock_file: str, *agencies: str) -> None:
    configure_telemetry("error")
    run(_work(read_worker_settings(Path(settings_file)), clock_file, agencies))


async def _work(settings: WorkerSettings, clock_file: str, agencies: tuple[str, ...]) -> None:
    is_to_end = asyncio.Event()
    stop_at_end_of_input(is_to_end.set)
    clock = skewed_clock(Path(clock_file)) if clock_file else read_clock
    async with opening() as resources:
        worker = open_worker(settings, agencies, resources, clock)
        await worker.start()
        await is_to_end.wait()
        await worker.drain(_DRAIN_SECONDS_MAX)
    await resources.close()
