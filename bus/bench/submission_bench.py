"""Measure submissions from acceptance to outcome: the hub and its floor in turns, the same load."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bus.bench import (
    floor_servers,
    floor_submission,
    floor_worker,
    hub_program,
    worker_program,
)
from bus.bench.acceptance_check import AcceptanceCheck, acceptance_check
from bus.bench.closed_deliveries import closing_seconds, closing_seconds_in_database
from bus.bench.load import load
from bus.bench.machine import look_at_machine
from bus.bench.pending_rows import fill_with_pending
from bus.bench.programs import BenchProgram, ProgramFailed, running
from bus.bench.signed_requests import RequestSigner, body_of, request_signer
from bus.bench.slow_sync import slow_sync_environment
from bus.bench.submission_nation import (
    PAYLOAD_BYTES,
    PROVIDER,
    SubmissionNation,
    prepare_submission_nation,
)
from bus.bench.submission_results import (
    JUDGE,
    LOAD,
    WORKER,
    SubmissionFigures,
    SubmissionResults,
    SubmissionRound,
    figures_of,
)
from bus.bench.submission_servers import BenchServers, bench_servers
from bus.runtime.clock import now
from bus.settings.hub import read_hub_settings

ROUND_SECONDS_MAX = 5.0
ROUNDS_MIN = 3
WARM_UP_DELIVERIES = 512
WARM_UP_REQUESTS_MIN = 64
DRAIN_SECONDS_MAX = 1800.0
"""How long the last outcome of a round may take to be on disk."""
_LOOK_SECONDS = 0.05
_QUIET_SECONDS = 0.2
_SPARE = 1.5
"""So many times more requests are signed than the round before would have needed."""

Report = Callable[[str], None]
"""Takes a sentence on how far the bench is."""


@dataclass(frozen=True, slots=True)
class SubmissionPlan:
    """What is to be measured."""

    folder: Path
    """Empty; logs and keys go there."""
    seconds: float
    """Measured time for each program, all rounds together, without the last outcomes of each."""
    connections: int
    recipients: int = 1
    """Of each message."""
    prefill_rows: int = 0
    """Deliveries that are pending before the hub starts."""
    slow_sync_ms: float = 0.0
    """So much longer each sync takes."""
    profile_file: Path | None = None
    """Where the hub's profile goes; then the floor is left out, for its ratio means nothing."""
    has_servers: bool = False
    """Logs lie in PostgreSQL, and workers take orders from RabbitMQ: servers of this run alone."""

    @property
    def entries_per_submission(self) -> int:
        """One that received it, and one for each recipient."""
        return 1 + self.recipients


@dataclass(slots=True)
class _LoadedProgram:
    """A program under load, and what was found so far."""

    program: BenchProgram
    check: AcceptanceCheck | None = None
    """None: what it says is nothing that anybody could check."""
    children: str = ""
    """What its children are called; empty: it has none."""
    closings: Callable[[int], list[float]] | None = None
    """How long its deliveries took, of messages from this entry on; None: nobody can tell."""
    worker: BenchProgram | None = None
    """That does its deliveries; None: it does them itself."""
    servers: BenchServers | None = None
    """On which it runs; None: on none."""
    first_entry: int = 0
    """Of what is measured."""
    rounds: list[SubmissionRound] = field(default_factory=list)

    @property
    def takes_once(self) -> bool:
        """A message that comes twice is told so; the floor remembers nothing."""
        return self.check is not None

    def cpu_seconds(self) -> dict[str, float]:
        """By program, with whoever loads: this very process."""
        used = {self.program.name: self.program.own_cpu_seconds(), LOAD: time.process_time()}
        if self.children:
            used[self.children] = self.program.children_cpu_seconds()
        if self.worker is not None:
            used[WORKER] = self.worker.own_cpu_seconds()
        if self.servers is not None:
            used |= self.servers.cpu_seconds()
        return used


def measure_submissions(plan: SubmissionPlan, report: Report) -> SubmissionResults:
    """Run the whole comparison. Raises ProgramFailed, LoadFailed, AnswerWrong, ServersUnfit."""
    nation = prepare_submission_nation(plan.folder, plan.recipients)
    environment = slow_sync_environment(plan.folder, plan.slow_sync_ms)
    machine = look_at_machine()
    with request_signer(nation.client) as requests, ExitStack() as servers:
        with ExitStack() as programs:
            if plan.has_servers:
                report("starting PostgreSQL and RabbitMQ")
                on = servers.enter_context(bench_servers(nation))
                contenders = _start_on_servers(plan, on, programs)
            else:
                contenders = _start(plan, nation, environment, programs, report)
            request_bytes = _warm_up(contenders, requests, plan, report)
            _measure(contenders, requests, plan, report)
        figures = {one.program.name: _figures(one) for one in contenders}
    return SubmissionResults(
        connections=plan.connections,
        recipients=plan.recipients,
        request_bytes=request_bytes,
        payload_bytes=PAYLOAD_BYTES,
        pending_rows=plan.prefill_rows,
        slow_sync_ms=plan.slow_sync_ms,
        has_servers=plan.has_servers,
        machine=machine,
        hub=figures["hub"],
        empty_hub=figures.get("empty hub"),
        floor=figures.get("floor"),
    )


def _start(
    plan: SubmissionPlan,
    nation: SubmissionNation,
    environment: dict[str, str],
    programs: ExitStack,
    report: Report,
) -> list[_LoadedProgram]:
    def hub(name: str, pending_rows: int) -> _LoadedProgram:
        file = nation.hub_settings(name.replace(" ", "-"))
        settings = read_hub_settings(file)
        if pending_rows:
            report(f"filling the log with {pending_rows:,} pending deliveries")
            fill_with_pending(settings, pending_rows)
        arguments = [str(file), ""]
        if plan.profile_file:
            arguments.append(str(plan.profile_file.absolute()))
        program = programs.enter_context(running(name, hub_program.MODULE, arguments, environment))
        check = acceptance_check(settings, plan.recipients)
        folder = settings.log.folder
        return _LoadedProgram(
            program, check, JUDGE, lambda first: closing_seconds(folder, first, pending_rows)
        )

    contenders = [hub("hub", plan.prefill_rows)]
    if plan.prefill_rows and not plan.profile_file:
        contenders.append(hub("empty hub", 0))
    if not plan.profile_file:
        files = nation.prepared.signers[PROVIDER]
        database = str(plan.folder / "floor.sqlite")
        arguments = [str(files.key), str(files.certificate), database, str(plan.recipients)]
        floor = running("floor", floor_submission.MODULE, arguments, environment)
        contenders.append(_LoadedProgram(programs.enter_context(floor)))
    return contenders


def _start_on_servers(
    plan: SubmissionPlan, on: BenchServers, programs: ExitStack
) -> list[_LoadedProgram]:
    def start(name: str, module: str, arguments: list[str]) -> BenchProgram:
        return programs.enter_context(running(name, module, arguments))

    settings = read_hub_settings(on.hub_settings)
    profile = [str(plan.profile_file.absolute())] if plan.profile_file else []
    worker = start("worker", worker_program.MODULE, on.worker_arguments)
    hub = _LoadedProgram(
        start("hub", hub_program.MODULE, [str(on.hub_settings), "", *profile]),
        acceptance_check(settings, plan.recipients),
        JUDGE,
        lambda first: closing_seconds_in_database(on.database, first),
        worker,
        on,
    )
    if plan.profile_file:
        return [hub]
    key = Ed25519PrivateKey.generate()
    arguments = on.floor_arguments(key, plan.recipients)
    floor = start("floor", floor_servers.MODULE, arguments)
    floor_does = start("floor's worker", floor_worker.MODULE, on.floor_worker_arguments(key))
    return [hub, _LoadedProgram(floor, worker=floor_does, servers=on)]


def _warm_up(
    contenders: list[_LoadedProgram], requests: RequestSigner, plan: SubmissionPlan, report: Report
) -> int:
    """Let every cache fill; give the size of a request's body."""
    report("warming up")
    wanted = max(WARM_UP_DELIVERIES // plan.recipients, WARM_UP_REQUESTS_MIN)
    signed = requests.sign(wanted)
    for contender in contenders:
        contender.rounds.append(_round(contender, iter(signed), plan, ROUND_SECONDS_MAX * 10))
        contender.first_entry = contender.program.counts()["entries"]
    return len(body_of(signed[0]))


def _measure(
    contenders: list[_LoadedProgram], requests: RequestSigner, plan: SubmissionPlan, report: Report
) -> None:
    count = max(ROUNDS_MIN, round(plan.seconds / ROUND_SECONDS_MAX))
    seconds = plan.seconds / count
    for number in range(count):
        fastest = max(one.rounds[-1].accepting.rate for one in contenders if one.takes_once)
        wanted = int(fastest * seconds * _SPARE) + plan.connections
        report(f"round {number + 1} of {count}: signing {wanted:,} requests")
        signed = requests.sign(wanted)
        for contender in contenders:
            report(f"round {number + 1} of {count}: the {contender.program.name}")
            supply = iter(signed) if contender.takes_once else itertools.cycle(signed)
            contender.rounds.append(_round(contender, supply, plan, seconds))
    for contender in contenders:
        del contender.rounds[0]  # the warm-up


def _round(
    contender: _LoadedProgram, supply: Iterator[bytes], plan: SubmissionPlan, seconds: float
) -> SubmissionRound:
    program = contender.program
    before, cpu_before, began = program.counts(), contender.cpu_seconds(), time.perf_counter()
    found = load(program.port, supply, connections=plan.connections, seconds=seconds)
    accepted = len(found.latencies)
    entries = before["entries"] + accepted * plan.entries_per_submission
    after, ended = _drained(program, entries)
    cpu_after = contender.cpu_seconds()
    if contender.check is not None:
        for sample in found.samples:
            contender.check.check(sample, now())
    return SubmissionRound(
        accepting=found,
        deliveries=accepted * plan.recipients,
        seconds=ended - began,
        entries=after["entries"] - before["entries"],
        commits=after["commits"] - before["commits"],
        cpu_seconds={name: used - cpu_before[name] for name, used in cpu_after.items()},
    )


def _drained(program: BenchProgram, entries: int) -> tuple[dict[str, int], float]:
    """What a program has done when so many entries are on disk and no more come, and since when
    that is so. Raises ProgramFailed."""
    began = since = time.perf_counter()
    counts = program.counts()
    # A hub writes now and then what is of no submission: the last entry may be one more.
    while counts["entries"] < entries or time.perf_counter() < since + _QUIET_SECONDS:
        if time.perf_counter() > began + DRAIN_SECONDS_MAX:
            missing = entries - counts["entries"]
            raise ProgramFailed(f"{missing} outcomes of the {program.name} did not come")
        time.sleep(_LOOK_SECONDS)
        before, counts = counts, program.counts()
        if counts != before:
            since = time.perf_counter()
    return counts, since


def _figures(contender: _LoadedProgram) -> SubmissionFigures:
    """Of a program that has ended. Raises ProgramFailed."""
    program, closings = contender.program, list[float]()
    if contender.closings is not None:
        closings = contender.closings(contender.first_entry)
    return figures_of(program.name, contender.rounds, closings, program.rss_bytes_max)
