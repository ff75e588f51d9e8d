"""Run simulated agencies as processes on loopback, and ask adapters."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bus.kit.contract import Query, ServiceId, Submission, SubsystemId
from bus.kit.manifest import MANIFEST_NAME, read_manifest
from bus.sandbox import sandbox_data
from bus.sandbox.leased_ports import free_port
from tests.hang_limits import HANG_SECONDS_MAX
from tests.nation import ADAPTERS, REFERENCE

ACCOUNT = "truc-lien-thong"
SLOW_SECONDS = 60
"""How long an agency takes that is slower than any patience."""
SECRET = "bí-mật+&:của/hub"
MANIFESTS = {
    path.parent.name: read_manifest(path.parent)
    for path in sorted(ADAPTERS.glob(f"*/{MANIFEST_NAME}"))
}
"""Every adapter that comes with the program."""
SIMULATED = sorted(name for name, manifest in MANIFESTS.items() if manifest.simulator)


@dataclass(frozen=True, slots=True)
class RunningAgency:
    """A simulated agency that answers on a port of loopback."""

    address: str
    settings: Mapping[str, str]
    """Of the adapter that asks it."""
    process: subprocess.Popen[bytes]

    def post(self, path: str, value: object = None) -> str:
        body = json.dumps(value).encode()
        with urllib.request.urlopen(
            f"{self.address}{path}", data=body, timeout=HANG_SECONDS_MAX
        ) as reply:
            return str(reply.read().decode())

    @contextmanager
    def fault(self, mode: str, seconds: float = 5.0) -> Iterator[None]:
        self.post("/_fault", {"mode": mode, "seconds": seconds})
        try:
            yield
        finally:
            self.post("/_fault", {"mode": "none"})


@contextmanager
def run_agency(adapter: str, data_dir: Path) -> Iterator[RunningAgency]:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    settings = settings_of(adapter, address)
    command = [sys.executable, "-m", "bus.sandbox.agency_server"]
    command += ["--adapter", str(MANIFESTS[adapter].folder)]
    command += ["--data", str(data_dir), "--port", str(port)]
    environment = {**os.environ, "AGENCY_SETTINGS": json.dumps(settings)}
    with subprocess.Popen(command, env=environment) as process:
        running = RunningAgency(address, settings, process)
        try:
            _wait_until_healthy(running)
            yield running
        finally:
            process.kill()  # it may be slow by order, and finishes what it has in work first


def _wait_until_healthy(running: RunningAgency) -> None:
    deadline = time.monotonic() + HANG_SECONDS_MAX
    while time.monotonic() < deadline:
        assert running.process.poll() is None, "the agency ended at its start"
        try:
            with urllib.request.urlopen(f"{running.address}/_health", timeout=1):
                return
        except (urllib.error.URLError, OSError):
            # The condition is the answer; between two questions the other process gets the core.
            time.sleep(0.05)
    pytest.fail("the agency did not start in time")


def settings_of(adapter: str, address: str) -> dict[str, str]:
    """The settings of an adapter whose simulator listens at an address."""
    simulator = MANIFESTS[adapter].simulator
    assert simulator is not None
    return simulator.settings_at(address, ACCOUNT, SECRET)


def sample_requests(data_dir: Path) -> dict[str, bytes]:
    """What the data answer, by the id of a service of the sample nation."""
    found = sandbox_data.sample_requests(data_dir, REFERENCE, MANIFESTS)
    return {str(service): request for service, request in found.items()}


def query(service: str, payload: bytes, *, timeout_seconds: float = 10.0) -> Query:
    return Query(
        service=ServiceId.parse(service),
        client=SubsystemId.parse("VN/GOV/H41/motcua"),
        message_id="m-1",
        idempotency_key="k-1",
        user_id="",
        issue="",
        purpose="",
        payload=payload,
        timeout_seconds=timeout_seconds,
    )


def submission(
    service: str, recipient: str, payload: bytes, *, key: str = "k-1", timeout_seconds: float = 10.0
) -> Submission:
    return Submission(
        service=ServiceId.parse(service),
        client=SubsystemId.parse("VN/GOV/H41/motcua"),
        message_id="m-1",
        idempotency_key=key,
        user_id="",
        issue="",
        purpose="",
        payload=payload,
        timeout_seconds=timeout_seconds,
        recipient=SubsystemId.parse(recipient),
    )
