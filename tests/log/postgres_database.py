"""A database of a test's own, with the log's tables or without."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from psycopg.conninfo import conninfo_to_dict

from bus.log.postgres.connection import connect
from bus.log.postgres.upgrade import upgrade_database
from bus.sandbox.servers import postgresql
from bus.settings.postgres import PostgresSettings
from tests.servers.fixtures import PostgresAccess

_NUMBERS = itertools.count(1)


def settings_of(dsn: str) -> PostgresSettings:
    """The settings that lead to a test's database."""
    given = {name: str(value) for name, value in conninfo_to_dict(dsn).items()}
    return PostgresSettings((given["host"],), int(given["port"]), given["dbname"], given["user"])


def prepared(dsn: str) -> PostgresSettings:
    """The same, after the tables were made."""
    settings = settings_of(dsn)
    upgrade_database(settings)
    return settings


@pytest.fixture(scope="module")
def log_tables(postgres: PostgresAccess) -> Iterator[PostgresSettings]:
    """A database with the log's tables for the tests of one file."""
    with database_of(postgres, f"log{os.getpid()}x{next(_NUMBERS)}") as settings:
        yield settings


@pytest.fixture
def log_database(log_tables: PostgresSettings) -> PostgresSettings:
    """The same, with no row in it."""
    empty(log_tables)
    return log_tables


@contextmanager
def database_of(server: PostgresAccess, name: str) -> Iterator[PostgresSettings]:
    """A database with the log's tables, for as long as it is asked for."""
    postgresql.make_database(server.port, name)
    yield prepared(server.dsn(name))
    postgresql.drop_database(server.port, name)


def empty(settings: PostgresSettings) -> None:
    """Take every row away: sooner than another database is made."""
    with connect(settings, "test") as connection:
        names = connection.execute(
            "SELECT string_agg(tablename, ',') FROM pg_tables "
            "WHERE schemaname = 'lienthong' AND tablename <> 'schema_version'"
        ).fetchone()
        assert names is not None
        connection.execute(f"TRUNCATE {names[0]} RESTART IDENTITY".encode())
