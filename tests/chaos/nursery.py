"""Start programs that are loaded already, and let strace strike them from their first step on.

To load Python and the hub's packages takes longer than all that a strike is about. A nursery loads
them once; each program is a process forked from it, which waits until whoever strikes it is there.

Run as `python -m tests.chaos.nursery` it is the nursery, and is told what to do through its input.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.strike import Strike
from tests.hang_limits import HANG_SECONDS_MAX

ROOT = Path(__file__).parents[2]
PROGRAMS = ("tests.chaos.struck_hub", "tests.chaos.struck_worker")
"""Modules whose `main` is run with the arguments that a program is given."""
_LOADED_LATER = ("bus.adoption", "bus.broker.rabbitmq_hub", "bus.log.postgres.store")
"""What a hub loads only where its settings name a server."""
_BYTES_MAX = 65536
_SET_PTRACER, _ANY = 0x59616D61, -1
"""prctl(2): any process of ours may trace this one, where the system is strict about that."""


class Nursery:
    """Owns the process that others are forked from; ends with the block."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control = ours
        self._turn = threading.Lock()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.nursery"], stdin=theirs.fileno(), cwd=ROOT
            )

    def __enter__(self) -> Nursery:
        return self

    def __exit__(self, *_: object) -> None:
        self._control.close()
        self._process.wait(HANG_SECONDS_MAX)

    @contextlib.contextmanager
    def program(
        self,
        module: str,
        arguments: Sequence[str],
        *,
        strike: Strike | None = None,
        told: Path = Path(os.devnull),
        environment: Mapping[str, str] | None = None,
    ) -> Iterator[StruckProgram]:
        """A program that lives at most as long as the block; what it says of itself goes to
        `told`."""
        from_us, to_it = os.pipe()
        from_it, to_us = os.pipe()
        with told.open("ab") as words:
            process_id: int = self._ask(
                {"module": module, "arguments": arguments, "environment": dict(environment or {})},
                (from_us, to_us, words.fileno()),
            )
        os.close(from_us)
        os.close(to_us)
        program = StruckProgram(self, process_id, to_it, from_it)
        try:
            program.release_to(strike, told.with_suffix(".strace"))
            yield program
        finally:
            program.end()

    def returned(self, process_id: int) -> int | None:
        """What the process ended with, negative for a signal; None: it has not ended."""
        code: int | None = self._ask({"process": process_id})
        return code

    def _ask(self, question: Mapping[str, Any], files: Sequence[int] = ()) -> Any:
        with self._turn:
            socket.send_fds(self._control, [json.dumps(question).encode()], files)
            answer = self._control.recv(_BYTES_MAX)
        assert answer, "the nursery has ended; its errors stand above"
        return json.loads(answer)


@dataclass(slots=True)
class StruckProgram:
    """A program of a nursery, and strace above it."""

    _nursery: Nursery
    process_id: int
    _input: int
    _output: int
    _code: int | None = None
    _strace: subprocess.Popen[bytes] | None = None
    _trace: Path | None = None
    _read: bytes = b""

    def release_to(self, strike: Strike | None, trace: Path) -> None:
        """Let it run, once strace sees it."""
        if strike is not None:
            trace.unlink(missing_ok=True)
            self._trace = trace
            self._strace = subprocess.Popen(strike.command(self.process_id, trace))
            self._await_strace()
        os.kill(self.process_id, signal.SIGCONT)

    def _await_strace(self) -> None:
        assert self._strace is not None
        status = Path(f"/proc/{self.process_id}/status")
        deadline = time.monotonic() + HANG_SECONDS_MAX
        while "TracerPid:\t0\n" in status.read_text("ascii"):
            assert self._strace.poll() is None, "strace has ended; its errors stand above"
            assert time.monotonic() < deadline
            time.sleep(0.002)

    def line(self) -> str:
        """The next line that it says; empty: it has ended."""
        deadline = time.monotonic() + HANG_SECONDS_MAX
        while (line := self.said()) is None:
            assert time.monotonic() < deadline, "the program said nothing"
            time.sleep(0.005)
        return line

    def said(self) -> str | None:
        """The line that it has said, empty: it has ended; None: it has said nothing yet."""
        os.set_blocking(self._output, False)
        try:
            part = os.read(self._output, _BYTES_MAX)
        except BlockingIOError:
            return None
        self._read += part
        if part and not part.endswith(b"\n"):
            return None
        line, self._read = self._read, b""
        return line.decode().strip() if line.endswith(b"\n") else ""

    @property
    def is_alive(self) -> bool:
        return self._returned() is None

    @property
    def was_struck(self) -> bool:
        """strace did to it what it was told; known once the program has ended."""
        if self._trace is None:
            return False
        assert self._strace is not None
        self._strace.wait(HANG_SECONDS_MAX)
        trace = self._trace.read_text("utf-8", "replace")
        return "(INJECTED)" in trace or "+++ killed by SIG" in trace

    def signal(self, number: signal.Signals) -> None:
        """To it and whatever it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process_id, number)

    def stop(self) -> int:
        """End it as an operator does, if it still is there; give what it ended with."""
        self.close_input()
        return self.wait()

    def wait(self) -> int:
        """What it ended with, once it has."""
        deadline = time.monotonic() + HANG_SECONDS_MAX
        while (code := self._returned()) is None:
            assert time.monotonic() < deadline, "the program does not end"
            time.sleep(0.005)
        return code

    def end(self) -> None:
        """Leave nothing behind of it, whatever happened."""
        if self.is_alive:
            self.signal(signal.SIGKILL)
        self.wait()
        self.close_input()
        if self._output >= 0:
            os.close(self._output)
            self._output = -1
        if self._strace is not None:
            self._strace.wait(HANG_SECONDS_MAX)

    def close_input(self) -> None:
        """Let it end as an operator does; it takes its time."""
        if self._input >= 0:
            os.close(self._input)
            self._input = -1

    def _returned(self) -> int | None:
        if self._code is None:
            self._code = self._nursery.returned(self.process_id)
        return self._code


# --- the nursery itself ---------------------------------------------------------------------------


def main() -> None:
    """Fork what is asked for until nobody asks any more."""
    control = socket.socket(fileno=0)
    modules = {name: importlib.import_module(name) for name in (*PROGRAMS, *_LOADED_LATER)}
    while True:
        content, files, _, _ = socket.recv_fds(control, _BYTES_MAX, 3)
        if not content:
            return
        asked = json.loads(content)
        if "process" in asked:
            answer = _ended(asked["process"])
        else:
            main_of_it = modules[asked["module"]].main
            os.environ.update(asked["environment"])
            answer = os.fork()
            if answer == 0:
                _become(main_of_it, asked["arguments"], files)
            for name in asked["environment"]:
                del os.environ[name]
            for file in files:
                os.close(file)
            os.waitpid(answer, os.WUNTRACED)
        control.send(json.dumps(answer).encode())


def _ended(process_id: int) -> int | None:
    found, status = os.waitpid(process_id, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def _become(main_of_it: Any, arguments: Sequence[str], files: Sequence[int]) -> None:
    """Be the program, once somebody lets it run; never returns."""
    code = 1
    try:
        os.setsid()
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        ctypes.CDLL(None).prctl(_SET_PTRACER, _ANY, 0, 0, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
        main_of_it(*arguments)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
