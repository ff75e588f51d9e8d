"""Read which mutants may survive, each with a reason: `argued.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from tests.mutation.mutants import Mutant

FILE = Path(__file__).with_name("argued.toml")


@dataclass(frozen=True, slots=True)
class Argued:
    """Mutants of one line that change nothing that anybody could see, or nothing that matters."""

    path: str
    text: str
    """The line as it stands."""
    changes: frozenset[str]
    """As the report tells them."""
    why: str

    def covers(self, mutant: Mutant) -> bool:
        """It speaks of this mutant."""
        return (self.path, self.text) == (mutant.path, mutant.text) and (
            mutant.change in self.changes
        )


def read_argued(path: Path = FILE) -> list[Argued]:
    """Every entry; raises KeyError, TypeError: one lacks something."""
    entries = tomllib.loads(path.read_text(encoding="utf-8"))["argued"]
    read = [
        Argued(one["path"], one["line"], frozenset(one["changes"]), one["why"]) for one in entries
    ]
    if not all(one.why.strip() and one.changes for one in read):
        raise KeyError("an entry without changes, or without a reason")
    return read
