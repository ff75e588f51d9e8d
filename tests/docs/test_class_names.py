"""One name for one class: whoever reads a name knows which class it is."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("bus", "adapters", "signing", "schemas")


def classes_of(*sources: tuple[str, str]) -> dict[str, list[str]]:
    """Where each class name is defined, of sources with their places."""
    found: dict[str, list[str]] = defaultdict(list)
    for place, source in sources:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(f"{place}:{node.lineno}")
    return found


def every_source() -> list[tuple[str, str]]:
    files = (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))
    return [(path.relative_to(ROOT).as_posix(), path.read_text("utf-8")) for path in files]


def test_no_two_classes_have_one_name() -> None:
    found = classes_of(*every_source())
    assert len(found) > 400
    assert {name: places for name, places in found.items() if len(places) > 1} == {}


def test_two_classes_of_one_name_would_be_found() -> None:
    twice = "class Twice: ...\nclass Twice: ...\n"
    found = classes_of(("a.py", "class Once: ...\n"), ("b.py", twice))
    assert found == {"Once": ["a.py:1"], "Twice": ["b.py:1", "b.py:2"]}


def test_no_two_files_of_tests_have_one_name() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path in (ROOT / "tests").rglob("test_*.py"):
        if not (path.parent / "__init__.py").exists():  # what lies in a package has its name, too
            places[path.name].append(path.relative_to(ROOT).as_posix())

    # pytest would collect neither, and run nothing at all.
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
