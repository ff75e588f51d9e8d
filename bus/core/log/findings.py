"""What a check of a log finds: one difference between what it promises and what it holds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference between what the log promises and what it holds."""

    index: int
    """The entry concerned; for damage outside every entry, the nearest one."""
    file: str
    """Where it lies, in the words of the source of the log: of a folder, a name below it."""
    what: str
    expected: str = ""
    found: str = ""
    byte_range: tuple[int, int] | None = None
    """First byte and the one after the last, where it is known."""

    def __str__(self) -> str:
        where = f" bytes {self.byte_range[0]}-{self.byte_range[1] - 1}" if self.byte_range else ""
        facts = f" (expected {self.expected}, found {self.found})" if self.expected else ""
        return f"entry {self.index}: {self.file}{where}: {self.what}{facts}"
