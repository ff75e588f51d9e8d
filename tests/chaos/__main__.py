"""Run chaos by hand: `make chaos`, `make chaos SEED=17`, `make chaos SEEDS=5000`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from bus.runtime.telemetry import configure_telemetry
from tests.chaos.nemesis import run_nemesis, say_nemesis
from tests.chaos.pending import measure_pending
from tests.chaos.simulated_post import Post
from tests.chaos.simulation import Result, Simulation
from tests.chaos.strike import Strike
from tests.chaos.strikes import HUB
from tests.chaos.strikes_program import TARGETS, strike_all, strike_one
from tests.nation import make_small_nation


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="this one alone, with all that it says")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=2000)
    parser.add_argument("--strikes", type=int, metavar="K", help="strike at every K-th call")
    parser.add_argument("--strike", type=Strike.parse, help="strike there alone")
    parser.add_argument("--target", choices=TARGETS, help="what is struck; else all of them")
    parser.add_argument("--twice", action="store_true", help="it was killed before")
    parser.add_argument("--nemesis", type=float, metavar="M", help="let all go wrong so long")
    parser.add_argument("--pending", type=int, metavar="N", help="begin with so many that wait")
    options = parser.parse_args()
    configure_telemetry("error")
    if options.nemesis:
        result = run_nemesis(options.seed or 0, options.nemesis)
        print(say_nemesis(result))
        return 1 if result.found.faults else 0
    if options.pending:
        print(measure_pending(options.pending, 20_000).told)
        return 0
    if options.strike:
        return strike_one(options.target or HUB, options.strike, is_twice=options.twice)
    if options.strikes:
        return strike_all([options.target] if options.target else TARGETS, options.strikes)
    with tempfile.TemporaryDirectory() as folder:
        nation = make_small_nation(Path(folder) / "nation")
        post = Post.prepare(nation, Path(folder))
        if options.seed is not None:
            return _one(post, options.seed)
        return _many(post, range(options.first, options.first + options.seeds))


def _one(post: Post, seed: int) -> int:
    result = Simulation(post, seed).run()
    tell(result)
    print(dict(result.found.counts), dict(result.struck), f"{result.steps} steps")
    return 1 if result.found.faults else 0


def _many(post: Post, seeds: range) -> int:
    began = time.process_time()
    counts: Counter[str] = Counter()
    struck: Counter[str] = Counter()
    red = 0
    for seed in seeds:
        result = Simulation(post, seed).run()
        counts.update(result.found.counts)
        struck.update(result.struck)
        red += bool(result.found.faults)
        tell(result)
    seconds = time.process_time() - began
    print(f"{len(seeds)} seeds, {red} red, {sum(struck.values())} faults injected, {seconds:.0f} s")
    print("faults:", dict(struck))
    print("deliveries:", dict(counts))
    return 1 if red else 0


def tell(result: Result) -> None:
    """How to see it again, and what it was."""
    if result.found.faults:
        print(f"seed={result.seed}: make chaos SEED={result.seed}")
        for kind, sentence in result.found.faults[:10]:
            print(f"  {kind}: {sentence}")


if __name__ == "__main__":
    sys.exit(main())
