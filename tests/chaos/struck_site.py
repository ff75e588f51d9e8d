"""What is struck: a nation whose hub is one process, or has database, broker, worker apart."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bus.audit.folder import open_source, verify_log
from bus.audit.postgres.source import LogDatabase
from bus.broker.declaring import declare
from bus.broker.topology import Topology
from bus.core.identifiers import ServiceId
from bus.core.log.findings import Finding
from bus.core.log.leaf import Leaf
from bus.core.log.receipts import RECEIPT_NAME
from bus.core.ports.message_log import StoredEntry
from bus.runtime.clock import now
from bus.settings.hub import HubSettings, read_hub_settings
from bus.settings.postgres import PostgresSettings
from bus.settings.signer import SignerFiles
from bus.trust.broker_access import rabbit_address
from bus.trust.key_store import read_ed25519_key, read_symmetric_key
from signing.signed_note import SigningKey
from tests.chaos.log_story import LogStory
from tests.log.postgres_database import database_of
from tests.nation import SmallNation, make_small_nation, packaged_sample
from tests.servers.fixtures import PostgresAccess

SERVICE = ServiceId.parse("VN/GOV/G22/dichvucong/CapNhatTienDoHoSoMC/v1")
RECIPIENT = str(SERVICE.provider)
ADAPTER = "struck_portal"
_DEAD = 5
"""OpenRow.state of a dead letter."""
_MANIFEST = f"""\
id: {ADAPTER}
name: Cổng dịch vụ công
class: adapters.{ADAPTER}.adapter:Portal
concurrency: 4
services:
  - {{code: {SERVICE.service_code}, version: {SERVICE.service_version}, sample: sample.xml}}
settings:
  journal: {{required: true, secret: false, description: Where it writes down what it does}}
  manner: {{required: false, secret: false, description: How it is}}
"""
_MODULE = """\
from tests.chaos.journaling_agency import JournalingAgency


class Portal(JournalingAgency):
    def deliver(self, submission):
        return super().deliver(submission)
"""


@dataclass(frozen=True, slots=True)
class Servers:
    """Where database and broker are, and what we are called there."""

    postgres: PostgresSettings
    rabbitmq_ports: tuple[int, ...]
    prefix: str


@dataclass(frozen=True, slots=True)
class StruckSite:
    """The files of one nation; its hub keeps one log over all that strikes it."""

    nation: SmallNation
    folder: Path
    """Journals lie there."""
    settings: HubSettings
    worker_file: Path | None = None
    """None: the hub does the work of agencies itself."""

    @property
    def journals(self) -> tuple[Path, ...]:
        return tuple(self.folder / name for name in ("client", "agency", "nemesis"))

    @property
    def agency_journal(self) -> Path:
        return self.folder / "agency"

    @property
    def receipt_key(self) -> SigningKey:
        log = self.settings.log
        return SigningKey(log.origin + RECEIPT_NAME, read_ed25519_key(log.signing_key))

    def open_count(self) -> int:
        """Deliveries that are neither closed nor dead letters."""
        with open_source(self.settings.log.folder, self._place) as source, source.rows() as rows:
            return sum(row is None or row.state != _DEAD for row in rows.deliveries())

    def story(self) -> LogStory:
        """What the log says, and what its verification finds."""
        story, log = LogStory(has_rows=False), self.settings.log

        def examine(entry: StoredEntry, leaf: Leaf, raw: bytes | None) -> list[Finding]:
            story.take(entry.index, entry.leaf, leaf, raw)
            return []

        report = verify_log(
            log.folder,
            database=self._place,
            checkpoint_key=SigningKey(log.origin, read_ed25519_key(log.signing_key)).verifying_key,
            read_key=read_symmetric_key(log.read_key),
            examine=examine,
        )
        story.faults += [("unverifiable", str(one)) for one in report.findings]
        return story

    @property
    def _place(self) -> LogDatabase | None:
        database = self.settings.database
        return None if database is None else LogDatabase(database, self.settings.log.origin)


class SiteMaker:
    """Makes sites, each with names of its own on servers that all share."""

    def __init__(self, folder: Path, postgres_port: int = 0, rabbitmq_port: int = 0) -> None:
        self._folder = folder
        self._postgres_port = postgres_port
        self._rabbitmq_port = rabbitmq_port
        self._numbers = itertools.count()

    @contextlib.contextmanager
    def embedded(self) -> Iterator[StruckSite]:
        """A hub that needs nothing but its own process."""
        with self._made() as folder:
            yield embedded_site(folder)

    @contextlib.contextmanager
    def apart(self) -> Iterator[StruckSite]:
        """A hub on a database and a broker, and a worker."""
        access = PostgresAccess(self._postgres_port)
        with self._made() as folder, database_of(access, f"chaos{_token()}") as database:
            yield site_apart(folder, Servers(database, (self._rabbitmq_port,), _token()))

    @contextlib.contextmanager
    def _made(self) -> Iterator[Path]:
        """A folder that goes when nobody needs it; what violated a promise stays."""
        folder = self._folder / f"site-{next(self._numbers)}"
        folder.mkdir()
        yield folder
        shutil.rmtree(folder, ignore_errors=True)


def _token() -> str:
    return secrets.token_hex(6)


def embedded_site(folder: Path) -> StruckSite:
    """A hub that needs nothing but its own process."""
    nation = _nation(folder)
    return StruckSite(nation, folder, read_hub_settings(nation.settings.file))


def site_apart(folder: Path, servers: Servers) -> StruckSite:
    """A hub on PostgreSQL and RabbitMQ, and a worker; what they need there is made."""
    nation = _nation(folder)
    worker_file = _write_worker(nation, folder / "worker", servers)
    hub_file = nation.settings.file
    write_secret(hub_file.parent / "broker.secret")
    database = servers.postgres
    with changed_yaml(hub_file) as hub:
        hub["broker"] = {
            "agencies": [ADAPTER],
            "rabbitmq": broker_values(servers.rabbitmq_ports, servers.prefix),
        }
        hub["store"] = {
            "postgres": {
                "hosts": list(database.hosts),
                "port": database.port,
                "database": database.database,
                "user": database.user,
            }
        }
    settings = read_hub_settings(hub_file)
    assert settings.broker is not None
    address = rabbit_address(settings.broker.rabbitmq)
    topology = Topology(servers.prefix)
    asyncio.run(declare(address, topology, [ADAPTER], [settings.log.origin]))
    return StruckSite(nation, folder, settings, worker_file)


def _nation(folder: Path) -> SmallNation:
    nation = make_small_nation(folder / "nation", now=now())
    with changed_yaml(nation.settings.routes) as routes:
        routes["limits"] = {**routes.get("limits", {}), "order_wait_seconds": 5}
        service = next(one for one in routes["services"] if one["id"] == str(SERVICE))
        service |= {"adapter": ADAPTER, "timeout_seconds": 5}
        service |= {"retry": {"first_seconds": 0.2, "factor": 1}}
    return nation


def _write_worker(nation: SmallNation, folder: Path, servers: Servers) -> Path:
    adapter = folder / "adapters" / ADAPTER
    adapter.mkdir(parents=True)
    (adapter / "__init__.py").write_text("")
    (adapter / "adapter.py").write_text(_MODULE)
    (adapter / "manifest.yaml").write_text(_MANIFEST)
    (adapter / "sample.xml").write_bytes(packaged_sample(SERVICE))
    write_secret(folder / "broker.secret")
    shutil.copy(nation.settings.routes, folder)
    signer = nation.settings.signers[SERVICE.provider.member]
    assert isinstance(signer, SignerFiles)
    log = nation.settings.log
    log_key = SigningKey(log.origin, read_ed25519_key(log.signing_key))
    (folder / "hub.vkey").write_text(f"{log_key.verifying_key}\n")
    settings = {
        "log_keys": ["hub.vkey"],
        "broker": broker_values(servers.rabbitmq_ports, servers.prefix),
        "routes": nation.settings.routes.name,
        "adapters": "adapters",
        "agencies": {ADAPTER: {"journal": str(folder.parent / "agency")}},
        "signers": {
            str(SERVICE.provider.member): {
                "key": str(signer.key),
                "certificate": str(signer.certificate),
            }
        },
    }
    file = folder / "worker.yaml"
    file.write_text(yaml.safe_dump(settings, allow_unicode=True), "utf-8")
    return file


def broker_values(ports: tuple[int, ...], prefix: str) -> Mapping[str, object]:
    """What settings say of a broker."""
    return {
        "nodes": [f"127.0.0.1:{port}" for port in ports],
        "user": "guest",
        "password_file": "broker.secret",
        "prefix": prefix,
    }


def write_secret(file: Path) -> None:
    """The password of the one user that a private broker has."""
    file.write_text("guest\n")
    file.chmod(0o600)


@contextlib.contextmanager
def changed_yaml(file: Path) -> Iterator[dict[str, Any]]:
    """What a file of settings says, to be changed."""
    values = yaml.safe_load(file.read_text("utf-8"))
    yield values
    file.write_text(yaml.safe_dump(values, allow_unicode=True), "utf-8")
