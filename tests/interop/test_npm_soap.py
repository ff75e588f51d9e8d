"""npm soap, as a portal in Node.js uses it, reads our descriptions."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from judges import CACHE, INSTALL_SECONDS_MAX, missing, program, run

import schemas
from bus.edge.payload_schemas import read_schema
from bus.protocols.soap_xroad.wsdl import write_wsdl
from tests.nation import SmallNation

pytestmark = pytest.mark.interop

SOAP = "soap@1.13.0"
LOCATION = "http://127.0.0.1:8080/services/x"


@pytest.fixture(scope="module")
def modules() -> Path:
    """The folder with npm soap in it; made once, kept in .cache."""
    program("node")
    folder = CACHE / "node"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "node_modules" / "soap").is_dir():
        install = [program("npm"), "install", "--no-audit", "--no-fund", "--silent", SOAP]
        try:
            subprocess.run(install, cwd=folder, check=True, timeout=INSTALL_SECONDS_MAX)
        except (subprocess.SubprocessError, OSError):
            missing("npm soap")
    return folder / "node_modules"


def test_npm_soap_lists_every_operation_with_its_fields(
    modules: Path, nation: SmallNation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "NODE_PATH", str(modules))
    header = [
        read_schema(schemas.FOLDER / "xroad/4.0" / name)
        for name in ("identifiers.xsd", "xroad.xsd")
    ]
    for service in nation.rules.nation.services.values():
        code = service.id.service_code
        wsdl = tmp_path / f"{code}.wsdl"
        schema = read_schema(schemas.FOLDER / service.schema)
        wsdl.write_bytes(write_wsdl(service, LOCATION, schema, header))

        done = run("node", Path(__file__).with_name("describe_with_npm_soap.js"), wsdl, code)

        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        assert said["operations"] == [code]
        assert said["location"] == LOCATION
        declared = {element.get("name") for element in schema.iter()}
        assert said["fields"]
        assert {field.removesuffix("[]") for field in said["fields"]} <= declared
