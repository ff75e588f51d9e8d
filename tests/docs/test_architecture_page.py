"""The page of the architecture names every module, and says of each what the module says."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "architecture.md"
SCRIPT = runpy.run_path(str(ROOT / "docs" / "make_architecture_tables.py"))


def test_the_tables_are_up_to_date() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == SCRIPT["with_tables"](page), "run python docs/make_architecture_tables.py"


def test_every_module_is_named() -> None:
    page = PAGE.read_text(encoding="utf-8")
    names = [path.relative_to(ROOT).as_posix() for path in SCRIPT["every_module"]()]
    assert len(names) > 60
    assert [name for name in names if f"`{name}`" not in page] == []


def test_every_module_says_its_job_in_its_first_line() -> None:
    sources = (
        path for name in ("bus", "signing", "adapters") for path in (ROOT / name).rglob("*.py")
    )
    silent = [
        path.relative_to(ROOT).as_posix()
        for path in sources
        if path.read_text(encoding="utf-8").strip() and not SCRIPT["first_line"](path)
    ]
    assert silent == []
