"""A nation one of whose agencies has its worker elsewhere: the hub's files, the worker's files."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import yaml

from bus.settings.hub import HubSettings, read_hub_settings
from bus.settings.routes import read_registry
from bus.settings.service_form import TIMEOUT_SECONDS_MAX
from bus.settings.signer import SignerFiles
from bus.settings.worker import WorkerSettings, read_worker_settings
from bus.trust.key_store import read_ed25519_key
from signing.signed_note import SigningKey
from tests.nation import ANSWER, LOOKUP, PROVIDER, SAMPLE, SmallNation, make_small_nation

RECEIVER = "receiver"
"""The adapter whose work is done elsewhere."""
_MANIFEST = f"""\
id: {RECEIVER}
name: Cơ quan nhận
class: adapters.{RECEIVER}.adapter:Receiver
services:
  - {{code: {LOOKUP.service_code}, version: {LOOKUP.service_version}, sample: sample.xml}}
settings:
  folder: {{required: true, secret: false, description: Where what was taken lies}}
"""
_ADAPTER = f"""\
import os
import time
from pathlib import Path

from lxml import etree

from bus.kit.contract import Adapter, Answer, Delivered, Query, RecipientRefused, Submission

ANSWER = {ANSWER!r}


class Receiver(Adapter):
    def deliver(self, submission: Submission) -> Delivered:
        folder = Path(self.settings["folder"])
        begun = folder / f"{{submission.message_id}}.begun"
        begun.write_text(str(os.getuid()))
        while (folder / "hold").exists():
            time.sleep(0.02)
        (folder / submission.message_id).write_text(submission.idempotency_key)
        return Delivered(etree.fromstring(ANSWER))

    def answer(self, query: Query) -> Answer:
        folder = Path(self.settings["folder"])
        (folder / f"{{query.message_id}}.begun").write_text(str(os.getuid()))
        while (folder / "hold").exists():
            time.sleep(0.02)
        if (folder / "refuse").exists():
            raise RecipientRefused(public_detail="no such person")
        (folder / query.message_id).write_text(query.idempotency_key)
        return Answer(etree.fromstring(ANSWER))
"""


@dataclass(frozen=True)
class Elsewhere:
    """What lies where."""

    nation: SmallNation
    hub: HubSettings
    worker: WorkerSettings
    taken: Path
    """Where the agency puts what it took."""


def make_elsewhere(
    folder: Path,
    port: int,
    prefix: str,
    *,
    proves_senders: bool = False,
    asks_seconds: float = 0,
) -> Elsewhere:
    """Write all of it below a folder that others may walk through; the hub's is its owner's.

    `asks_seconds`: the lookup stays a query, that may take so long; 0: it is submitted.
    """
    nation = make_small_nation(folder / "hub", now=datetime.now(UTC))
    (folder / "hub").chmod(0o700)
    change: dict[str, object] = {"mode": "submission", "retry": {"first_seconds": 0.2}}
    if asks_seconds:
        change = {"timeout_seconds": asks_seconds}
    _let_lookup(nation.folder / "routes.yaml", change)
    worker_folder = folder / "worker"
    _write_worker(nation, worker_folder, port, prefix, proves_senders=proves_senders)
    broker = _broker(port, prefix, "guest.secret")
    hub_file = nation.settings.file
    shutil.copy(worker_folder / "guest.secret", hub_file.parent)
    hub = yaml.safe_load(hub_file.read_text("utf-8"))
    hub["broker"] = {"agencies": [RECEIVER], "rabbitmq": broker}
    hub_file.write_text(yaml.safe_dump(hub, allow_unicode=True), "utf-8")
    return Elsewhere(
        nation,
        read_hub_settings(hub_file),
        read_worker_settings(worker_folder / "worker.yaml"),
        worker_folder / "taken",
    )


def _let_lookup(routes: Path, change: dict[str, object]) -> None:
    """Let the lookup be done elsewhere, as a test wants it."""
    values = yaml.safe_load(routes.read_text("utf-8"))
    service = next(one for one in values["services"] if one["id"] == str(LOOKUP))
    service |= {"adapter": RECEIVER, "timeout_seconds": TIMEOUT_SECONDS_MAX} | change
    # Workers are programs, and may start slowly.
    values["limits"] = {**(values.get("limits") or {}), "order_wait_seconds": 600}
    routes.write_text(yaml.safe_dump(values, allow_unicode=True), "utf-8")
    read_registry(routes)


def _write_worker(
    nation: SmallNation, folder: Path, port: int, prefix: str, *, proves_senders: bool
) -> None:
    (folder / "taken").mkdir(parents=True)
    adapter = folder / "adapters" / RECEIVER
    adapter.mkdir(parents=True)
    (adapter / "__init__.py").write_text("")
    (adapter / "adapter.py").write_text(_ADAPTER)
    (adapter / "manifest.yaml").write_text(_MANIFEST)
    (adapter / "sample.xml").write_bytes(SAMPLE)
    (folder / "guest.secret").write_text("guest\n")
    shutil.copy(nation.folder / "routes.yaml", folder)
    files = nation.settings.signers[PROVIDER.member]
    assert isinstance(files, SignerFiles)
    shutil.copy(files.key, folder / "agency.key")
    shutil.copy(files.certificate, folder / "agency.crt")
    shutil.copy(nation.settings.trust.anchors[0], folder / "anchor.crt")
    log = nation.settings.log
    log_key = SigningKey(log.origin, read_ed25519_key(log.signing_key))
    (folder / "hub.vkey").write_text(f"{log_key.verifying_key}\n")
    settings = {
        "log_keys": ["hub.vkey"],
        "broker": _broker(port, prefix, "guest.secret"),
        "routes": "routes.yaml",
        "adapters": "adapters",
        "agencies": {RECEIVER: {"folder": str(folder / "taken")}},
        "signers": {str(PROVIDER.member): {"key": "agency.key", "certificate": "agency.crt"}},
    }
    if proves_senders:
        settings["trust"] = {"anchors": ["anchor.crt"]}
    (folder / "worker.yaml").write_text(yaml.safe_dump(settings, allow_unicode=True), "utf-8")
    for secret in ("guest.secret", "agency.key"):
        (folder / secret).chmod(0o600)


def _broker(port: int, prefix: str, password_file: str) -> dict[str, object]:
    return {
        "nodes": [f"127.0.0.1:{port}"],
        "user": "guest",
        "password_file": password_file,
        "prefix": prefix,
    }
