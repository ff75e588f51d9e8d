"""Say what of a sandbox runs, and how large it is."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bus import __version__
from bus.audit.folder import open_log_reader
from bus.core.errors import BusError, ConfigurationError
from bus.sandbox.access_points import PROGRAM as ACCESS_POINTS
from bus.sandbox.description import SandboxDescription, read_description
from bus.sandbox.processes import is_running
from bus.sandbox.programs import AUTHORITY, answers
from bus.sandbox.run_state import RunState, read_run_state

RUNNING, STARTING, FAILING, STOPPED = "running", "starting", "failing", "stopped"


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a sandbox."""

    name: str
    state: str
    what: str


@dataclass(frozen=True, slots=True)
class Status:
    """A sandbox and its parts."""

    folder: str
    state: str
    version: str
    python: str
    hub_url: str
    """Empty if it was never up."""
    log_entries: int
    log_bytes: int
    parts: tuple[Part, ...]

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        return asdict(self)


def read_status(folder: Path) -> Status:
    """Look at a sandbox without touching it."""
    run = read_run_state(folder)
    try:
        described = read_description(folder)
    except ConfigurationError:
        described = None
    entries, bytes_stored = _log_size(folder / "log")
    parts = [*_process_parts(run, described)]
    if bytes_stored:
        what = f"{entries:,} entries, {bytes_stored:,} bytes, in {folder / 'log'}"
        parts.append(Part("message log", "kept", what))
    if described is not None:
        what = f"{len(described.services)} services, {len(described.subsystems)} subsystems"
        parts.append(Part("nation", "prepared", what))
        parts += [
            Part(
                "access point", "prepared", f"{one.access_point}  takes plain requests of {one.id}"
            )
            for one in described.subsystems
            if one.access_point
        ]
    parts.append(Part("lienthong", __version__, f"Python {sys.version.split()[0]}"))
    return Status(
        folder=str(folder),
        state=_state(run, parts),
        version=__version__,
        python=sys.version.split()[0],
        hub_url=described.hub_url if described else "",
        log_entries=entries,
        log_bytes=bytes_stored,
        parts=tuple(parts),
    )


def _process_parts(run: RunState | None, described: SandboxDescription | None) -> Iterator[Part]:
    if run is None:
        return
    state = RUNNING if is_running(run.supervisor) else STOPPED
    yield Part("supervisor", state, f"pid {run.supervisor.pid}")
    urls = {one.id: f"{one.url}/_health" for one in described.agencies} if described else {}
    if described:
        urls["hub"] = f"{described.hub_url}/health"
        urls[AUTHORITY] = f"{described.authority_url}/_health"
        first = next((one.access_point for one in described.subsystems if one.access_point), "")
        urls[ACCESS_POINTS] = f"{first}/health"
    for name, process in sorted(run.children.items(), key=lambda item: item[0] != "hub"):
        url = urls.get(name, "")
        if not is_running(process):
            state = STOPPED
        elif not run.is_ready:
            state = STARTING
        else:
            state = RUNNING if answers(url) else FAILING
        yield Part(name, state, f"pid {process.pid}  {url.rpartition('/')[0]}".rstrip())


def _state(run: RunState | None, parts: list[Part]) -> str:
    if run is None or not is_running(run.supervisor):
        return STOPPED
    if not run.is_ready:
        return STARTING
    states = {part.state for part in parts}
    return FAILING if states & {FAILING, STOPPED} else RUNNING


def _log_size(log: Path) -> tuple[int, int]:
    if not log.is_dir():
        return 0, 0
    bytes_stored = 0
    for path in log.rglob("*"):
        if path.is_file():
            bytes_stored += path.stat().st_size
    try:
        with open_log_reader(log) as reader:
            return reader.size, bytes_stored
    except BusError:
        return 0, bytes_stored
