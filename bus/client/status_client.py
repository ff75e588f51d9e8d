"""Ask a running hub how it is."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import requests

from bus.operations.hub_status import HubStatus
from bus.settings.listen import ListenAddress

STATUS_BYTES_MAX = 1024 * 1024
_PARTS = {field.name for field in fields(HubStatus)}
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - compared only


class HubNotAsked(Exception):
    """No hub answers there, or not with a status; the text says why."""


def operations_url(address: ListenAddress) -> str:
    """Where the operators' door is, for somebody on the same machine."""
    host = _ANY_ADDRESS.get(address.host, address.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{address.port}"


def read_hub_status(url: str, *, timeout_seconds: float = 10) -> dict[str, Any]:
    """The status as the hub tells it. Raises HubNotAsked."""
    try:
        reply = requests.get(
            f"{url.rstrip('/')}/status", timeout=timeout_seconds, allow_redirects=False
        )
        values = reply.json() if len(reply.content) <= STATUS_BYTES_MAX else None
    except requests.JSONDecodeError as error:
        raise HubNotAsked(f"{url}: what answers there is no operators' door of a hub") from error
    except requests.RequestException as error:
        raise HubNotAsked(f"{url}: no hub answers ({type(error).__name__})") from error
    if not isinstance(values, dict) or not _is_status(reply, values):
        raise HubNotAsked(f"{url}: what answers there is no operators' door of a hub")
    return values


def _is_status(reply: requests.Response, values: dict[str, Any]) -> bool:
    return reply.status_code == requests.codes.ok and values.keys() >= _PARTS
