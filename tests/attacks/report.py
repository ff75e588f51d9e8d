"""Try every attack of the corpus, and print what each class of them got: `make attacks`."""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bus.core.pipeline import Refusal, decide
from bus.protocols.soap_xroad.parse import parse
from tests.attacks.cases import NEW, SAME, Case, Stage
from tests.attacks.corpus import GROUPS
from tests.attacks.valid_messages import ValidMessage, corpus_nation, valid_messages
from tests.nation import NOW, SmallNation


@dataclass(slots=True)
class Tally:
    """What one class of attacks got."""

    cases: int = 0
    messages: int = 0
    told: Counter[str] = field(default_factory=Counter)
    milliseconds_max: float = 0.0
    surprises: list[str] = field(default_factory=list)


def main() -> int:
    """Print the report; 1 if an attack got what it must not get."""
    valid = valid_messages()
    with tempfile.TemporaryDirectory() as folder:
        corpus = corpus_nation(Path(folder))
        tallies = {group.name: Tally() for group in GROUPS}
        for group in GROUPS:
            for case in group.cases:
                _try(case, corpus, valid, tallies[group.name])
    _print(tallies, valid)
    return int(any(tally.surprises for tally in tallies.values()))


def _try(case: Case, corpus: SmallNation, valid: dict[str, ValidMessage], tally: Tally) -> None:
    tally.cases += 1
    for message in valid.values():
        stage = Stage(corpus, message, valid)
        if case.needs_token and not stage.has_token:
            continue
        raw = case.make(stage)
        start = time.process_time()
        result = decide(raw, parse, corpus.rules, NOW + case.later)
        milliseconds = (time.process_time() - start) * 1000
        got = result.error.code if isinstance(result, Refusal) else _accepted(case)
        tally.messages += 1
        tally.told[got] += 1
        tally.milliseconds_max = max(tally.milliseconds_max, milliseconds)
        if got != case.expected:
            tally.surprises.append(f"{case.name}, made from {message.name}: {got}")
        if not case.every_stack:
            return


def _accepted(case: Case) -> str:
    return NEW if case.expected == NEW else SAME


def _print(tallies: dict[str, Tally], valid: dict[str, ValidMessage]) -> None:
    console = Console(width=120 if not sys.stdout.isatty() else None)
    table = Table(title="Attacks on the hub", title_justify="left")
    table.add_column("class")
    for name in ("cases", "messages", "refused", "say the same", "slowest, ms CPU"):
        table.add_column(name, justify="right")
    for name, tally in tallies.items():
        harmless = tally.told[SAME] + tally.told[NEW]
        table.add_row(
            name,
            str(tally.cases),
            str(tally.messages),
            str(tally.messages - harmless),
            str(harmless),
            f"{tally.milliseconds_max:.1f}",
        )
    console.print(table)
    cases = sum(tally.cases for tally in tallies.values())
    messages = sum(tally.messages for tally in tallies.values())
    stacks = sorted({f"{one.stack} {one.version}" for one in valid.values()})
    console.print(f"{cases} cases, {messages} messages, made from {len(valid)} valid messages of")
    console.print(", ".join(stacks) + ".")
    surprises = [one for tally in tallies.values() for one in tally.surprises]
    for surprise in surprises:
        console.print(f"NOT AS EXPECTED: {surprise}", style="bold red", highlight=False)
    if not surprises:
        console.print("Every one got what it must get; none got more.")


if __name__ == "__main__":
    sys.exit(main())
