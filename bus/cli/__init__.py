"""Arguments in, calls to the hub, text out: the command `lienthong`."""

from __future__ import annotations

import importlib
import io
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click

from bus import __version__
from bus.cli.exit_codes import EXIT_CODES
from bus.cli.shown import printable

_COMMANDS: Mapping[str, str] = {
    "access-point": "bus.cli.access_point:access_point",
    "bench": "bus.bench.commands:bench",
    "broker": "bus.cli.broker:broker",
    "call": "bus.cli.call:call",
    "check": "bus.cli.check:check",
    "cluster-demo": "bus.cli.cluster_demo:cluster_demo",
    "config": "bus.cli.config:config",
    "db": "bus.cli.db:db",
    "dead-letters": "bus.cli.dead_letters:dead_letters",
    "demo": "bus.cli.demo:demo",
    "log": "bus.cli.log:log",
    "mailbox": "bus.cli.mailbox:mailbox",
    "messages": "bus.cli.messages:messages",
    "pause": "bus.cli.agencies:pause",
    "receipts": "bus.cli.receipts:receipts",
    "resume": "bus.cli.agencies:resume",
    "sandbox": "bus.cli.sandbox:sandbox",
    "serve": "bus.cli.serve:serve",
    "status": "bus.cli.status:status",
    "worker": "bus.cli.worker:worker",
}
"""Loaded when asked for, so that one command does not wait for the imports of all."""


class _Commands(click.Group):
    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        with _showing_errors():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: click.Context) -> Any:
        with _showing_errors():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = _COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, _, name = place.partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        _document_exit_codes(command)
        return command


@contextmanager
def _showing_errors() -> Iterator[None]:
    """click repeats what was typed, and names of files: a terminal does nothing with them."""
    try:
        yield
    except click.ClickException as error:
        error.message = printable(error.message)  # type: ignore[misc]
        raise


def _document_exit_codes(command: click.Command) -> None:
    """Say the usual ones under the help of each command that says none of its own."""
    command.epilog = command.epilog or EXIT_CODES
    if isinstance(command, click.Group):
        for child in command.commands.values():
            _document_exit_codes(child)


@click.command(cls=_Commands, epilog=EXIT_CODES)
@click.version_option(__version__, prog_name="lienthong")
def main() -> None:
    """Liên Thông: a hub of signed XML/SOAP envelopes between agencies.

    Start with `lienthong demo`, then `lienthong sandbox up`.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal without Vietnamese letters shows question marks, and not a traceback.
            stream.reconfigure(errors="replace")
