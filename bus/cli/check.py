"""The command `lienthong check`: tell before the start whether a program can start."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from bus.access_point.readiness import check_access_point
from bus.cli.exit_codes import DONE, EXIT_CODES, FOUND
from bus.cli.shown import one_line, tell
from bus.core.errors import Problem
from bus.operations.readiness import check_readiness
from bus.operations.readiness_report import Readiness
from bus.runtime.clock import now


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
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_context
def check(
    context: click.Context,
    settings_path: Path | None,
    access_point_path: Path | None,
    *,
    as_json: bool,
) -> None:
    """Check settings, routes, adapters, schemas, keys and log; every problem at once."""
    readiness = _readiness(settings_path, access_point_path)
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


def _not_ready(count: int) -> str:
    return "not ready: 1 problem" if count == 1 else f"not ready: {count} problems"


def _readiness(settings_path: Path | None, access_point_path: Path | None) -> Readiness:
    if settings_path is not None and access_point_path is None:
        return check_readiness(settings_path, now=now())
    if access_point_path is not None and settings_path is None:
        return check_access_point(access_point_path, now=now())
    raise click.UsageError("Give one of --settings and --access-point.")


def _values(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    return [
        {"file": one.file, "line": one.line, "path": one.path, "message": one.message}
        for one in problems
    ]
