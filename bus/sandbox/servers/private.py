"""Give whoever asks a PostgreSQL and a RabbitMQ of its own, for as long as a block lasts.

Nothing of an installed server's data, ports or settings is touched: only its programs are run.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bus.sandbox.servers import postgresql, rabbitmq
from bus.sandbox.servers.postgresql import PostgresServer
from bus.sandbox.servers.rabbitmq import RabbitCluster, RabbitNode


class ServersMissing(Exception):
    """Programs of servers are not installed."""

    def __init__(self, packages: tuple[str, ...]) -> None:
        """`packages`: the names of what must be installed, on Debian and Ubuntu."""
        self.packages = packages
        super().__init__(
            f"Not installed: {', '.join(packages)}. On Debian or Ubuntu: "
            f"`apt-get install --no-install-recommends {' '.join(packages)}`; as root `make "
            "system` does it."
        )


@dataclass(frozen=True, slots=True)
class PrivateServers:
    """Servers that run on loopback, on ports that were free."""

    postgres: PostgresServer | None
    """None: none was asked for."""
    cluster: RabbitCluster | None
    """None: none was asked for."""

    @property
    def rabbit(self) -> RabbitNode:
        """The one node of the broker. It has the user `guest`, whose password is `guest`."""
        assert self.cluster is not None, "who asks for a broker has one"
        return self.cluster.nodes[0]


def missing_packages(*, postgres: bool, rabbit: bool) -> tuple[str, ...]:
    """The names of the packages that servers which are wanted lack."""
    found = (
        ("postgresql", postgres and postgresql.find_programs() is None),
        ("rabbitmq-server", rabbit and rabbitmq.find_programs() is None),
    )
    return tuple(name for name, is_missing in found if is_missing)


@contextmanager
def private_servers(*, postgres: bool = True, rabbit: bool = True) -> Iterator[PrivateServers]:
    """Servers that are there until the block ends, however it ends; they take some seconds.

    Raises ServersMissing: a program is not installed; ServerBroken: one does not start.
    """
    missing = missing_packages(postgres=postgres, rabbit=rabbit)
    if missing:
        raise ServersMissing(missing)
    with ExitStack() as running:
        folder = Path(running.enter_context(_folder()))
        database = cluster = None
        if postgres:
            database = PostgresServer(folder / "postgres")
            running.callback(database.end)
        if rabbit:
            cluster = RabbitCluster(folder)
            running.callback(cluster.end)
        yield PrivateServers(database, cluster)


def _folder() -> tempfile.TemporaryDirectory[str]:
    made = tempfile.TemporaryDirectory(prefix="lienthong-servers-", ignore_cleanup_errors=True)
    # As root each server runs as its own user, and must reach its own folder below.
    Path(made.name).chmod(0o711)
    return made
