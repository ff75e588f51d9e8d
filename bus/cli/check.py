"""The command `lienthong check`: tell before the start whether a program can start."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from bus.access_point.readiness import check_access_point
from bus.cli.exit_codes import DONE, EXIT_CODES, FOUND
from bus.cli.shown import one_line, tell
from bus.core.errors import Problem
from bus.operations.live_probes import probe_agencies, probe_warning
from bus.operations.readiness import check_readiness
from bus.operations.readiness_report import Readiness
from bus.operations.worker_readiness import check_worker
from bus.runtime.clock import now
from bus.runtime.telemetry import configure_telemetry


@click.command(epilog=f"{EXIT_CODES} Warnings alone are 0.")
@click.option(
    "--settings",
    "settings_path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="hub.yaml of the deployment.",
)
@click.option(
    "--access-point",
    "access_point_path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Settings of an access point, in place of a hub's.",
)
@click.option(
    "--worker",
    "worker_path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="worker.yaml of a worker, in place of a hub's settings.",
)
@click.option(
    "--live",
    is_flag=True,
    help="Also ask every agency that can be probed whether it is there; sends no message.",
)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_context
def check(
    context: click.Context,
    settings_path: Path | None,
    access_point_path: Path | None,
    worker_path: Path | None,
    *,
    live: bool,
    as_json: bool,
) -> None:
    """Check settings, routes, adapters, schemas, keys and log; every problem at once."""
    readiness = _readiness(settings_path, access_point_path, worker_path)
    if live and settings_path is None:
        raise click.UsageError("--live is for --settings.")
    if live and settings_path is not None and readiness.is_ready:
        readiness = _with_probes(readiness, settings_path)
    if as_json:
        found = {
            "ready": readiness.is_ready,
            "problems": _values(readiness.problems),
            "warnings": _values(readiness.warnings),
        }
        tell(json.dumps(found, ensure_ascii=False, indent=2))
    else:
        for problem in readiness.problems:
            tell(one_line(str(problem)))
        for warning in readiness.warnings:
            tell(one_line(f"warning: {warning}"), err=True)
        count = len(readiness.problems)
        tell("ready" if readiness.is_ready else _not_ready(count))
    context.exit(DONE if readiness.is_ready else FOUND)


def _with_probes(readiness: Readiness, settings_path: Path) -> Readiness:
    """The same, with a warning for each agency that is away."""
    configure_telemetry("error")  # what was found is told by the command
    found = asyncio.run(probe_agencies(settings_path))
    away = [one for probe in found if (one := probe_warning(settings_path, probe)) is not None]
    return replace(readiness, warnings=(*readiness.warnings, *away))


def _not_ready(count: int) -> str:
    return "not ready: 1 problem" if count == 1 else f"not ready: {count} problems"


def _readiness(
    settings_path: Path | None, access_point_path: Path | None, worker_path: Path | None
) -> Readiness:
    checks = (
        (settings_path, check_readiness),
        (access_point_path, check_access_point),
        (worker_path, check_worker),
    )
    given = [(path, run) for path, run in checks if path is not None]
    if len(given) != 1:
        raise click.UsageError("Give one of --settings, --access-point and --worker.")
    path, run = given[0]
    return run(path, now=now())


def _values(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    return [
        {"file": one.file, "line": one.line, "path": one.path, "message": one.message}
        for one in problems
    ]
