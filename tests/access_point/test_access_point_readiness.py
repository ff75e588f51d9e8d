"""`lienthong check --access-point` finds what would stop an access point, before it starts."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bus.access_point.readiness import check_access_point
from bus.operations.readiness_report import Readiness
from tests.access_point.running_access_point import write_settings
from tests.access_point.tls_certificates import write_key_and_certificate
from tests.cli.running import lienthong
from tests.nation import CLIENT, NOW, OTHER_CLIENT, SmallNation

TLS = {"key": "door.key", "certificate": "door.crt"}
WITH_CERTIFICATE = {CLIENT.subsystem_code: {"client_certificates": ["motcua.crt"]}}


def check(nation: SmallNation, folder: Path, *, now: datetime = NOW, **changes: Any) -> Readiness:
    settings = write_settings(nation, folder, "http://127.0.0.1:1", **changes)
    return check_access_point(settings.file, now=now)


def messages(readiness: Readiness) -> str:
    return "\n".join(str(one) for one in readiness.problems)


def test_a_sound_access_point_is_ready(nation: SmallNation, tmp_path: Path) -> None:
    assert check(nation, tmp_path).problems == ()


def test_a_sound_access_point_with_tls_is_ready(nation: SmallNation, tmp_path: Path) -> None:
    for name in ("door", "motcua"):
        write_key_and_certificate(tmp_path, name, NOW)

    assert check(nation, tmp_path, tls=TLS, systems=WITH_CERTIFICATE).problems == ()


def test_certificates_that_end_soon_are_warnings_and_then_problems(
    nation: SmallNation, tmp_path: Path
) -> None:
    for name in ("door", "motcua"):
        write_key_and_certificate(tmp_path, name, NOW)
    settings = {"tls": TLS, "systems": WITH_CERTIFICATE}

    soon = check(nation, tmp_path, now=NOW + timedelta(days=340), **settings)
    late = check(nation, tmp_path, now=NOW + timedelta(days=370), **settings)

    warned = "\n".join(str(one) for one in soon.warnings)
    assert "door.crt: expires in less than 30 days" in warned
    assert "motcua.crt: expires in less than 30 days" in warned
    assert "door.crt: has expired" in messages(late)
    assert "motcua.crt: has expired: VN/GOV/H41/motcua" in messages(late)


def test_a_key_of_another_member_is_a_problem(nation: SmallNation, tmp_path: Path) -> None:
    name = str(OTHER_CLIENT).replace("/", "-")
    signer = {
        kind: str(nation.folder / "keys" / f"{name}.{end}")
        for kind, end in (("key", "key"), ("certificate", "crt"))
    }

    found = messages(check(nation, tmp_path, signer=signer))

    assert "expected 'VN/GOV/H41' for VN/GOV/H41" in found


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"trust": {"anchors": ["missing.crt"]}}, "missing.crt: cannot be read"),
        ({"evidence": "/proc/evidence"}, "/proc/evidence cannot be written"),
        ({"tls": TLS, "systems": WITH_CERTIFICATE}, "door.key: cannot be read"),
        ({"signer": {"key": "no.key", "certificate": "no.crt"}}, "no.key: cannot be read"),
    ],
)
def test_files_that_are_missing_are_told_each_once(
    nation: SmallNation, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    found = messages(check(nation, tmp_path, **changes))

    assert found.count(words) == 1


def test_an_authority_file_that_is_missing_is_told(nation: SmallNation, tmp_path: Path) -> None:
    hub = {
        "url": "https://127.0.0.1:1",
        "member": "VN/GOV/G22",
        "log_key": "hub.vkey",
        "authority_file": "missing.pem",
    }

    found = messages(check(nation, tmp_path, hub=hub))

    assert f"hub.authority_file: there is no file {tmp_path / 'missing.pem'}" in found


def test_settings_that_cannot_be_read_are_told_alone(tmp_path: Path) -> None:
    (tmp_path / "access-point.yaml").write_text("member: 1\n")

    readiness = check_access_point(tmp_path / "access-point.yaml", now=NOW)

    assert not readiness.is_ready
    assert any("member" in one.path for one in readiness.problems)


def test_the_command_tells_it(nation: SmallNation, tmp_path: Path) -> None:
    settings = write_settings(nation, tmp_path, "http://127.0.0.1:1")

    found = lienthong("check", "--access-point", settings.file, "--json")
    both = lienthong("check", "--access-point", settings.file, "--settings", settings.file)
    schema = lienthong("config", "schema", "access-point")

    assert {"ready", "problems", "warnings"} == json.loads(found.stdout).keys()
    assert both.returncode == 2
    assert json.loads(schema.stdout)["title"] == "AccessPointForm"
