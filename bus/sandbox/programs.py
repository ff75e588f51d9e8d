"""Say how the processes of a sandbox are started, where they listen, and when they answer."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import IO
from urllib.parse import urlsplit

from bus.sandbox.access_points import port_names
from bus.sandbox.authority_files import authority_url
from bus.sandbox.leased_ports import free_port, is_free
from bus.sandbox.nation_files import PreparedNation
from bus.sandbox.processes import SandboxProgram
from bus.sandbox.run_state import run_folder

AUTHORITY = "authority"
OPERATIONS = "operations"
HUB_PORT_USUAL = 8080


class NotStarted(Exception):
    """A process of the sandbox did not come up; the text says which, and its last words."""


def claim_usual_port() -> IO[bytes] | None:
    """Keep other sandboxes off the usual port for as long as the file is open; None: one has it.

    Two that start at the same moment would find it free both, and one of them would take the
    other's hub for its own.
    """
    claim = _claim_path().open("ab")
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever had it before may have taken the file away after we opened it.
        is_ours = _is_still_there(claim)
    except BlockingIOError:
        is_ours = False
    if is_ours:
        return claim
    claim.close()
    return None


def release_usual_port(claim: IO[bytes]) -> None:
    """Let another sandbox have the usual port, and leave nothing behind."""
    _claim_path().unlink(missing_ok=True)
    claim.close()


def _claim_path() -> Path:
    return Path(tempfile.gettempdir()) / f"lienthong-{HUB_PORT_USUAL}-{os.getuid()}"


def _is_still_there(claim: IO[bytes]) -> bool:
    try:
        return os.path.samestat(_claim_path().stat(), os.fstat(claim.fileno()))
    except FileNotFoundError:
        return False


def free_ports(
    hub_port: int,
    *,
    agencies: Iterable[str] = (),
    authority_port: int = 0,
    hub_port_usual: int = HUB_PORT_USUAL,
    again: Mapping[str, int] = MappingProxyType({}),
) -> dict[str, int]:
    """A port for each process. A usual one may be taken before it is used: then `up` says so.

    `agencies` are the ids of those that are simulated. `authority_port` stands in certificates and
    is taken again if it is free; so are those of `again`, by which this sandbox was known before.
    """
    usual = {**again, "hub": hub_port or hub_port_usual or again.get("hub", 0)}
    usual[AUTHORITY] = authority_port or again.get(AUTHORITY, 0)
    found: dict[str, int] = {}
    for name in (AUTHORITY, *sorted(agencies), *port_names(), OPERATIONS, "hub"):
        wanted = usual.get(name, 0)
        if wanted and wanted not in found.values() and is_free(wanted):
            found[name] = wanted
        elif hub_port and name == "hub":
            raise NotStarted(f"Port {hub_port} is not free.")
        else:
            found[name] = free_port()
    return found


def read_ports(folder: Path) -> dict[str, int]:
    """The ports that a sandbox had when it was up the last time; none, if it never was."""
    try:
        found = json.loads(_ports_file(folder).read_bytes())
        return {str(name): port for name, port in found.items() if isinstance(port, int)}
    except (OSError, ValueError, AttributeError):
        return {}


def write_ports(folder: Path, ports: Mapping[str, int]) -> None:
    """Remember the ports of a sandbox for its next time."""
    _ports_file(folder).write_text(json.dumps(dict(ports)), "ascii")


def _ports_file(folder: Path) -> Path:
    return run_folder(folder) / "ports.json"


def agency_program(nation: PreparedNation, agency: str) -> SandboxProgram:
    account = nation.agencies[agency]
    arguments = [sys.executable, "-m", "bus.sandbox.agency_server"]
    arguments += ["--adapter", str(account.manifest.folder)]
    arguments += ["--data", str(nation.folder / "data"), "--port", str(account.port)]
    # Not in the arguments: whoever lists processes would read the secret.
    environment = {"AGENCY_SETTINGS": json.dumps(account.settings())}
    output = run_folder(nation.folder) / f"{agency}.log"
    return SandboxProgram(agency, arguments, output, environment)


def authority_program(nation: PreparedNation) -> SandboxProgram:
    arguments = [sys.executable, "-m", "bus.sandbox.authority_server"]
    arguments += ["--dir", str(nation.folder), "--port", str(nation.authority_port)]
    return SandboxProgram(AUTHORITY, arguments, run_folder(nation.folder) / f"{AUTHORITY}.log", {})


def hub_program(nation: PreparedNation, log_level: str) -> SandboxProgram:
    arguments = [sys.executable, "-m", "bus.cli", "serve"]
    arguments += ["--settings", str(nation.hub_settings), "--log-level", log_level]
    return SandboxProgram("hub", arguments, run_folder(nation.folder) / "hub.log", {})


def health_urls(nation: PreparedNation) -> dict[str, str]:
    agencies = {
        agency: f"{account.address}/_health"
        for agency, account in nation.agencies.items()
        if account.has_simulator
    }
    authority = f"{authority_url(nation.authority_port)}/_health"
    return {AUTHORITY: authority, **agencies, "hub": f"{nation.public_url}/health"}


def answers(url: str) -> bool:
    with suppress(OSError, http.client.HTTPException):
        return _request("GET", url)[0] == http.HTTPStatus.OK
    return False


def _request(method: str, url: str, body: bytes = b"") -> tuple[int, str]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=5)
    try:
        connection.request(method, parts.path, body or None)
        reply = connection.getresponse()
        return reply.status, reply.read(4096).decode("utf-8", "replace")
    finally:
        connection.close()


def set_fault(agency_url: str, mode: str, seconds: float) -> str:
    """Set what is wrong with a simulated agency; give its own words if it refuses.

    Raises OSError: it does not answer.
    """
    body = json.dumps({"mode": mode, "seconds": seconds}).encode()
    status, text = _request("POST", f"{agency_url}/_fault", body)
    return "" if status == http.HTTPStatus.OK else text
