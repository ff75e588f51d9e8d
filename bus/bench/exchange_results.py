"""Turn rounds of load into figures, and figures into words and JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from bus.bench.load import Round

_MEBIBYTE = 1024 * 1024
_WIDTH = 22


@dataclass(frozen=True, slots=True)
class ProgramResults:
    """What one program did in all rounds."""

    rates: tuple[float, ...]
    """Exchanges a second in each round."""
    rate_median: float
    latency_p50_ms: float
    latency_p99_ms: float
    cpu_per_exchange_us: float
    """Processor time of all its threads."""
    rss_bytes_max: int
    answer_bytes: int
    answers: int
    verified_answers: int


@dataclass(frozen=True, slots=True)
class ExchangeResults:
    """What `bench exchange` finds."""

    connections: int
    request_bytes: int
    """The body of an HTTP request: one signed envelope."""
    log_bytes_per_exchange: int
    prefilled_entries: int
    hub: ProgramResults
    floor: ProgramResults | None
    """None: it was not run."""

    @property
    def rate_ratio(self) -> float | None:
        """The hub's rate by the floor's, medians of the rounds."""
        return self.hub.rate_median / self.floor.rate_median if self.floor else None

    @property
    def cpu_ratio(self) -> float | None:
        """The floor's processor time by the hub's: the same question, less hurt by noise."""
        if self.floor is None:
            return None
        return self.floor.cpu_per_exchange_us / self.hub.cpu_per_exchange_us

    def as_json(self) -> dict[str, Any]:
        """Every figure, by its name."""
        return {**asdict(self), "rate_ratio": self.rate_ratio, "cpu_ratio": self.cpu_ratio}

    def lines(self) -> list[str]:
        """What a person reads."""
        title = (
            f"{self.connections} connections, requests of {self.request_bytes:,} bytes "
            f"(RSA-2048, SHA-256), log prefilled with {self.prefilled_entries:,} entries"
        )
        lines = [title, *row("", "hub", "floor" if self.floor else "")]
        programs = [self.hub, self.floor] if self.floor else [self.hub]
        for name, report in _ROWS:
            lines.extend(row(name, *(report(results) for results in programs)))
        lines.extend(row("log per exchange", f"{self.log_bytes_per_exchange:,} bytes"))
        if self.rate_ratio is not None and self.cpu_ratio is not None:
            lines.extend(row("hub / floor", f"{self.rate_ratio:.2f} of its rate"))
            lines.extend(row("", f"{self.cpu_ratio:.2f} by processor time"))
        return lines


def results_of(rounds: Sequence[Round], cpu_seconds: float, rss_bytes_max: int) -> ProgramResults:
    """Put the rounds of one program together."""
    latencies = sorted(latency for one in rounds for latency in one.latencies)
    rates = tuple(one.rate for one in rounds)
    return ProgramResults(
        rates=rates,
        rate_median=median(rates),
        latency_p50_ms=percentile(latencies, 50) * 1e3,
        latency_p99_ms=percentile(latencies, 99) * 1e3,
        cpu_per_exchange_us=cpu_seconds / len(latencies) * 1e6,
        rss_bytes_max=rss_bytes_max,
        answer_bytes=round(sum(one.answer_bytes for one in rounds) / len(latencies)),
        answers=len(latencies),
        verified_answers=sum(len(one.samples) for one in rounds),
    )


_ROWS: tuple[tuple[str, Callable[[ProgramResults], str]], ...] = (
    ("exchanges/s (median)", lambda of: f"{of.rate_median:,.0f}"),
    ("rounds", lambda of: " ".join(f"{rate:,.0f}" for rate in of.rates)),
    ("p50", lambda of: f"{of.latency_p50_ms:.1f} ms"),
    ("p99", lambda of: f"{of.latency_p99_ms:.1f} ms"),
    ("processor time", lambda of: f"{of.cpu_per_exchange_us:,.0f} µs"),
    ("memory (max)", lambda of: f"{of.rss_bytes_max / _MEBIBYTE:.0f} MiB"),
    ("answer", lambda of: f"{of.answer_bytes:,} bytes"),
    ("answered, verified", lambda of: f"{of.answers:,}, {of.verified_answers:,}"),
)


def row(title: str, *cells: str) -> list[str]:
    """A line of a table: its title, and a cell for each column."""
    return [f"{title:<{_WIDTH}}" + "".join(f"{cell:>{_WIDTH}}" for cell in cells)]


def percentile(in_order: Sequence[float], percent: int) -> float:
    """The smallest value that so many in a hundred do not exceed (nearest rank)."""
    rank = -(-len(in_order) * percent // 100)
    return in_order[max(rank, 1) - 1]
