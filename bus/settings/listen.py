"""Say in a settings file where a program listens, and at which URL it is reached."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from bus.settings.form import SettingsForm, SettingText, matching, pattern_schema

_HTTP_URL = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+(:[0-9]{1,5})?(/[^\s?#]*)?\Z")


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where the doors are."""

    host: str
    port: int


HttpUrlText = Annotated[
    str, matching(_HTTP_URL, "an address as http://host:port/path"), pattern_schema(_HTTP_URL)
]


class ListenForm(SettingsForm):
    """Where the doors are."""

    host: SettingText = "127.0.0.1"
    """The address to listen on."""
    port: Annotated[int, Field(ge=1, le=65535)] = 8080
    """The port to listen on."""


def is_loopback(host: str) -> bool:
    """Whether an address is one of this machine, which nobody else reaches."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252}[A-Za-z0-9_])?\Z")
HostText = Annotated[
    str,
    matching(_NAME, "a name or an IPv4 address, without port"),
    pattern_schema(_NAME),
]
HostTexts = Annotated[list[HostText], Field(default_factory=list)]
