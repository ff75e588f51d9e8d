"""Bring a PostgreSQL database to the present form of the log's tables: numbered files of SQL."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg

from bus.core.errors import ConfigurationError, LogCorrupt, LogUnavailable, Problem
from bus.log.postgres.connection import Connection, connect, failures_of
from bus.settings.postgres import PostgresSettings

_FILES = Path(__file__).with_name("schema")
_NAME = re.compile(r"([0-9]{4})_[a-z_]+\.sql")
_UPGRADING = 0x6C74_7570
"""The lock of the database that whoever upgrades holds."""


def known_version() -> int:
    """The version of the tables that this program knows."""
    return max(_steps())


def upgrade_database(settings: PostgresSettings) -> tuple[int, int]:
    """Bring a database to the version that this program knows, in one transaction.

    Gives the version before, 0 for an empty database, and the one after. Two at once do it once.
    Raises LogUnavailable; LogCorrupt: it is of a later version; ConfigurationError.
    """
    steps = _steps()
    with failures_of(settings), connect(settings, "upgrade") as connection:
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_UPGRADING,))
            connection.execute("CREATE SCHEMA IF NOT EXISTS lienthong")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS schema_version (version integer PRIMARY KEY, "
                "since timestamptz NOT NULL DEFAULT now())"
            )
            before = _version(connection)
            _must_not_be_later(settings, before)
            for number in sorted(steps):
                if number > before:
                    connection.execute(steps[number].read_bytes(), prepare=False)
                    connection.execute(
                        "INSERT INTO schema_version (version) VALUES (%s)", (number,)
                    )
        return before, max(before, *steps)


def require_version(settings: PostgresSettings, connection: Connection) -> None:
    """Raises ConfigurationError: the tables are not there, or old; LogCorrupt: of a later version;
    psycopg.Error."""
    try:
        found = _version(connection)
    except psycopg.errors.UndefinedTable:
        found = 0
    _must_not_be_later(settings, found)
    if found < known_version():
        what = f"tables of version {found}" if found else "no tables of a log"
        expected = f"expected version {known_version()}: `lienthong db upgrade` makes it"
        raise ConfigurationError([Problem(settings.shown, "", f"{what}; {expected}")])


def check_database(settings: PostgresSettings) -> None:
    """Ask the server for what a hub needs of it. Raises ConfigurationError, LogUnavailable,
    LogCorrupt."""
    with failures_of(settings), connect(settings, "check") as connection:
        require_version(settings, connection)
        require_durability(connection)


def require_durability(connection: Connection) -> None:
    """Raises LogUnavailable: the server promises what no disk keeps; psycopg.Error."""
    for name in ("fsync", "full_page_writes"):
        row = connection.execute("SELECT current_setting(%s)", (name,)).fetchone()
        if row != ("on",):
            raise LogUnavailable(f"the database server runs with {name} off: nothing is safe there")


def _version(connection: Connection) -> int:
    row = connection.execute("SELECT coalesce(max(version), 0) FROM schema_version").fetchone()
    assert row is not None
    return int(row[0])


def _must_not_be_later(settings: PostgresSettings, found: int) -> None:
    if found > known_version():
        known = f"this program knows versions up to {known_version()}"
        raise LogCorrupt(f"{settings.shown}: tables of version {found}; {known}")


def _steps() -> dict[int, Path]:
    found = ((_NAME.fullmatch(path.name), path) for path in _FILES.iterdir())
    return {int(name[1]): path for name, path in found if name}
