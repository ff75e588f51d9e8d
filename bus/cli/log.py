"""The commands `lienthong log …`: verify a message log, and look into it."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from cryptography.hazmat.primitives.serialization import Encoding
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bus.audit.audit import Audit, AuditKeys
from bus.audit.checks.conservation import DeliveryAccounts, DeliveryClass, equation
from bus.audit.folder import audit_log
from bus.cli.exit_codes import DONE, FOUND, fail
from bus.cli.log_places import database_option, find_log, path_argument
from bus.cli.log_show import show
from bus.cli.shown import one_line, tell
from bus.client.hub_client import read_verifying_key
from bus.core.errors import BusError, ConfigurationError
from bus.core.log.findings import Finding
from bus.trust.key_store import read_certificates, read_symmetric_key
from signing.pki.timestamps import TimestampTrust
from signing.signed_note import KeyTextInvalid, VerifyingKey

RECIPIENTS_SHOWN = 50
"""So many recipients stand in the text for people."""


@click.group()
def log() -> None:
    """Verify a message log, and look into it; without its operator."""


log.add_command(show)


@log.command()
@path_argument
@database_option
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option(
    "--read-key",
    "read_key_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Opens payloads; without it, keys/log-read.key beside the log if it is there.",
)
@click.option(
    "--trust", help="The log's verifier key, or a file of it; else the folder's own is believed."
)
@click.option(
    "--timestamp-trust",
    "timestamp_anchors",
    type=click.Path(dir_okay=False, path_type=Path),
    help="CA certificates of time authorities (PEM); else the folder's own are believed.",
)
@click.option("--quick", is_flag=True, help="Bytes and tree only: no payload, no decision.")
@click.pass_context
def verify(
    context: click.Context,
    path: Path | None,
    settings_file: Path | None,
    read_key_path: Path | None,
    trust: str | None,
    timestamp_anchors: Path | None,
    *,
    as_json: bool,
    quick: bool,
) -> None:
    """Verify the log in folder PATH: live, closed, or a copy; nothing is written into it.

    With --database its entries are read from there, as one snapshot, and the rest in PATH.

    Every stored byte (of a database every row), every entry, what became of each delivery, the tree
    and its signed head. With the read key also every payload, the sender's signature as of its
    time, and every decision made again.
    """
    try:
        found = find_log(path, settings_file)
        key_path = None if quick else read_key_path or _existing(found.read_key)
        keys = AuditKeys(
            _trusted_key(trust) if trust else None,
            read_symmetric_key(key_path) if key_path else None,
            _timestamp_trust(timestamp_anchors) if timestamp_anchors else None,
        )
        with _progress(is_shown=not as_json) as progress:
            audit = audit_log(
                found.folder, keys, database=found.database, is_quick=quick, progress=progress
            )
    except (ConfigurationError, BusError) as error:
        fail(f"The log could not be checked: {error}")
    if as_json:
        tell(json.dumps(audit_values(audit), ensure_ascii=False, indent=2))
    else:
        if key_path and key_path != read_key_path:
            tell(f"Payloads are opened with {key_path}.")
        for line in audit_lines(audit):
            tell(one_line(line))
    context.exit(DONE if audit.report.is_sound else FOUND)


def _existing(path: Path) -> Path | None:
    return path if _is_file(path) else None


def _is_file(path: Path) -> bool:
    """Also false where nobody may look, and of a name that is longer than any."""
    try:
        return path.is_file()
    except OSError:
        return False


def _trusted_key(text: str) -> VerifyingKey:
    if _is_file(Path(text)):
        return read_verifying_key(Path(text))
    try:
        return VerifyingKey.parse(text)
    except KeyTextInvalid as error:
        fail(f"--trust: neither a file nor a verifier key: {error}")


def _timestamp_trust(path: Path) -> TimestampTrust:
    anchors = [one.public_bytes(Encoding.DER) for one in read_certificates([path])]
    return TimestampTrust(anchors)


@contextmanager
def _progress(*, is_shown: bool) -> Iterator[Any]:
    """A bar on a terminal, on stderr; nothing elsewhere."""
    if not is_shown or not sys.stderr.isatty():
        yield None
        return
    columns = (TextColumn("verifying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("verifying")
        yield lambda done, total: bar.update(task, completed=done, total=total)


# --- what is told --------------------------------------------------------------------------------


def audit_lines(audit: Audit) -> Iterator[str]:
    """The findings, each on a line of its own, and what was checked."""
    report = audit.report
    for finding in report.findings:
        yield str(finding)
    if report.findings_left_off:
        yield f"… and {report.findings_left_off:,} more findings"
    count = len(report.findings) + report.findings_left_off
    yield f"{count:,} findings." if count else "Nothing was found: the log is sound."
    yield f"{report.entries:,} entries of {report.origin}, {report.signed_size:,} of them signed"
    yield f"  root {report.root.hex()}"
    yield f"  {report.received:,} received, {report.settled:,} settled, {report.pending:,} pending"
    yield from _delivery_lines(report.deliveries)
    events = ", ".join(f"{name} {count:,}" for name, count in sorted(report.events.items()))
    yield f"  events: {events}"
    yield "Checked:"
    for level in levels(audit):
        yield f"  {level}"


def _delivery_lines(accounts: DeliveryAccounts) -> Iterator[str]:
    """What became of submissions, in all and for each recipient; nothing where there are none."""
    if not accounts.submissions:
        return
    yield f"  {accounts.submissions:,} submissions to {len(accounts.named):,} recipients:"
    yield f"  {equation(accounts.totals)}"
    for name, counts in accounts.named[:RECIPIENTS_SHOWN]:
        yield f"    {name or 'not named'}: {equation(counts)}"
    more = len(accounts.named) - RECIPIENTS_SHOWN
    if more > 0:
        yield f"    … and {more:,} more recipients; --json names all"


def levels(audit: Audit) -> Iterator[str]:
    """What was checked, and what could not be."""
    yield from audit.report.levels
    replay = audit.replay
    if replay is None:
        yield "decisions: not made again"
        return
    yield f"sender signatures as of their time: {replay.proved:,} hold"
    yield f"certificates by the evidence of revocation of their time: {replay.by_evidence:,}"
    yield f"decisions made again: {replay.repeated:,}"
    yield f"recorded answers and faults, signed and to the very message: {replay.answers:,}"
    if replay.reports:
        yield f"what recipients said of deliveries, signed by their agencies: {replay.reports:,}"
    for reason, count in sorted(replay.skipped.items()):
        yield f"  not made again: {count:,}, {reason}"


def audit_values(audit: Audit) -> dict[str, Any]:
    """The same for programs."""
    report, replay = audit.report, audit.replay
    return {
        "sound": report.is_sound,
        "origin": report.origin,
        "entries": report.entries,
        "signed": report.signed_size,
        "root": report.root.hex(),
        "events": dict(report.events),
        "received": report.received,
        "settled": report.settled,
        "pending": report.pending,
        "deliveries": _delivery_values(report.deliveries),
        "erased": report.erased,
        "payloads_opened": report.payloads_opened,
        "decisions_repeated": replay.repeated if replay else 0,
        "signatures_verified": replay.proved if replay else 0,
        "certificates_by_evidence": replay.by_evidence if replay else 0,
        "answers_verified": replay.answers if replay else 0,
        "reports_verified": replay.reports if replay else 0,
        "decisions_skipped": dict(replay.skipped) if replay else {},
        "levels": [line.strip() for line in levels(audit)],
        "findings": [_finding_values(finding) for finding in report.findings],
        "findings_left_off": report.findings_left_off,
    }


def _delivery_values(accounts: DeliveryAccounts) -> dict[str, Any]:
    return {
        "submissions": accounts.submissions,
        "all": _counts_by_class(accounts.totals),
        "recipients": {name: _counts_by_class(counts) for name, counts in accounts.named},
    }


def _counts_by_class(counts: Counter[DeliveryClass]) -> dict[str, int]:
    return {"accepted": counts.total(), **{kind.value: counts[kind] for kind in DeliveryClass}}


def _finding_values(finding: Finding) -> dict[str, Any]:
    return {
        "index": finding.index,
        "file": finding.file,
        "byte_range": finding.byte_range,
        "what": finding.what,
        "expected": finding.expected,
        "found": finding.found,
    }
