"""The command `lienthong log show`: print entries, and payloads for who holds the key."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click

from bus.audit.folder import open_log_reader
from bus.audit.reader import LogReader
from bus.cli.attachments import save_attachments
from bus.cli.exit_codes import DONE, EXIT_CODES, FOUND, fail
from bus.cli.log_places import database_option, find_log, path_argument
from bus.cli.shown import one_line, tell
from bus.core.errors import BusError, ConfigurationError
from bus.core.log.leaf import Event, Leaf, LeafInvalid, read_leaf, read_leaf_facts
from bus.core.log.pseudonyms import Pseudonyms
from bus.core.ports.message_log import StoredEntry
from bus.log.sealed_attachments import open_attachments
from bus.log.sealing import Sealer
from bus.protocols.orders import ReportInvalid
from bus.protocols.report_notes import read_report
from bus.runtime.clock import now
from bus.trust.key_store import read_symmetric_key

LIMIT_DEFAULT = 100
_MESSAGE_DAYS = 3660
"""How far back a message id is looked for: its pseudonym changes every month."""


@click.command(epilog=f"{EXIT_CODES} Here 1 is: no such entry.")
@path_argument
@database_option
@click.option("--index", type=click.IntRange(0), help="This entry.")
@click.option("--message", help="Entries of this message id; needs the pseudonym key.")
@click.option("--event", type=click.Choice([str(event) for event in Event]), help="Of this event.")
@click.option("--fault", help="The entry whose fault carried this id.")
@click.option("--from", "first", type=click.IntRange(0), default=0, help="From this index on.")
@click.option("--to", "last", type=click.IntRange(0), help="Up to this index.")
@click.option("--limit", type=click.IntRange(1), default=LIMIT_DEFAULT, show_default=True)
@click.option("--payload", is_flag=True, help="Open payloads, too; needs the read key.")
@click.option(
    "--raw", is_flag=True, help="With --payload: the bytes of payloads alone, as they are."
)
@click.option(
    "--save-attachments",
    "save_to",
    type=click.Path(file_okay=False, path_type=Path),
    help="With --payload: the folder for what lies beside payloads.",
)
@click.option("--read-key", "read_key_path", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--pseudonym-key", "pseudonym_path", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each entry.")
@click.pass_context
def show(
    context: click.Context,
    path: Path | None,
    settings_file: Path | None,
    index: int | None,
    message: str | None,
    event: str | None,
    fault: str | None,
    first: int,
    last: int | None,
    limit: int,
    save_to: Path | None,
    read_key_path: Path | None,
    pseudonym_path: Path | None,
    *,
    payload: bool,
    raw: bool,
    as_json: bool,
) -> None:
    """Print entries of the log in folder PATH, or of the one in a database.

    What others sent is shown so that a terminal does nothing with it: `\\u001b` for an escape.

    Keys that are not given are looked for in keys/ beside the log.
    """
    chosen = {"--index": index, "--message": message, "--fault": fault, "--event": event}
    _check_choice(chosen, is_range=bool(first) or last is not None)
    if save_to is not None and not payload:
        raise click.UsageError("--save-attachments needs --payload.")
    shown, size = 0, 0
    if raw and (as_json or not payload):
        fail("--raw goes with --payload, and without --json.")
    try:
        log = find_log(path, settings_file)
        sealer = _sealer(read_key_path or log.read_key) if payload else None
        with open_log_reader(log.folder, log.database) as reader:
            size = reader.size
            if index is not None:
                found: Iterable[StoredEntry] = reader.entries(index, index + 1)
            elif message is not None:
                pseudonym_key = pseudonym_path or log.pseudonym_key
                found = reader.entries_of_message(_pseudonyms(message, pseudonym_key))
            elif fault is not None:
                found = reader.entries_of_fault(fault)
            else:
                found = _select(reader, event, first, last)
            for entry in itertools.islice(found, limit):
                if raw and sealer is not None:
                    _print_raw(entry, sealer)
                else:
                    _print(entry, sealer, is_json=as_json)
                if sealer is not None and save_to is not None:
                    _save_attachments(entry, reader, sealer, save_to)
                shown += 1
    except (BusError, ConfigurationError, LeafInvalid, OSError) as error:
        fail(f"The log cannot be read: {error}")
    if shown == 0:
        entries = f"has {size:,} entries, from 0 on" if size else "is empty"
        fail(f"No such entry: the log {entries}.", code=FOUND)
    context.exit(DONE)


def _check_choice(chosen: Mapping[str, object], *, is_range: bool) -> None:
    """Raises UsageError: what cannot be done together is not left out in silence."""
    given = [option for option, value in chosen.items() if value is not None]
    if len(given) > 1:
        raise click.UsageError(f"Give one of {' and '.join(given)}.")
    if is_range and given not in ([], ["--event"]):
        raise click.UsageError(f"--from and --to do not go with {given[0]}.")


def _select(
    reader: LogReader, event: str | None, first: int, last: int | None
) -> Iterator[StoredEntry]:
    end = reader.size if last is None else last + 1
    if event is None:
        yield from reader.entries(first, end)
        return
    for entry in reader.entries_of_event(Event(event)):
        if first <= entry.index < end:
            yield entry


def _pseudonyms(message: str, key_path: Path) -> Iterator[str]:
    last = now()
    pseudonyms = Pseudonyms(read_symmetric_key(key_path))
    return pseudonyms.over_months(message, last - timedelta(days=_MESSAGE_DAYS), last)


def _sealer(key_path: Path) -> Sealer:
    return Sealer(read_symmetric_key(key_path))


def _print(entry: StoredEntry, sealer: Sealer | None, *, is_json: bool) -> None:
    payload = None
    if sealer is not None and entry.sealed is not None:
        payload = _text(read_leaf(entry.leaf), sealer.open_sealed(entry.sealed)[1])
    if is_json:
        values: dict[str, Any] = {"index": entry.index, **read_leaf_facts(entry.leaf)}
        if payload is not None:
            values["opened"] = payload
        tell(json.dumps(values, ensure_ascii=False))
        return
    leaf = read_leaf(entry.leaf)
    tell(one_line(f"{entry.index:>8}  {_time(leaf.time)}  {_facts(leaf)}"))
    if payload is not None:
        tell(payload)


def _print_raw(entry: StoredEntry, sealer: Sealer) -> None:
    if entry.sealed is not None:
        sys.stdout.flush()
        sys.stdout.buffer.write(sealer.open_sealed(entry.sealed)[1])


def _text(leaf: Leaf, raw: bytes) -> str:
    """A payload for people: messages as they are; evidence, which is DER, in base64; what an agency
    said of a delivery as its note, with its answer."""
    if leaf.event is Event.EVIDENCE:
        return base64.b64encode(raw).decode("ascii")
    if leaf.position is not None:
        with contextlib.suppress(ReportInvalid):
            report = read_report(raw, lambda _: lambda: iter(()))
            raw = report.note + (b"\n" + report.answer if report.answer else b"")
    return raw.decode("utf-8", "replace")


def _save_attachments(entry: StoredEntry, reader: LogReader, sealer: Sealer, folder: Path) -> None:
    stored = read_leaf(entry.leaf).stored
    if stored is None:
        return
    opened = open_attachments(reader.sealed_attachments(stored), sealer)
    if opened.is_content_kept:
        save_attachments(opened.attachments, folder, prefix=f"{entry.index}-")
    else:
        count = len(opened.attachments)
        tell(f"{entry.index}: the content of {count} attachments was not kept", err=True)


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S.%fZ")


def _facts(leaf: Leaf) -> str:
    facts = [f"{leaf.event:<13}"]
    if leaf.continues is not None:
        facts.append(f"of {leaf.continues}")
    if leaf.position is not None:
        facts.append(f"delivery {leaf.position} to {leaf.recipient}")
    if leaf.attempt is not None:
        facts.append(f"attempt {leaf.attempt}")
    if leaf.event is Event.EVIDENCE and leaf.signer is not None:
        facts.append(f"about certificate {leaf.signer.hex()}")
    facts += [fact for fact in (leaf.verdict, leaf.client, leaf.program) if fact]
    if leaf.service:
        facts.append(f"-> {leaf.service}")
    if leaf.recipients is not None:
        facts.append(f"to {leaf.recipients:,} recipients")
    if leaf.doubt:
        facts.append("in doubt")
    if leaf.fault:
        facts.append(f"fault {leaf.fault}")
    if leaf.raw_bytes is not None:
        facts.append(f"{leaf.raw_bytes:,} bytes")
    if leaf.stored is not None:
        facts.append("with attachments")
    return "  ".join(facts)
