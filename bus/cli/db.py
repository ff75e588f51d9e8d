"""The commands `lienthong db …`: what an operator does to the database of a message log."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from bus.audit.audit import AuditKeys
from bus.audit.folder import audit_log
from bus.cli.exit_codes import DONE, FOUND, reporting_errors
from bus.cli.log import audit_lines
from bus.cli.log_places import (
    database_option,
    find_log,
    path_argument,
    settings_with_database,
)
from bus.cli.shown import one_line, tell
from bus.log.moving import move_log
from bus.log.postgres.attachments import bring_files
from bus.log.postgres.upgrade import upgrade_database as upgrade_tables
from bus.log.postgres.watch import OriginState, OriginWatch
from bus.log.sqlite.database import FORMAT
from bus.log.sqlite.upgrade import upgrade_database
from bus.trust.key_store import read_symmetric_key


@click.group()
def db() -> None:
    """Look after the database of a message log."""


_EXIT_CODES = (
    "Exit codes: 0 done; 2 no format that is known; 3 the log cannot be used, or is damaged."
)


@db.command(epilog=_EXIT_CODES)
@path_argument
@database_option
def upgrade(path: Path | None, settings_file: Path | None) -> None:
    """Bring the log in folder PATH, which an older program wrote, to the present format.

    With --database the tables of that database are made, or brought to their present form, in one
    transaction, and attachments that lie in the log's folder go into the database; PATH is not
    needed then.

    The hub must not be running. Every page is compared with its digest first, and nothing that is
    stored changes: keep a copy of the folder all the same. A log that has the format already stays
    as it is.
    """
    with reporting_errors():
        if settings_file is not None:
            _upgrade_tables(settings_file)
            return
        folder = find_log(path, None).folder
        done = upgrade_database(folder)
    if done.was == FORMAT:
        tell(f"{folder}: the log is of format {FORMAT} already; nothing was done.")
    else:
        tell(f"{folder}: {done.entries:,} entries, now of format {FORMAT}; before of {done.was}.")


@db.command(epilog=f"{_EXIT_CODES} 1: the log is not sound.")
@click.option(
    "--database",
    "settings_file",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="hub.yaml whose `store` names the database and whose log lies in SQLite still.",
)
@click.pass_context
def move(context: click.Context, settings_file: Path) -> None:
    """Move the log of a hub from its folder's SQLite file into the database of its hub.yaml.

    The hub must not be running. All of the log is verified first, as `log verify` does; then every
    row goes over in one transaction, and what arrived is compared: each table's rows, and the root
    over every leaf. The SQLite file stays where it is and is closed: no hub opens it any more.
    Attachments go over, too. Tree, checkpoint and timestamps stay in the folder, and the hub goes
    on there.
    """
    with reporting_errors():
        settings, database = settings_with_database(settings_file)
        log = settings.log
        audit = audit_log(log.folder, AuditKeys(read_key=read_symmetric_key(log.read_key)))
        if not audit.report.is_sound:
            for line in audit_lines(audit):
                tell(one_line(line), err=True)
            context.exit(FOUND)
        verified = (audit.report.entries, audit.report.root)
        moved = move_log(log.folder, database, log.origin, verified=verified)
    rows = ", ".join(f"{name} {count:,}" for name, count in moved.rows.items())
    tell(f"{database.shown}: {moved.entries:,} entries of {log.origin} are there now.")
    tell(f"  root {moved.root.hex()}")
    tell(f"  rows: {rows}")


@db.command(
    epilog="Exit codes: 0 each log is its own hub's; 1 one is adopted, or nobody writes it."
)
@click.option(
    "--database",
    "settings_file",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="hub.yaml whose `store` names the database.",
)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_context
def hubs(context: click.Context, settings_file: Path, *, as_json: bool) -> None:
    """Tell of each log of a database who writes it: its own hub, another one that adopted it, or
    nobody."""
    with reporting_errors():
        _, database = settings_with_database(settings_file)
        watch = OriginWatch(database)
        try:
            states = watch.states()
        finally:
            watch.close()
    if as_json:
        tell(json.dumps([_shown_state(one, states) for one in states], indent=2))
    else:
        for one in states:
            tell(one_line(_told_state(one, states)))
    is_well = all(one.is_written and not one.is_adopted for one in states)
    context.exit(DONE if is_well else FOUND)


def _shown_state(state: OriginState, states: Sequence[OriginState]) -> dict[str, object]:
    return {
        "log": state.name,
        "entries": state.entries,
        "epoch": state.epoch,
        "is_written": state.is_written,
        "is_adopted": state.is_adopted,
        "written_by_hub_of": _log_of(state.hub, states) if state.is_written else "",
        "lease_seconds": round(state.lease_seconds, 1),
        "is_wanted_back": bool(state.wanted_by),
    }


def _told_state(state: OriginState, states: Sequence[OriginState]) -> str:
    wanted = "; its hub asks for it" if state.wanted_by else ""
    if not state.is_owned:
        return f"{state.name}: {state.entries:,} entries; its hub was stopped{wanted}"
    if not state.is_written:
        return (
            f"{state.name}: {state.entries:,} entries; its hub is gone, nobody adopted it{wanted}"
        )
    who = "its own hub"
    if state.is_adopted:
        who = f"the hub of {_log_of(state.hub, states) or 'no log of this database'}, adopted"
    lease = f"lease of {state.lease_seconds:.0f} s"
    return f"{state.name}: {state.entries:,} entries, written by {who}, {lease}{wanted}"


def _log_of(hub: str, states: Sequence[OriginState]) -> str:
    """The log whose own hub this is; empty: none of these."""
    return next((one.name for one in states if one.home == hub), "")


def _upgrade_tables(settings_file: Path) -> None:
    settings, database = settings_with_database(settings_file)
    was, version = upgrade_tables(database)
    log = settings.log
    brought = bring_files(log.folder, database, log.origin)
    if was == version:
        tell(f"{database.shown}: its tables are of version {version} already; nothing was done.")
    else:
        before = f"before of {was}" if was else "made now"
        tell(f"{database.shown}: its tables are of version {version}, {before}.")
    if brought:
        tell(
            f"{database.shown}: attachments of {brought:,} entries were brought from {log.folder}."
        )
