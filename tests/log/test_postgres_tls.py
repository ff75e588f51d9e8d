"""A server elsewhere is spoken to under TLS alone, and must be the one that is named."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from bus.core.errors import LogUnavailable
from bus.log.postgres.connection import connect
from bus.log.postgres.upgrade import upgrade_database
from bus.sandbox.servers.postgresql import ACCOUNT, PostgresServer
from bus.settings.postgres import PostgresSettings, PostgresTls
from tests.log.postgres_database import settings_of
from tests.servers.fixtures import PostgresAccess, make_tls


@pytest.fixture(scope="module")
def settings(postgres: PostgresAccess) -> Iterator[PostgresSettings]:
    """Those of a server that takes TLS."""
    with ExitStack() as ending:
        folder = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="lienthong-tls-")))
        folder.chmod(0o711)
        authority, certificate, key = make_tls()
        (folder / "ca.crt").write_text(authority)
        (folder / "other.crt").write_text(make_tls()[0])
        ACCOUNT.write(folder / "server.crt", certificate)
        ACCOUNT.write(folder / "server.key", key)
        server = PostgresServer(
            folder / "server",
            settings={
                "listen_addresses": "127.0.0.1,127.0.0.2",
                "ssl": "on",
                "ssl_cert_file": str(folder / "server.crt"),
                "ssl_key_file": str(folder / "server.key"),
            },
        )
        ending.callback(server.end)
        yield replace(settings_of(server.dsn()), tls=PostgresTls(folder / "ca.crt"))


def test_what_is_said_is_said_under_tls(settings: PostgresSettings) -> None:
    with connect(settings, "test") as connection:
        row = connection.execute(
            "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        ).fetchone()
    assert row == (True,)
    assert upgrade_database(settings)[0] == 0


def test_a_server_with_a_certificate_of_somebody_else_is_told_nothing(
    settings: PostgresSettings,
) -> None:
    assert settings.tls is not None
    other = PostgresTls(settings.tls.anchors.with_name("other.crt"))
    with pytest.raises(LogUnavailable, match="SSL error"):
        upgrade_database(replace(settings, tls=other))


def test_a_server_under_another_name_is_told_nothing(settings: PostgresSettings) -> None:
    with pytest.raises(LogUnavailable, match="does not match"):
        upgrade_database(replace(settings, hosts=("127.0.0.2",)))


def test_a_server_without_tls_is_told_nothing(
    settings: PostgresSettings, log_database: PostgresSettings
) -> None:
    with pytest.raises(LogUnavailable, match="SSL"):
        upgrade_database(replace(log_database, tls=settings.tls))
