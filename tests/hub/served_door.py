"""A hub's door behind the very HTTP server that `lienthong serve` runs, for one story."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bus.http.server import Door, _server
from tests.hang_limits import HANG_SECONDS_MAX
from tests.hub.running_hub import RunningHub

LOOPBACK = "127.0.0.1"
DRAIN_SECONDS_MAX = int(HANG_SECONDS_MAX)


@asynccontextmanager
async def served(running: RunningHub) -> AsyncIterator[int]:
    """The port under which the door is served."""
    with socket.create_server((LOOPBACK, 0)) as listening:
        server = _server(Door(running.door, listening), DRAIN_SECONDS_MAX)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            await serving
