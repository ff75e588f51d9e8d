"""The command `lienthong access-point`: sign for an agency's systems that cannot."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import click
import structlog

from bus.access_point import AccessPoint, open_access_point
from bus.cli.exit_codes import SERVE_EXIT_CODES, telling_errors
from bus.edge.access_point_door import AccessPointDoor
from bus.edge.access_point_settings import AccessPointSettings, read_access_point_settings
from bus.edge.access_point_tls import make_tls_context
from bus.edge.key_store import read_certificates
from bus.edge.serve import DRAIN_SECONDS_MAX, Door, listen, run, serve_doors
from bus.edge.telemetry import LEVELS, configure_telemetry

_log = structlog.get_logger()


@click.command(epilog=SERVE_EXIT_CODES)
@click.option(
    "--config",
    "settings_paths",
    type=click.Path(path_type=Path),
    multiple=True,
    required=True,
    help="Settings of an access point; given more than once, one process serves them all.",
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
def access_point(settings_paths: tuple[Path, ...], log_level: str, drain_seconds: int) -> None:
    """Take plain SOAP of an agency's own systems, sign it, ask the hub, prove the answers.

    Runs until SIGTERM or Ctrl-C; exchanges in work are finished first.
    """
    configure_telemetry(log_level)
    with telling_errors():
        settings = [read_access_point_settings(path) for path in settings_paths]
        run(_serve(settings, drain_seconds))


async def _serve(settings: list[AccessPointSettings], drain_seconds: int) -> None:
    with ExitStack() as stack:
        doors = [_open_door(one, stack) for one in settings]
        for one in settings:
            _log.info("access-point.serving", member=str(one.member), address=one.public_url)
        await serve_doors(doors, drain_seconds_max=drain_seconds)
    _log.info("access-point.closed")


def _open_door(settings: AccessPointSettings, stack: ExitStack) -> Door:
    access_point: AccessPoint = open_access_point(settings)
    stack.callback(access_point.close)
    application = AccessPointDoor(
        access_point, exchanges_at_once_max=settings.limits.exchanges_at_once_max
    )
    stack.callback(application.close)
    tls = None
    if settings.tls is not None:
        paths = [path for one in settings.systems.values() for path in one.client_certificates]
        tls = make_tls_context(settings.tls, read_certificates(paths))
    return Door(application, stack.enter_context(listen(settings.listen, settings.file)), tls)
