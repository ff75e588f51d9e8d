"""The commands `lienthong dead-letters …`: what was given up, and what becomes of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from bus.cli.exit_codes import DONE, FOUND
from bus.cli.messages import show as show_message
from bus.cli.operators import ask, json_option, reason_option, settings_option, show_values

LIMIT_DEFAULT = 100
_PLACE = re.compile(r"(\d{1,15})/(\d{1,6})\Z", re.ASCII)


class DeliveryType(click.ParamType[tuple[int, int]]):
    """`ENTRY/POSITION`, as lists show it."""

    name = "delivery"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Entry and position."""
        found = _PLACE.match(str(value))
        if found is None:
            self.fail("expected ENTRY/POSITION, such as 4711/0", param, ctx)
        return int(found[1]), int(found[2])


DELIVERY = DeliveryType()


@click.group("dead-letters")
def dead_letters() -> None:
    """Deliveries that were given up: look at them, send them again, let them go."""


@dead_letters.command("list")
@click.option("--recipient", default="", help="Of this subsystem, as VN/GOV/H26/motcua.")
@click.option("--limit", type=click.IntRange(1), default=LIMIT_DEFAULT, show_default=True)
@settings_option
@json_option
@click.pass_context
def list_(
    context: click.Context, recipient: str, limit: int, settings_path: Path, *, as_json: bool
) -> None:
    """List them, the oldest first."""
    found = ask(settings_path, {"do": "list", "recipient": recipient, "limit": limit})
    show_values(found, lambda: _listed(found["dead"]), as_json=as_json)
    context.exit(FOUND if found["dead"] else DONE)


@dead_letters.command()
@click.argument("delivery", type=DELIVERY)
@settings_option
@json_option
@click.pass_context
def show(
    context: click.Context, delivery: tuple[int, int], settings_path: Path, *, as_json: bool
) -> None:
    """Show every attempt at the message that DELIVERY is of, as `lienthong messages show`."""
    context.invoke(
        show_message, message=str(delivery[0]), settings_path=settings_path, as_json=as_json
    )


@dead_letters.command()
@click.argument("delivery", type=DELIVERY)
@reason_option
@settings_option
@json_option
def resend(
    delivery: tuple[int, int], reason: str, by: str, settings_path: Path, *, as_json: bool
) -> None:
    """Send one again under its key: a recipient that acted already drops it."""
    _act("resend", delivery, reason, by, settings_path, as_json=as_json)


@dead_letters.command()
@click.argument("delivery", type=DELIVERY)
@reason_option
@settings_option
@json_option
def resubmit(
    delivery: tuple[int, int], reason: str, by: str, settings_path: Path, *, as_json: bool
) -> None:
    """Send one again under another key: its recipient acts, whatever it did before.

    Ask the recipient first: what it did twice, nobody takes back.
    """
    _act("resubmit", delivery, reason, by, settings_path, as_json=as_json)


@dead_letters.command()
@click.argument("delivery", type=DELIVERY)
@reason_option
@settings_option
@json_option
def discard(
    delivery: tuple[int, int], reason: str, by: str, settings_path: Path, *, as_json: bool
) -> None:
    """Let one go: nothing more is done about it, and the log keeps that."""
    _act("discard", delivery, reason, by, settings_path, as_json=as_json)


def _act(
    act: str,
    delivery: tuple[int, int],
    reason: str,
    by: str,
    settings_path: Path,
    *,
    as_json: bool,
) -> None:
    entry, position = delivery
    request = {"do": act, "entry": entry, "position": position, "reason": reason, "by": by}
    found = ask(settings_path, request)
    show_values(found, lambda: [f"{act}: {entry}/{position}"], as_json=as_json)


def _listed(rows: list[Mapping[str, Any]]) -> Iterator[str]:
    if not rows:
        yield "no dead letters"
    for row in rows:
        doubt = "; an attempt is in doubt" if row["doubt"] else ""
        yield (
            f"{row['entry']}/{row['position']}  {row['recipient']}  {row['service']}  "
            f"attempts {row['attempt']}{doubt}"
        )
