"""An access point that really runs in a test: a hub behind it, its door before it, over HTTP."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import http.client
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvicorn
import yaml

from bus.access_point.door import AccessPointDoor
from bus.access_point.opening import open_access_point
from bus.access_point.settings import AccessPointSettings, read_access_point_settings
from bus.access_point.store import ExchangeStore, StoreBounds
from bus.core.identifiers import ServiceId, SubsystemId
from bus.doors.soap import HttpDoor
from bus.http.server_protocol import SeeingProtocol
from bus.hub import open_hub
from bus.trust.key_store import read_ed25519_key
from signing.names import SOAP11
from signing.signed_note import SigningKey
from tests.hang_limits import HANG_SECONDS_MAX
from tests.hub.running_hub import ScriptedAgency, SetClock
from tests.nation import CLIENT, HUB, LOOKUP, SAMPLE, SmallNation, carried_by

XROAD = "http://x-road.eu/xsd/xroad.xsd"
IDENTIFIERS = "http://x-road.eu/xsd/identifiers"


def plain_request(
    message_id: str = "plain-1",
    *,
    client: SubsystemId = CLIENT,
    service: ServiceId = LOOKUP,
    soap: str = SOAP11,
    body: bytes = SAMPLE,
    order: tuple[str, ...] = ("client", "service", "userId", "id", "protocolVersion"),
    user_id: str = "VN0117",
    extra_header: str = "",
    declaration: str = "",
) -> bytes:
    """A request as X-Road's clients send it: no signature, header blocks in an order of theirs."""
    blocks = {
        "client": _identifier("client", "SUBSYSTEM", _client_parts(client)),
        "service": _identifier("service", "SERVICE", _service_parts(service)),
        "userId": f"<xro:userId>{user_id}</xro:userId>",
        "id": f"<xro:id>{message_id}</xro:id>",
        "issue": "<xro:issue>H41-2026-1</xro:issue>",
        "protocolVersion": "<xro:protocolVersion>4.0</xro:protocolVersion>",
    }
    header = "\n    ".join(blocks[name] for name in order)
    return (
        (
            f'{declaration}<soapenv:Envelope xmlns:soapenv="{soap}" xmlns:xro="{XROAD}"'
            f' xmlns:iden="{IDENTIFIERS}">\n  <soapenv:Header>\n    {header}{extra_header}\n'
            "  </soapenv:Header>\n  <soapenv:Body>\n"
        ).encode()
        + body
        + b"\n  </soapenv:Body>\n</soapenv:Envelope>\n"
    )


def _identifier(name: str, object_type: str, parts: Mapping[str, str]) -> str:
    children = "".join(f"<iden:{part}>{text}</iden:{part}>" for part, text in parts.items())
    return f'<xro:{name} iden:objectType="{object_type}">{children}</xro:{name}>'


def _client_parts(client: SubsystemId) -> dict[str, str]:
    return {
        "xRoadInstance": client.member.instance,
        "memberClass": client.member.member_class,
        "memberCode": client.member.member_code,
        "subsystemCode": client.subsystem_code,
    }


def _service_parts(service: ServiceId) -> dict[str, str]:
    return {
        **_client_parts(service.provider),
        "serviceCode": service.service_code,
        "serviceVersion": service.service_version,
    }


def request_hash(raw: bytes) -> str:
    """What X-Road's clients expect as requestHash of what they sent."""
    return base64.b64encode(hashlib.sha512(raw).digest()).decode()


# --- servers -----------------------------------------------------------------------------------


OpenApplication = Callable[[contextlib.AsyncExitStack], Awaitable[Any]]
"""Opens an ASGI application; what it puts on the stack is closed when it is over."""


class Serving:
    """An ASGI application behind a socket, in a thread with an event loop of its own."""

    def __init__(self, open_application: OpenApplication, tls: ssl.SSLContext | None) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self.socket.getsockname()[1]}"
        self._open_application = open_application
        self._tls = tls
        self._server: uvicorn.Server | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    async def _serve(self) -> None:
        async with contextlib.AsyncExitStack() as stack:
            application = await self._open_application(stack)
            configuration = uvicorn.Config(
                application, http=SeeingProtocol, ws="none", lifespan="off", log_config=None
            )
            configuration.load()
            configuration.ssl = self._tls
            self._server = uvicorn.Server(configuration)
            self._ready.set()
            await self._server.serve(sockets=[self.socket])

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(HANG_SECONDS_MAX)

    def stop(self) -> None:
        if self._server is not None:
            self._server.should_exit = True
        self._thread.join()
        self.socket.close()


@contextmanager
def serving(
    open_application: OpenApplication, *, tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    server = Serving(open_application, tls)
    server.start()
    try:
        yield server.url
    finally:
        server.stop()


@dataclass(frozen=True, slots=True)
class ServedHub:
    """A hub over HTTP, its agency, and the clock that it and its access point read."""

    url: str
    agency: ScriptedAgency
    clock: SetClock
    log_folder: Path


@contextmanager
def served_hub(nation: SmallNation, folder: Path) -> Iterator[ServedHub]:
    """A hub over a log in `folder`, behind a real socket. LOOKUP takes attachments there."""
    folder.mkdir(parents=True, exist_ok=True)
    routes = folder / "routes.yaml"
    service, rule = (
        f"- id: {LOOKUP}\n",
        "    attachments: {max: 2}\n    answer_attachments: {max: 1}\n",
    )
    text = nation.settings.routes.read_text()
    assert service in text
    routes.write_text(text.replace(service, service + rule))
    log = replace(nation.settings.log, folder=folder / "log", guard=folder / "guard")
    settings = replace(nation.settings, routes=routes, log=log, show_precise_faults=True)
    agency, clock = ScriptedAgency(), SetClock()

    async def open_application(stack: contextlib.AsyncExitStack) -> Any:
        adapters = carried_by(agency)
        hub = await open_hub(settings, adapters=adapters, clock=clock)
        stack.push_async_callback(hub.close)
        return HttpDoor(hub)

    with serving(open_application) as url:
        yield ServedHub(url, agency, clock, log.folder)


@dataclass(frozen=True, slots=True)
class PlainReply:
    """What a system gets back."""

    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class RunningAccessPoint:
    """An access point behind a real socket."""

    url: str
    settings: AccessPointSettings

    def post(
        self,
        raw: bytes,
        *,
        target: str = "/",
        method: str = "POST",
        content_type: str = "text/xml; charset=utf-8",
        soap_action: str = '""',
        tls: ssl.SSLContext | None = None,
    ) -> PlainReply:
        headers = {"Content-Type": content_type, "SOAPAction": soap_action}
        return self._ask(method, target, raw, headers, tls)

    def get(self, target: str) -> PlainReply:
        return self._ask("GET", target, b"", {}, None)

    def _ask(
        self,
        method: str,
        target: str,
        raw: bytes,
        headers: dict[str, str],
        tls: ssl.SSLContext | None,
    ) -> PlainReply:
        address = urlsplit(self.url).netloc
        connection = (
            http.client.HTTPSConnection(address, timeout=HANG_SECONDS_MAX, context=tls)
            if tls
            else http.client.HTTPConnection(address, timeout=HANG_SECONDS_MAX)
        )
        with contextlib.closing(connection):
            connection.request(method, target, raw, headers)
            reply = connection.getresponse()
            return PlainReply(
                reply.status,
                {name.lower(): value for name, value in reply.getheaders()},
                reply.read(),
            )

    def store(self) -> ExchangeStore:
        """What it keeps, opened beside it."""
        return ExchangeStore.open(self.settings.evidence, StoreBounds(1000, 1000))


def write_settings(
    nation: SmallNation, folder: Path, hub_url: str, **changes: Any
) -> AccessPointSettings:
    """Write the settings of an access point of CLIENT's agency, and read them as it does."""
    folder.mkdir(parents=True, exist_ok=True)
    log = nation.settings.log
    key = SigningKey(log.origin, read_ed25519_key(log.signing_key)).verifying_key
    (folder / "hub.vkey").write_text(f"{key}\n")
    name = str(CLIENT).replace("/", "-")
    values = {
        "member": str(CLIENT.member),
        "systems": {CLIENT.subsystem_code: {}},
        "signer": {
            "key": str(nation.folder / "keys" / f"{name}.key"),
            "certificate": str(nation.folder / "keys" / f"{name}.crt"),
        },
        "hub": {"url": hub_url, "member": str(HUB.member), "log_key": "hub.vkey"},
        "trust": {"anchors": [str(nation.folder / "trust" / "ca.crt")]},
        "evidence": "evidence",
        **changes,
    }
    (folder / "access-point.yaml").write_text(yaml.safe_dump(values))
    return read_access_point_settings(folder / "access-point.yaml")


@contextmanager
def running_access_point(
    settings: AccessPointSettings,
    clock: SetClock,
    *,
    tls: ssl.SSLContext | None = None,
) -> Iterator[RunningAccessPoint]:
    """An access point with these settings, on a free port."""

    async def open_application(stack: contextlib.AsyncExitStack) -> Any:
        access_point = await open_access_point(settings, clock=clock)
        stack.push_async_callback(access_point.close)
        door = AccessPointDoor(access_point, exchanges_at_once_max=8)
        stack.callback(door.close)
        return door

    with serving(open_application, tls=tls) as url:
        yield RunningAccessPoint(url, settings)
