"""Ask a running hub how it is."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

from bus.http.bounded_get import Bounds, FetchFailed, FetchRequest, ReplyUnfit, fetch
from bus.operations.hub_status import HubStatus
from bus.settings.listen import ListenAddress

STATUS_BYTES_MAX = 1024 * 1024
_PARTS = {field.name for field in fields(HubStatus)}
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - compared only
_NO_DOOR = "{}: what answers there is no operators' door of a hub"


class HubNotAsked(Exception):
    """No hub answers there, or not with a status; the text says why."""


def operations_url(address: ListenAddress) -> str:
    """Where the operators' door is, for somebody on the same machine."""
    host = _ANY_ADDRESS.get(address.host, address.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{address.port}"


def read_hub_status(url: str, *, timeout_seconds: float = 10) -> dict[str, Any]:
    """The status as the hub tells it. Raises HubNotAsked."""
    address = f"{url.rstrip('/')}/status"
    try:
        body = fetch(FetchRequest(address), Bounds(timeout_seconds, STATUS_BYTES_MAX))
    except ReplyUnfit as error:
        raise HubNotAsked(_NO_DOOR.format(url)) from error
    except FetchFailed as error:
        raise HubNotAsked(f"{url}: no hub answers ({error})") from error
    try:
        values = json.loads(body)
    except ValueError as error:
        raise HubNotAsked(_NO_DOOR.format(url)) from error
    if not isinstance(values, dict) or not values.keys() >= _PARTS:
        raise HubNotAsked(_NO_DOOR.format(url))
    return values
