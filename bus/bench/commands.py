"""Commands of the bench: options in, calls to the bench, text or JSON out."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from rich.console import Console

from bus.bench.answer_checks import AnswerWrong
from bus.bench.exchange_bench import ExchangePlan, measure_exchanges
from bus.bench.load import LoadFailed
from bus.bench.log_bench import PAYLOAD_BYTES_DEFAULT, LogPart, measure_log
from bus.bench.programs import ProgramFailed
from bus.bench.signing_bench import measure_signing
from bus.bench.submission_bench import SubmissionPlan, measure_submissions
from bus.bench.submission_servers import ServersUnfit


@click.group()
def bench() -> None:
    """Measure this hub on this machine."""


@bench.command()
@click.option("--seconds", type=click.FloatRange(0.5, 600), default=10, show_default=True)
@click.option("--connections", type=click.IntRange(1, 1024), default=256, show_default=True)
@click.option("--prefill", type=click.IntRange(0), default=0, help="Entries already in the log.")
@click.option(
    "--profile",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a cProfile of the hub there; the floor is left out.",
)
@click.option(
    "--adapter-thread",
    is_flag=True,
    help="Ask the agency on a thread of its adapter, as one that must be waited for is.",
)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable figures.")
def exchange(
    *,
    seconds: float,
    connections: int,
    prefill: int,
    profile: Path | None,
    adapter_thread: bool,
    as_json: bool,
) -> None:
    """Measure whole exchanges, beside the least that any such hub must do.

    Signed requests go over HTTP to the real hub with its durable log, and to a floor program that
    only parses, verifies, signs and commits. Both take turns, so that noise hits both.
    """
    console = Console(stderr=True)
    with TemporaryDirectory(prefix="lienthong-bench-") as folder:
        plan = ExchangePlan(Path(folder), seconds, connections, prefill, profile, adapter_thread)
        with console.status("starting") as status:
            try:
                results = measure_exchanges(plan, status.update)
            except (ProgramFailed, LoadFailed) as error:
                raise click.ClickException(str(error)) from error
    _echo(results.as_json(), results.lines(), as_json=as_json)


@bench.command()
@click.option("--seconds", type=click.FloatRange(0.5, 600), default=10, show_default=True)
@click.option("--connections", type=click.IntRange(1, 1024), default=256, show_default=True)
@click.option(
    "--recipients",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    help="Of each message.",
)
@click.option(
    "--prefill",
    type=click.IntRange(0, 2_000_000),
    default=0,
    help="Deliveries that are pending before; a hub on an empty log is measured beside it.",
)
@click.option(
    "--slow-sync-ms",
    type=click.FloatRange(0, 1000),
    default=0,
    help="So much longer each sync takes; needs a C compiler.",
)
@click.option(
    "--profile",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a cProfile of the hub there; the floor is left out.",
)
@click.option(
    "--store",
    type=click.Choice(["sqlite", "postgres"]),
    default="sqlite",
    show_default=True,
    help="Where the log lies; postgres is started for this run, and goes with --broker rabbitmq.",
)
@click.option(
    "--broker",
    type=click.Choice(["embedded", "rabbitmq"]),
    default="embedded",
    show_default=True,
    help="What carries orders; rabbitmq is started for this run, with a worker in a process of "
    "its own.",
)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable figures.")
def submit(
    *,
    seconds: float,
    connections: int,
    recipients: int,
    prefill: int,
    slow_sync_ms: float,
    profile: Path | None,
    store: str,
    broker: str,
    as_json: bool,
) -> None:
    """Measure submissions, from their acceptance to the last outcome on disk.

    Signed submissions go over HTTP to the real hub, which delivers them within its process or, on
    PostgreSQL and RabbitMQ, has a worker deliver them; and to a floor program that does the least
    that any such hub must do. Both take turns.
    """
    has_servers = store == "postgres"
    if has_servers != (broker == "rabbitmq"):
        raise click.UsageError("--store postgres and --broker rabbitmq go together")
    if has_servers and (prefill or slow_sync_ms):
        raise click.UsageError("--prefill and --slow-sync-ms are for the embedded log alone")
    console = Console(stderr=True)
    with TemporaryDirectory(prefix="lienthong-bench-") as folder:
        plan = SubmissionPlan(
            Path(folder),
            seconds,
            connections,
            recipients,
            prefill,
            slow_sync_ms,
            profile,
            has_servers,
        )
        with console.status("starting") as status:
            try:
                results = measure_submissions(plan, status.update)
            except (ProgramFailed, LoadFailed, AnswerWrong, ServersUnfit) as error:
                raise click.ClickException(str(error)) from error
    _echo(results.as_json(), results.lines(), as_json=as_json)


@bench.command()
@click.option("--entries", type=click.IntRange(10), default=1_000_000, show_default=True)
@click.option(
    "--payload-bytes",
    type=click.IntRange(1, 1024 * 1024),
    default=PAYLOAD_BYTES_DEFAULT,
    show_default=True,
    help="Size of each sealed payload.",
)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable figures.")
def log(*, entries: int, payload_bytes: int, as_json: bool) -> None:
    """Append entries to a new log; speed and memory should hold to the last tenth."""
    console = Console(stderr=True)
    with TemporaryDirectory(prefix="lienthong-bench-") as folder, console.status("") as status:

        def report(part: LogPart) -> None:
            status.update(f"{part.entries:,} entries, {part.rate:,.0f} a second")

        results = measure_log(Path(folder), entries, payload_bytes, report)
    _echo(results.as_json(), results.lines(), as_json=as_json)


@bench.command()
@click.option("--rounds", type=click.IntRange(1, 10_000), default=40, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable figures.")
def signing(*, rounds: int, as_json: bool) -> None:
    """Measure one verification, beside its bare steps and beside other verifiers.

    xmlsec and signxml are measured where they are installed (`pip install xmlsec signxml`).
    """
    with Console(stderr=True).status("verifying one message again and again"):
        results = measure_signing(rounds)
    _echo(results.as_json(), list(results.lines()), as_json=as_json)


def _echo(values: dict[str, object], lines: list[str], *, as_json: bool) -> None:
    click.echo(json.dumps(values, indent=2) if as_json else "\n".join(lines))
