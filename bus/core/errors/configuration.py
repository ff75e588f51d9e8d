"""Say what is wrong in a configuration file: every problem at once, each with its place."""

from __future__ import annotations


class ConfigurationError(Exception):
    """Start-up and reload only: every problem at once, each with its path and line."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class Problem:
    """One thing that is wrong in a configuration file: where, and what was expected."""

    __slots__ = ("file", "line", "message", "path")

    def __init__(self, file: str, path: str, message: str, *, line: int | None = None) -> None:
        self.file = file
        self.path = path
        self.message = message
        self.line = line

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{where}: {self.path}: {self.message}" if self.path else f"{where}: {self.message}"
