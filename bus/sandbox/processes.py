"""Start processes of the sandbox, know them again, and end exactly those."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_START_TICKS_FIELD = 19
"""Of /proc/PID/stat behind the command's name: starttime. proc(5)."""
_STATE_FIELD = 0
_KILL_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process, and no later one that happens to get its number."""

    pid: int
    start_ticks: int
    """When it was started, in clock ticks since the machine was."""


@dataclass(frozen=True, slots=True)
class SandboxProgram:
    """What to start, and where its words go."""

    name: str
    arguments: Sequence[str]
    output: Path
    environment: Mapping[str, str]


def start(program: SandboxProgram) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own: Ctrl-C reaches it through us only."""
    # Diagnostics hold no values of messages; who asked whom, and when, is not for everybody either.
    program.output.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    program.output.parent.chmod(0o700)
    program.output.touch(mode=0o600)
    program.output.chmod(0o600)
    with program.output.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - our own programs, without a shell
            program.arguments,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **program.environment},
            start_new_session=True,
        )


def identify(pid: int) -> ProcessIdentity | None:
    """The identity of a running process; None: there is none, or it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace")
    except OSError:
        return None
    # The command's name stands in brackets and may itself hold blanks and brackets.
    fields = text.rpartition(")")[2].split()
    if fields[_STATE_FIELD] in {"Z", "X"}:
        return None
    return ProcessIdentity(pid, int(fields[_START_TICKS_FIELD]))


def is_running(process: ProcessIdentity) -> bool:
    """Whether this very process still runs."""
    return identify(process.pid) == process


def end(process: ProcessIdentity, *, wait_seconds: float) -> bool:
    """Ask a process to end, wait for it, kill it if it does not; False: it had ended before.

    The signal goes through a file descriptor that names the process, so that it cannot reach
    another one with the same number.
    """
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return False
    try:
        if not is_running(process):
            return False
        for number, seconds in ((signal.SIGTERM, wait_seconds), (signal.SIGKILL, _KILL_SECONDS)):
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, number)
            if select.select([descriptor], [], [], seconds)[0]:
                break
        return True
    finally:
        os.close(descriptor)
