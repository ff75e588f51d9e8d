"""Start a whole nation on one machine, keep it running, and end it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from bus.sandbox.access_points import (
    PROGRAM,
    access_point_urls,
    access_points_program,
    write_access_points,
)
from bus.sandbox.agencies import routed_manifests
from bus.sandbox.authority_files import AuthorityFiles
from bus.sandbox.description import FILE, SandboxDescription, write_description
from bus.sandbox.kept_edits import edited_port
from bus.sandbox.nation_description import describe_nation
from bus.sandbox.nation_files import kept_routes, prepare_nation
from bus.sandbox.processes import SandboxProgram, end, identify, start
from bus.sandbox.programs import (
    AUTHORITY,
    HUB_PORT_USUAL,
    OPERATIONS,
    NotStarted,
    agency_program,
    answers,
    authority_program,
    claim_usual_port,
    free_ports,
    health_urls,
    hub_program,
    read_ports,
    release_usual_port,
    write_ports,
)
from bus.sandbox.run_state import (
    HUB_END_SECONDS_MAX,
    RunState,
    alone,
    end_children,
    read_run_state,
    run_folder,
    write_run_state,
)
from bus.sandbox.sandbox_data import SEED_DEFAULT, keep_data
from bus.settings.routes import read_registry

READY_SECONDS_MAX = 180.0
"""How long every process together may take until it answers, on a machine with much else to do.
One that ends before is seen at once."""
COULD_NOT_START = "The sandbox could not be started."
READY = "The sandbox is ready"
"""How what is told of a start begins, when it failed and when it did not."""
_POLL_SECONDS = 0.05
_WATCH_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """What sandbox is wanted."""

    folder: Path
    port: int = 0
    """0: 8080 if it is free, else any."""
    seed: int = SEED_DEFAULT
    log_level: str = "info"


class RunningSandbox:
    """Its processes: authority, simulated agencies, hub, access points. Used from one thread."""

    def __init__(self, options: SandboxOptions, tell: Callable[[str], None]) -> None:
        """Use `running_sandbox`."""
        self._options = options
        self._tell = tell
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._reported: set[str] = set()
        self._usual_port: IO[bytes] | None = None
        self.description: SandboxDescription

    def start(self) -> None:
        """Start everything; when it returns, every process answers. Raises NotStarted."""
        folder = self._options.folder
        _end_left_over(folder)
        (folder / FILE).unlink(missing_ok=True)
        named = AuthorityFiles(folder).port_in_certificates()
        wanted = self._options.port or edited_port(folder / "hub.yaml", "listen")
        self._usual_port = None if wanted else claim_usual_port()
        known = read_registry(kept_routes(folder))
        manifests = routed_manifests(folder, known)
        simulated = sorted(name for name, one in manifests.items() if one.simulator)
        ports = free_ports(
            wanted,
            agencies=simulated,
            authority_port=named,
            hub_port_usual=HUB_PORT_USUAL if self._usual_port else 0,
            again=read_ports(folder),
        )
        write_ports(folder, ports)
        keep_data(folder / "data", self._options.seed, manifests, self._tell)
        nation = prepare_nation(
            folder,
            now=datetime.now(UTC),
            hub_port=ports["hub"],
            agency_ports={agency: ports[agency] for agency in simulated},
            authority_port=ports[AUTHORITY],
            operations_port=ports[OPERATIONS],
            tell=self._tell,
        )
        self._start(authority_program(nation))
        for agency in simulated:
            self._start(agency_program(nation, agency))
        for agency in sorted(manifests.keys() - set(simulated)):
            self._tell(_nobody_simulates(agency))
        self._start(hub_program(nation, self._options.log_level))
        write_access_points(nation, ports, self._tell)
        self._start(access_points_program(nation, self._options.log_level))
        access_points = access_point_urls(ports)
        self._await_ready(health_urls(nation))
        self._await_ready({PROGRAM: f"{next(iter(access_points.values()))}/health"})
        self.description = describe_nation(nation, access_points)
        write_description(folder, self.description)
        self._record(is_ready=True)

    def _start(self, program: SandboxProgram) -> None:
        self._processes[program.name] = start(program)
        self._record(is_ready=False)

    def _record(self, *, is_ready: bool) -> None:
        supervisor = identify(os.getpid())
        assert supervisor is not None
        found = {name: identify(one.pid) for name, one in self._processes.items()}
        children = {name: one for name, one in found.items() if one is not None}
        write_run_state(self._options.folder, RunState(supervisor, children, is_ready))

    def _await_ready(self, urls: Mapping[str, str]) -> None:
        deadline = time.monotonic() + READY_SECONDS_MAX
        for name, url in urls.items():
            while not answers(url):
                code = self._processes[name].poll()
                if code is not None:
                    raise NotStarted(f"{name} ended with code {code}:\n{self._last_words(name)}")
                if time.monotonic() > deadline:
                    raise NotStarted(f"{name} does not answer at {url}\n{self._last_words(name)}")
                time.sleep(_POLL_SECONDS)

    def _last_words(self, name: str) -> str:
        lines = (run_folder(self._options.folder) / f"{name}.log").read_text("utf-8", "replace")
        return "\n".join(f"  {line}" for line in lines.splitlines()[-8:])

    def newly_ended(self) -> Iterator[str]:
        """A sentence about each process that ended by itself since we asked last."""
        for name, process in self._processes.items():
            code = process.poll()
            if code is not None and name not in self._reported:
                self._reported.add(name)
                yield f"{name} ended with code {code}:\n{self._last_words(name)}"

    def stop(self) -> None:
        """End the hub, which finishes what it has in work, then the agencies."""
        for name in sorted(self._processes, key=lambda name: name != "hub"):
            process = self._processes[name]
            if process.poll() is None:
                process.terminate()
            try:
                process.wait(HUB_END_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()
        if self._usual_port is not None:
            release_usual_port(self._usual_port)
            self._usual_port = None


@contextmanager
def running_sandbox(
    options: SandboxOptions, *, tell: Callable[[str], None] = lambda _: None
) -> Iterator[RunningSandbox]:
    """A sandbox that runs until the block ends. Raises AlreadyRunning, NotStarted."""
    options.folder.mkdir(parents=True, exist_ok=True)
    with alone(options.folder):
        sandbox = RunningSandbox(options, tell)
        try:
            sandbox.start()
            yield sandbox
        finally:
            sandbox.stop()
            _forget_run(options.folder)


def supervise(
    options: SandboxOptions, *, tell: Callable[[str], None], announce: Callable[[], None]
) -> bool:
    """Run a sandbox until a signal; False: one of its processes ended before.

    A process that ends by itself is told and left to whoever looks after it; the others go on.
    Raises AlreadyRunning, NotStarted.
    """
    is_reported = threading.Event()
    is_whole = True
    numbers = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup wants us to stay
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: is_reported.set()) for number in numbers}
    try:
        with running_sandbox(options, tell=tell) as sandbox:
            announce()
            while not is_reported.wait(_WATCH_SECONDS):
                for sentence in sandbox.newly_ended():
                    tell(sentence)
                    is_whole = False
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return is_whole


# --- from outside ---------------------------------------------------------------------------------


def up_detached(options: SandboxOptions, tell: Callable[[str], None] = lambda _: None) -> None:
    """Start a sandbox that outlives us; when it returns, everything is ready.

    `tell` hears what there was to be told until then.

    Raises AlreadyRunning, NotStarted.
    """
    options.folder.mkdir(parents=True, exist_ok=True)
    with alone(options.folder):
        _end_left_over(options.folder)
    output = run_folder(options.folder) / "supervisor.log"
    output.unlink(missing_ok=True)
    arguments = [sys.executable, "-m", "bus.cli", "sandbox", "up", "--dir", str(options.folder)]
    arguments += ["--port", str(options.port), "--seed", str(options.seed)]
    arguments += ["--log-level", options.log_level]
    supervisor = start(SandboxProgram("supervisor", arguments, output, {}))
    deadline = time.monotonic() + READY_SECONDS_MAX + 30
    while True:
        state = read_run_state(options.folder)
        if state is not None and state.supervisor.pid == supervisor.pid and state.is_ready:
            for line in output.read_text("utf-8", "replace").splitlines():
                if line.startswith(READY):
                    break
                tell(line)
            return
        if supervisor.poll() is not None:
            words = output.read_text("utf-8", "replace").strip()
            # Whoever catches this says so itself.
            raise NotStarted(words.rpartition(COULD_NOT_START)[2].strip())
        if time.monotonic() > deadline:
            supervisor.terminate()
            raise NotStarted(f"The sandbox is not ready in time; see {output}.")
        time.sleep(_POLL_SECONDS)


def down(folder: Path) -> bool:
    """End what runs in a folder, and nothing else; False: nothing ran."""
    state = read_run_state(folder)
    if state is None:
        return False
    was_up = end(state.supervisor, wait_seconds=HUB_END_SECONDS_MAX + 10)
    was_up = end_children(state) or was_up
    _forget_run(folder)
    return was_up


# --- parts ----------------------------------------------------------------------------------------


def _end_left_over(folder: Path) -> None:
    """A supervisor that was killed leaves its children; they hold ports and the log."""
    state = read_run_state(folder)
    if state is not None:
        end_children(state)
        _forget_run(folder)


def _forget_run(folder: Path) -> None:
    for name in ("supervisor.pid", "supervisor.json"):
        (run_folder(folder) / name).unlink(missing_ok=True)


def _nobody_simulates(agency: str) -> str:
    return (
        f"Nobody simulates {agency}: its services are routed, and answered once `agencies` in"
        " hub.yaml says where the agency is."
    )
