"""Try every mutant of the code that proves signatures, and say which ones no test objects to.

    python -m tests.mutation [path ...] [--sample N] [--seed S] [--json FILE] [--tests PATH ...]
    python -m tests.mutation --again FILE

Ends with 1 if a mutant survives that `argued.toml` does not argue. `--again` takes what `--json`
wrote, tries those that survived, and writes the file anew.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.mutation.argued import read_argued
from tests.mutation.mutants import Mutant, modules, mutants_of
from tests.mutation.passing import Tried, try_all

TESTS = (
    "tests/signing",
    "tests/core",
    "tests/protocols",
    "tests/trust",
    "tests/judging",
    "tests/attacks/test_corpus.py",
    "tests/attacks/test_valid_messages.py",
    "tests/attacks/test_changed_messages.py",
    "tests/attacks/test_attachment_attacks.py",
)
"""What decides about one message, or one log entry, without a hub around it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the pass and report it."""
    options = _options(arguments)
    mutants = [mutant for path in options.paths or modules() for mutant in mutants_of(path)]
    if options.sample > 1:
        chosen = random.Random(options.seed).sample(mutants, len(mutants) // options.sample)
        mutants = sorted(chosen, key=mutants.index)
    decided: dict[Key, Tried] = {}
    if options.again:
        known = _read(options.again)
        mutants = [mutant for mutant in mutants if mutant.key in known]
        decided = {
            mutant.key: Tried(mutant, *known[mutant.key])
            for mutant in mutants
            if known[mutant.key][0] not in _ALIVE
        }
    argued = read_argued()
    for mutant in mutants:
        if any(entry.covers(mutant) for entry in argued):
            decided[mutant.key] = Tried(mutant, "argued", "")
    waiting = [mutant for mutant in mutants if mutant.key not in decided]
    for one in _try(waiting, options) if waiting else ():
        decided[one.mutant.key] = one
    states = [decided[mutant.key] for mutant in mutants]
    _report(states, options.sample)
    target = options.again or options.json
    if target:
        target.write_text(json.dumps([_plain(one) for one in states], indent=1))
    return int(any(one.state == "survived" for one in states))


def _try(mutants: Sequence[Mutant], options: argparse.Namespace) -> list[Tried]:
    return try_all(mutants, options.tests or TESTS, options.seconds, options.jobs)


Key = tuple[str, str, str, int]
_ALIVE = ("survived", "argued")


def _read(path: Path) -> dict[Key, tuple[str, str]]:
    """State, and the test that objected, of mutants that an earlier pass tried."""
    return {
        (one["path"], one["text"], one["change"], one["place"]): (one["state"], one["by"])
        for one in json.loads(path.read_text())
    }


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("paths", nargs="*", help="modules, as paths below the root")
    parser.add_argument("--sample", type=int, default=1, help="try one of so many")
    parser.add_argument("--seed", type=int, default=0, help="which ones")
    parser.add_argument("--json", type=Path, help="write every mutant and its fate here")
    parser.add_argument(
        "--seconds", type=float, default=20.0, help="of tests for one mutant, at most"
    )
    parser.add_argument("--jobs", type=int, default=1, help="mutants imported side by side")
    parser.add_argument("--again", type=Path, help="try those that survived an earlier pass")
    parser.add_argument("--tests", nargs="+", help="try with these tests only")
    return parser.parse_args(arguments)


def _plain(one: Tried) -> dict[str, object]:
    mutant: Mutant = one.mutant
    return {
        "path": mutant.path,
        "line": mutant.line,
        "text": mutant.text,
        "change": mutant.change,
        "place": mutant.place,
        "function": mutant.function,
        "state": one.state,
        "by": one.by,
    }


def _report(tried: Sequence[Tried], sample: int) -> None:
    for one in tried:
        if one.state == "survived":
            print(f"survived: {one.mutant}")
    total: Counter[str] = Counter(one.state for one in tried)
    for path in dict.fromkeys(one.mutant.path for one in tried):
        counted = Counter(one.state for one in tried if one.mutant.path == path)
        print(f"{path:45} {_counts(counted)}")
    sampled = f" (one of {sample})" if sample > 1 else ""
    print(f"{'all' + sampled:45} {_counts(total)}")


def _counts(counted: Counter[str]) -> str:
    words = ("killed", "time", "argued", "survived")
    told = ", ".join(f"{counted[word]:4} {word}" for word in words)
    return f"{counted.total():5} mutants: {told}"


if __name__ == "__main__":
    sys.exit(main())
