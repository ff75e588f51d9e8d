"""Serve an ASGI application over HTTP until the process is told to end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import ssl
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn

from bus.core.errors import ConfigurationError
from bus.http.server_protocol import SeeingProtocol
from bus.runtime.memory import settle_memory
from bus.settings.listen import ListenAddress
from bus.settings.yaml_document import problem_in_file

BACKLOG_CONNECTIONS = 2048
"""Connections that may wait to be accepted."""
KEEP_ALIVE_SECONDS = 120
"""How long an idle connection is kept for the next request."""
DRAIN_SECONDS_MAX = 30
"""How long exchanges in work may take when the process is told to end."""
_ENDING = (signal.SIGTERM, signal.SIGINT)


def listen(address: ListenAddress, file: Path, *, key: str = "listen") -> socket.socket:
    """The socket of a door; `file` names the address. Raises ConfigurationError: it is not to be
    had."""
    host, port = address.host, address.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG_CONNECTIONS)
    except OSError as error:
        # Python tells the address once more behind the system's own words.
        reason = (error.strerror or str(error)).partition(" (while attempting")[0]
        message = f"cannot listen on {host} port {port}: {reason}"
        raise ConfigurationError([problem_in_file(file, (key,), message)]) from error


@dataclass(frozen=True, slots=True)
class Door:
    """An application, and the socket behind which it is served."""

    application: Any
    socket: socket.socket
    tls: ssl.SSLContext | None = None


async def serve_http(
    application: Any, door: socket.socket, *, drain_seconds_max: int = DRAIN_SECONDS_MAX
) -> None:
    """Serve one application; see `serve_doors`."""
    await serve_doors([Door(application, door)], drain_seconds_max=drain_seconds_max)


async def serve_doors(doors: Sequence[Door], *, drain_seconds_max: int = DRAIN_SECONDS_MAX) -> None:
    """Serve until SIGTERM or SIGINT; when it returns, no exchange is in work any more.

    First no connection is accepted any more, then the exchanges in work are finished, at most for
    `drain_seconds_max`. A second signal does not wait.
    """
    servers = [_server(door, drain_seconds_max) for door in doors]
    settle_memory()
    with _ending_by_signal(servers):
        async with asyncio.TaskGroup() as group:
            for server, door in zip(servers, doors, strict=True):
                group.create_task(server.serve(sockets=[door.socket]))


def _server(door: Door, drain_seconds_max: int) -> uvicorn.Server:
    configuration = uvicorn.Config(
        door.application,
        http=SeeingProtocol,
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
    configuration.load()
    configuration.ssl = door.tls
    return _QuietServer(configuration)


class _QuietServer(uvicorn.Server):
    """uvicorn, but signals are for whoever runs it: the hub must still be closed after them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@contextlib.contextmanager
def _ending_by_signal(servers: Sequence[uvicorn.Server]) -> Generator[None, None, None]:
    """Tell every server to end at the first signal, and not to wait at the second."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        for server in servers:
            server.force_exit = server.should_exit
            server.should_exit = True

    before = {number: signal.signal(number, handle) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run(main: Any) -> None:
    """Run a coroutine on the fastest event loop there is."""
    try:
        import uvloop
    except ImportError:  # not made for every system
        asyncio.run(main)
    else:
        uvloop.run(main)
