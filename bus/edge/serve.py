"""Serve an ASGI application over HTTP until the process is told to end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import Generator
from types import FrameType
from typing import Any

import uvicorn

from bus.core.errors import ConfigurationError, Problem
from bus.edge.hub_settings import HubSettings

BACKLOG_CONNECTIONS = 2048
"""Connections that may wait to be accepted."""
KEEP_ALIVE_SECONDS = 120
"""How long an idle connection is kept for the next request."""
DRAIN_SECONDS_MAX = 30
"""How long exchanges in work may take when the process is told to end."""
_COLLECTOR_THRESHOLDS = (20_000, 20, 20)
"""Objects made before the youngest ones are looked at, and so on (gc.set_threshold)."""
_ENDING = (signal.SIGTERM, signal.SIGINT)


def listen(settings: HubSettings) -> socket.socket:
    """The socket of the doors. Raises ConfigurationError: the address cannot be used."""
    host, port = settings.listen.host, settings.listen.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG_CONNECTIONS)
    except OSError as error:
        reason = error.strerror or str(error)
        message = f"cannot listen on {host} port {port}: {reason}"
        raise ConfigurationError([Problem(str(settings.file), "listen", message)]) from error


async def serve_http(
    application: Any, door: socket.socket, *, drain_seconds_max: int = DRAIN_SECONDS_MAX
) -> None:
    """Serve until SIGTERM or SIGINT; when it returns, no exchange is in work any more.

    First no connection is accepted any more, then the exchanges in work are finished, at most for
    `drain_seconds_max`. A second signal does not wait.
    """
    configuration = uvicorn.Config(
        application,
        http="httptools",
        ws="none",
        lifespan="off",
        interface="asgi3",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=drain_seconds_max,
    )
    settle_memory()
    await _QuietServer(configuration).serve(sockets=[door])


def settle_memory() -> None:
    """Keep the collector of cycles off what lives as long as the process.

    An exchange makes hundreds of objects and hardly a cycle; with the default thresholds the
    collector walks through everything that was loaded at start again and again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTOR_THRESHOLDS)


class _QuietServer(uvicorn.Server):
    """uvicorn, but a signal that was obeyed is not raised again: the hub must still be closed."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        before = {number: signal.signal(number, self.handle_exit) for number in _ENDING}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:
            self.force_exit = True
        self.should_exit = True


def run(main: Any) -> None:
    """Run a coroutine on the fastest event loop there is."""
    try:
        import uvloop
    except ImportError:  # not made for every system
        asyncio.run(main)
    else:
        uvloop.run(main)
