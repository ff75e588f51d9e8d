"""hub.yaml says which database keeps the log; who could listen on the way is not spoken to."""

from __future__ import annotations

from pathlib import Path

import pytest

from bus.settings.postgres import PostgresSettings, PostgresTls, is_of_this_machine
from tests.settings.test_hub_settings import HUB, problems_of, settings


def with_store(text: str) -> str:
    return f"{HUB}store:\n  postgres: {{{text}}}\n"


def test_without_a_store_the_log_lies_in_its_folder(tmp_path: Path) -> None:
    assert settings(tmp_path).database is None


def test_a_server_of_this_machine_needs_its_address_alone(tmp_path: Path) -> None:
    assert settings(tmp_path, with_store("hosts: [127.0.0.1]")).database == PostgresSettings(
        ("127.0.0.1",), 5432, "lienthong", "lienthong"
    )


def test_a_server_elsewhere_is_known_by_its_certificate(tmp_path: Path) -> None:
    text = with_store(
        "hosts: [db1.example, db2.example], port: 5433, database: vn, user: hub-1, "
        "password_file: keys/db, tls: {anchors: trust/db.crt, certificate: c, key: k}"
    )
    assert settings(tmp_path, text).database == PostgresSettings(
        ("db1.example", "db2.example"),
        5433,
        "vn",
        "hub-1",
        tmp_path / "keys" / "db",
        PostgresTls(tmp_path / "trust" / "db.crt", tmp_path / "c", tmp_path / "k"),
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("hosts: []", "store.postgres.hosts: expected at least 1 in the list"),
        ("hosts: ['a b']", "store.postgres.hosts[0]: expected a host's name or address"),
        ("hosts: ['a,b']", "store.postgres.hosts[0]: expected a host's name or address"),
        ("hosts: [/run, db.example]", "store.postgres.hosts[1]: expected `tls`, or a host of this"),
        ("hosts: [localhost]", "store.postgres.hosts[0]: expected `tls`, or a host of this"),
        ("hosts: ['::1'], database: 'a b'", "store.postgres.database: expected a name of letters"),
        ("hosts: ['::1'], user: 1", "store.postgres.user: expected text"),
        ("hosts: ['::1'], port: 0", "store.postgres.port: expected a number of at least 1"),
        ("hosts: ['::1'], dsn: x", "store.postgres.dsn: this key is not known"),
        (
            "hosts: [db.example], tls: {anchors: a, key: k}",
            "store.postgres.tls: expected `certificate` and `key`, or neither",
        ),
    ],
)
def test_each_mistake_is_told_with_its_path(tmp_path: Path, text: str, problem: str) -> None:
    told = problems_of(tmp_path, with_store(text))
    assert any(one.partition(": ")[2].startswith(problem) for one in told), told


def test_another_kind_of_store_is_not_known(tmp_path: Path) -> None:
    told = problems_of(tmp_path, HUB + "store: {mysql: {hosts: [a]}}\n")
    assert any("store.mysql: this key is not known" in one for one in told), told


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [("/run/postgresql", True), ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True),
     ("localhost", False), ("10.0.0.1", False), ("db.example", False), ("0.0.0.0", False)],
)  # fmt: skip
def test_a_name_could_be_anybodys(host: str, *, is_ours: bool) -> None:
    assert is_of_this_machine(host) is is_ours
