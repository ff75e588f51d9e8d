"""The command `lienthong access-point`: sign for an agency's systems that cannot."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import structlog

from bus.access_point.door import AccessPointDoor
from bus.access_point.opening import open_access_point
from bus.access_point.settings import (
    AccessPointSettings,
    access_point_settings_of,
    read_access_point_settings,
)
from bus.access_point.tls import make_tls_context
from bus.cli.exit_codes import EXIT_CODES, fail, reporting_errors
from bus.http.own_hosts import GuardedDoor, OwnHosts
from bus.http.server import DRAIN_SECONDS_MAX, Door, listen, run, serve_doors
from bus.runtime.resources import Resources, opening
from bus.runtime.telemetry import LEVELS, configure_telemetry
from bus.trust.key_store import read_certificates

_SHORT_FORM = {
    "member": "--member",
    "systems": "--system",
    "hub_url": "--hub",
    "hub_member": "--hub-member",
    "log_key": "--log-key",
    "anchor": "--anchor",
    "key": "--key",
    "certificate": "--certificate",
    "evidence": "--evidence",
}
"""Options that stand for a settings file: all of them, or none."""

POINT_CLOSE_SECONDS_MAX = 20.0
"""Enough for each part of an access point to use up its own time."""

_log = structlog.get_logger()


def _file(
    name: str, words: str, **more: Any
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return click.option(name, type=click.Path(path_type=Path), help=words, **more)


@click.command(epilog=EXIT_CODES)
@_file("--config", "Settings; given more than once, one process serves them all.", multiple=True)
@click.option("--member", default="", help="Without settings: the agency, VN/GOV/H41.")
@click.option("--system", "systems", multiple=True, help="A system of it that may ask: motcua.")
@click.option("--listen", "address", default="127.0.0.1:8081", show_default=True)
@click.option("--hub", "hub_url", default="", help="The hub's address.")
@click.option("--hub-member", default="", help="Who signs the hub's faults: VN/GOV/G22.")
@_file("--log-key", "checkpoint.vkey of the hub's log.")
@_file("--anchor", "A CA certificate to start from.", multiple=True)
@_file("--key", "The agency's private key (PEM).")
@_file("--certificate", "Its certificate.")
@_file("--evidence", "The folder of receipts.")
@click.option(
    "--log-level",
    type=click.Choice(list(LEVELS)),
    default="info",
    show_default=True,
    help="From which level on events are told on stderr, one JSON line for each.",
)
@click.option(
    "--drain-seconds",
    type=click.IntRange(0),
    default=DRAIN_SECONDS_MAX,
    show_default=True,
    help="How long exchanges in work may take after SIGTERM.",
)
def access_point(
    config: tuple[Path, ...], log_level: str, drain_seconds: int, **options: Any
) -> None:
    """Take plain SOAP of an agency's own systems, sign it, ask the hub, prove the answers.

    Runs until SIGTERM or Ctrl-C; exchanges in work are finished first. Settings stand in files,
    or, for one agency without TLS, in the options from --member to --evidence.
    """
    configure_telemetry(log_level)
    with reporting_errors():
        settings = [read_access_point_settings(path) for path in config]
        settings += _from_options(options, is_wanted=not config)
        run(_serve(settings, drain_seconds))


def _from_options(options: dict[str, Any], *, is_wanted: bool) -> list[AccessPointSettings]:
    """The settings that the short form says; none: everything stands in files."""
    missing = [option for name, option in _SHORT_FORM.items() if not options[name]]
    if not is_wanted:
        if len(missing) < len(_SHORT_FORM):
            fail("Settings stand in files or in options, not in both.")
        return []
    if missing:
        fail(f"Give --config, or the options that are missing: {', '.join(missing)}.")
    host, _, port = options["address"].rpartition(":")
    if not port.isdigit():
        fail(f"--listen: expected HOST:PORT, not {options['address']!r}.")
    values = {
        "member": options["member"],
        "systems": {code: {} for code in options["systems"]},
        "signer": {"key": str(options["key"]), "certificate": str(options["certificate"])},
        "listen": {"host": host.strip("[]"), "port": int(port)},
        "hub": {
            "url": options["hub_url"],
            "member": options["hub_member"],
            "log_key": str(options["log_key"]),
        },
        "trust": {"anchors": [str(one) for one in options["anchor"]]},
        "evidence": str(options["evidence"]),
    }
    # What JSON writes, YAML reads: the options go the way that a file goes.
    return [access_point_settings_of(json.dumps(values).encode(), Path.cwd() / "options")]


async def _serve(settings: list[AccessPointSettings], drain_seconds: int) -> None:
    async with opening() as resources:
        doors = [await _open_door(one, resources) for one in settings]
        for one in settings:
            _log.info("access-point.serving", member=str(one.member), address=one.public_url)
        await serve_doors(doors, drain_seconds_max=drain_seconds)
    await resources.close()
    _log.info("access-point.closed")


async def _open_door(settings: AccessPointSettings, resources: Resources) -> Door:
    member = str(settings.member)
    tls = None
    if settings.tls is not None:
        paths = [path for one in settings.systems.values() for path in one.client_certificates]
        tls = make_tls_context(settings.tls, read_certificates(paths))
    listening = listen(settings.listen, settings.file)
    resources.own(f"socket of {member}", listening.close)
    point = await open_access_point(settings)
    resources.own(f"access point of {member}", point.close, seconds_max=POINT_CLOSE_SECONDS_MAX)
    at_once_max = settings.limits.exchanges_at_once_max
    application = AccessPointDoor(point, exchanges_at_once_max=at_once_max)
    # What is still at work after the drain asks a hub that does not answer: its signed bytes are
    # kept, and the client that repeats its request gets the same answer.
    resources.own(f"exchanges of {member}", application.close)
    hosts = OwnHosts.of(settings.listen.host, url=settings.public_url, more=settings.hosts)
    guarded = GuardedDoor(application, hosts, door="access-point", is_tls=tls is not None)
    return Door(guarded, listening, tls)
