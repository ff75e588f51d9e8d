"""A folder is prepared from which a hub of the whole reference nation can start."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from bus.core.identifiers import SubsystemId
from bus.delivery.carrying import signing_members
from bus.sandbox.nation_files import PreparedNation, prepare_nation
from bus.settings.hub import read_hub_settings
from bus.settings.routes import read_registry
from bus.trust.key_store import read_secret, read_signer
from tests.nation import ADAPTER_IDS, REFERENCE

NOW = datetime(2026, 6, 1, tzinfo=UTC)
PORTS = {name: 9001 + place for place, name in enumerate(ADAPTER_IDS)}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> PreparedNation:
    folder = tmp_path_factory.mktemp("nation")
    return prepare_nation(folder, now=NOW, hub_port=8080, agency_ports=PORTS)


def test_every_subsystem_has_a_key_of_its_own(prepared: PreparedNation) -> None:
    nation = read_registry(prepared.routes)

    signers = {name: read_signer(files) for name, files in prepared.signers.items()}

    assert set(signers) == {one for one in nation.subsystems if one.subsystem_code}
    assert len({signer.certificate_sha256 for signer in signers.values()}) == len(signers)


def test_clients_come_with_both_kinds_of_key_and_the_hub_signs_with_p_256(
    prepared: PreparedNation,
) -> None:
    def is_rsa(name: str) -> bool:
        key = read_signer(prepared.signers[SubsystemId.parse(name)]).private_key
        return isinstance(key, rsa.RSAPrivateKey)

    clients = [name for name in map(str, prepared.signers) if name.endswith("/motcua")]
    assert {is_rsa(name) for name in clients} == {True, False}
    for name in ("VN/GOV/G22/truclienthong", "VN/GOV/G01/dancu", "VN/GOV/G12/dkdn"):
        assert not is_rsa(name)


def test_only_the_owner_may_read_what_is_secret(prepared: PreparedNation) -> None:
    secret = [*prepared.folder.glob("**/*.key"), *prepared.folder.glob("**/*.secret")]

    assert len(secret) > 20
    for path in [*secret, prepared.hub_settings]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_hub_yaml_names_the_answering_agencies_and_their_addresses(
    prepared: PreparedNation,
) -> None:
    settings = read_hub_settings(prepared.hub_settings)
    first = ADAPTER_IDS[0]

    assert tuple(settings.agencies) == ADAPTER_IDS
    assert list(settings.signers) == sorted(signing_members(REFERENCE))
    assert settings.agencies[first]["url"].startswith("http://127.0.0.1:9001")
    assert settings.show_precise_faults
    assert settings.public_url == prepared.public_url == "http://127.0.0.1:8080"
    account = prepared.agencies[first]
    assert (account.port, len(read_secret(account.secret_file))) == (9001, 32)


def test_preparing_again_keeps_keys_and_takes_new_ports(tmp_path: Path) -> None:
    first = prepare_nation(tmp_path, now=NOW, hub_port=8080, agency_ports=PORTS)
    before = {path: path.read_bytes() for path in tmp_path.glob("*/*")}

    assert (tmp_path / ".gitignore").read_text() == "*\n"
    second = prepare_nation(tmp_path, now=NOW, hub_port=8081, agency_ports=PORTS)

    assert {path: path.read_bytes() for path in tmp_path.glob("*/*")} == before
    assert len(before) > 30
    assert first.signers == second.signers
    assert read_hub_settings(second.hub_settings).listen.port == 8081
