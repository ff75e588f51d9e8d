"""Write the tables of docs/modules.md from the first lines of the modules.

Run `python docs/make_architecture_tables.py`; a test fails while the file is not up to date.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = Path(__file__).with_name("modules.md")
PACKAGES = ("signing", "bus", "adapters", "schemas")

_BLOCK = re.compile(r"(<!-- modules ([\w./]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def with_tables(page: str) -> str:
    """The page with every table written anew."""
    return _BLOCK.sub(lambda block: block[1] + table(block[2]) + block[3], page)


def table(folder: str) -> str:
    """One table: the modules directly in a folder, each with its one job."""
    rows = ["| module | its one job |", "|---|---|"]
    for path in sorted((ROOT / folder).glob("*.py")):
        job = first_line(path)
        if job:
            rows.append(f"| `{path.relative_to(ROOT).as_posix()}` | {job} |")
    return "\n".join(rows) + "\n"


def first_line(path: Path) -> str:
    """The first sentence of a module's docstring; empty for an empty package file."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(docstring.split("\n\n")[0].split()).replace("|", "\\|")


def every_module() -> list[Path]:
    """Every module of the program that says what it is for."""
    found = (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))
    return [path for path in found if first_line(path) and not _is_of_an_agency(path)]


def _is_of_an_agency(path: Path) -> bool:
    """Whether it lies in an adapter's folder, which speaks for itself: nothing lists agencies."""
    return (ROOT / "adapters") in path.parent.parents


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
