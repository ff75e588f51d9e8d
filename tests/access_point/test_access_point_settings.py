"""Settings of an access point: what they say, and every mistake with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from bus.access_point.settings import (
    AccessPointSettings,
    access_point_json_schema,
    read_access_point_settings,
)
from bus.client.hub_client import read_known_hub
from bus.core.errors import ConfigurationError
from bus.core.identifiers import MemberId, SubsystemId
from bus.core.log.receipts import receipt_key_of
from bus.core.registry import FaultSpelling
from bus.settings.listen import is_loopback
from bus.settings.signer import SignerFiles
from signing.signed_note import SigningKey
from tests.certificates import make_root
from tests.nation import NOW

SOUND: dict[str, Any] = {
    "member": "VN/GOV/H41",
    "systems": {"motcua": {}},
    "signer": {"key": "h41.key", "certificate": "h41.crt"},
    "hub": {"url": "http://127.0.0.1:8080/", "member": "VN/GOV/G22", "log_key": "hub.vkey"},
    "trust": {"anchors": ["ca.crt"]},
    "evidence": "evidence",
}
TLS = {"key": "door.key", "certificate": "door.crt"}


def read(folder: Path, **changes: Any) -> AccessPointSettings:
    path = folder / "access-point.yaml"
    path.write_text(yaml.safe_dump({**SOUND, **changes}, sort_keys=False))
    return read_access_point_settings(path)


def test_every_hub_of_an_operator_may_be_known(tmp_path: Path) -> None:
    keys = [SigningKey(f"log.example/{one}", Ed25519PrivateKey.generate()) for one in "abc"]
    for key in keys:
        (tmp_path / f"{key.name[-1]}.vkey").write_text(f"{key.verifying_key}\n")
    (tmp_path / "ca.crt").write_bytes(
        make_root("authority", NOW).certificate.public_bytes(Encoding.PEM)
    )
    hub = {**SOUND["hub"], "log_key": "a.vkey", "other_log_keys": ["b.vkey", "c.vkey"]}
    settings = read(tmp_path, hub=hub)
    known = read_known_hub(settings.hub_files, settings.hub.member)
    assert known.receipt_keys == [receipt_key_of(one.verifying_key) for one in keys]


def problems(folder: Path, **changes: Any) -> list[str]:
    with pytest.raises(ConfigurationError) as refused:
        read(folder, **changes)
    return [f"{one.path}: {one.message}" for one in refused.value.problems]


def test_paths_start_from_the_folder_of_the_file(tmp_path: Path) -> None:
    settings = read(tmp_path)

    system = settings.systems[SubsystemId.parse("VN/GOV/H41/motcua")]
    assert SignerFiles(tmp_path / "h41.key", tmp_path / "h41.crt") == system.signer
    assert (tmp_path / "evidence", (tmp_path / "ca.crt",)) == (
        settings.evidence,
        settings.trust.anchors,
    )
    assert settings.hub_files.checkpoint_key == tmp_path / "hub.vkey"
    assert settings.hub_files.other_checkpoint_keys == ()
    assert (settings.hub.url, settings.public_url) == (
        "http://127.0.0.1:8080",
        "http://127.0.0.1:8081",
    )


def test_a_system_may_have_a_key_of_its_own_and_certificates(tmp_path: Path) -> None:
    own = {"signer": {"pkcs12": "thue.p12"}, "client_certificates": ["a.crt", "b.crt"]}

    settings = read(
        tmp_path,
        systems={"motcua": {"client_certificates": ["c.crt"]}, "thue": own},
        tls=TLS,
        listen={"host": "::", "port": 8443},
        certificate_subjects={"VN/GOV/G01": "G01-2026"},
        faults={"spelling": "snake", "http_status": 200},
    )

    system = settings.systems[SubsystemId.parse("VN/GOV/H41/thue")]
    assert (tmp_path / "thue.p12") == system.signer.certificate
    assert (tmp_path / "a.crt", tmp_path / "b.crt") == system.client_certificates
    assert settings.public_url == "https://[::]:8443"
    assert {MemberId.parse("VN/GOV/G01"): "G01-2026"} == settings.certificate_subjects
    assert (settings.faults.spelling, settings.faults.http_status) == (FaultSpelling.SNAKE, 200)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"member": "VN/GOV"}, "member: 'VN/GOV'"),
    ({"hub": {**SOUND["hub"], "member": "G22"}}, "hub.member: 'G22'"),
    ({"systems": {}}, "systems: expected at least 1"),
    ({"systems": {"mot cua": {}}}, "systems"),
    ({"sistems": {}}, "sistems: this key is not known. Did you mean 'systems'?"),
    ({"certificate_subjects": {"x": "y"}}, "certificate_subjects.x: 'x'"),
    ({"signer": {"key": "a", "pkcs12": "b"}}, "signer: expected one of key, pkcs12 and pkcs11"),
    ({"systems": {"motcua": {"signer": {}}}}, "systems.motcua.signer: expected one of key"),
    ({"listen": {"host": "0.0.0.0"}}, "listen.host: expected an address of this machine, or `tls`"),
    ({"tls": TLS}, "systems.motcua.client_certificates: expected a certificate"),
    (
        {"systems": {"motcua": {"client_certificates": ["a.crt"]}}},
        "systems.motcua.client_certificates: has no meaning without `tls`",
    ),
    ({"limits": {"receipts_max": 0}}, "limits.receipts_max: expected a number of at least 1"),
]


@pytest.mark.parametrize(("changes", "words"), WRONG)
def test_a_mistake_is_told_with_its_place(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    found = problems(tmp_path, **changes)

    assert any(one.startswith(words) for one in found), found


def test_a_file_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_access_point_settings(tmp_path / "missing.yaml")


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("10.0.0.1", False), ("x", False)],
)
def test_addresses_of_this_machine_are_known(host: str, expected: bool) -> None:
    assert expected == is_loopback(host)


def test_the_json_schema_knows_every_section() -> None:
    schema = access_point_json_schema()

    assert {"member", "systems", "hub", "trust", "tls", "limits"} <= schema["properties"].keys()
    assert all(
        "description" in key or "$ref" in key
        for form in [schema, *schema["$defs"].values()]
        if "properties" in form
        for key in form["properties"].values()
    )
