"""Start the programs under load, watch what they use, stop them by closing their input."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 60
LISTEN_BACKLOG = 2048
_BYTES_OF_KIBIBYTE = 1024
_QUESTION = "?"
"""Asks a program for its counts."""
_INPUT_BYTES_MAX = 64


class ProgramFailed(RuntimeError):
    """A program under load did not start, or ended before its time."""


@dataclass(slots=True)
class BenchProgram:
    """A running program. Owns its process; `last_words` is set when it has ended."""

    name: str
    process: subprocess.Popen[str]
    port: int
    last_words: dict[str, Any]
    children_rss_bytes_max: int = 0
    """Most memory that its own children held, all together; seen with each `cpu_seconds`."""

    @property
    def rss_bytes_max(self) -> int:
        """Most memory that it held, as it said at its end, with that of its children."""
        return int(self.last_words["rss_bytes_max"]) + self.children_rss_bytes_max

    def cpu_seconds(self) -> float:
        """Processor time that it and its children have used so far, all threads."""
        return self.own_cpu_seconds() + self.children_cpu_seconds()

    def own_cpu_seconds(self) -> float:
        """Processor time that it has used so far, all threads."""
        return _cpu_seconds(self.process.pid)

    def children_cpu_seconds(self) -> float:
        """Processor time that those of its children have used so far that still run."""
        children = _children(self.process.pid)
        held = sum(_rss_bytes_max(str(child)) for child in children)
        self.children_rss_bytes_max = max(self.children_rss_bytes_max, held)
        return sum(_cpu_seconds(one) for one in children)

    def counts(self) -> dict[str, int]:
        """What it has done so far, as it says now. Raises ProgramFailed."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(_QUESTION)
            self.process.stdin.flush()
        except OSError as error:
            raise ProgramFailed(f"the {self.name} has ended") from error
        counts: dict[str, int] = json.loads(_line(self.name, self.process))
        return counts


def _children(process_id: int) -> list[int]:
    """Processes that this one has started and that still run. proc(5)."""
    found = Path(f"/proc/{process_id}/task").glob("*/children")
    return [int(child) for file in found for child in file.read_text(encoding="ascii").split()]


def _cpu_seconds(process_id: int) -> float:
    # proc(5): the name in brackets may hold blanks; utime and stime are fields 14 and 15.
    stat = Path(f"/proc/{process_id}/stat").read_text(encoding="ascii")
    fields = stat.rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def running(
    name: str,
    module: str,
    arguments: Sequence[str],
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[BenchProgram]:
    """Run `python -m module arguments` until the block ends. Raises ProgramFailed.

    `environment` stands beside what this process has in its own.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    try:
        program = BenchProgram(name, process, int(_line(name, process)), {})
        yield program
        assert process.stdin is not None
        process.stdin.close()
        program.last_words = json.loads(_line(name, process))
        process.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired as error:
        raise ProgramFailed(f"the {name} did not end") from error
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            stream.close()


def _line(name: str, process: subprocess.Popen[str]) -> str:
    """The next line that it says: its port at first, at its end what it used."""
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], START_SECONDS_MAX)
    line = process.stdout.readline() if ready else ""
    if not line:
        raise ProgramFailed(f"the {name} said nothing; its errors stand above")
    return line


# --- the other side: inside a program under load -------------------------------------------------


def listen() -> socket.socket:
    """A listening socket on a free port of loopback."""
    return socket.create_server(("127.0.0.1", 0), backlog=LISTEN_BACKLOG)


NO_PORT = None
"""Of a program that listens nowhere."""


def say_ready(listening: socket.socket | None) -> None:
    """Tell the port to whoever started this program; 0: it listens nowhere."""
    print(0 if listening is None else listening.getsockname()[1], flush=True)


def stop_at_end_of_input(
    stop: Callable[[], None], counts: Callable[[], dict[str, int]] = dict
) -> None:
    """Call `stop` once whoever started this program closes its input, or is gone.

    Say `counts` whenever it asks for them.
    """
    loop = asyncio.get_running_loop()

    def on_input() -> None:
        questions = os.read(sys.stdin.fileno(), _INPUT_BYTES_MAX)
        for _ in questions:
            print(json.dumps(counts()), flush=True)
        if not questions:
            loop.remove_reader(sys.stdin.fileno())
            stop()

    loop.add_reader(sys.stdin.fileno(), on_input)


def say_last_words() -> None:
    """Tell what this program used."""
    print(json.dumps({"rss_bytes_max": _rss_bytes_max()}), flush=True)


def _rss_bytes_max(process: str = "self") -> int:
    """Most memory that a process held. proc(5): VmHWM, in KiB.

    Not getrusage: its ru_maxrss begins with what the program's parent held when it was started.
    """
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * _BYTES_OF_KIBIBYTE
