"""The commands `lienthong broker`: make at a broker what hubs and workers need there."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click

from bus.broker.declaring import DeclaringFailed, declare
from bus.broker.topology import NameUnfit, Rights, Topology
from bus.cli.exit_codes import fail, reporting_errors
from bus.cli.shown import one_line, tell
from bus.settings.hub import BrokerSettings, read_hub_settings
from bus.trust.broker_access import rabbit_address


@click.group()
def broker() -> None:
    """The broker that carries orders to workers, and outcomes back."""


@broker.command("declare")
@click.option(
    "--settings",
    "settings_path",
    type=click.Path(path_type=Path),
    required=True,
    help="hub.yaml of the deployment.",
)
@click.option(
    "--users",
    is_flag=True,
    help="Only print the rabbitmqctl commands that make the users, with the rights they need.",
)
@click.option("--user", default="", help="A user of the broker that may configure, for this once.")
@click.option(
    "--password-file",
    type=click.Path(path_type=Path),
    help="The file whose first line is its password.",
)
def declare_command(
    settings_path: Path, *, users: bool, user: str, password_file: Path | None
) -> None:
    """Make every exchange and queue that is not there yet.

    What is there stays as it is; where a queue has other arguments, the command says which, and it
    must be drained and deleted first. A hub's own user may not configure, if it was made as --users
    says: give one that may.
    """
    if bool(user) != (password_file is not None):
        raise click.UsageError("Give both --user and --password-file, or none.")
    with reporting_errors():
        settings = read_hub_settings(settings_path)
        if settings.broker is None:
            fail(f"{settings_path}: broker: expected a section that names a broker")
        rabbit = settings.broker.rabbitmq
        if password_file is not None:
            rabbit = replace(rabbit, user=user, password_file=password_file)
        topology = Topology(rabbit.prefix)
        if users:
            for line in _user_lines(topology, settings.broker):
                tell(one_line(line))
            return
        work = declare(
            rabbit_address(rabbit), topology, settings.broker.agencies, [settings.log.origin]
        )
        try:
            names = asyncio.run(work)
        except NameUnfit as error:
            fail(f"{settings_path}: {error}")
        except DeclaringFailed as error:
            fail("\n".join(one_line(problem) for problem in error.problems), has_lines=True)
        for name in names:
            tell(one_line(name))


def _user_lines(topology: Topology, settings: BrokerSettings) -> Iterator[str]:
    host = settings.rabbitmq.virtual_host
    rights = [topology.hub_rights(settings.rabbitmq.user)]
    rights += [topology.worker_rights(f"worker-{one}", [one]) for one in settings.agencies]
    for one in rights:
        # rabbitmqctl asks for the password where none is given.
        yield shlex.join(["rabbitmqctl", "add_user", one.user])
        yield shlex.join(["rabbitmqctl", "set_permissions", "-p", host, *_of(one)])


def _of(rights: Rights) -> tuple[str, str, str, str]:
    return rights.user, rights.configure, rights.write, rights.read
