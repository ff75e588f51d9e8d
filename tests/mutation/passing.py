"""Take mutants through the tests that run them: fast where that is possible, else slowly."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.mutation.children import in_child
from tests.mutation.mutants import Mutant
from tests.mutation.session import (
    Baseline,
    CollectedSession,
    Outcome,
    preload,
    try_imported,
)

PASS_SECONDS_MAX = 6 * 3600
_CONTROL_TESTS = 20
_TOLD_EVERY = 20.0


@dataclass(frozen=True, slots=True)
class Tried:
    """A mutant and its fate."""

    mutant: Mutant
    state: str
    """killed, time (of the processor), survived, argued."""
    by: str
    """The test that objected."""


def try_all(
    mutants: Sequence[Mutant], tests: Sequence[str], seconds: float, jobs: int = 1
) -> list[Tried]:
    """Try mutants in order, each with as many tests as take `seconds` without a mutant."""
    preload()
    paths = list(dict.fromkeys(mutant.path for mutant in mutants))

    def fast() -> tuple[Baseline, list[Outcome | None]]:
        session = CollectedSession(
            paths, lambda one: (one.baseline, _fast_all(one, mutants, seconds))
        )
        result: tuple[Baseline, list[Outcome | None]] = session.run(tests)
        return result

    baseline, outcomes = in_child(fast, cpu_seconds=PASS_SECONDS_MAX, is_quiet=False)
    for index in baseline.failing:
        print(f"left out, it fails without a mutant: {baseline.names[index]}", file=sys.stderr)
    order = _Order(baseline, seconds)
    slow = [
        i for i, one in enumerate(outcomes) if one is None or order.decides_slowly(mutants[i], one)
    ]
    _tell(f"{len(mutants) - len(slow)} were decided fast, {len(slow)} have to be imported")
    control = next((found for i in slow if (found := order.tests(mutants[i]))), [])
    if control:
        _control(control[:_CONTROL_TESTS], baseline)
    waiting = [mutants[i] for i in slow]
    with ThreadPoolExecutor(jobs) as pool:
        for i, outcome in zip(slow, pool.map(partial(_slowly, order), waiting), strict=True):
            outcomes[i] = outcome
    return [
        Tried(mutant, outcome.state, outcome.by)
        for mutant, outcome in zip(mutants, outcomes, strict=True)
        if outcome is not None
    ]


def _slowly(order: _Order, mutant: Mutant) -> Outcome:
    outcome = Outcome("survived")
    for names in order.steps(mutant):
        outcome = try_imported(mutant, names)
        if outcome.state != "survived":
            break
    order.learn(mutant, outcome)
    _tell(f"imported: {outcome.state}: {mutant}")
    return outcome


def _fast_all(
    session: CollectedSession, mutants: Sequence[Mutant], seconds: float
) -> list[Outcome | None]:
    baseline = session.baseline
    _tell(f"{len(baseline.names)} tests, {sum(baseline.seconds):.0f} s; {len(mutants)} mutants")
    order = _Order(baseline, seconds)
    outcomes: list[Outcome | None] = []
    last = time.monotonic()
    for mutant in mutants:
        outcome = session.try_mutant(mutant, order.tests(mutant)) if order.runs(mutant) else None
        if outcome is not None:
            order.learn(mutant, outcome)
        outcomes.append(outcome)
        if outcome is not None and outcome.state == "survived":
            _tell(f"so far: {mutant}")
        if time.monotonic() - last > _TOLD_EVERY:
            last = time.monotonic()
            _tell(f"{len(outcomes)} of {len(mutants)}: {mutant.path}:{mutant.line}")
    return outcomes


def _control(tests: Sequence[int], baseline: Baseline) -> None:
    """What is imported unchanged must pass: else every mutant would be killed by the way."""
    outcome = try_imported(None, [baseline.names[one] for one in tests])
    if outcome.state != "survived":
        raise SystemExit(f"without a mutant this fails when it is imported anew: {outcome}")


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class _Order:
    """Which tests are run for a mutant, those that likely object first."""

    def __init__(self, baseline: Baseline, seconds: float) -> None:
        self._baseline = baseline
        self._seconds_max = seconds
        self._failing = set(baseline.failing)
        self._number = {name: index for index, name in enumerate(baseline.names)}
        self._killers: dict[tuple[str, str], list[int]] = defaultdict(list)

    def runs(self, mutant: Mutant) -> set[int]:
        """Tests that run the very line; none: it runs at import or set-up alone."""
        lines = self._baseline.runs.get(mutant.path, {})
        wanted = range(mutant.line, mutant.end_line + 1) if mutant.function else ()
        return {test for line in wanted for test in lines.get(line, ())}

    def tests(self, mutant: Mutant) -> list[int]:
        """Tests that run the line; of what runs when imported, those that run its module."""
        lines = self._baseline.runs.get(mutant.path, {})
        stem = Path(mutant.path).stem
        found = self.runs(mutant)
        if not found:
            found = {test for tests in lines.values() for test in tests}
            found |= self._only_looking(mutant)
        killers = [one for one in self._killers[self._key(mutant)][-8:] if one in found]
        names, seconds = self._baseline.names, self._baseline.seconds
        rest = sorted(
            found - self._failing - set(killers),
            key=lambda one: (f"test_{stem}" not in names[one], seconds[one]),
        )
        chosen: list[int] = []
        sum_seconds = 0.0
        for one in [*reversed(killers), *rest]:
            sum_seconds += seconds[one]
            if sum_seconds > self._seconds_max and chosen:
                break
            chosen.append(one)
        return chosen

    def _only_looking(self, mutant: Mutant) -> set[int]:
        """Tests beside it that run no line of what is tried: they look at tables and fields."""
        running = {
            test
            for lines in self._baseline.runs.values()
            for tests in lines.values()
            for test in tests
        }
        folder = "tests/" + mutant.path.removeprefix("bus/").partition("/")[0] + "/"
        names = enumerate(self._baseline.names)
        return {one for one, name in names if name.startswith(folder) and one not in running}

    def steps(self, mutant: Mutant) -> list[list[str]]:
        """Their names in two steps: to collect few files kills most mutants already."""
        chosen = [self._baseline.names[one] for one in self.tests(mutant)]
        mirrors = f"/test_{Path(mutant.path).stem}"
        first = [one for one in chosen if mirrors in one]
        rest = [one for one in chosen if one not in first]
        return [step for step in (first, rest) if step]

    def learn(self, mutant: Mutant, outcome: Outcome) -> None:
        """Try the test that objected first, next time."""
        number = self._number.get(outcome.by)
        if number is not None:
            killers = self._killers[self._key(mutant)]
            if number in killers:
                killers.remove(number)
            killers.append(number)

    def decides_slowly(self, mutant: Mutant, outcome: Outcome) -> bool:
        """It survived, and part of what it changes ran before its code was exchanged."""
        early = self._baseline.at_set_up.get(mutant.path, set())
        is_early = any(line in early for line in range(mutant.line, mutant.end_line + 1))
        return outcome.state == "survived" and is_early

    def _key(self, mutant: Mutant) -> tuple[str, str]:
        return mutant.path, mutant.function
