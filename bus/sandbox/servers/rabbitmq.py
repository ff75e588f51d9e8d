"""Private RabbitMQ nodes on loopback: one alone, or a cluster that finds itself.

The nodes are started without Debian's wrappers, which change user and folder; everything that a
node reads or writes lies in its own folder, and its port mapper is ours.
"""

from __future__ import annotations

import secrets
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bus.sandbox.leased_ports import free_port
from bus.sandbox.servers.watched_process import (
    STARTING_SECONDS_MAX,
    Account,
    ServerBroken,
    WatchedProcess,
    answers,
)

ACCOUNT = Account("rabbitmq")
_INSTALLED = Path("/usr/lib/rabbitmq/lib")
_LOOPBACK = "-kernel inet_dist_use_interface {127,0,0,1}"
_QUIET = "+sbwt none +sbwtdcpu none +sbwtdio none"
"""No scheduler spins while it waits: the machine is shared."""
_CONFIGURATION = """
listeners.tcp.1 = 127.0.0.1:{port}
loopback_users = none
vm_memory_high_watermark.absolute = 1GB
disk_free_limit.absolute = 50MB
raft.wal_max_size_bytes = 67108864
log.console = true
log.console.level = warning
log.file = false
"""
_CLUSTER = """
cluster_formation.peer_discovery_backend = classic_config
cluster_formation.randomized_startup_delay_range.min = 0
cluster_formation.randomized_startup_delay_range.max = 1
cluster_partition_handling = pause_minority
"""
_TLS = """
listeners.ssl.1 = 127.0.0.1:{port}
ssl_options.cacertfile = {folder}/authority.pem
ssl_options.certfile = {folder}/certificate.pem
ssl_options.keyfile = {folder}/key.pem
ssl_options.verify = verify_none
ssl_options.fail_if_no_peer_cert = false
"""


def find_programs() -> Path | None:
    """Where the programs of the newest RabbitMQ lie; None: there is none."""
    found = sorted(_INSTALLED.glob("rabbitmq_server-*/sbin"))
    return found[-1] if found else None


class PortMapper:
    """An epmd of our own: Erlang would start one that outlives the nodes."""

    def __init__(self, folder: Path) -> None:
        """Raises ServerBroken."""
        ACCOUNT.make_folder(folder)
        self.port = free_port()
        self._process = WatchedProcess(
            ["epmd", "-port", str(self.port), "-address", "127.0.0.1"],
            account=ACCOUNT,
            folder=folder,
            environment={"PATH": "/usr/bin:/bin"},
        )
        self._process.wait_until(lambda: answers(self.port), "epmd")

    def end(self) -> None:
        """Kill it."""
        self._process.end()


class RabbitNode:
    """One node, in a folder that must not be there yet. It does not start by itself."""

    def __init__(
        self,
        folder: Path,
        name: str,
        mapper: PortMapper,
        cookie: str,
        *,
        peers: Sequence[str] = (),
        tls: tuple[str, str, str] | None = None,
    ) -> None:
        """`tls`: authority, certificate and key in PEM; it then listens with TLS as well."""
        programs = find_programs()
        assert programs is not None, "who asks looks first"
        self._programs = programs
        self._folder = folder
        self.name = f"{name}@localhost"
        self.port = free_port()
        self.tls_port = free_port() if tls else 0
        self.authority = tls[0] if tls else ""
        self._process: WatchedProcess | None = None
        ACCOUNT.make_folder(folder)
        ACCOUNT.write(folder / ".erlang.cookie", cookie, 0o400)
        ACCOUNT.write(folder / "rabbitmq.conf", self._configuration(peers, tls))
        ACCOUNT.write(folder / "enabled_plugins", "[].")
        ACCOUNT.write(folder / "env", "")
        self._environment = self._make_environment(mapper.port)

    @property
    def ports(self) -> tuple[int, ...]:
        """Where it listens for clients."""
        return (self.port, self.tls_port) if self.tls_port else (self.port,)

    @property
    def group(self) -> int:
        """The id of its process group; 0: it does not run."""
        return self._process.group if self._process is not None else 0

    def start(self) -> None:
        """Begin to start; see `wait`."""
        self._process = WatchedProcess(
            [self._programs / "rabbitmq-server"],
            account=ACCOUNT,
            folder=self._folder,
            environment=self._environment,
        )

    def wait(self) -> None:
        """Until it listens. Raises ServerBroken."""
        assert self._process is not None
        self._process.wait_until(lambda: all(map(answers, self.ports)), self.name)

    @property
    def has_ended(self) -> bool:
        """Whether it runs no more."""
        return self._process is None or self._process.has_ended

    def signal(self, number: signal.Signals) -> None:
        """To the node and its helpers: SIGSTOP, SIGCONT."""
        assert self._process is not None
        self._process.signal(number)

    def end(self) -> None:
        """Kill it; it may start again over what it left."""
        if self._process is not None:
            self._process.end()
            self._process = None

    def control(self, *arguments: str) -> str:
        """What `rabbitmqctl` says; it takes seconds. Raises ServerBroken."""
        ran = subprocess.run(  # noqa: S603 - a program found by its path, without a shell
            [self._programs / "rabbitmqctl", "-n", self.name, *arguments],
            env=self._environment,
            cwd=self._folder,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            check=False,
            **ACCOUNT.popen_arguments(),
        )
        if ran.returncode:
            raise ServerBroken((ran.stdout + ran.stderr).decode("utf-8", "replace"))
        said: bytes = ran.stdout
        return said.decode("utf-8", "replace")

    def _configuration(self, peers: Sequence[str], tls: tuple[str, str, str] | None) -> str:
        text = _CONFIGURATION.format(port=self.port)
        if peers:
            text += _CLUSTER
            for number, peer in enumerate(peers, 1):
                text += f"cluster_formation.classic_config.nodes.{number} = {peer}\n"
        if tls:
            files = ("authority.pem", "certificate.pem", "key.pem")
            for file, content in zip(files, tls, strict=True):
                ACCOUNT.write(self._folder / file, content)
            text += _TLS.format(port=self.tls_port, folder=self._folder)
        return text

    def _make_environment(self, mapper_port: int) -> dict[str, str]:
        folder = self._folder
        control_port = str(free_port())
        return {
            "PATH": "/usr/bin:/bin",
            "HOME": str(folder),
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_CTL_DIST_PORT_MIN": control_port,
            "RABBITMQ_CTL_DIST_PORT_MAX": control_port,
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "env"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "logs"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "generated"),
            "RABBITMQ_PID_FILE": str(folder / "node.pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{_LOOPBACK} {_QUIET}",
            "RABBITMQ_CTL_ERL_ARGS": _LOOPBACK,
            "ERL_EPMD_PORT": str(mapper_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_CRASH_DUMP": "/dev/null",
        }


class RabbitCluster:
    """Nodes that know each other; one alone is a cluster, too."""

    def __init__(
        self, folder: Path, count: int = 1, *, tls: tuple[str, str, str] | None = None
    ) -> None:
        """Start so many nodes, in a folder that is there and that others may walk through.

        Raises ServerBroken.
        """
        self._mapper = PortMapper(folder / "mapper")
        cookie = secrets.token_hex(16)
        names = [f"n{number}" for number in range(count)]
        first = f"{names[0]}@localhost"
        self.nodes = [
            RabbitNode(
                *(folder / name, name, self._mapper, cookie),
                peers=sorted({first, f"{name}@localhost"}) if count > 1 else (),
                tls=tls,
            )
            for name in names
        ]
        try:
            # The first is there before the others look for it: nodes that find nobody in time
            # begin clusters of their own.
            for beginning in (self.nodes[:1], self.nodes[1:]):
                for node in beginning:
                    node.start()
                for node in beginning:
                    node.wait()
            if count > 1:
                seconds = str(int(STARTING_SECONDS_MAX))
                self.nodes[0].control("await_online_nodes", str(count), "--timeout", seconds)
        except ServerBroken:
            self.end()
            raise

    def end(self) -> None:
        """Kill all of it."""
        for node in self.nodes:
            node.end()
        self._mapper.end()
