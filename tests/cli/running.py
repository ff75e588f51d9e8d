"""Run the command: as its users do, in a process, or in this one where that tells as much."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from bus.cli import main
from bus.log.files import OPERATOR_SOCKET
from tests.hang_limits import HANG_SECONDS_MAX


@dataclass(frozen=True)
class Result:
    """How a command ended, and what it said."""

    returncode: int
    stdout: bytes
    stderr: bytes


def lienthong(*arguments: object, stdin: bytes = b"", folder: Path | None = None) -> Result:
    """Run `lienthong` here; `folder` is LIENTHONG_DIR."""
    environment = {"LIENTHONG_DIR": None if folder is None else str(folder), "COLUMNS": "100"}
    result = CliRunner().invoke(main, [*map(str, arguments)], input=stdin, env=environment)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Result(result.exit_code, result.stdout_bytes, result.stderr_bytes)


def lienthong_process(*arguments: object) -> Result:
    """Run `lienthong` in a process of its own, to its end."""
    environment = {**os.environ, "COLUMNS": "100"}
    environment.pop("LIENTHONG_DIR", None)
    ended = subprocess.run(
        [sys.executable, "-m", "bus.cli", *map(str, arguments)],
        capture_output=True,
        timeout=HANG_SECONDS_MAX,
        env=environment,
        check=False,
    )
    return Result(ended.returncode, ended.stdout, ended.stderr)


def output_of(result: Result) -> str:
    """Everything that a command said."""
    return result.stdout.decode() + result.stderr.decode()


def described(folder: Path) -> dict[str, Any]:
    """sandbox.json."""
    values: dict[str, Any] = json.loads((folder / "sandbox.json").read_bytes())
    return values


def processes_of(folder: Path) -> list[int]:
    """Pids of every process whose command line names the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            line = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in line:
            found.append(int(entry.name))
    return found


def copied_log(folder: Path, copy: Path) -> Path:
    """A copy of a log's folder as an auditor gets it: all but the socket of a hub that runs."""
    return shutil.copytree(folder, copy, ignore=shutil.ignore_patterns(OPERATOR_SOCKET))
