"""An agency is added by its folder and routes.yaml: nothing else of the program is touched."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bus.client.hub_client import FaultReceived, VerifiedAnswer
from bus.core.identifiers import ServiceId
from bus.core.xml import parse_xml
from bus.sandbox.agencies import NOBODY_PORT
from bus.sandbox.description import SandboxDescription, read_description
from bus.sandbox.nation_files import prepare_nation, reference_routes
from bus.sandbox.programs import set_fault
from bus.sandbox.up import down
from bus.settings.hub import packaged_folder, read_hub_settings
from tests.cli.running import lienthong_process, output_of
from tests.hang_limits import HANG_SECONDS_MAX
from tests.nation import ADAPTER_IDS
from tests.sandbox.third_agency import ADAPTER_ID, SERVICE, routed, write_adapter, write_schema

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
NOT_COPIED = shutil.ignore_patterns("__pycache__", "interop", "vectors", "attacks")


def prepare(folder: Path, *, with_simulator: bool = True) -> Path:
    """The folder of a sandbox that is down, whose owner put a third agency into his own folders."""
    for name in ("adapters", "schemas"):
        shutil.copytree(packaged_folder(name), folder / name, ignore=NOT_COPIED)
    write_adapter(folder / "adapters", with_simulator=with_simulator)
    write_schema(folder / "schemas")
    sandbox = folder / "sandbox"
    prepare_nation(sandbox, now=datetime.now(UTC), hub_port=1)
    routes = sandbox / "routes.yaml"
    routes.write_text(routed(routes.read_text("utf-8")), "utf-8")
    with (sandbox / "hub.yaml").open("a") as settings:
        settings.write("adapters: ../adapters\nschemas: ../schemas\n")
    return sandbox


@contextmanager
def up(sandbox: Path) -> Iterator[tuple[SandboxDescription, str]]:
    """What describes it while it runs, and what was told of its start.

    It runs in processes of its own: who imports an agency from one folder gets it from no other.
    """
    started = lienthong_process("sandbox", "up", "--dir", sandbox, "--detach")
    assert started.returncode == 0, output_of(started)
    try:
        yield read_description(sandbox), output_of(started)
    finally:
        down(sandbox)


def ask(described: SandboxDescription) -> VerifiedAnswer:
    service = next(one for one in described.services if one.id == SERVICE)
    raw = Path(service.sample_request).read_bytes()
    with closing(described.client("VN/GOV/H41/motcua")) as client:
        return client.call(ServiceId.parse(SERVICE), parse_xml(raw, bytes_max=len(raw)))


def test_a_folder_and_routes_yaml_make_an_agency_of_the_sandbox(tmp_path: Path) -> None:
    sandbox = prepare(tmp_path)
    with up(sandbox) as (described, _):
        addresses = {one.id: one.url for one in described.agencies}
        assert set(addresses) == {*ADAPTER_IDS, ADAPTER_ID}

        answer = ask(described)

        assert [child.text for child in answer.payload] == ["mưa"]
        assert str(answer.signer) == "VN/GOV/G18"
        assert set_fault(addresses[ADAPTER_ID], "down", 0) == ""
        with pytest.raises(FaultReceived) as caught:
            ask(described)
        assert caught.value.fault.code == "delivery.recipient-unavailable"
        assert read_hub_settings(Path(described.settings)).agencies[ADAPTER_ID] == {
            "url": f"{addresses[ADAPTER_ID]}/forecast",
            "key_file": f"keys/{ADAPTER_ID}.secret",
        }
    assert (sandbox / "data" / ADAPTER_ID / "known.txt").is_file()


def test_an_agency_that_nobody_simulates_stops_nobody_and_is_told(tmp_path: Path) -> None:
    with up(prepare(tmp_path, with_simulator=False)) as (described, told):
        assert {one.id for one in described.agencies} == set(ADAPTER_IDS)
        assert f"Nobody simulates {ADAPTER_ID}" in told
        with pytest.raises(FaultReceived) as caught:
            ask(described)
        assert caught.value.fault.code == "delivery.recipient-unavailable"
        given = read_hub_settings(Path(described.settings)).agencies[ADAPTER_ID]
        assert given["url"] == f"http://127.0.0.1:{NOBODY_PORT}"


def test_a_simulator_that_cannot_be_imported_is_told_before_anything_starts(
    tmp_path: Path,
) -> None:
    sandbox = prepare(tmp_path)
    (tmp_path / "adapters" / ADAPTER_ID / "simulator.py").write_text("1 / 0\n")

    started = lienthong_process("sandbox", "up", "--dir", sandbox)

    assert started.returncode == 2
    assert "cannot be imported: ZeroDivisionError" in output_of(started)
    assert not (sandbox / "run" / "hub.log").exists()


def test_in_a_checkout_the_suites_of_every_adapter_take_it_in(tmp_path: Path) -> None:
    for name in ("bus", "signing"):
        (tmp_path / name).symlink_to(ROOT / name)
    for name in ("adapters", "schemas", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=NOT_COPIED)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "routes.yaml").write_text(routed(reference_routes().read_text("utf-8")), "utf-8")
    write_adapter(tmp_path / "adapters")
    write_schema(tmp_path / "schemas")

    ran = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", ADAPTER_ID),
            *("tests/adapters", "--basetemp", str(tmp_path / "temporary")),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS_MAX,
    )

    assert ran.returncode == 0, ran.stdout
    passed = re.search(r"(\d+) passed", ran.stdout)
    assert passed
    assert int(passed[1]) >= 14, ran.stdout
