"""The command `lienthong worker`: do the orders of agencies until it is told to end."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import click

from bus.cli.exit_codes import EXIT_CODES, reporting_errors
from bus.http.server import run
from bus.runtime.resources import opening
from bus.runtime.telemetry import LEVELS, configure_telemetry
from bus.settings.worker import WorkerSettings, read_worker_settings
from bus.worker import DRAIN_SECONDS_MAX, run_worker


@click.command(epilog=EXIT_CODES)
@click.argument("agencies", nargs=-1, required=True, metavar="AGENCY...")
@click.option(
    "--settings",
    "settings_path",
    type=click.Path(path_type=Path),
    required=True,
    help="worker.yaml of this worker.",
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
    default=int(DRAIN_SECONDS_MAX),
    show_default=True,
    help="How long calls in work may take after SIGTERM.",
)
def worker(
    agencies: tuple[str, ...], settings_path: Path, log_level: str, drain_seconds: int
) -> None:
    """Do what AGENCY... are asked and sent, which are ids of adapters, until SIGTERM or Ctrl-C.

    It needs a broker and the agencies' keys, and neither the hub's files nor its database. Calls in
    work are finished first.
    """
    configure_telemetry(log_level)
    with reporting_errors():
        run(_work(read_worker_settings(settings_path), agencies, drain_seconds))


async def _work(settings: WorkerSettings, agencies: tuple[str, ...], drain_seconds: int) -> None:
    is_to_end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, is_to_end.set)
    async with opening() as resources:
        names = list(dict.fromkeys(agencies))
        await run_worker(settings, names, is_to_end, resources, drain_seconds=drain_seconds)
    await resources.close()
