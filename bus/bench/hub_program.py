"""Run the hub under load: the real one, but for agencies that answer at once."""

from __future__ import annotations

import asyncio
import cProfile
import logging
import sys
from pathlib import Path

import structlog
import uvicorn
import uvloop

from bus.bench.citizen_answer import FixedCitizen
from bus.bench.programs import listen, say_last_words, say_ready, stop_at_end_of_input
from bus.edge.http_door import HttpDoor
from bus.edge.hub_settings import HubSettings, read_hub_settings
from bus.edge.routes_file import read_nation
from bus.hub import Hub, open_hub

MODULE = "bus.bench.hub_program"


def main(settings_file: str, profile_file: str = "") -> None:
    """Serve until the input ends; with a profile file, say there where the time went."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    settings = read_hub_settings(Path(settings_file))
    profile = cProfile.Profile() if profile_file else None
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, profile))
    if profile:
        profile.dump_stats(profile_file)
    say_last_words()


async def _serve(settings: HubSettings, profile: cProfile.Profile | None) -> None:
    agency = FixedCitizen({})
    services = read_nation(settings.routes).services.values()
    hub = await open_hub(settings, adapters={service.adapter: agency for service in services})
    try:
        if profile:
            profile.enable()
        await _serve_http(hub)
        if profile:
            profile.disable()
    finally:
        await hub.close()


async def _serve_http(hub: Hub) -> None:
    server = uvicorn.Server(
        uvicorn.Config(
            HttpDoor(hub),
            http="httptools",
            ws="none",
            lifespan="off",
            access_log=False,
            log_level="warning",
        )
    )

    def stop() -> None:
        server.should_exit = True

    listening = listen()
    stop_at_end_of_input(stop)
    # The socket takes connections from here on; the server serves them in a moment.
    say_ready(listening)
    await server.serve(sockets=[listening])


if __name__ == "__main__":
    main(*sys.argv[1:])
