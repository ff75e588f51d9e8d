"""Connect to a log's PostgreSQL database, and turn what goes wrong there into errors of ours."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any, LiteralString

import psycopg
from psycopg import errors

from bus.core.errors import LogCorrupt, LogUnavailable
from bus.settings.postgres import PostgresSettings
from bus.trust.key_store import read_secret

SCHEMA = "lienthong"
"""All of ours lies in this schema of the database."""
CONNECT_SECONDS_MAX = 5
LOST_SECONDS_MAX = 10
"""After so long without an answer of the server's machine a connection is given up."""
LOCK_SECONDS_MAX = 20
"""How long a statement waits for others: no transaction of ours lasts nearly as long."""

# On: a commit is on the server's disk, and on those of its synchronous standbys, before we hear of
# it, whatever the server's own settings say.
_SESSION = {
    "search_path": SCHEMA,
    "synchronous_commit": "on",
    "timezone": "UTC",
    "lock_timeout": f"{LOCK_SECONDS_MAX}s",
    "idle_in_transaction_session_timeout": f"{LOCK_SECONDS_MAX}s",
    "jit": "off",
    "standard_conforming_strings": "on",
}
_DAMAGE = (errors.DataCorrupted, errors.IndexCorrupted)
Connection = psycopg.Connection[tuple[Any, ...]]


def connect(settings: PostgresSettings, purpose: str) -> Connection:
    """A connection of its own transactions: each statement is one.

    `purpose` names it among the server's connections. Raises psycopg.Error; ConfigurationError:
    the password's file cannot be read.
    """
    password = read_secret(settings.password_file) if settings.password_file else None
    options = " ".join(f"-c {name}={value}" for name, value in _SESSION.items())
    connection: Connection = psycopg.connect(
        host=",".join(settings.hosts),
        port=settings.port,
        dbname=settings.database,
        user=settings.user,
        password=password,
        options=options,
        application_name=f"lienthong {purpose}",
        autocommit=True,
        prepare_threshold=0,
        connect_timeout=CONNECT_SECONDS_MAX,
        keepalives_idle=LOST_SECONDS_MAX // 2,
        keepalives_interval=LOST_SECONDS_MAX // 4,
        keepalives_count=2,
        tcp_user_timeout=LOST_SECONDS_MAX * 1000,
        target_session_attrs="read-write",
        gssencmode="disable",
        client_encoding="UTF8",
        **_tls_arguments(settings),
    )
    return connection


def _tls_arguments(settings: PostgresSettings) -> dict[str, Any]:
    tls = settings.tls
    if tls is None:
        return {"sslmode": "disable"}
    arguments: dict[str, Any] = {"sslmode": "verify-full", "sslrootcert": str(tls.anchors)}
    if tls.certificate is not None and tls.key is not None:
        arguments |= {"sslcert": str(tls.certificate), "sslkey": str(tls.key)}
    return arguments


@contextlib.contextmanager
def failures_of(settings: PostgresSettings) -> Iterator[None]:
    """Turn what the library says into what the log says: LogUnavailable, LogCorrupt."""
    try:
        yield
    except psycopg.Error as error:
        failure = LogCorrupt if isinstance(error, _DAMAGE) else LogUnavailable
        raise failure(f"{settings.shown}: {words_of(error)}") from error


def words_of(error: psycopg.Error) -> str:
    """The server's sentence, without what it says of values; or the library's first line."""
    said = error.diag.message_primary or str(error)
    return said.strip().split("\n")[0] or type(error).__name__


class ReadingConnection:
    """Asks for committed rows, one question at a time, from any thread.

    A connection that broke is made anew: at once, if it broke since the last question.
    """

    def __init__(self, settings: PostgresSettings, purpose: str) -> None:
        """Raises LogUnavailable, ConfigurationError."""
        self._settings = settings
        self._purpose = purpose
        self._lock = threading.Lock()
        self._is_closed = False
        with failures_of(settings):
            self._connection = connect(settings, purpose)

    def fetch(self, statement: LiteralString, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Every row of the answer. Raises LogUnavailable, LogCorrupt."""
        with self._lock, failures_of(self._settings):
            if self._is_closed:
                raise LogUnavailable(f"{self._settings.shown}: closed")
            if not self._connection.broken:
                try:
                    return self._ask(statement, values)
                except psycopg.OperationalError:
                    if not self._connection.broken:
                        raise
            self._connection.close()
            self._connection = connect(self._settings, self._purpose)
            return self._ask(statement, values)

    def _ask(self, statement: LiteralString, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        return self._connection.execute(statement, values, binary=True).fetchall()

    def close(self) -> None:
        """Let go of it."""
        with self._lock:
            self._is_closed = True
            self._connection.close()
