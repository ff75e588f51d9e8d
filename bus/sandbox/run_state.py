"""Know what runs in a sandbox's folder, and let only one supervisor run there."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from bus.sandbox.processes import ProcessIdentity, end

HUB_END_SECONDS_MAX = 40.0
"""The hub first finishes what it has in work."""


class AlreadyRunning(Exception):
    """A sandbox runs in this folder."""


@dataclass(frozen=True, slots=True)
class RunState:
    """What runs: `run/supervisor.json`."""

    supervisor: ProcessIdentity
    children: Mapping[str, ProcessIdentity]
    is_ready: bool


def run_folder(folder: Path) -> Path:
    """Where pid files and outputs of a sandbox lie."""
    return folder / "run"


def read_run_state(folder: Path) -> RunState | None:
    """What runs, or ran last, in a folder; None: nothing is known."""
    try:
        values = json.loads((run_folder(folder) / "supervisor.json").read_bytes())
        return RunState(
            ProcessIdentity(**values["supervisor"]),
            {name: ProcessIdentity(**one) for name, one in values["children"].items()},
            values["is_ready"],
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write_run_state(folder: Path, state: RunState) -> None:
    run = run_folder(folder)
    new = run / "supervisor.json.new"
    new.write_text(json.dumps(asdict(state)), "utf-8")
    new.replace(run / "supervisor.json")
    (run / "supervisor.pid").write_text(f"{state.supervisor.pid}\n", "ascii")


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Be the only supervisor of a folder; the system gives the lock back when we end."""
    run_folder(folder).mkdir(parents=True, exist_ok=True, mode=0o700)
    with (run_folder(folder) / "supervisor.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyRunning(f"A sandbox runs in {folder} already.") from error
        yield


def end_children(state: RunState) -> bool:
    """End children whose supervisor is gone; False: there were none."""
    found = [
        end(one, wait_seconds=HUB_END_SECONDS_MAX)
        for _, one in sorted(state.children.items(), key=lambda item: item[0] != "hub")
    ]
    return any(found)
