"""What a check before the start found: problems, and warnings that can wait."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bus.core.errors import Problem

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Readiness:
    """What was found. A hub starts when there is no problem; warnings can wait."""

    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]

    @property
    def is_ready(self) -> bool:
        """No problem stands in the way."""
        return not self.problems


def why_not_writable(folder: Path) -> str:
    """Why no file can be made in a folder (or in the nearest one that exists); empty if it can."""
    while not folder.exists():
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return error.strerror or type(error).__name__
