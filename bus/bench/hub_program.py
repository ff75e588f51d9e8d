"""Run the hub under load: as `lienthong serve` does, but for agencies that answer at once."""

from __future__ import annotations

import cProfile
import os
import signal
import sys
import time
from pathlib import Path

from bus.bench.citizen_answer import FixedCitizen, FixedCitizenOnThread
from bus.bench.programs import listen, say_last_words, say_ready, stop_at_end_of_input
from bus.delivery.carrying import adapters_named
from bus.doors.soap import HttpDoor
from bus.http.server import run, serve_http
from bus.hub import Hub, open_hub
from bus.runtime.telemetry import configure_telemetry
from bus.settings.hub import HubSettings, read_hub_settings
from bus.settings.routes import read_registry

MODULE = "bus.bench.hub_program"
ON_THREAD = "on-thread"
"""Says that the agency is asked on a thread of its adapter."""


def main(settings_file: str, calls: str = "", profile_file: str = "") -> None:
    """Serve until the input ends; with a profile file, say there where the time went."""
    configure_telemetry("warning")
    # Of this thread alone: what else the machine does is nothing of the hub.
    profile = cProfile.Profile(time.thread_time)
    agency = FixedCitizenOnThread({}) if calls == ON_THREAD else FixedCitizen({})
    run(_serve(read_hub_settings(Path(settings_file)), agency, profile if profile_file else None))
    if profile_file:
        profile.dump_stats(profile_file)
    say_last_words()


async def _serve(
    settings: HubSettings, agency: FixedCitizen, profile: cProfile.Profile | None
) -> None:
    adapters = dict.fromkeys(adapters_named(read_registry(settings.routes)), agency)
    with listen() as door:
        hub = await open_hub(settings, adapters=adapters, judge_process=settings.judge_process)
        try:
            stop_at_end_of_input(_end_this_process, lambda: _counts(hub))
            # Connections are taken from here on; they are served in a moment.
            say_ready(door)
            if profile:
                profile.enable()
            await serve_http(HttpDoor(hub), door)
            if profile:
                profile.disable()
        finally:
            await hub.close()


def _counts(hub: Hub) -> dict[str, int]:
    log = hub.status().log
    return {"entries": log.entries, "commits": log.commits}


def _end_this_process() -> None:
    """End as an operator ends a hub: no request in work is lost."""
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main(*sys.argv[1:])
