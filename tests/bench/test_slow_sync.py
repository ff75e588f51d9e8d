"""Each sync of a program may be made slower, where a compiler is; where none is, that is said."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bus.bench import slow_sync
from bus.bench.programs import ProgramFailed
from bus.bench.slow_sync import slow_sync_environment

SYNC = """
import os, sys, time
descriptor = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
began = time.monotonic()
os.fsync(descriptor)
os.fdatasync(descriptor)
print(time.monotonic() - began)
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_both_kinds_of_sync_take_so_much_longer(tmp_path: Path) -> None:
    environment = {**os.environ, **slow_sync_environment(tmp_path, 150)}

    told = subprocess.run(
        [sys.executable, "-c", SYNC, str(tmp_path / "file")],
        env=environment,
        capture_output=True,
        check=True,
        text=True,
    )

    assert float(told.stdout) >= 0.3  # it waits at least as long: no bound above


def test_without_more_time_nothing_is_built(tmp_path: Path) -> None:
    assert slow_sync_environment(tmp_path, 0) == {}
    assert list(tmp_path.iterdir()) == []


def test_a_machine_without_a_compiler_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ProgramFailed, match="need a C compiler"):
        slow_sync_environment(tmp_path, 2)


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_a_compiler_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_sync, "_SOURCE", "no C at all")

    with pytest.raises(ProgramFailed, match="did not build"):
        slow_sync_environment(tmp_path, 2)
