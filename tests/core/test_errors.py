"""Every error of a message: one code each, safe words, and a test that raises it."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from bus.core.errors import BusError, ConfigurationError, Problem, all_errors

ROOT = Path(__file__).parents[2]
SCRIPT = runpy.run_path(str(ROOT / "docs" / "make_error_table.py"))

ERRORS = list(all_errors())


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [error.code for error in ERRORS]

    assert len(codes) == len(set(codes)) > 35


@pytest.mark.parametrize("error", ERRORS)
def test_the_facts_of_an_error_have_their_form(error: type[BusError]) -> None:
    assert re.fullmatch(r"[a-z-]+\.[a-z-]+", error.code)
    assert re.fullmatch(r"(Client|Server\.(ClientProxy|ServerProxy))(\.[A-Za-z]+)+", error.xroad)
    assert error.public_reason.isprintable()
    assert error.public_reason.endswith(".")


def test_what_is_told_and_what_is_logged_are_two_things() -> None:
    error = ERRORS[0]("for the log", public_detail="for the sender")

    assert (error.detail, error.public_detail, str(error)) == (
        "for the log",
        "for the sender",
        "for the log",
    )
    assert ERRORS[0](public_detail="line 3").detail == "line 3"
    assert str(ERRORS[0]()) == ERRORS[0].public_reason


def test_every_error_is_raised_by_a_test() -> None:
    """By name or by code, in a test other than this one."""
    tests = "\n".join(
        path.read_text()
        for path in (ROOT / "tests").rglob("*.py")
        if path.name != Path(__file__).name
    )
    named = set(re.findall(r"\w+|\"[a-z.-]+\"", tests))
    unknown = {
        error.__name__ for error in ERRORS if not {error.__name__, f'"{error.code}"'} & named
    }

    assert unknown == set()


def test_the_table_of_errors_is_up_to_date() -> None:
    page = (ROOT / "docs" / "errors.md").read_text()

    assert SCRIPT["with_table"](page) == page


def test_the_table_holds_every_error() -> None:
    page = (ROOT / "docs" / "errors.md").read_text()

    assert [error.code for error in ERRORS if f"`{error.code}`" not in page] == []


def test_a_problem_says_file_line_and_path() -> None:
    problems = [
        Problem("routes.yaml", "hub", "is missing", line=3),
        Problem("routes.yaml", "", "cannot be read"),
    ]

    assert str(ConfigurationError(problems)) == (
        "routes.yaml:3: hub: is missing\nroutes.yaml: cannot be read"
    )
