"""The nation of X-Road's test messages: a hub, an access point of the client, and the provider."""

from __future__ import annotations

import contextlib
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

import schemas
from bus.access_point.door import AccessPointDoor
from bus.access_point.opening import open_access_point
from bus.access_point.settings import read_access_point_settings
from bus.client.hub_client import read_known_hub
from bus.core.identifiers import MemberId, SubsystemId
from bus.doors.soap import HttpDoor
from bus.http.spool import Spool
from bus.hub import open_hub
from bus.protocols.soap_xroad.verify_answer import KnownHub
from bus.runtime.clock import now as read_clock
from bus.sandbox.nation_files import PreparedNation, prepare_nation
from bus.settings.hub import read_hub_settings
from bus.settings.trust import HubFiles
from bus.trust.key_store import read_signer
from signing.pki.keys import Signer
from tests.access_point.running_access_point import serving
from tests.conformance.provider import Provider, ProviderAdapter, running_provider
from tests.conformance.table import VECTORS, read_registry

CLIENT = "EE/BUSINESS/consumer"
CLIENT_SYSTEM = "subsys1"
SPOOL_BYTES_MAX = 2**26


@dataclass(frozen=True, slots=True)
class RunningNation:
    """Everything that a row may be sent to."""

    hub_url: str
    access_point_url: str
    snake_access_point_url: str
    """One that spells faultcodes as X-Road does from 7.8."""
    known: KnownHub
    signer: Signer = field(repr=False)
    provider: Provider


@contextmanager
def running_nation(folder: Path, *, without_grant: str = "") -> Iterator[RunningNation]:
    """Hub, access point and provider, each behind a socket of this machine."""
    prepared = _prepare(folder, without_grant)
    with running_provider() as provider, _served_hub(prepared, provider) as hub_url:
        hub = MemberId.parse("/".join(read_registry()["hub"].split("/")[:3]))
        anchor, log_key = prepared.anchor, folder / "log" / "checkpoint.vkey"
        with (
            _served_access_point(prepared, hub_url, str(hub)) as access_point_url,
            _served_access_point(prepared, hub_url, str(hub), spelling="snake") as snake_url,
        ):
            yield RunningNation(
                hub_url=hub_url,
                access_point_url=access_point_url,
                snake_access_point_url=snake_url,
                known=read_known_hub(HubFiles((anchor,), log_key), hub),
                signer=read_signer(prepared.signers[SubsystemId.parse(CLIENT)]),
                provider=provider,
            )


def _prepare(folder: Path, without_grant: str) -> PreparedNation:
    values = read_registry()
    for grant in values["grants"]:
        grant["services"] = [one for one in grant["services"] if one != without_grant]
    folder.mkdir(parents=True)
    routes = folder / "nation.yaml"
    routes.write_text(yaml.dump(values, Dumper=_Whole, allow_unicode=True, sort_keys=False))
    prepared = prepare_nation(folder, now=read_clock(), hub_port=1, agency_ports={}, routes=routes)
    shutil.copytree(Path(schemas.__file__).parent, folder / "schemas", dirs_exist_ok=True)
    shutil.copytree(VECTORS / "schemas", folder / "schemas" / "vectors")
    return prepared


class _Whole(yaml.SafeDumper):
    """Writes what stands twice twice: routes.yaml has no references."""

    def ignore_aliases(self, data: object) -> bool:
        return True


@contextmanager
def _served_hub(prepared: PreparedNation, provider: Provider) -> Iterator[str]:
    settings = read_hub_settings(prepared.hub_settings)
    settings = replace(settings, schemas=prepared.folder / "schemas")
    spool = Spool(None, bytes_max=SPOOL_BYTES_MAX)
    with _closed_port() as port:
        adapters = {
            "provider": ProviderAdapter(provider.address, spool),
            "away": ProviderAdapter(f"http://127.0.0.1:{port}/", spool),
        }

        async def open_application(stack: contextlib.AsyncExitStack) -> Any:
            hub = await open_hub(settings, adapters=adapters)
            stack.push_async_callback(hub.close)
            return HttpDoor(hub)

        with serving(open_application) as url:
            yield url


@contextmanager
def _served_access_point(
    prepared: PreparedNation, hub_url: str, hub: str, *, spelling: str = "pascal"
) -> Iterator[str]:
    files = prepared.signers[SubsystemId.parse(CLIENT)]
    values = {
        "member": CLIENT,
        "systems": {CLIENT_SYSTEM: {}},
        "itself": {},
        "signer": {"key": str(files.key), "certificate": str(files.certificate)},
        "hub": {"url": hub_url, "member": hub, "log_key": "log/checkpoint.vkey"},
        "trust": {"anchors": [str(prepared.anchor)]},
        "evidence": f"evidence-{spelling}",
        "faults": {"http_status": 200, "spelling": spelling},
    }
    path = prepared.folder / f"access-point-{spelling}.yaml"
    path.write_text(yaml.safe_dump(values))
    settings = read_access_point_settings(path)

    async def open_application(stack: contextlib.AsyncExitStack) -> Any:
        access_point = await open_access_point(settings)
        stack.push_async_callback(access_point.close)
        door = AccessPointDoor(access_point, exchanges_at_once_max=4)
        stack.callback(door.close)
        return door

    with serving(open_application) as url:
        yield url


@contextmanager
def _closed_port() -> Iterator[int]:
    """A port that refuses connections: bound, so that nobody else gets it, and not listening."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]
