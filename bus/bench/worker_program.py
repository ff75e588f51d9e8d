"""Run a worker under load: as `lienthong worker` does, but for an agency that takes all at once."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from bus.bench.citizen_answer import FixedCitizen
from bus.bench.programs import NO_PORT, say_last_words, say_ready, stop_at_end_of_input
from bus.http.server import run
from bus.runtime.resources import opening
from bus.runtime.telemetry import configure_telemetry
from bus.settings.worker import read_worker_settings
from bus.worker import open_worker

MODULE = "bus.bench.worker_program"


def main(settings_file: str, adapter: str) -> None:
    """Work until the input ends."""
    configure_telemetry("warning")
    run(_work(Path(settings_file), adapter))
    say_last_words()


async def _work(settings_file: Path, adapter: str) -> None:
    ended = asyncio.Event()
    async with opening() as resources:
        adapters = {adapter: FixedCitizen({})}
        worker = open_worker(
            read_worker_settings(settings_file), [adapter], resources, given=adapters
        )
        await worker.start()
    try:
        stop_at_end_of_input(ended.set)
        say_ready(NO_PORT)
        await ended.wait()
        await worker.drain()
    finally:
        await resources.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
