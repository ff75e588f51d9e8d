"""What senders, agencies and the nemesis write down while a hub suffers: JSON lines, only appended.

A line that stands was synced before its writer went on: whoever is killed then has said it. All
writers of one machine share a counter that only grows, so that their lines can be put in order.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self


@dataclass(frozen=True, slots=True)
class Sent:
    """A sender sends a message, or sends it again."""

    what: ClassVar[str] = "sent"
    message: str
    recipients: tuple[str, ...]
    conversation: str = ""
    """Those of one conversation are sent one after the other; empty: it is of none."""


@dataclass(frozen=True, slots=True)
class TellAccepted:
    """A sender was told that its message was accepted, and read it to the last byte."""

    what: ClassVar[str] = "told"
    message: str
    received_index: int
    received_hash: str
    """Of the leaf that the receipt names, hexadecimal."""


@dataclass(frozen=True, slots=True)
class Called:
    """An agency is asked to take a message."""

    what: ClassVar[str] = "called"
    message: str
    recipient: str
    key: str
    attempt: int
    is_said_to_be_copy: bool
    """Whether it was told that it may have had this before."""


@dataclass(frozen=True, slots=True)
class Acted:
    """An agency did what a message asks for."""

    what: ClassVar[str] = "acted"
    message: str
    recipient: str
    key: str


@dataclass(frozen=True, slots=True)
class Struck:
    """The nemesis did something."""

    what: ClassVar[str] = "struck"
    fault: str
    target: str


Said = Sent | TellAccepted | Called | Acted | Struck
_KINDS: dict[str, type[Said]] = {
    one.what: one for one in (Sent, TellAccepted, Called, Acted, Struck)
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a journal."""

    at: int
    """Counts up over all journals of a run."""
    said: Said


class MemoryJournal:
    """Journals of a simulation, which all share one counter."""

    def __init__(self) -> None:
        self.lines: list[Line] = []

    def write(self, said: Said) -> None:
        self.lines.append(Line(len(self.lines), said))


_SYNCS_MAX = 3


class FileJournal:
    """One writer's journal in a file. Owns the file."""

    def __init__(self, file: Path, count: Callable[[], int] = time.monotonic_ns) -> None:
        """`count` is the counter that all writers share: the clock of the machine's run."""
        self._file = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._count = count

    def write(self, said: Said) -> None:
        """When this returns, the line is on disk and synced."""
        line = {"at": self._count(), "what": said.what, **asdict(said)}
        # One write for each line: nobody else's stands within it.
        os.write(self._file, json.dumps(line).encode() + b"\n")
        for _ in range(_SYNCS_MAX):
            # A disk that is made to fail once is that of whoever we look at, not ours.
            with contextlib.suppress(OSError):
                os.fsync(self._file)
                return
        raise OSError("the journal cannot be written")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        os.close(self._file)


def read_journals(*files: Path) -> list[Line]:
    """The lines of several journals, in order. A last line without its end was never said."""
    lines = [line for file in files if file.exists() for line in _lines(file)]
    return sorted(lines, key=lambda line: line.at)


def _lines(file: Path) -> Iterator[Line]:
    for text in file.read_bytes().split(b"\n")[:-1]:
        facts = json.loads(text)
        at, kind = facts.pop("at"), _KINDS[facts.pop("what")]
        said: dict[str, Any] = {name: _read(value) for name, value in facts.items()}
        yield Line(at, kind(**said))


def _read(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value
