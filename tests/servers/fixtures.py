"""Servers for tests: one of each kind for a whole session, and what each test gets of it.

`tests/conftest.py` gives them to every test. Where a server is not installed, a test that asks for
it is skipped and says so; in CI it fails.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path
from typing import NoReturn

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bus.sandbox.servers import postgresql
from bus.sandbox.servers import rabbitmq as rabbitmq_servers
from tests.certificates import make_certificate, make_root
from tests.servers.shared import SharedServer

_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class PostgresAccess:
    """The session's PostgreSQL server."""

    port: int

    def dsn(self, database: str = "postgres") -> str:
        return f"host=127.0.0.1 port={self.port} user={postgresql.USER} dbname={database}"


@dataclass(frozen=True)
class RabbitAccess:
    """The session's RabbitMQ node: whoever asks for a name prefix has it alone."""

    port: int
    user: str = "guest"
    password: str = "guest"

    def make_prefix(self) -> str:
        """A name that stands before all that a test declares."""
        return f"t{os.getpid()}x{next(_NUMBERS)}"


def missing(server: str) -> NoReturn:
    """Without the server a test is skipped and says so; in CI it fails."""
    reason = f"{server} is not installed: nothing of it is tried here (`make system` installs it)"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresAccess]:
    """A PostgreSQL server."""
    if postgresql.find_programs() is None:
        missing("PostgreSQL")
    shared = SharedServer("postgres")
    yield PostgresAccess(shared.state["port"])
    shared.release()


@pytest.fixture
def postgres_dsn(postgres: PostgresAccess) -> Iterator[str]:
    """A database of the test's own, empty."""
    name = f"t{os.getpid()}x{next(_NUMBERS)}"
    postgresql.make_database(postgres.port, name)
    yield postgres.dsn(name)
    postgresql.drop_database(postgres.port, name)


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RabbitAccess]:
    """A RabbitMQ node."""
    if rabbitmq_servers.find_programs() is None:
        missing("RabbitMQ")
    shared = SharedServer("rabbitmq")
    yield RabbitAccess(shared.state["port"])
    shared.release()


@pytest.fixture
def rabbitmq_cluster() -> Iterator[rabbitmq_servers.RabbitCluster]:
    """Three nodes for one test, which may kill them and start them again."""
    if rabbitmq_servers.find_programs() is None:
        missing("RabbitMQ")
    with tempfile.TemporaryDirectory(prefix="lienthong-cluster-") as folder:
        path = Path(folder)
        path.chmod(0o711)
        cluster = rabbitmq_servers.RabbitCluster(path, 3)
        yield cluster
        cluster.end()


@pytest.fixture(scope="module")
def rabbitmq_node() -> Iterator[rabbitmq_servers.RabbitNode]:
    """A node for the tests of one file, which may kill it, fill it and change its users.

    It speaks TLS as well; `authority` of it is what its certificate leads to.
    """
    if rabbitmq_servers.find_programs() is None:
        missing("RabbitMQ")
    with tempfile.TemporaryDirectory(prefix="lienthong-node-") as folder:
        path = Path(folder)
        path.chmod(0o711)
        cluster = rabbitmq_servers.RabbitCluster(path, tls=make_tls())
        yield cluster.nodes[0]
        cluster.end()


def make_tls() -> tuple[str, str, str]:
    """Authority, certificate of the loopback and its key, in PEM."""
    now = datetime.now(UTC)
    authority = make_root("authority of brokers", now)
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName(
        [x509.IPAddress(IPv4Address("127.0.0.1")), x509.DNSName("localhost")]
    )
    certificate = make_certificate(authority, key.public_key(), now, extensions=[names])
    pem = Encoding.PEM
    return (
        authority.certificate.public_bytes(pem).decode(),
        certificate.public_bytes(pem).decode(),
        key.private_bytes(pem, PrivateFormat.PKCS8, NoEncryption()).decode(),
    )
