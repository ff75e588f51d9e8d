"""What hub.yaml of a sandbox says of an agency comes from its manifest, simulated or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from bus.kit.manifest import read_manifest
from bus.sandbox.agencies import HUB_ACCOUNT, AgencyAccount

MANIFEST = """\
id: {id}
name: Cơ quan
class: adapters.{id}.adapter:Any
services:
  - {{code: hoi, version: v1, sample: hoi.xml}}
settings:
  url: {{required: true, secret: false, description: Address}}
  token_url: {{required: true, secret: false, description: Address of tokens}}
  account: {{required: true, secret: false, description: Account}}
  password: {{required: true, secret: true, description: Secret}}
  unit: {{required: false, secret: false, description: Unit}}
"""
SIMULATOR = """\
simulator:
  class: adapters.{id}.simulator:Any
  settings:
    url: "{{address}}/a"
    token_url: "{{address}}/b"
    account: "{{account}}-1"
    password: "{{secret}}"
    unit: H41
"""


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys" / "any.secret"
    path.parent.mkdir()
    path.write_text("bí-mật\n")
    path.chmod(0o600)
    return path


def account(secret_file: Path, text: str) -> AgencyAccount:
    folder = secret_file.parents[1] / "any"
    folder.mkdir()
    (folder / "hoi.xml").write_text("<hoi/>")
    (folder / "manifest.yaml").write_text(text.format(id="any"))
    return AgencyAccount(read_manifest(folder), 9001, secret_file)


def test_a_simulated_agency_is_asked_as_its_manifest_says(secret_file: Path) -> None:
    agency = account(secret_file, MANIFEST + SIMULATOR)

    expected = {
        "url": "http://127.0.0.1:9001/a",
        "token_url": "http://127.0.0.1:9001/b",
        "account": f"{HUB_ACCOUNT}-1",
        "unit": "H41",
    }
    assert agency.hub_values() == {**expected, "password_file": "keys/any.secret"}
    assert agency.settings() == {**expected, "password": "bí-mật"}
    assert agency.needs_secret


def test_what_an_adapter_requires_stands_there_without_a_simulator_too(secret_file: Path) -> None:
    agency = account(secret_file, MANIFEST)

    assert not agency.has_simulator
    assert agency.hub_values() == {
        "url": "http://127.0.0.1:9001",
        "token_url": "http://127.0.0.1:9001",
        "account": HUB_ACCOUNT,
        "password_file": "keys/any.secret",
    }


def test_an_adapter_without_secrets_gets_none(secret_file: Path) -> None:
    secret_file.unlink()
    password = "  password: {{required: true, secret: true, description: Secret}}\n"
    agency = account(secret_file, MANIFEST.replace(password, ""))

    assert not agency.needs_secret
    assert "password_file" not in agency.hub_values()
    assert agency.settings()["account"] == HUB_ACCOUNT
