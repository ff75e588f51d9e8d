"""Run the whole table and print the report: `python -m tests.conformance [REPORT.json]`.

Exit status 0: every row came out as expected.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import structlog
from rich.console import Console

from tests.conformance.nation import running_nation
from tests.conformance.report import Result, print_report, result_of, write_json
from tests.conformance.sending import send_row
from tests.conformance.table import read_rows

REPORT = Path(".cache/conformance.json")
CONSOLE_COLUMNS = 190


def run() -> list[Result]:
    """Every row along each of its paths; rows of one nation share a hub."""
    rows = read_rows()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for number, without_grant in enumerate(sorted({row.without_grant for row in rows})):
            place = Path(folder) / f"nation-{number}"
            with running_nation(place, without_grant=without_grant) as nation:
                results += [
                    result_of(row, path, send_row(row, path, nation))
                    for row in rows
                    if row.without_grant == without_grant
                    for path in row.paths
                ]
    return results


def main(report: Path = REPORT) -> int:
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    results = run()
    console = Console(width=CONSOLE_COLUMNS)
    print_report(results, console)
    write_json(results, report)
    unexpected = [one for one in results if not one.is_as_expected]
    console.print(f"{len(results)} rows, {len(unexpected)} unexpected; also in {report}")
    return 1 if unexpected else 0


if __name__ == "__main__":
    sys.exit(main(*(Path(one) for one in sys.argv[1:])))
