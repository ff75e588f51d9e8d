"""The tables of a log in PostgreSQL are made by numbered steps, once, by whoever comes first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg
import pytest

from bus.core.errors import ConfigurationError, LogCorrupt, LogUnavailable
from bus.log.postgres.connection import connect
from bus.log.postgres.upgrade import known_version, require_version, upgrade_database
from bus.sandbox.leased_ports import free_port
from bus.settings.postgres import PostgresSettings
from tests.log.postgres_database import settings_of


@pytest.fixture
def settings(postgres_dsn: str) -> PostgresSettings:
    return settings_of(postgres_dsn)


def require(settings: PostgresSettings) -> None:
    with connect(settings, "test") as connection:
        require_version(settings, connection)


def test_an_empty_database_is_told_what_makes_its_tables(settings: PostgresSettings) -> None:
    with pytest.raises(ConfigurationError, match=r"no tables of a log.*lienthong db upgrade"):
        require(settings)
    assert upgrade_database(settings) == (0, known_version())
    require(settings)
    assert upgrade_database(settings) == (known_version(), known_version())


def test_several_that_upgrade_at_once_do_it_once(settings: PostgresSettings) -> None:
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: upgrade_database(settings), range(4)))
    latest = known_version()
    assert sorted(done) == [(0, latest), *[(latest, latest)] * 3]


def test_tables_of_a_later_version_are_left_alone(settings: PostgresSettings) -> None:
    upgrade_database(settings)
    later = known_version() + 1
    with connect(settings, "test") as connection:
        connection.execute("INSERT INTO schema_version VALUES (%s, now())", (later,))
    for act in (require, upgrade_database):
        with pytest.raises(LogCorrupt, match=f"version {later}"):
            act(settings)


def test_a_step_that_fails_leaves_the_database_as_it_was(settings: PostgresSettings) -> None:
    with connect(settings, "test") as connection:
        connection.execute("CREATE SCHEMA lienthong")
        connection.execute("CREATE TABLE payloads (mine integer)")
    with pytest.raises(LogUnavailable, match="payloads"):
        upgrade_database(settings)
    with connect(settings, "test") as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'lienthong'")
        assert rows.fetchall() == [("payloads",)]


def test_a_server_that_is_not_there_is_said_to_be_away(settings: PostgresSettings) -> None:
    away = replace(settings, port=free_port())
    with pytest.raises(LogUnavailable, match=f"postgres 127.0.0.1:{away.port}"):
        upgrade_database(away)


def test_what_the_session_promises_the_server_keeps(settings: PostgresSettings) -> None:
    with connect(settings, "test") as connection:
        said = [
            connection.execute(
                psycopg.sql.SQL("SHOW {}").format(psycopg.sql.Identifier(name))
            ).fetchall()[0][0]
            for name in ("synchronous_commit", "search_path", "TimeZone")
        ]
    assert said == ["on", "lienthong", "UTC"]
