"""The command `lienthong messages show`: everything that the log says of one message."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from bus.audit.folder import open_log_reader
from bus.audit.reader import LogReader
from bus.cli.exit_codes import EXIT_CODES, FOUND, fail, reporting_errors
from bus.cli.log_places import database_of
from bus.cli.operators import json_option, settings_option, show_values
from bus.core.log.leaf import LeafInvalid, read_leaf
from bus.core.log.pseudonyms import Pseudonyms
from bus.core.ports.message_log import StoredEntry
from bus.runtime.clock import now
from bus.settings.hub import HubSettings, read_hub_settings
from bus.trust.key_store import read_symmetric_key

ENTRIES_MAX = 10_000
"""Most entries of one message that are shown."""
_MESSAGE_DAYS = 3660


@click.group()
def messages() -> None:
    """What became of messages."""


@messages.command(epilog=f"{EXIT_CODES} Here 1 is: no such message.")
@click.argument("message")
@settings_option
@json_option
def show(message: str, settings_path: Path, *, as_json: bool) -> None:
    """Show a message, every attempt at its deliveries, and how each ended.

    MESSAGE is the index of the entry that received it, or the id that its sender gave it. The hub
    may run meanwhile.
    """
    with reporting_errors():
        settings = read_hub_settings(settings_path)
        try:
            with open_log_reader(settings.log.folder, database_of(settings)) as reader:
                found = [shown_entry(one) for one in _entries(reader, message, settings)]
        except (LeafInvalid, OSError) as error:
            fail(f"The log cannot be read: {error}")
    if not found:
        fail("No such message.", code=FOUND)
    show_values({"entries": found}, lambda: _lines(found), as_json=as_json)


def _entries(reader: LogReader, message: str, settings: HubSettings) -> Iterator[StoredEntry]:
    if message.isascii() and message.isdigit() and int(message) < reader.size:
        index = int(message)
        yield reader.entry(index)
        found: Iterator[StoredEntry] = reader.entries_continuing(index)
    else:
        names = Pseudonyms(read_symmetric_key(settings.log.pseudonym_key))
        last = now() + timedelta(days=1)
        first = last - timedelta(days=_MESSAGE_DAYS)
        found = reader.entries_of_message(names.over_months(message, first, last))
    for count, entry in enumerate(found):
        if count == ENTRIES_MAX:
            return
        yield entry


def shown_entry(entry: StoredEntry) -> dict[str, Any]:
    """What a leaf says, for programs."""
    leaf = read_leaf(entry.leaf)
    values: Mapping[str, Any] = {
        "entry": entry.index,
        "event": leaf.event.value,
        "time": leaf.time.isoformat(),
        "client": leaf.client,
        "service": leaf.service,
        "verdict": leaf.verdict,
        "recipients": leaf.recipients,
        "position": leaf.position,
        "recipient": leaf.recipient,
        "attempt": leaf.attempt,
        "doubt": leaf.doubt,
        "continues": leaf.continues,
    }
    return {name: value for name, value in values.items() if value is not None}


def _lines(entries: list[dict[str, Any]]) -> Iterator[str]:
    for one in entries:
        yield _line(one)


def _line(one: Mapping[str, Any]) -> str:
    parts = [f"{one['entry']:>9}  {one['time'][:19]}Z  {one['event']:<10}"]
    if "position" in one:
        parts.append(f"{one['continues']}/{one['position']}  {one.get('recipient', '')}")
    elif "client" in one:
        parts.append(f"{one['client']}  {one.get('service', '')}")
    if "attempt" in one:
        parts.append(f"attempt {one['attempt']}")
    if "recipients" in one:
        parts.append(f"for {one['recipients']}")
    parts.append(one.get("verdict", ""))
    if one.get("doubt"):
        parts.append("in doubt")
    return "  ".join(parts)
