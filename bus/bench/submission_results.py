"""Turn rounds of submissions into figures, and figures into words and JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from bus.bench.exchange_results import percentile, row
from bus.bench.load import Round
from bus.bench.machine import Machine

_MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class SubmissionRound:
    """What one round of load has found, from its first request to its last outcome."""

    accepting: Round = field(repr=False)
    deliveries: int
    seconds: float
    """Until the last outcome was on disk."""
    entries: int
    commits: int
    cpu_seconds: Mapping[str, float]
    """Processor time by program, of whoever loads as well."""


@dataclass(frozen=True, slots=True)
class SubmissionFigures:
    """What one program did in all rounds."""

    name: str
    accepted_rates: tuple[float, ...]
    """Acceptances a second in each round, while it was loaded."""
    delivered_rates: tuple[float, ...]
    """Outcomes a second in each round, until the last was on disk."""
    accepted_median: float
    delivered_median: float
    accept_p50_ms: float
    accept_p99_ms: float
    closing_p50_ms: float | None
    """From acceptance to closing; None: it was not looked at."""
    closing_p99_ms: float | None
    entries_per_commit: float
    cpu_us: Mapping[str, float]
    """Processor time of one submission with its deliveries, by program."""
    load_cpu_us: float
    rss_bytes_max: int
    submissions: int
    verified: int

    @property
    def cpu_sum_us(self) -> float:
        """Of all programs but the one that loads."""
        return sum(self.cpu_us.values())


LOAD = "load"
"""The name of whoever loads, among the programs."""
JUDGE = "judge"
"""That of a hub's judging processes."""
WORKER = "worker"
"""That of whoever does deliveries in a process of its own."""
POSTGRES = "PostgreSQL"
RABBIT = "RabbitMQ"


def figures_of(
    name: str, rounds: Sequence[SubmissionRound], closings: Sequence[float], rss_bytes_max: int
) -> SubmissionFigures:
    """Put the rounds of one program together; `closings` are in seconds."""
    latencies = sorted(latency for one in rounds for latency in one.accepting.latencies)
    in_order = sorted(closings)
    accepted = tuple(one.accepting.rate for one in rounds)
    delivered = tuple(one.deliveries / one.seconds for one in rounds)
    programs = list(rounds[0].cpu_seconds)
    cpu_us = {
        program: sum(one.cpu_seconds[program] for one in rounds) / len(latencies) * 1e6
        for program in programs
    }
    load_cpu_us = cpu_us.pop(LOAD)
    return SubmissionFigures(
        name=name,
        accepted_rates=accepted,
        delivered_rates=delivered,
        accepted_median=median(accepted),
        delivered_median=median(delivered),
        accept_p50_ms=percentile(latencies, 50) * 1e3,
        accept_p99_ms=percentile(latencies, 99) * 1e3,
        closing_p50_ms=percentile(in_order, 50) * 1e3 if in_order else None,
        closing_p99_ms=percentile(in_order, 99) * 1e3 if in_order else None,
        entries_per_commit=sum(one.entries for one in rounds) / sum(one.commits for one in rounds),
        cpu_us=cpu_us,
        load_cpu_us=load_cpu_us,
        rss_bytes_max=rss_bytes_max,
        submissions=len(latencies),
        verified=sum(len(one.accepting.samples) for one in rounds),
    )


@dataclass(frozen=True, slots=True)
class SubmissionResults:
    """What `bench submit` finds."""

    connections: int
    recipients: int
    request_bytes: int
    """The body of an HTTP request: one signed envelope."""
    payload_bytes: int
    pending_rows: int
    slow_sync_ms: float
    has_servers: bool
    """On PostgreSQL and RabbitMQ; otherwise on the embedded log and broker."""
    machine: Machine
    hub: SubmissionFigures
    empty_hub: SubmissionFigures | None
    """The same hub on an empty log; None: nothing was pending before."""
    floor: SubmissionFigures | None
    """None: it was not run."""

    @property
    def rate_ratio(self) -> float | None:
        """Deliveries of the hub by the floor's, medians of the rounds."""
        floor = self.floor
        return self.hub.delivered_median / floor.delivered_median if floor else None

    @property
    def cpu_ratio(self) -> float | None:
        """The floor's processor time by the hub's: the same question, less hurt by noise."""
        return self.floor.cpu_sum_us / self.hub.cpu_sum_us if self.floor else None

    @property
    def pending_ratio(self) -> float | None:
        """Acceptances beside what is pending by those on an empty log, medians of the rounds."""
        empty = self.empty_hub
        return self.hub.accepted_median / empty.accepted_median if empty else None

    @property
    def pending_cpu_ratio(self) -> float | None:
        """The empty hub's processor time by that of the one that has much pending."""
        return self.empty_hub.cpu_sum_us / self.hub.cpu_sum_us if self.empty_hub else None

    def as_json(self) -> dict[str, Any]:
        """Every figure, by its name."""
        return {
            **asdict(self),
            "rate_ratio": self.rate_ratio,
            "cpu_ratio": self.cpu_ratio,
            "pending_ratio": self.pending_ratio,
            "pending_cpu_ratio": self.pending_cpu_ratio,
        }

    def lines(self) -> list[str]:
        """What a person reads."""
        programs = [one for one in (self.hub, self.empty_hub, self.floor) if one is not None]
        slower = f", {self.slow_sync_ms:g} ms more each sync" if self.slow_sync_ms else ""
        where = "PostgreSQL and RabbitMQ" if self.has_servers else "the embedded log and broker"
        what = (
            f"{where}, {self.connections} connections, "
            f"recipients of each message: {self.recipients}, "
            f"payloads of {self.payload_bytes:,} bytes in requests of {self.request_bytes:,} "
            f"(RSA-2048, SHA-256), {self.pending_rows:,} rows pending before{slower}"
        )
        machine = (
            f"{self.machine.processors} processors, load average {self.machine.load_average:.1f}, "
            f"SHA-256 of 1 MiB in {self.machine.sha256_us_per_mebibyte:,.0f} µs"
        )
        lines = [what, machine, *row("", *(one.name for one in programs))]
        for name, report in _ROWS:
            told = [report(one) for one in programs]
            if any(told):
                lines.extend(row(name, *told))
        for title, by_rate, by_cpu in (
            ("hub / floor", self.rate_ratio, self.cpu_ratio),
            ("pending / empty", self.pending_ratio, self.pending_cpu_ratio),
        ):
            if by_rate is not None and by_cpu is not None:
                lines.extend(row(title, f"{by_rate:.2f} of its rate"))
                lines.extend(row("", f"{by_cpu:.2f} by processor time"))
        return lines


def _rates(rates: Sequence[float]) -> str:
    return " ".join(f"{rate:,.0f}" for rate in rates)


def _microseconds(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f} µs"


def _milliseconds(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f} ms"


_ROWS: tuple[tuple[str, Callable[[SubmissionFigures], str]], ...] = (
    ("accepted/s (median)", lambda of: f"{of.accepted_median:,.0f}"),
    ("rounds", lambda of: _rates(of.accepted_rates)),
    ("delivered/s (median)", lambda of: f"{of.delivered_median:,.0f}"),
    ("rounds", lambda of: _rates(of.delivered_rates)),
    ("accept p50", lambda of: _milliseconds(of.accept_p50_ms)),
    ("accept p99", lambda of: _milliseconds(of.accept_p99_ms)),
    ("to closing p50", lambda of: _milliseconds(of.closing_p50_ms)),
    ("to closing p99", lambda of: _milliseconds(of.closing_p99_ms)),
    ("entries a commit", lambda of: f"{of.entries_per_commit:.1f}"),
    ("processor time", lambda of: _microseconds(of.cpu_sum_us)),
    ("  of it judging", lambda of: _microseconds(of.cpu_us.get(JUDGE))),
    ("  of it the worker", lambda of: _microseconds(of.cpu_us.get(WORKER))),
    ("  of it PostgreSQL", lambda of: _microseconds(of.cpu_us.get(POSTGRES))),
    ("  of it RabbitMQ", lambda of: _microseconds(of.cpu_us.get(RABBIT))),
    ("  of who loads", lambda of: _microseconds(of.load_cpu_us)),
    ("memory (max)", lambda of: f"{of.rss_bytes_max / _MEBIBYTE:.0f} MiB"),
    ("accepted, verified", lambda of: f"{of.submissions:,}, {of.verified:,}"),
)
