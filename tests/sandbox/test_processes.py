"""The sandbox ends the processes that it started, and never another one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bus.sandbox.processes import ProcessIdentity, SandboxProgram, end, identify, is_running, start
from tests.hang_limits import HANG_SECONDS_MAX

WAITING = "import sys, time; print('up', flush=True); time.sleep(600)"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + WAITING


@pytest.fixture
def waiting() -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", WAITING]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def _identity(process: subprocess.Popen[bytes]) -> ProcessIdentity:
    found = identify(process.pid)
    assert found is not None
    return found


def test_a_process_is_ended_once(waiting: subprocess.Popen[bytes]) -> None:
    identity = _identity(waiting)
    assert end(identity, wait_seconds=10)
    assert waiting.wait(HANG_SECONDS_MAX) == -15
    assert not end(identity, wait_seconds=10)


def test_a_later_process_with_the_same_number_lives(waiting: subprocess.Popen[bytes]) -> None:
    identity = _identity(waiting)
    earlier = replace(identity, start_ticks=identity.start_ticks - 1)
    assert not is_running(earlier)
    assert not end(earlier, wait_seconds=10)
    assert waiting.poll() is None


def test_a_process_that_does_not_listen_is_killed() -> None:
    command = [sys.executable, "-c", DEAF]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert end(_identity(process), wait_seconds=0.1)
        assert process.wait(HANG_SECONDS_MAX) == -9


def test_a_process_that_ended_and_waits_for_its_parent_does_not_run(
    waiting: subprocess.Popen[bytes],
) -> None:
    identity = _identity(waiting)
    assert end(identity, wait_seconds=10)  # not waited for: it stays as a zombie
    assert identify(waiting.pid) is None


def test_what_a_program_says_goes_to_its_file(tmp_path: Path) -> None:
    output = tmp_path / "run" / "program.log"
    say = "import os; print(os.environ['WORD'])"
    program = SandboxProgram("program", [sys.executable, "-c", say], output, {"WORD": "xin chào"})
    assert start(program).wait(HANG_SECONDS_MAX) == 0
    assert output.read_text("utf-8") == "xin chào\n"
