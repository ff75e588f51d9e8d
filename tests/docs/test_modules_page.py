"""The page of the modules names every module, and says of each what the module says."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "modules.md"
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


def test_what_pages_name_is_there() -> None:
    """A file or folder of the code that a page of the docs names in backticks exists."""
    named = re.compile(r"`((?:bus|signing|adapters|schemas|tests|docs)/[\w/.-]+)`")
    missing = {
        f"{page.relative_to(ROOT)}: {name}"
        for page in [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"]
        for name in named.findall(page.read_text("utf-8"))
        if not (ROOT / name).exists()
    }
    assert missing == set()
