"""The page about security lists the checks that are made and the attacks that are tried."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from tests.attacks.corpus import CASES, GROUPS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "security.md"
SCRIPT = runpy.run_path(str(ROOT / "docs" / "make_security_tables.py"))


def test_the_lists_are_up_to_date() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == SCRIPT["with_tables"](page), "run python docs/make_security_tables.py"


def test_every_class_of_attacks_is_named() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert [group.name for group in GROUPS if f"| {group.name} |" not in page] == []
    assert f"{len(CASES)} cases in all." in page


@pytest.mark.parametrize(
    "module", ["bus.protocols.soap_xroad.parse", "bus.core.verification", "signing.wss.verify"]
)
def test_the_checks_are_numbered_without_a_gap(module: str) -> None:
    numbers = [int(line.partition(".")[0]) for line in SCRIPT["checks"](module).splitlines()]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 5
