"""Run something in a forked child, bounded in processor time, and hear how it ended."""

from __future__ import annotations

import contextlib
import os
import pickle
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

MEMORY_BYTES_MAX = 8 * 1024**3
WALL_FACTOR = 40
"""A child that waits, and uses no processor, is ended after so many times its processor time."""


class OutOfTime(Exception):
    """The child used up its processor time, or did nothing for very long."""


class ChildDied(Exception):
    """The child ended without an answer: by a signal, or an exit of its own."""


def in_child(work: Callable[[], Any], *, cpu_seconds: int, is_quiet: bool = True) -> Any:
    """What `work` returns, run in a fork of this process. Raises OutOfTime, ChildDied."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _run(work, writing, cpu_seconds, is_quiet)
    os.close(writing)
    deadline = time.monotonic() + WALL_FACTOR * cpu_seconds
    answer = _read(reading, deadline)
    if answer is None:
        os.kill(pid, signal.SIGKILL)
    os.close(reading)
    _, status = os.waitpid(pid, 0)
    if answer is None or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU):
        raise OutOfTime
    if not answer:
        raise ChildDied(str(status))
    return pickle.loads(answer)


def _read(reading: int, deadline: float) -> bytes | None:
    """Everything that a child writes until it ends; None: it does not end."""
    pieces: list[bytes] = []
    while True:
        seconds = deadline - time.monotonic()
        if seconds <= 0 or not select.select([reading], [], [], seconds)[0]:
            return None
        piece = os.read(reading, 1 << 16)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)


def _run(work: Callable[[], Any], writing: int, cpu_seconds: int, is_quiet: bool) -> NoReturn:
    status = 1
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
        if is_quiet:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1)
            os.dup2(nowhere, 2)
        told = pickle.dumps(work())
        while told:
            told = told[os.write(writing, told) :]
        status = 0
    except BaseException:
        with contextlib.suppress(BaseException):
            traceback.print_exc()
    finally:
        os._exit(status)
