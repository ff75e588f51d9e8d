"""No package grows into the room where everything lies."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHARE_MAX = 0.15
"""Of all lines of code; a package that reaches it has two subjects."""
MODULES_MAX = 40
"""Files of one package, without its packages: more are not read, but searched."""


def package_of(path: Path) -> str:
    """`bus/log` of anything below it; `adapters/<id>`; a single file counts for `bus`."""
    parts = path.relative_to(ROOT).parts
    if parts[0] in ("bus", "adapters") and len(parts) > 2:
        return "/".join(parts[:2])
    return parts[0]


def sources() -> list[Path]:
    packages = ("bus", "adapters", "signing", "schemas")
    return [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]


def shares() -> dict[str, float]:
    lines: Counter[str] = Counter()
    for path in sources():
        lines[package_of(path)] += len(path.read_text("utf-8").splitlines())
    whole = sum(lines.values())
    return {package: count / whole for package, count in lines.items()}


def test_no_package_holds_more_than_its_share() -> None:
    found = shares()
    assert len(found) > 15
    assert {package: share for package, share in found.items() if share > SHARE_MAX} == {}


def test_no_folder_is_too_long_to_be_read() -> None:
    files = Counter(path.parent.relative_to(ROOT).as_posix() for path in sources())
    assert {folder: count for folder, count in files.items() if count > MODULES_MAX} == {}
