"""Read the blocks of a page, and do what the page says as its reader would: in one shell.

A block is code between fences. A comment on the line before it says what is done with it:

    <!-- not run: reason -->          nothing
    <!-- file: path -->               it is written there
    <!-- into: path, behind: line --> its lines are put behind that line of the file
    none                              `console` is typed line by line, `python` is run

In a console block a line that starts with `$ ` is a command, with what follows behind a backslash.
It must end with 0, or with what `# exit N` at its end says. If lines stand below it, they are what
it says; `…` stands for anything in a line, and alone for any lines.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.hang_limits import HANG_SECONDS_MAX

SHELL = ("bash", "--noprofile", "--norc")

_NOTE = re.compile(r"<!-- (not run|file|into): (.*?) -->\Z")
_EXIT = re.compile(r"\s*# exit (\d+)\Z")


@dataclass(frozen=True, slots=True)
class Block:
    """Code between fences, and what the comment before it says."""

    place: str
    """`docs/agencies.md:17`."""
    language: str
    text: str
    order: str
    """`not run`, `file`, `into`, or nothing."""
    told: str
    """What stands behind the order."""


@dataclass(frozen=True, slots=True)
class Command:
    """A line typed, how it ends, and what it says; None: the page does not tell."""

    text: str
    exit_code: int
    output: str | None


def read_blocks(page: Path, name: str) -> list[Block]:
    """Every block of a page, in order."""
    blocks = []
    lines = page.read_text("utf-8").splitlines()
    start = None
    for number, line in enumerate(lines):
        if start is None and line.startswith("```"):
            start = number
        elif start is not None and line.strip() == "```":
            note = _NOTE.match(lines[start - 1]) if start else None
            order, told = note.groups() if note else ("", "")
            text = "\n".join(lines[start + 1 : number]) + "\n"
            blocks.append(Block(f"{name}:{start + 1}", lines[start][3:].strip(), text, order, told))
            start = None
    assert start is None, f"{name}:{start}: a block without end"
    return blocks


def read_commands(text: str) -> list[Command]:
    """The commands of a console block."""
    commands = []
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        typed = 1
        while lines[typed - 1].endswith("\\"):
            typed += 1
        line = "\n".join(lines[:typed])
        ending = _EXIT.search(line)
        shown = lines[typed:]
        commands.append(
            Command(
                text=_EXIT.sub("", line),
                exit_code=int(ending[1]) if ending else 0,
                output="\n".join(shown) if shown else None,
            )
        )
    return commands


def says(shown: str, output: str) -> bool:
    """Whether an output is what a page shows of it."""
    pattern = "".join(
        r"(?:.*\n)*" if line == "…" else ".*".join(map(re.escape, line.rstrip().split("…"))) + "\n"
        for line in shown.splitlines()
    )
    said = "".join(f"{line.rstrip()}\n" for line in output.strip("\n").splitlines())
    return re.fullmatch(pattern, said) is not None


class Reader:
    """Somebody at a terminal: one folder, one shell. End with `leave`."""

    def __init__(
        self, folder: Path, environment: Mapping[str, str], replaced: Mapping[str, str]
    ) -> None:
        """`replaced`: what this reader types instead of texts of the page, such as ports."""
        self._folder = folder
        self._replaced = replaced
        self._environment = {**os.environ, **environment}
        self._shell = subprocess.Popen(
            SHELL,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=self._environment,
            start_new_session=True,
            text=True,
        )

    def follow(self, block: Block) -> None:
        """Do what the page says. Raises AssertionError where it does not come out so."""
        text = self._own(block.text)
        match block.order, block.language:
            case "not run", _:
                return
            case "file", _:
                path = self._folder / block.told
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, "utf-8")
            case "into", _:
                name, _, line = block.told.partition(", behind: ")
                _insert(self._folder / name, line, text)
            case _, "console":
                for command in read_commands(text):
                    self._type(command, block.place)
            case _, "python":
                self._run_python(text, block.place)

    def leave(self) -> None:
        """End the shell, and what was started in it and goes on."""
        os.killpg(self._shell.pid, signal.SIGTERM)
        self._shell.communicate(timeout=HANG_SECONDS_MAX)

    def _own(self, text: str) -> str:
        for theirs, ours in self._replaced.items():
            text = text.replace(theirs, ours)
        return text

    def _type(self, command: Command, place: str) -> None:
        mark = f"end-{uuid.uuid4()}"
        assert self._shell.stdin is not None
        self._shell.stdin.write(f"{{ {command.text}\n}} </dev/null\necho {mark} $?\n")
        self._shell.stdin.flush()
        watchdog = threading.Timer(HANG_SECONDS_MAX, self._shell.kill)
        watchdog.start()
        try:
            output, ended = self._read_to(mark)
        finally:
            watchdog.cancel()
        told = f"{place}: $ {command.text}\n{output}"
        assert ended == command.exit_code, f"{told}\nexit {ended}, expected {command.exit_code}"
        if command.output is not None:
            assert says(command.output, output), f"{told}\nThe page shows:\n{command.output}"

    def _read_to(self, mark: str) -> tuple[str, int]:
        assert self._shell.stdout is not None
        lines = []
        for line in self._shell.stdout:
            before, is_end, code = line.partition(f"{mark} ")
            lines.append(before)
            if is_end:
                return "".join(lines), int(code)
        raise AssertionError("the shell ended:\n" + "".join(lines))

    def _run_python(self, text: str, place: str) -> None:
        done = subprocess.run(
            [sys.executable, "-c", text],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS_MAX,
            check=False,
        )
        assert done.returncode == 0, f"{place}\n{done.stdout}{done.stderr}"


def _insert(path: Path, line: str, text: str) -> None:
    lines = path.read_text("utf-8").splitlines(keepends=True)
    places = [place for place, found in enumerate(lines) if found.rstrip("\n") == line]
    assert len(places) == 1, f"{path.name}: {line!r} stands {len(places)} times"
    lines.insert(places[0] + 1, text)
    path.write_text("".join(lines), "utf-8")


# --- links ---------------------------------------------------------------------------------------


def broken_links(page: Path) -> Iterator[str]:
    """The relative links of a page that lead nowhere."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            yield link


def _anchors(page: Path) -> set[str]:
    """What GitHub calls the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), flags=re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in plain}
