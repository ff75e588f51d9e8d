"""Answer what is asked by GET: health, the services, their WSDL, the clients of the nation."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qs

_TEXT = "text/plain; charset=utf-8"
_XML = "text/xml; charset=utf-8"
_JSON = "application/json"
_WSDL_PARAMETERS = (
    "xRoadInstance",
    "memberClass",
    "memberCode",
    "subsystemCode",
    "serviceCode",
    "version",
)
_SOAP_1_2 = "1.2"


@dataclass(frozen=True, slots=True)
class ServiceDescription:
    """What goes back to a GET."""

    status: int
    body: bytes = field(repr=False)
    content_type: str


READY = ServiceDescription(200, b"ready\n", _TEXT)


class DescribedHub(Protocol):
    """What is told of a hub."""

    async def troubles(self) -> tuple[str, ...]:
        """Why it can take no message now; empty: a probe went through just now."""
        ...

    def describe(self, service: str, *, is_soap_1_2: bool = False) -> bytes | None:
        """The WSDL of a service, named as `VN/GOV/G01/dancu/Code/v1`; None: there is none."""
        ...

    def services(self) -> Mapping[str, str]:
        """Titles by service id."""
        ...

    def clients(self, instance: str, *, is_json: bool) -> bytes | None:
        """The clients of the nation, in XML or JSON; None: there is no such instance.

        An empty instance is the hub's own.
        """
        ...


async def description_of(
    hub: DescribedHub, scope: MutableMapping[str, Any]
) -> ServiceDescription | None:
    """The answer to a GET or HEAD; None: it asks for no description."""
    path: str = scope["path"]
    query: str = scope["query_string"].decode("latin-1")
    parameters = parse_qs(query, keep_blank_values=True)
    if path == "/health":
        # Why it is not ready is for its operator, at another door.
        is_ready = not await hub.troubles()
        return READY if is_ready else ServiceDescription(503, b"not ready\n", _TEXT)
    if path == "/services":
        lines = (f"{service}\t{title}\n" for service, title in hub.services().items())
        return ServiceDescription(200, "".join(sorted(lines)).encode(), _TEXT)
    if path == "/listClients":
        instance = _first(parameters, "xRoadInstance")
        return _clients(hub, instance, is_json=_accepts_json(scope))
    if path.startswith("/services/") and query.lower().startswith("wsdl"):
        return _wsdl(hub, path.removeprefix("/services/"), parameters)
    if path == "/wsdl":
        # Clients of older X-Road servers ask like this; so does pyxroad.
        parts = [_first(parameters, name) for name in _WSDL_PARAMETERS]
        return _wsdl(hub, "/".join(parts), parameters)
    return None


def _wsdl(
    hub: DescribedHub, service: str, parameters: Mapping[str, list[str]]
) -> ServiceDescription:
    is_soap_1_2 = _first(parameters, "soap") == _SOAP_1_2
    wsdl = hub.describe(service, is_soap_1_2=is_soap_1_2)
    if wsdl is None:
        return ServiceDescription(404, b"There is no such service; see /services.\n", _TEXT)
    return ServiceDescription(200, wsdl, _XML)


def _clients(hub: DescribedHub, instance: str, *, is_json: bool) -> ServiceDescription:
    clients = hub.clients(instance, is_json=is_json)
    if clients is None:
        return ServiceDescription(404, b"There is no such instance here.\n", _TEXT)
    return ServiceDescription(200, clients, _JSON if is_json else _XML)


def _first(parameters: Mapping[str, list[str]], name: str) -> str:
    return parameters.get(name, [""])[0]


def _accepts_json(scope: MutableMapping[str, Any]) -> bool:
    """X-Road Service Metadata Protocol §2: XML, unless JSON is asked for."""
    headers: dict[bytes, bytes] = dict(scope["headers"])
    accepted = (one.split(b";")[0].strip() for one in headers.get(b"accept", b"").split(b","))
    return any(one.lower() == b"application/json" for one in accepted)
