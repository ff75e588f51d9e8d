"""Ask a hub, or the log of one that does not run, for what an operator wants done."""

from __future__ import annotations

import asyncio
import getpass
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from bus.cli.exit_codes import FOUND, fail, reporting_errors
from bus.cli.shown import one_line, tell
from bus.client.operator_client import NoHubRuns, tell_hub
from bus.client.status_client import HubNotAsked
from bus.operations.stopped_hub import tell_stopped_hub
from bus.settings.hub import read_hub_settings

_Command = Callable[..., Any]


def settings_option(command: _Command) -> _Command:
    """Which hub."""
    return click.option(
        "--settings",
        "settings_path",
        type=click.Path(path_type=Path),
        required=True,
        help="hub.yaml of the deployment.",
    )(command)


def json_option(command: _Command) -> _Command:
    """For programs."""
    return click.option("--json", "as_json", is_flag=True, help="For programs.")(command)


def reason_option(command: _Command) -> _Command:
    """Why, and by whom."""
    command = click.option(
        "--by", "by", default="", help="Who decided it; without it, the user of this machine."
    )(command)
    return click.option("--reason", required=True, help="Why; it stands in the log, sealed.")(
        command
    )


def ask(settings_path: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """What came of a request; ends the program where it was not done."""
    with reporting_errors():
        settings = read_hub_settings(settings_path)
        values = {"by": _user(), **{name: one for name, one in request.items() if one != ""}}
        try:
            answer = tell_hub(settings.log.folder, values)
        except NoHubRuns:
            who = f"uid {os.getuid()}"
            answer = asyncio.run(tell_stopped_hub(settings, values, who=who))
        except HubNotAsked as error:
            fail(str(error))
    if "error" in answer:
        fail(f"Not done: {answer['error']}.", code=FOUND)
    return answer


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as in containers
        return ""


def show_values(values: Mapping[str, Any], lines: Callable[[], Any], *, as_json: bool) -> None:
    """Print what came of it, for programs or for a reader."""
    if as_json:
        tell(json.dumps(values, ensure_ascii=False, indent=2))
        return
    for line in lines():
        tell(one_line(line))
