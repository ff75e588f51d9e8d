"""The commands `lienthong sandbox …`: a whole nation on one machine."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from bus.cli.exit_codes import DONE, EXIT_CODES, FOUND, fail, reporting_errors
from bus.cli.options import FOLDER_USUAL, folder_option, typed
from bus.cli.shown import one_line, tell
from bus.kit.simulator import FaultMode
from bus.runtime.clock import now
from bus.runtime.telemetry import LEVELS
from bus.sandbox.certificate_desk import issue_again, revoke_certificate
from bus.sandbox.description import NameUnknown, SandboxDescription, find_name, read_description
from bus.sandbox.programs import AUTHORITY, NotStarted, set_fault
from bus.sandbox.revocation_register import REASONS
from bus.sandbox.run_state import AlreadyRunning
from bus.sandbox.sandbox_data import SEED_DEFAULT
from bus.sandbox.status import STOPPED, Status, read_status
from bus.sandbox.up import COULD_NOT_START, READY, SandboxOptions, down, supervise, up_detached


@click.group()
def sandbox() -> None:
    """A nation on one machine: authority, hub, simulated agencies, invented people."""


@sandbox.command(epilog=f"{EXIT_CODES} A sandbox that runs already is 1.")
@folder_option
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="The hub's port; without it, 8080 if it is free, else any.",
)
@click.option("--detach", is_flag=True, help="Return when everything is ready, leave it running.")
@click.option("--seed", type=int, default=SEED_DEFAULT, show_default=True, help="Of invented data.")
@click.option("--log-level", type=click.Choice(list(LEVELS)), default="info", show_default=True)
def up(folder: Path, port: int, seed: int, log_level: str, *, detach: bool) -> None:
    """Start hub and agencies; keys, data and log that lie in the folder are used again."""
    options = SandboxOptions(folder.absolute(), port, seed, log_level)
    with reporting_errors():
        try:
            if detach:
                up_detached(options, tell=tell)
                _announce(options.folder)
                return
            is_whole = supervise(
                options,
                tell=tell,
                announce=lambda: _announce(options.folder, hint="Ctrl-C ends it."),
            )
        except AlreadyRunning as error:
            fail(str(error), code=FOUND)
        except (NotStarted, OSError) as error:
            fail(f"{COULD_NOT_START} {error}", has_lines=True)
    if not is_whole:
        fail("The sandbox is down; it did not stay whole, see above.", code=FOUND)
    tell("The sandbox is down.")


@sandbox.command("down")
@folder_option
def down_(folder: Path) -> None:
    """End what `up` started in this folder, and nothing else. May be repeated."""
    was_up = down(folder.absolute())
    tell("The sandbox is down." if was_up else "No sandbox runs here.")


@sandbox.command(epilog=f"{EXIT_CODES} A sandbox that does not run is 1.")
@folder_option
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_context
def status(context: click.Context, folder: Path, *, as_json: bool) -> None:
    """Say what runs, since when, and how large it is."""
    found = read_status(folder.absolute())
    if as_json:
        tell(json.dumps(found.as_json(), ensure_ascii=False, indent=2))
    else:
        _print_status(found)
    context.exit(FOUND if found.state == STOPPED else DONE)


@sandbox.command()
@click.argument("agency")
@click.option("--mode", type=click.Choice([str(mode) for mode in FaultMode]), required=True)
@click.option(
    "--seconds", type=click.FloatRange(0), default=5.0, show_default=True, help="Of mode slow."
)
@folder_option
def fault(agency: str, mode: str, seconds: float, folder: Path) -> None:
    """Make a simulated AGENCY slow, down, wrong or unwilling; mode none makes it well again.

    `authority` is the one that tells what is revoked.
    """
    with reporting_errors():
        described = read_description(folder.absolute())
    urls = {one.id: one.url for one in described.agencies}
    urls[AUTHORITY] = described.authority_url
    try:
        url = urls[find_name(agency, urls, "agency")]
        refusal = set_fault(url, mode, seconds)
    except NameUnknown as error:
        fail(str(error))
    except OSError as error:
        fail(f"The agency does not answer: {error}")
    if refusal:
        fail(f"The agency refused: {refusal}")
    tell(f"{agency}: {mode}" + (f", {seconds:g} s" if mode == FaultMode.SLOW else ""))


@sandbox.command()
@click.argument("subsystem")
@click.option(
    "--reason",
    type=click.Choice(sorted(REASONS)),
    default="keyCompromise",
    show_default=True,
    help="Why, as RFC 5280 names it.",
)
@folder_option
def revoke(subsystem: str, reason: str, folder: Path) -> None:
    """Revoke the certificate of a SUBSYSTEM; a running hub knows within seconds of its messages."""
    with reporting_errors():
        described = read_description(folder.absolute())
        try:
            revoked = revoke_certificate(folder.absolute(), described, subsystem, reason, now())
        except NameUnknown as error:
            fail(str(error))
    tell(f"{revoked.subsystem}: certificate {revoked.serial_number:x} is revoked ({reason}).")


@sandbox.command()
@click.argument("subsystem")
@folder_option
def issue(subsystem: str, folder: Path) -> None:
    """Issue a new key and certificate for a SUBSYSTEM in the place of those that it has."""
    with reporting_errors():
        described = read_description(folder.absolute())
        try:
            issued = issue_again(folder.absolute(), described, subsystem, now())
        except NameUnknown as error:
            fail(str(error))
    tell(f"{issued.subsystem}: certificate {issued.serial_number:x} is issued.")


def _announce(folder: Path, hint: str = "") -> None:
    described: SandboxDescription = read_description(folder)
    usual = folder == FOLDER_USUAL.absolute()
    place = () if usual else ("--dir", folder)
    hint = hint or f"`{typed('sandbox', 'down', *place)}` ends it."
    first = described.services[0]
    tell(f"{READY}: {described.hub_url}  ({folder})")
    tell(f"  {len(described.services)} services, {len(described.subsystems)} subsystems")
    tell("  Ask something:")
    body = Path(first.sample_request)
    body = body.relative_to(Path.cwd()) if usual else body
    service = first.id.split("/")[-2]
    tell(f"    {typed('call', service, '--as', 'H41/motcua', '--body', body, *place)}")
    tell(f"  {hint}")


def _print_status(found: Status) -> None:
    console = Console(highlight=False, emoji=False, markup=False)
    console.print(one_line(f"Sandbox in {found.folder}: {found.state}"), soft_wrap=True)
    table = Table()
    table.add_column("part")
    table.add_column("state")
    table.add_column("what", overflow="fold")
    for part in found.parts:
        table.add_row(one_line(part.name), one_line(part.state), one_line(part.what))
    console.print(table)
