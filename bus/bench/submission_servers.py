"""Give a measurement servers of its own, and the hub, worker and floor that run on them.

PostgreSQL and RabbitMQ are the installed programs, run on loopback for as long as a block lasts,
with data of their own; see bus.sandbox.servers.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bus.bench.submission_nation import PROVIDER, SubmissionNation
from bus.bench.submission_results import POSTGRES, RABBIT
from bus.log.postgres.upgrade import upgrade_database
from bus.sandbox.servers.postgresql import USER, make_database
from bus.sandbox.servers.private import PrivateServers, ServersMissing, private_servers
from bus.sandbox.servers.watched_process import ServerBroken
from bus.settings.postgres import PostgresSettings
from bus.trust.key_store import read_ed25519_key
from signing.signed_note import SigningKey

_HUB_DATABASE = "hub"
_FLOOR_DATABASE = "floor"
_HOST = "127.0.0.1"


class ServersUnfit(RuntimeError):
    """Servers are not installed, do not start, or do not take what a hub needs."""


@dataclass(frozen=True, slots=True)
class BenchServers:
    """Servers that run, and what runs on them."""

    servers: PrivateServers
    nation: SubmissionNation
    hub_settings: Path
    worker_settings: Path

    @property
    def database(self) -> PostgresSettings:
        """Of the hub's log."""
        return _database(self.servers)

    @property
    def worker_arguments(self) -> list[str]:
        """Of bus.bench.worker_program."""
        return [str(self.worker_settings), self.nation.adapter]

    def floor_arguments(self, key: Ed25519PrivateKey, recipients: int) -> list[str]:
        """Of bus.bench.floor_servers; the key is its own, and made for this run."""
        assert self.servers.postgres is not None
        dsn = self.servers.postgres.dsn(_FLOOR_DATABASE)
        return [*self._agency(), key.private_bytes_raw().hex(), dsn, self._port(), str(recipients)]

    def floor_worker_arguments(self, key: Ed25519PrivateKey) -> list[str]:
        """Of bus.bench.floor_worker."""
        return [*self._agency(), key.public_key().public_bytes_raw().hex(), self._port()]

    def cpu_seconds(self) -> dict[str, float]:
        """Processor time that the servers have used so far, by name."""
        assert self.servers.postgres is not None
        return {
            POSTGRES: tree_cpu_seconds(self.servers.postgres.group),
            RABBIT: tree_cpu_seconds(self.servers.rabbit.group),
        }

    def _agency(self) -> list[str]:
        files = self.nation.prepared.signers[PROVIDER]
        return [str(files.key), str(files.certificate)]

    def _port(self) -> str:
        return str(self.servers.rabbit.port)


@contextmanager
def bench_servers(nation: SubmissionNation) -> Iterator[BenchServers]:
    """Servers with all that a hub, its worker and the floor need, until the block ends.

    Raises ServersUnfit.
    """
    try:
        with private_servers() as servers:
            yield _prepared(servers, nation)
    except (ServersMissing, ServerBroken) as error:
        raise ServersUnfit(str(error)) from error


def _prepared(servers: PrivateServers, nation: SubmissionNation) -> BenchServers:
    assert servers.postgres is not None
    for name in (_HUB_DATABASE, _FLOOR_DATABASE):
        make_database(servers.postgres.port, name)
    upgrade_database(_database(servers))
    hub = nation.hub_settings("hub")
    values = yaml.safe_load(hub.read_text("utf-8"))
    broker = _broker_values(nation.prepared.folder, servers.rabbit.port)
    values["store"] = {
        "postgres": {
            "hosts": [_HOST],
            "port": servers.postgres.port,
            "database": _HUB_DATABASE,
            "user": USER,
        }
    }
    values["broker"] = {"agencies": [nation.adapter], "rabbitmq": broker}
    _write(hub, values)
    worker = nation.prepared.folder / "worker.yaml"
    _write(worker, _worker_values(nation, values, broker))
    _declare(hub)
    return BenchServers(servers, nation, hub, worker)


def _database(servers: PrivateServers) -> PostgresSettings:
    assert servers.postgres is not None
    return PostgresSettings((_HOST,), servers.postgres.port, _HUB_DATABASE, USER)


def _broker_values(folder: Path, port: int) -> dict[str, Any]:
    secret = folder / "keys" / "broker.secret"
    secret.touch(mode=0o600)
    secret.write_text("guest\n", "ascii")
    return {"nodes": [f"{_HOST}:{port}"], "user": "guest", "password_file": "keys/broker.secret"}


def _worker_values(
    nation: SubmissionNation, hub: Mapping[str, Any], broker: Mapping[str, Any]
) -> dict[str, Any]:
    """What knows the hub by its log's key, before the log is there."""
    log, folder = hub["log"], nation.prepared.folder
    key = SigningKey(log["origin"], read_ed25519_key(folder / log["signing_key"]))
    (folder / "trust" / "log.vkey").write_text(f"{key.verifying_key}\n", "ascii")
    return {
        "log_keys": ["trust/log.vkey"],
        "broker": broker,
        "routes": hub["routes"],
        "schemas": hub["schemas"],
        "agencies": {},
        "signers": hub["signers"],
    }


def _declare(settings_file: Path) -> None:
    """In a process of its own, whose diagnostics are not ours. Raises ServersUnfit."""
    command = [sys.executable, "-m", "bus.cli", "broker", "declare"]
    ran = subprocess.run(
        [*command, "--settings", str(settings_file)], capture_output=True, text=True, check=False
    )
    if ran.returncode:
        raise ServersUnfit(f"the broker: {ran.stderr}")


def _write(path: Path, values: Mapping[str, Any]) -> None:
    path.write_text(yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True), "utf-8")


def tree_cpu_seconds(leader: int) -> float:
    """Processor time of a process and all that it started, those that have ended included.

    proc(5): parent is field 4, times of its own are 14 and 15, of children that ended 16 and 17.
    """
    fields: dict[int, list[str]] = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            stat = file.read_text("latin-1")
        except OSError:
            continue  # it has ended
        fields[int(file.parent.name)] = stat.rpartition(") ")[2].split()
    ticks, wanted = 0, [leader]
    while wanted:
        one = wanted.pop()
        if one in fields:
            ticks += sum(map(int, fields[one][11:15]))
            wanted += [child for child, of in fields.items() if int(of[1]) == one]
    return ticks / os.sysconf("SC_CLK_TCK")
