"""Every row of the table of X-Road's messages comes out as expected, along every path."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from rich.console import Console

from tests.conformance.nation import RunningNation, running_nation
from tests.conformance.report import Result, print_report, result_of, write_json
from tests.conformance.sending import send_row
from tests.conformance.table import PATHS, Row, fixtures, read_rows, used_fixtures

ROWS = read_rows()
CASES = [(row, path) for row in ROWS for path in row.paths]


@pytest.fixture(scope="module")
def nations(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, RunningNation]]:
    """The nations that the rows happen in, by the grant that is missing."""
    with ExitStack() as stack:
        yield {
            missing: stack.enter_context(
                running_nation(
                    tmp_path_factory.mktemp("nations") / f"nation-{number}", without_grant=missing
                )
            )
            for number, missing in enumerate(sorted({row.without_grant for row in ROWS}))
        }


@pytest.mark.parametrize(
    ("row", "path"), CASES, ids=[f"{row.name} | {path}" for row, path in CASES]
)
def test_a_row_comes_out_as_expected(
    row: Row, path: str, nations: dict[str, RunningNation]
) -> None:
    assert row.expected_on(path) == send_row(row, path, nations[row.without_grant])


def test_every_message_that_there_is_stands_in_a_row() -> None:
    assert fixtures() == set(used_fixtures())


def test_every_row_says_where_it_makes_sense() -> None:
    assert {path for row in ROWS for path in row.paths} == set(PATHS)
    assert len({row.name for row in ROWS}) == len(ROWS)


def test_the_report_shows_what_was_not_expected(tmp_path: Path) -> None:
    good = result_of(ROWS[0], PATHS[0], ROWS[0].expect)
    bad = Result("a name", "a.query", PATHS[0], "MESS 1", "answer", "Client.X")
    console = Console(width=200, record=True, file=(tmp_path / "out").open("w"))

    print_report([good, bad], console)
    write_json([good, bad], tmp_path / "report.json")

    text = console.export_text()
    assert "UNEXPECTED" in text
    assert "as expected" in text
    told = json.loads((tmp_path / "report.json").read_text())
    assert (told["rows"], told["unexpected"]) == (2, 1)
