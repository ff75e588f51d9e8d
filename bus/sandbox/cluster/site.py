"""Write the files of a nation with several hubs and workers: settings, keys, who plays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from bus.client.hub_client import HubClient
from bus.core.errors import ConfigurationError, Problem
from bus.core.identifiers import ServiceId, SubsystemId
from bus.core.log.receipts import receipt_key_of
from bus.core.registry import MemberRegistry
from bus.delivery.carrying import adapters_of
from bus.kit.manifest import Manifest
from bus.protocols.soap_xroad.verify_answer import KnownHub
from bus.sandbox.agencies import routed_manifests
from bus.sandbox.demo_cast import DocumentPlayed, documents_played, questions_played
from bus.sandbox.leased_ports import free_port
from bus.sandbox.nation_files import (
    HUB_HOST,
    PreparedNation,
    new_ed25519_pem,
    prepare_nation,
    reference_routes,
)
from bus.sandbox.sandbox_data import SEED_DEFAULT, keep_data, sample_requests
from bus.settings.routes import read_registry
from bus.settings.trust import TrustSettings
from bus.trust.certificate_checks import read_trust_store
from bus.trust.key_store import read_ed25519_key, read_signer
from signing.signed_note import SigningKey

HUBS = ("a", "b")
WORKERS = ("1", "2")
DATABASE = "lienthong"
_ORIGIN = "lienthong.example/cluster-"


@dataclass(frozen=True, slots=True)
class HubSite:
    """One hub of the cluster."""

    name: str
    origin: str
    settings: Path
    url: str
    folder: Path
    """Of its log."""
    key: SigningKey
    """Of its log."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What is submitted while hubs die."""

    step: ServiceId
    """One recipient, one message after the other in each case."""
    step_client: SubsystemId
    document: DocumentPlayed
    """To many recipients at once."""
    question: ServiceId
    """Is answered at once, by a worker."""
    question_client: SubsystemId
    samples: Mapping[ServiceId, bytes]


@dataclass(frozen=True, slots=True)
class ClusterSite:
    """Everything that was prepared below a folder."""

    folder: Path
    nation: PreparedNation
    registry: MemberRegistry
    hubs: Mapping[str, HubSite]
    workers: Mapping[str, Path]
    """Settings of each worker."""
    agencies: tuple[str, ...]
    """Adapters whose work the workers do; each is simulated."""
    traffic: Traffic

    def client(self, hub: HubSite, subsystem: SubsystemId, seconds_max: float) -> HubClient:
        """Whoever sends to a hub, and knows the receipts of all. Raises ConfigurationError."""
        keys = {one.name: receipt_key_of(one.key.verifying_key) for one in self.hubs.values()}
        own = keys.pop(hub.name)
        known = KnownHub(
            trust=read_trust_store(TrustSettings((self.nation.anchor,), ())),
            member=self.registry.hub.member,
            receipt_key=own,
            receipt_keys_elsewhere=tuple(keys.values()),
        )
        signer = read_signer(self.nation.signers[subsystem])
        return HubClient(hub.url, signer, subsystem, known, answer_seconds_max=seconds_max)


def prepare_cluster(folder: Path, *, postgres_port: int, rabbit_port: int) -> ClusterSite:
    """Write all of it below a folder; hubs and workers can start from it.

    Raises ConfigurationError: the routes have nothing to play with.
    """
    registry = read_registry(reference_routes())
    manifests = routed_manifests(folder, registry)
    step, client = _step_played(registry, {one for one, m in manifests.items() if m.simulator})
    document = next(iter(documents_played(registry, manifests)), None)
    if document is None:
        raise _no_story("a submission to subscribers that a manifest shows")
    question, asker = _question_played(registry, manifests)
    services = [registry.services[one] for one in (step, question)]
    agencies = tuple(sorted({document.adapter, *(one.adapter for one in services)}))
    played = {one: manifests[one] for one in agencies}
    keep_data(folder / "data", SEED_DEFAULT, played)
    ports = {one: free_port() for one in agencies}
    nation = prepare_nation(folder, now=datetime.now(UTC), hub_port=free_port(), agency_ports=ports)
    values = yaml.safe_load(nation.hub_settings.read_text("utf-8"))
    broker = _broker_values(folder, rabbit_port)
    hubs = {name: _hub_site(folder, name) for name in HUBS}
    for hub in hubs.values():
        others = [one for one in hubs.values() if one is not hub]
        changed = _hub_values(values, hub, others)
        changed["store"] = {
            "postgres": {"hosts": [HUB_HOST], "port": postgres_port, "database": DATABASE}
        }
        changed["broker"] = {"agencies": list(agencies), "rabbitmq": broker}
        _write_yaml(hub.settings, changed)
    workers = {name: folder / f"worker-{name}.yaml" for name in WORKERS}
    for file in workers.values():
        _write_yaml(file, _worker_values(values, broker, hubs, agencies))
    samples = sample_requests(folder / "data", registry, played)
    return ClusterSite(
        folder,
        nation,
        registry,
        hubs,
        workers,
        agencies,
        Traffic(step, client, document, question, asker, samples),
    )


def _step_played(registry: MemberRegistry, simulated: set[str]) -> tuple[ServiceId, SubsystemId]:
    """What one agency is told, step by step, and who tells it."""
    for known, service in registry.services.items():
        if service.submission is None or not service.submission.is_ordered:
            continue
        clients = [client for client, granted in registry.grants if granted == known]
        if clients and adapters_of(service, registry) <= simulated:
            return known, clients[0]
    raise _no_story("an ordered submission to an agency that is simulated")


def _question_played(
    registry: MemberRegistry, manifests: Mapping[str, Manifest]
) -> tuple[ServiceId, SubsystemId]:
    """What an agency is asked, and who asks."""
    for question in questions_played(registry, manifests):
        clients = [client for client, granted in registry.grants if granted == question.service]
        if clients and manifests[registry.services[question.service].adapter].simulator:
            return question.service, clients[0]
    raise _no_story("a query to an agency that is simulated, whose answer its manifest shows")


def _no_story(missing: str) -> ConfigurationError:
    return ConfigurationError([Problem("routes.yaml", "", f"the demo needs {missing}")])


def _hub_site(folder: Path, name: str) -> HubSite:
    key_file = folder / "keys" / f"log-{name}.key"
    key_file.touch(mode=0o600)
    key_file.write_bytes(new_ed25519_pem())
    port = free_port()
    origin = f"{_ORIGIN}{name}"
    key = SigningKey(origin, read_ed25519_key(key_file))
    own = folder / f"hub-{name}"
    own.mkdir(mode=0o700)
    # What workers know a hub by, before it ran for the first time.
    _verifier_key(folder, name).write_text(f"{key.verifying_key}\n", "ascii")
    settings = folder / f"hub-{name}.yaml"
    return HubSite(name, origin, settings, f"http://{HUB_HOST}:{port}", own / "log", key)


def _verifier_key(folder: Path, name: str) -> Path:
    return folder / "trust" / f"log-{name}.vkey"


def _hub_values(values: dict[str, Any], hub: HubSite, others: list[HubSite]) -> dict[str, Any]:
    own = f"hub-{hub.name}"
    log = {
        **values["log"],
        "folder": f"{own}/log",
        "origin": hub.origin,
        "guard": f"{own}/last-signed",
        "signing_key": f"keys/log-{hub.name}.key",
        "others": [
            {
                "origin": one.origin,
                "signing_key": f"keys/log-{one.name}.key",
                "folder": f"{own}/log-of-{one.name}",
                "guard": f"{own}/last-signed-of-{one.name}",
            }
            for one in others
        ],
    }
    return {
        **values,
        "listen": {"host": HUB_HOST, "port": int(hub.url.rpartition(":")[2])},
        "public_url": hub.url,
        "log": log,
        "spool": f"{own}/spool",
        "judge_process": False,
        "probe_seconds": 0,
    }


def _broker_values(folder: Path, port: int) -> dict[str, Any]:
    secret = folder / "keys" / "broker.secret"
    secret.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    secret.touch(mode=0o600)
    secret.write_text("guest\n", "ascii")
    return {
        "nodes": [f"{HUB_HOST}:{port}"],
        "user": "guest",
        "password_file": "keys/broker.secret",
    }


def _worker_values(
    values: dict[str, Any],
    broker: dict[str, Any],
    hubs: Mapping[str, HubSite],
    agencies: tuple[str, ...],
) -> dict[str, Any]:
    return {
        "log_keys": [f"trust/log-{name}.vkey" for name in hubs],
        "broker": broker,
        "routes": "routes.yaml",
        "agencies": {one: values["agencies"][one] for one in agencies},
        "signers": values["signers"],
        "trust": values["trust"],
    }


def _write_yaml(path: Path, values: Mapping[str, Any]) -> None:
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True), "utf-8")
