"""The command `lienthong status`: tell how a running hub is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from bus.cli.exit_codes import DONE, FOUND, fail, reporting_errors
from bus.cli.shown import one_line, tell
from bus.client.status_client import HubNotAsked, operations_url, read_hub_status
from bus.settings.hub import read_hub_settings

_EXIT_CODES = (
    "Exit codes: 0 all is well; 1 something needs attention; "
    "2 no hub answers, or bad configuration."
)


@click.command(epilog=_EXIT_CODES)
@click.option(
    "--settings",
    "--config",
    "settings_path",
    type=click.Path(path_type=Path),
    help="hub.yaml of the deployment: its `operations` say where to ask.",
)
@click.option("--url", help="The operators' door itself, as http://127.0.0.1:8081.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_context
def status(
    context: click.Context, settings_path: Path | None, url: str | None, *, as_json: bool
) -> None:
    """Ask a running hub for its log, timestamps, certificates, agencies and figures."""
    with reporting_errors():
        url = url or _url_of(settings_path)
    try:
        values = read_hub_status(url)
    except HubNotAsked as error:
        fail(str(error))
    if as_json:
        tell(json.dumps(values, ensure_ascii=False, indent=2))
    else:
        for line in status_lines(values):
            tell(one_line(line))
    context.exit(FOUND if values.get("attention") else DONE)


def _url_of(settings_path: Path | None) -> str:
    if settings_path is None:
        fail("Give --settings or --url.")
    settings = read_hub_settings(settings_path)
    if settings.operations is None:
        fail(f"{settings_path}: no operations are named, so that no door tells the status.")
    return operations_url(settings.operations)


def status_lines(values: Mapping[str, Any]) -> Iterator[str]:
    """The status for a reader."""
    log = values["log"]
    yield f"hub {values['version']}, up for {values['uptime_seconds']:,.0f} s"
    yield f"  in work {values['in_work']}; since the start: {_counts(values['outcomes'])}"
    yield (
        f"log: {log['entries']:,} entries, {log['signed_entries']:,} signed, "
        f"{log['bytes']:,} bytes; last checkpoint {log['checkpoint_age_seconds']:,.0f} s ago"
    )
    yield _timestamp_line(values["timestamps"])
    yield _judge_line(values["judge"])
    yield f"agencies: {', '.join(values['agencies'])}"
    yield "certificates:"
    for one in values["certificates"]:
        signs = ", signs now" if one["signs_now"] else ""
        yield f"  {one['days_left']:>5} days  {one['used_for']}{signs}"
    for part in ("spool", "bodies", "revocation"):
        if values[part] is not None:
            yield f"{part}: {_metrics(values[part])}"
    for one in values["queries"]:
        yield f"queries to {one['adapter']}: {_metrics(one, but='adapter')}"
    for one in values["senders"]:
        if one["in_work"] or one["refused"] or one.get("limited"):
            yield f"exchanges of {one['member']}: {_metrics(one, but='member')}"
    yield from _delivery_lines(values["deliveries"])
    if probes := values.get("probes"):
        reached = sum(one["is_reached"] is True for one in probes)
        yield f"probes: {reached:,} of {len(probes):,} recipients reached"
    yield from _adoption_lines(values.get("adoption") or {})
    for sentence in values["notices"]:
        yield f"notice: {sentence}"
    for sentence in values["attention"]:
        yield f"ATTENTION: {sentence}"


def _delivery_lines(deliveries: Mapping[str, Any]) -> Iterator[str]:
    if deliveries["recipients"]:
        yield f"deliveries: {deliveries['pending']:,} open; attempts since the start: " + _counts(
            deliveries["attempts"]
        )
    for one in deliveries["recipients"]:
        if one["pending"] or one["dead"] or one["is_paused"]:
            waits = f", the first due for {one['oldest_seconds']:,.0f} s" * bool(
                one["oldest_seconds"]
            )
            yield (
                f"  to {one['recipient']}: {one['pending']:,} open, {one['out']:,} on their way, "
                f"{one['dead']:,} dead letters{waits}; breaker {one['breaker']}"
                + ", paused"
                * one["is_paused"]
            )


def _adoption_lines(adoption: Mapping[str, Any]) -> Iterator[str]:
    if adoption.get("adoptions"):
        yield (
            f"logs of other hubs: {adoption['adoptions']:,} adopted since the start, "
            f"{adoption['given_back']:,} given back"
        )
    for one in adoption.get("adopted", ()):
        yield (
            f"  {one['origin']} for {one['seconds']:,.0f} s: {one['entries']:,} entries, "
            f"{one['signed_entries']:,} signed, {one['pending']:,} deliveries open"
        )


def _metrics(values: Mapping[str, Any], but: str = "") -> str:
    return ", ".join(f"{name} {value:,}" for name, value in values.items() if name != but)


def _counts(outcomes: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(outcomes.items())) or "nothing"


def _timestamp_line(stamped: Mapping[str, Any] | None) -> str:
    if stamped is None:
        return "timestamps: no authority is named"
    last = f", the last at {stamped['last_time']}" if stamped["last_time"] else ""
    waiting = f"; pending for {stamped['pending_seconds']:,.0f} s"
    return (
        f"timestamps: over {stamped['stamped_entries']:,} entries{last}"
        f"{waiting if stamped['pending_seconds'] else ''}"
    )


def _judge_line(judge: Mapping[str, Any]) -> str:
    if not judge["is_wanted"]:
        return "judging processes: none is wanted"
    lanes = ", ".join(f"{lane['name']} {_lane(lane)}" for lane in judge["lanes"])
    return f"judging processes: {lanes}; {judge['judged']:,} judged"


def _lane(lane: Mapping[str, Any]) -> str:
    waiting = f" with {lane['waiting']:,} waiting" if lane["waiting"] else ""
    lost = f" (lost {lane['lost']:,} times)" if lane["lost"] else ""
    return f"{lane['state']}{waiting}{lost}"
