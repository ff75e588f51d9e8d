"""What the nemesis has before it: two hubs on one database, three brokers, workers, agencies.

Hubs and workers reach database and brokers through relays, whose lines can be cut.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
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
from tests.chaos.journaling_agency import Manner, Mood
from tests.chaos.log_story import LogStory
from tests.chaos.struck_site import SERVICE, broker_values, changed_yaml, write_secret
from tests.nation import LOOKUP, SmallNation, make_small_nation, packaged_sample

ORIGINS = ("hub.example/a", "hub.example/b")
WORKERS = ("worker 1", "worker 2")
_DEAD = 5
_OFFSET = 10**9
"""Between the numbers of entries of one log and those of the next, where they are one story."""


@dataclass(frozen=True, slots=True)
class Party:
    """An agency that is submitted to."""

    service: ServiceId
    adapter: str
    manner: Manner
    is_ordered: bool = False
    attempts_max: int = 12

    @property
    def recipient(self) -> str:
        return str(self.service.provider)


PARTIES = (
    Party(SERVICE, "struck_portal", Manner.REMEMBERS, is_ordered=True),
    Party(LOOKUP, "struck_register", Manner.FORGETS, attempts_max=3),
    Party(ServiceId.parse("VN/GOV/G12/dkdn/chiTietDoanhNghiep/v1"), "struck_liar", Manner.LIES),
)


@dataclass(frozen=True, slots=True)
class NemesisSite:
    """Files of the nation, its hubs and its workers."""

    nation: SmallNation
    folder: Path
    hubs: Mapping[str, HubSettings]
    """By origin."""
    workers: Mapping[str, Path]
    straight: PostgresSettings
    """The database, without a relay before it."""

    def journal(self, name: str) -> Path:
        return self.folder / f"{name}.journal"

    @property
    def journals(self) -> list[Path]:
        return list(self.folder.glob("*.journal"))

    def clock(self, name: str) -> Path:
        """Says by how many seconds the clock of a hub or a worker is wrong."""
        return self.folder / f"{name[-1]}.clock"

    def set_mood(self, party: Party, mood: Mood) -> None:
        new = self._mood(party).with_suffix(".new")
        new.write_text(mood)
        new.rename(self._mood(party))

    def _mood(self, party: Party) -> Path:
        return self.folder / f"{party.adapter}.mood"

    def receipt_keys(self) -> Mapping[str, SigningKey]:
        """By origin."""
        return {
            origin: SigningKey(origin + RECEIPT_NAME, read_ed25519_key(hub.log.signing_key))
            for origin, hub in self.hubs.items()
        }

    def place(self, origin: str, index: int) -> int:
        """The number of an entry in the story of all."""
        return ORIGINS.index(origin) * _OFFSET + index

    def open_count(self) -> int:
        """Deliveries of all logs that are neither closed nor dead letters."""
        return sum(self._open_count(origin) for origin in self.hubs)

    def _open_count(self, origin: str) -> int:
        folder, place = self.hubs[origin].log.folder, LogDatabase(self.straight, origin)
        with open_source(folder, place) as source, source.rows() as rows:
            return sum(row is None or row.state != _DEAD for row in rows.deliveries())

    def dead_letters(self, origin: str) -> list[tuple[int, int]]:
        """Entry and position of each."""
        folder, place = self.hubs[origin].log.folder, LogDatabase(self.straight, origin)
        with open_source(folder, place) as source, source.rows() as rows:
            return [
                (row.received, row.position)
                for row in rows.deliveries()
                if row is not None and row.state == _DEAD
            ]

    def story(self) -> LogStory:
        """What all logs say, and what their verification finds."""
        story = LogStory(has_rows=False)
        for origin, hub in self.hubs.items():
            story.base = self.place(origin, 0)
            key = SigningKey(origin, read_ed25519_key(hub.log.signing_key))

            def examine(entry: StoredEntry, leaf: Leaf, raw: bytes | None) -> list[Finding]:
                story.take(entry.index, entry.leaf, leaf, raw)
                return []

            report = verify_log(
                hub.log.folder,
                database=LogDatabase(self.straight, origin),
                checkpoint_key=key.verifying_key,
                read_key=read_symmetric_key(hub.log.read_key),
                examine=examine,
            )
            story.faults += [("unverifiable", f"{origin}: {one}") for one in report.findings]
        return story


def prepare_nemesis_site(
    folder: Path, straight: PostgresSettings, relayed_port: int, broker_ports: tuple[int, ...]
) -> NemesisSite:
    """Write every file, and make what the brokers need."""
    nation = make_small_nation(folder / "nation", now=now())
    _change_routes(nation.settings.routes)
    write_secret(nation.folder / "broker.secret")
    broker = broker_values(broker_ports, "nemesis")
    database = {
        "hosts": list(straight.hosts),
        "port": relayed_port,
        "database": straight.database,
        "user": straight.user,
    }
    hubs = {
        origin: _write_hub(nation, folder, origin, broker, {"postgres": database})
        for origin in ORIGINS
    }
    workers = {name: _write_worker(nation, folder, name, broker) for name in WORKERS}
    site = NemesisSite(nation, folder, hubs, workers, straight)
    for party in PARTIES:
        site.set_mood(party, Mood.WELL)
    for name in (*ORIGINS, *WORKERS):
        site.clock(name).write_text(f"{0:<32}")
    return site


async def declare_queues(site: NemesisSite) -> None:
    """What hubs and workers need at the broker."""
    settings = site.hubs[ORIGINS[0]].broker
    assert settings is not None
    topology = Topology(settings.rabbitmq.prefix)
    adapters = [party.adapter for party in PARTIES]
    await declare(rabbit_address(settings.rabbitmq), topology, adapters, ORIGINS)


def _change_routes(routes: Path) -> None:
    with changed_yaml(routes) as values:
        values["limits"] = {**values.get("limits", {}), "order_wait_seconds": 5}
        for party in PARTIES:
            service = next(one for one in values["services"] if one["id"] == str(party.service))
            for name in ("attachments", "enabled", "notice"):
                service.pop(name, None)
            service |= {"mode": "submission", "adapter": party.adapter, "timeout_seconds": 5}
            service |= {
                "retry": {
                    "first_seconds": 0.2,
                    "factor": 1.5,
                    "cap_seconds": 5,
                    "attempts_max": party.attempts_max,
                },
            }
            if party.is_ordered:
                service["on_dead_letter"] = "skip"


def _write_hub(
    nation: SmallNation,
    folder: Path,
    origin: str,
    broker: Mapping[str, Any],
    store: Mapping[str, Any],
) -> HubSettings:
    name = origin[-1]
    own = nation.folder / f"hub-{name}"
    own.mkdir(mode=0o700)
    file = nation.folder / f"hub-{name}.yaml"
    shutil.copy(nation.settings.file, file)
    with changed_yaml(file) as hub:
        others = [
            {
                "origin": one,
                "signing_key": hub["log"]["signing_key"],
                "folder": f"hub-{one[-1]}/log",
                "guard": f"hub-{name}/last-signed-of-{one[-1]}",
            }
            for one in ORIGINS
            if one != origin
        ]
        hub["log"] |= {
            "origin": origin,
            "folder": f"hub-{name}/log",
            "guard": f"hub-{name}/last-signed",
            "others": others,
        }
        hub["spool"] = f"hub-{name}/spool"
        hub["probe_seconds"] = 0
        hub["store"] = store
        hub["broker"] = {
            "agencies": [party.adapter for party in PARTIES],
            "rabbitmq": broker,
        }
    return read_hub_settings(file)


_MODULE = """\
from tests.chaos.journaling_agency import JournalingAgency


class Party(JournalingAgency):
    def deliver(self, submission):
        return super().deliver(submission)
"""


def _write_worker(nation: SmallNation, folder: Path, name: str, broker: Mapping[str, Any]) -> Path:
    place = folder / name.replace(" ", "-")
    settings: dict[str, Any] = {
        "log_keys": [f"{origin[-1]}.vkey" for origin in ORIGINS],
        "broker": broker,
        "routes": "routes.yaml",
        "adapters": "adapters",
        "agencies": {},
        "signers": {},
    }
    for party in PARTIES:
        _write_adapter(party, place / "adapters" / party.adapter)
        signer = nation.settings.signers[party.service.provider.member]
        assert isinstance(signer, SignerFiles)
        settings["agencies"][party.adapter] = {
            "journal": str(folder / f"{party.adapter}.journal"),
            "manner": party.manner.value,
            "mood": str(folder / f"{party.adapter}.mood"),
        }
        settings["signers"][str(party.service.provider.member)] = {
            "key": str(signer.key),
            "certificate": str(signer.certificate),
        }
    key = read_ed25519_key(nation.settings.log.signing_key)
    for origin in ORIGINS:
        (place / f"{origin[-1]}.vkey").write_text(f"{SigningKey(origin, key).verifying_key}\n")
    write_secret(place / "broker.secret")
    shutil.copy(nation.settings.routes, place / "routes.yaml")
    file = place / "worker.yaml"
    file.write_text(yaml.safe_dump(settings, allow_unicode=True), "utf-8")
    return file


def _write_adapter(party: Party, folder: Path) -> None:
    folder.mkdir(parents=True)
    service = party.service
    known = {"required": False, "secret": False, "description": "of a test"}
    manifest = {
        "id": party.adapter,
        "name": party.adapter,
        "class": f"adapters.{party.adapter}.adapter:Party",
        "concurrency": 4,
        "services": [
            {"code": service.service_code, "version": service.service_version, "sample": "s.xml"}
        ],
        "settings": {"journal": known | {"required": True}, "manner": known, "mood": known},
    }
    (folder / "__init__.py").write_text("")
    (folder / "adapter.py").write_text(_MODULE)
    (folder / "manifest.yaml").write_text(yaml.safe_dump(manifest, allow_unicode=True), "utf-8")
    (folder / "s.xml").write_bytes(packaged_sample(service))
