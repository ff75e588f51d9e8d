"""Hubs, and workers as processes of another user: how tests start them, and what they then see."""

from __future__ import annotations

import asyncio
import os
import pwd
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest

from bus.audit.folder import open_log_reader
from bus.broker.declaring import declare
from bus.broker.topology import Topology
from bus.core.log.leaf import Leaf, read_leaf
from bus.hub import Hub, open_hub
from bus.sandbox.servers.watched_process import Account
from bus.trust.broker_access import rabbit_address
from tests.hang_limits import HANG_SECONDS_MAX
from tests.hub.running_hub import ScriptedAgency
from tests.nation import ADAPTER_IDS, request
from tests.worker.elsewhere import RECEIVER, Elsewhere

NOBODY = Account("nobody")
ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def opened(place: Elsewhere) -> AsyncIterator[Hub]:
    """A hub whose broker has what it needs."""
    broker = place.hub.broker
    assert broker is not None
    topology = Topology(broker.rabbitmq.prefix)
    address = rabbit_address(broker.rabbitmq)
    await declare(address, topology, broker.agencies, [place.hub.log.origin])
    agencies = {name: ScriptedAgency() for name in ADAPTER_IDS}
    hub = await open_hub(place.hub, adapters=agencies)
    try:
        yield hub
    finally:
        await hub.close()


@cache
def interpreter() -> tuple[str, dict[str, str]]:
    """A Python that another user may run, too: ours, or that of the system with our packages."""
    packages = os.pathsep.join(path for path in sys.path if path.endswith("site-packages"))
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": packages, "PYTHONDONTWRITEBYTECODE": "1"}
    version = f"python3.{sys.version_info.minor}"
    for program in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        with suppress(OSError):
            tried = subprocess.run(
                [program, "-c", "import bus.cli.worker"],
                cwd=ROOT,
                env=environment,
                capture_output=True,
                check=False,
                **NOBODY.popen_arguments(),
            )
            if tried.returncode == 0:
                return program, environment
    pytest.skip("no Python here that another user may run: no worker is tried as somebody else")


@contextmanager
def worker_of(place: Elsewhere) -> Iterator[subprocess.Popen[bytes]]:
    """A worker that has its own files and may read no others."""
    folder = place.worker.file.parent
    if os.geteuid() == 0:
        entry = pwd.getpwnam(NOBODY.name)
        for path in (folder, *folder.rglob("*")):
            os.chown(path, entry.pw_uid, entry.pw_gid)
    program, environment = interpreter()
    with (folder.parent / "worker.log").open("ab") as log:
        worker = subprocess.Popen(
            [program, "-m", "bus.cli", "worker", RECEIVER, "--settings", str(place.worker.file)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            **NOBODY.popen_arguments(),
        )
    worker.args = str(folder.parent / "worker.log")
    try:
        yield worker
    finally:
        worker.kill()
        worker.wait(HANG_SECONDS_MAX)


def told_by(worker: subprocess.Popen[bytes]) -> str:
    return Path(str(worker.args)).read_text("utf-8", "replace")


def submission(place: Elsewhere, message_id: str) -> bytes:
    return request(place.nation, message_id, created=datetime.now(UTC))


def leaves(place: Elsewhere) -> list[Leaf]:
    with open_log_reader(place.hub.log.folder) as reader:
        return [read_leaf(entry.leaf) for entry in reader.entries()]


def closed(place: Elsewhere) -> list[str | None]:
    """Verdicts of what was closed."""
    return [leaf.verdict for leaf in leaves(place) if leaf.event.value == "outcome"]


async def until(holds: Callable[[], bool], worker: subprocess.Popen[bytes] | None = None) -> None:
    """Wait; a worker that ends meanwhile is told of."""
    deadline = time.monotonic() + HANG_SECONDS_MAX
    while not holds():
        if worker is not None and (worker.poll() is not None or time.monotonic() > deadline):
            pytest.fail(told_by(worker))
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
