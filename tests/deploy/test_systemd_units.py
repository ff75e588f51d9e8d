"""The units start commands that there are, give them time to end, and keep them in."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bus.cli.exit_codes import COULD_NOT, LOG_UNFIT
from bus.delivery.embedded import DRAIN_SECONDS_MAX as DELIVERIES_DRAIN_SECONDS_MAX
from bus.http.server import DRAIN_SECONDS_MAX
from bus.hub_begin import DELIVERIES_CLOSE_SECONDS_MAX
from bus.hub_parts import DECIDER_CLOSE_SECONDS_MAX, LOG_CLOSE_SECONDS_MAX
from tests.deploy.deployed_files import UNITS, commands_of_unit, require_known_command

PROGRAM = "/opt/lienthong/bin/lienthong"
HARDENED = {
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "SystemCallFilter": "@system-service",
    "UMask": "0077",
    "User": "lienthong",
}


def section(unit: Path, name: str) -> dict[str, str]:
    parser = configparser.RawConfigParser(strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign] # names keep their capitals
    parser.read_string(unit.read_text())
    return dict(parser[name])


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_starts_commands_that_there_are(unit: Path) -> None:
    commands = commands_of_unit(unit)

    assert commands
    for program, *words in commands:
        assert program == PROGRAM
        require_known_command(words)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_keeps_its_program_in(unit: Path) -> None:
    service = section(unit, "Service")

    assert {name: service.get(name) for name in HARDENED} == HARDENED
    assert service["StateDirectoryMode"] == "0700"


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_what_does_not_mend_itself_is_not_started_again(unit: Path) -> None:
    service = section(unit, "Service")

    codes = {int(code) for code in service["RestartPreventExitStatus"].split()}
    assert codes == ({COULD_NOT, LOG_UNFIT} if unit.name == "lienthong.service" else {COULD_NOT})


def test_the_hub_gets_the_time_that_it_takes_to_end() -> None:
    hub = next(unit for unit in UNITS if unit.name == "lienthong.service")
    needed = (
        DRAIN_SECONDS_MAX
        + DELIVERIES_CLOSE_SECONDS_MAX
        + LOG_CLOSE_SECONDS_MAX
        + DECIDER_CLOSE_SECONDS_MAX
    )

    assert DELIVERIES_CLOSE_SECONDS_MAX >= DELIVERIES_DRAIN_SECONDS_MAX
    assert int(section(hub, "Service")["TimeoutStopSec"]) > needed


def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    here = str(Path(sys.executable).with_name("lienthong"))
    copies = []
    for unit in UNITS:
        copy = tmp_path / unit.name
        copy.write_text(unit.read_text().replace(PROGRAM, here))
        copies.append(copy)

    checked = subprocess.run(
        [analyze, "verify", "--man=no", *copies], capture_output=True, text=True, check=False
    )

    ours = [line for line in checked.stderr.splitlines() if re.search(r"lienthong", line)]
    assert (checked.returncode, ours) == (0, [])
