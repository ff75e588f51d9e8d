"""Measure whole exchanges: the hub and the floor program in turns, under the same load."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from bus.bench import floor_program, hub_program
from bus.bench.answer_checks import AnswerCheck
from bus.bench.bench_nation import prepare_bench_nation, rsa_client
from bus.bench.citizen_answer import SERVICE
from bus.bench.exchange_results import ExchangeResults, ProgramResults, results_of
from bus.bench.load import Round, load
from bus.bench.log_bench import fill_log
from bus.bench.programs import BenchProgram, running
from bus.bench.signed_requests import RequestSigner, body_of, request_signer
from bus.core.identifiers import ServiceId
from bus.core.log.receipts import RECEIPT_NAME
from bus.log.message_log import HubLog
from bus.log.opening import open_log
from bus.runtime.clock import now
from bus.sandbox.nation_files import PreparedNation
from bus.settings.hub import HubSettings, read_hub_settings
from bus.settings.routes import read_registry
from bus.trust.key_store import read_certificates, read_ed25519_key
from signing.pki.certificates import TrustStore
from signing.signed_note import SigningKey

ROUND_SECONDS_MAX = 5.0
ROUNDS_MIN = 3
WARM_UP_REQUESTS = 512
_SPARE = 1.5
"""So many times more requests are signed than the round before would have needed."""

Report = Callable[[str], None]
"""Takes a sentence on how far the bench is."""


@dataclass(frozen=True, slots=True)
class ExchangePlan:
    """What is to be measured."""

    folder: Path
    """Empty; logs and keys go there."""
    seconds: float
    """Measured time for each program, all rounds together."""
    connections: int
    prefill_entries: int = 0
    """Entries in the hub's log before it starts."""
    profile_file: Path | None = None
    """Where the hub's profile goes; then the floor is left out, for its ratio means nothing."""
    is_adapter_on_thread: bool = False
    """The agency is asked on a thread of its adapter, as those that must be waited for are."""


@dataclass(slots=True)
class _Contender:
    """A program under load, and what was found so far."""

    program: BenchProgram
    check: AnswerCheck
    rounds: list[Round] = field(default_factory=list)
    cpu_seconds: float = 0.0


def measure_exchanges(plan: ExchangePlan, report: Report) -> ExchangeResults:
    """Run the whole comparison. Raises ProgramFailed, LoadFailed, AnswerWrong."""
    prepared = prepare_bench_nation(plan.folder)
    settings = read_hub_settings(prepared.hub_settings)
    if plan.prefill_entries:
        report(f"filling the log with {plan.prefill_entries:,} entries")
        fill_log(_open_log(settings), plan.prefill_entries)
    bytes_before = folder_bytes(settings.log.folder)
    with request_signer(rsa_client(prepared)) as requests:
        with ExitStack() as programs:
            contenders = _start(plan, prepared, settings, programs)
            request_bytes = _warm_up(contenders, requests, plan, report)
            _measure(contenders, requests, plan, report)
        # The programs have ended: the log is folded, their last words are known.
        grown_bytes = folder_bytes(settings.log.folder) - bytes_before
    hub, *floors = [_results(contender) for contender in contenders]
    hub_answers = hub.answers + WARM_UP_REQUESTS
    return ExchangeResults(
        connections=plan.connections,
        request_bytes=request_bytes,
        log_bytes_per_exchange=round(grown_bytes / hub_answers),
        prefilled_entries=plan.prefill_entries,
        hub=hub,
        floor=floors[0] if floors else None,
    )


def folder_bytes(folder: Path) -> int:
    """The size of every file below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _start(
    plan: ExchangePlan, prepared: PreparedNation, settings: HubSettings, programs: ExitStack
) -> list[_Contender]:
    calls = hub_program.ON_THREAD if plan.is_adapter_on_thread else ""
    arguments = [str(prepared.hub_settings), calls]
    if plan.profile_file:
        arguments.append(str(plan.profile_file.absolute()))
    hub = programs.enter_context(running("hub", hub_program.MODULE, arguments))
    receipt_key = SigningKey(
        settings.log.origin + RECEIPT_NAME, read_ed25519_key(settings.log.signing_key)
    )
    anchors = [one.public_bytes(Encoding.DER) for one in read_certificates(settings.trust.anchors)]
    provider = ServiceId.parse(SERVICE).provider
    subject = read_registry(settings.routes).members[provider.member].certificate_subject
    hub_check = AnswerCheck(TrustStore(anchors), subject, receipt_key.verifying_key)
    contenders = [_Contender(hub, hub_check)]
    if plan.profile_file is None:
        files = prepared.signers[provider]
        arguments = [str(files.key), str(files.certificate), str(plan.folder / "floor.sqlite")]
        floor = programs.enter_context(running("floor", floor_program.MODULE, arguments))
        contenders.append(_Contender(floor, AnswerCheck(TrustStore(anchors), subject, None)))
    return contenders


def _warm_up(
    contenders: list[_Contender], requests: RequestSigner, plan: ExchangePlan, report: Report
) -> int:
    """Let every cache fill; give the size of a request's body."""
    report("warming up")
    signed = requests.sign(WARM_UP_REQUESTS)
    for contender in contenders:
        contender.rounds.append(_load(contender, iter(signed), plan, ROUND_SECONDS_MAX * 10))
    return len(body_of(signed[0]))


def _measure(
    contenders: list[_Contender], requests: RequestSigner, plan: ExchangePlan, report: Report
) -> None:
    count = max(ROUNDS_MIN, round(plan.seconds / ROUND_SECONDS_MAX))
    seconds = plan.seconds / count
    for number in range(count):
        wanted = int(contenders[0].rounds[-1].rate * seconds * _SPARE) + plan.connections
        report(f"round {number + 1} of {count}: signing {wanted:,} requests")
        signed = requests.sign(wanted)
        for contender in contenders:
            report(f"round {number + 1} of {count}: the {contender.program.name}")
            # The hub takes a request once; the floor remembers nothing and may see one again.
            supply = iter(signed) if contender is contenders[0] else itertools.cycle(signed)
            cpu_before = contender.program.cpu_seconds()
            contender.rounds.append(_load(contender, supply, plan, seconds))
            contender.cpu_seconds += contender.program.cpu_seconds() - cpu_before
    for contender in contenders:
        del contender.rounds[0]  # the warm-up


def _load(
    contender: _Contender, supply: Iterator[bytes], plan: ExchangePlan, seconds: float
) -> Round:
    port = contender.program.port
    found = load(port, supply, connections=plan.connections, seconds=seconds)
    for sample in found.samples:
        contender.check.check(sample, now())
    return found


def _results(contender: _Contender) -> ProgramResults:
    program = contender.program
    return results_of(contender.rounds, contender.cpu_seconds, program.rss_bytes_max)


def _open_log(settings: HubSettings) -> HubLog:
    settings_of_log = settings.log
    key = SigningKey(settings_of_log.origin, read_ed25519_key(settings_of_log.signing_key))
    return open_log(settings_of_log.folder, key=key, guard=settings_of_log.guard)
