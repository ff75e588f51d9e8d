"""The command `lienthong serve`: run a hub until it is told to end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from pathlib import Path

import click
import structlog

from bus.cli.exit_codes import FOUND, SERVE_EXIT_CODES, fail, reporting_errors
from bus.core.ports.entry_store import Fenced
from bus.doors.operations import OperationsDoor
from bus.doors.operator_socket import OperatorSocket
from bus.doors.soap import HttpDoor
from bus.http.own_hosts import GuardedDoor, OwnHosts
from bus.http.server import DRAIN_SECONDS_MAX, Door, listen, run, serve_doors
from bus.hub import Hub, open_hub
from bus.runtime.telemetry import LEVELS, configure_telemetry
from bus.settings.hub import HubSettings, read_hub_settings

_FENCED_LOOK_SECONDS = 1.0

_log = structlog.get_logger()


@click.command(epilog=SERVE_EXIT_CODES)
@click.option(
    "--settings",
    "settings_path",
    type=click.Path(path_type=Path),
    required=True,
    help="hub.yaml of this deployment.",
)
@click.option(
    "--log-level",
    type=click.Choice(list(LEVELS)),
    default="info",
    show_default=True,
    help="From which level on events are told on stderr, one JSON line for each.",
)
@click.option(
    "--drain-seconds",
    type=click.IntRange(0),
    default=DRAIN_SECONDS_MAX,
    show_default=True,
    help="How long exchanges in work may take after SIGTERM.",
)
def serve(settings_path: Path, log_level: str, drain_seconds: int) -> None:
    """Serve the SOAP door until SIGTERM or Ctrl-C.

    Exchanges in work are finished first; then the log gets its last entry and checkpoint.
    """
    configure_telemetry(log_level)
    with reporting_errors():
        try:
            run(_serve(read_hub_settings(settings_path), drain_seconds))
        except Fenced:
            fail("Another hub took over the message log; start again to ask for it.", code=FOUND)


async def _serve(settings: HubSettings, drain_seconds: int) -> None:
    with contextlib.ExitStack() as sockets:
        door = sockets.enter_context(listen(settings.listen, settings.file))
        operations = None
        if settings.operations is not None:
            socket = listen(settings.operations, settings.file, key="operations")
            operations = sockets.enter_context(socket)
        hub = await open_hub(settings, judge_process=settings.judge_process)
        operators = OperatorSocket(settings.log.folder, hub.operating)
        try:
            await operators.open()
            watching = asyncio.create_task(_leave_when_fenced(hub))
            _log.info("hub.serving", address=settings.public_url)
            doors = [Door(HttpDoor(hub), door)]
            if operations is not None:
                assert settings.operations is not None
                hosts = OwnHosts.of(settings.operations.host, more=settings.operations_hosts)
                guarded = GuardedDoor(OperationsDoor(hub), hosts, door="operations")
                doors.append(Door(guarded, operations))
            await serve_doors(doors, drain_seconds_max=drain_seconds)
            watching.cancel()
        finally:
            await operators.close()
            await hub.close()
            _log.info("hub.closed")
        if hub.is_fenced:
            raise Fenced


async def _leave_when_fenced(hub: Hub) -> None:
    """A hub that was paused for too long makes room for one that starts anew in its place."""
    while not hub.is_fenced:
        await asyncio.sleep(_FENCED_LOOK_SECONDS)
    _log.error("hub.fenced")
    signal.raise_signal(signal.SIGTERM)
