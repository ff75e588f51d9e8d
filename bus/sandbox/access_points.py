"""Give agencies of the sandbox an access point: one process, a door for each agency."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bus.core.identifiers import MemberId, SubsystemId
from bus.sandbox.kept_edits import write_settings
from bus.sandbox.nation_files import HUB_HOST, LOG_ORIGIN, PreparedNation, revocation_values
from bus.sandbox.processes import SandboxProgram
from bus.sandbox.run_state import run_folder
from bus.settings.routes import read_registry
from bus.trust.key_store import read_ed25519_key
from signing.signed_note import SigningKey

PROGRAM = "access-points"
_HEADER = "# Written by `lienthong sandbox up`: the access point of one agency.\n"
SERVED = tuple(
    SubsystemId.parse(text)
    for text in (
        "VN/GOV/G22/dichvucong",
        "VN/GOV/H17/motcua",
        "VN/GOV/H24/motcua",
        "VN/GOV/H41/motcua",
    )
)
"""Systems that ask through an access point; each may also sign and ask the hub itself."""


def port_names() -> tuple[str, ...]:
    """A name for each port that is needed."""
    return tuple(_name(subsystem) for subsystem in SERVED)


def access_point_urls(ports: Mapping[str, int]) -> dict[SubsystemId, str]:
    """Where each system finds its access point."""
    return {one: f"http://{HUB_HOST}:{ports[_name(one)]}" for one in SERVED}


def write_access_points(
    nation: PreparedNation, ports: Mapping[str, int], tell: Callable[[str], None]
) -> None:
    """Write the settings of every access point; what was changed in them stays changed."""
    hub = read_registry(nation.routes).hub.member
    folder = nation.folder / "access-points"
    folder.mkdir(exist_ok=True, mode=0o700)
    key = SigningKey(LOG_ORIGIN, read_ed25519_key(nation.folder / "keys" / "log.key"))
    (folder / "hub.vkey").write_text(f"{key.verifying_key}\n", "ascii")
    for subsystem in SERVED:
        values = _values(nation, subsystem, hub, ports[_name(subsystem)])
        path = _settings_file(nation.folder, subsystem)
        write_settings(path, _HEADER, values, mode=0o644, tell=tell)


def access_points_program(nation: PreparedNation, log_level: str) -> SandboxProgram:
    """The one process behind all of them."""
    arguments = [sys.executable, "-m", "bus.cli", "access-point", "--log-level", log_level]
    for subsystem in SERVED:
        arguments += ["--config", str(_settings_file(nation.folder, subsystem))]
    return SandboxProgram(PROGRAM, arguments, run_folder(nation.folder) / f"{PROGRAM}.log", {})


def _values(
    nation: PreparedNation, subsystem: SubsystemId, hub: MemberId, port: int
) -> dict[str, Any]:
    signer = nation.signers[subsystem]
    return {
        "member": str(subsystem.member),
        "systems": {subsystem.subsystem_code: {}},
        "signer": {
            "key": f"../{signer.key.relative_to(nation.folder)}",
            "certificate": f"../{signer.certificate.relative_to(nation.folder)}",
        },
        "listen": {"host": HUB_HOST, "port": port},
        "hub": {"url": nation.public_url, "member": str(hub), "log_key": "hub.vkey"},
        "trust": {"anchors": ["../trust/ca.crt"]},
        "revocation": {**revocation_values(nation), "cache": f"revocation/{_name(subsystem)}"},
        "evidence": f"evidence/{_name(subsystem)}",
    }


def _settings_file(folder: Path, subsystem: SubsystemId) -> Path:
    return folder / "access-points" / f"{_name(subsystem)}.yaml"


def _name(subsystem: SubsystemId) -> str:
    return str(subsystem).replace("/", "-")
