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
    places: frozenset[int] | None = None
    """Which of those that are told in the same words, from 0; None: each."""

    def covers(self, mutant: Mutant) -> bool:
        """It speaks of this mutant."""
        is_here = (self.path, self.text) == (mutant.path, mutant.text)
        is_this = self.places is None or mutant.place in self.places
        return is_here and is_this and mutant.change in self.changes


def read_argued(path: Path = FILE) -> list[Argued]:
    """Every entry; raises KeyError, TypeError: one lacks something."""
    entries = tomllib.loads(path.read_text(encoding="utf-8"))["argued"]
    read = [
        Argued(
            one["path"],
            one["line"],
            frozenset(one["changes"]),
            one["why"],
            frozenset(one["places"]) if "places" in one else None,
        )
        for one in entries
    ]
    if not all(one.why.strip() and one.changes for one in read):
        raise KeyError("an entry without changes, or without a reason")
    return read
