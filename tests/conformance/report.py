"""Compare what came of every row with what is expected, and tell it: a table and a JSON file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.conformance.table import Row


@dataclass(frozen=True, slots=True)
class Result:
    """One row along one path."""

    name: str
    fixture: str
    path: str
    clause: str
    expected: str
    found: str

    @property
    def is_as_expected(self) -> bool:
        return self.expected == self.found


def result_of(row: Row, path: str, found: str) -> Result:
    return Result(row.name, row.fixture, path, row.clause, row.expected_on(path), found)


def print_report(results: Iterable[Result], console: Console) -> None:
    """Every row with its verdict."""
    table = Table("case", "message", "path", "expected", "found", "verdict", title="X-Road 4.0")
    for one in results:
        verdict = "[green]as expected[/]" if one.is_as_expected else "[red]UNEXPECTED[/]"
        table.add_row(one.name, one.fixture, one.path, one.expected, one.found, verdict)
    console.print(table)


def write_json(results: Iterable[Result], path: Path) -> None:
    """The same for programs."""
    rows = [asdict(one) | {"as_expected": one.is_as_expected} for one in results]
    unexpected = sum(not row["as_expected"] for row in rows)
    summary = {"rows": len(rows), "unexpected": unexpected, "results": rows}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(summary, ensure_ascii=False, indent=2) + "\n")
