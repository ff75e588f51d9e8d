"""The commands `lienthong pause` and `lienthong resume`: whom nothing goes to for a while."""

from __future__ import annotations

from pathlib import Path

import click

from bus.cli.operators import ask, json_option, reason_option, settings_option, show_values


@click.command()
@click.argument("agency")
@reason_option
@settings_option
@json_option
def pause(agency: str, reason: str, by: str, settings_path: Path, *, as_json: bool) -> None:
    """Let nothing leave to AGENCY: a member as VN/GOV/H26, or one subsystem of it.

    What is submitted to it is accepted and waits. It holds until `lienthong resume`, also when the
    hub starts anew.
    """
    _act("pause", agency, reason, by, settings_path, as_json=as_json)


@click.command()
@click.argument("agency")
@reason_option
@settings_option
@json_option
def resume(agency: str, reason: str, by: str, settings_path: Path, *, as_json: bool) -> None:
    """Let leave to AGENCY what waits for it."""
    _act("resume", agency, reason, by, settings_path, as_json=as_json)


def _act(
    act: str, agency: str, reason: str, by: str, settings_path: Path, *, as_json: bool
) -> None:
    found = ask(settings_path, {"do": act, "agency": agency, "reason": reason, "by": by})
    show_values(found, lambda: [f"{act}d: {agency}"], as_json=as_json)
