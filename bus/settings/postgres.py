"""Say in hub.yaml which PostgreSQL database keeps the log, and how its server is known."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from bus.core.errors import Problem
from bus.settings.form import SettingsForm, SettingText, matching, pattern_schema
from bus.settings.yaml_document import KeyPath, YamlDocument

_HOST = re.compile(r"(/[^\s,]*|[A-Za-z0-9.:_-]+)\Z")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,62}\Z")


@dataclass(frozen=True, slots=True)
class PostgresTls:
    """How a server is known, and who we are to it."""

    anchors: Path
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class PostgresSettings:
    """One database, and where its server is."""

    hosts: tuple[str, ...]
    """Names, addresses or folders of sockets: whichever takes writes is the one."""
    port: int
    database: str
    user: str
    password_file: Path | None = None
    tls: PostgresTls | None = None
    """None: a server of this machine alone."""

    @property
    def shown(self) -> str:
        """Names the database in diagnostics."""
        return f"postgres {','.join(self.hosts)}:{self.port}/{self.database}"


HostOrFolder = Annotated[
    str,
    matching(_HOST, "a host's name or address, or the folder of a socket"),
    pattern_schema(_HOST),
]
DatabaseName = Annotated[
    str,
    matching(_NAME, "a name of letters, digits, `_`, `.` and `-`"),
    pattern_schema(_NAME),
]


class PostgresTlsForm(SettingsForm):
    """TLS to the server: it must have a certificate with the name that it is asked under."""

    anchors: SettingText
    """The file of CA certificates that the server's certificate must lead to (PEM)."""
    certificate: SettingText | None = None
    """The file of the hub's own certificate (PEM), for a server that asks for one."""
    key: SettingText | None = None
    """The file of its key (PEM); nobody but the hub may read it."""


class PostgresForm(SettingsForm):
    """A PostgreSQL database, made by `lienthong db upgrade`."""

    hosts: Annotated[list[HostOrFolder], Field(min_length=1, max_length=16)]
    """Where its servers are; the hub stays with whichever takes writes."""
    port: Annotated[int, Field(ge=1, le=65535)] = 5432
    """The port of each."""
    database: DatabaseName = "lienthong"
    """The name of the database; nothing else lies in its schema `lienthong`."""
    user: DatabaseName = "lienthong"
    """Whom the hub is to the server."""
    password_file: SettingText | None = None
    """The file of the user's password."""
    tls: PostgresTlsForm | None = None
    """How the server is known; only a server of this machine is spoken to without."""


class StoreForm(SettingsForm):
    """Which database keeps the log."""

    postgres: PostgresForm
    """A PostgreSQL server."""


def postgres_settings(form: StoreForm | None, base: Path) -> PostgresSettings | None:
    """The settings, None: the log lies in SQLite; relative paths start from `base`."""
    if form is None:
        return None
    given = form.postgres
    return PostgresSettings(
        hosts=tuple(given.hosts),
        port=given.port,
        database=given.database,
        user=given.user,
        password_file=base / given.password_file if given.password_file else None,
        tls=_tls(given.tls, base),
    )


def _tls(form: PostgresTlsForm | None, base: Path) -> PostgresTls | None:
    if form is None:
        return None
    return PostgresTls(
        anchors=base / form.anchors,
        certificate=base / form.certificate if form.certificate else None,
        key=base / form.key if form.key else None,
    )


def store_problems(document: YamlDocument, at: KeyPath) -> Iterator[Problem]:
    """What no single field tells of the settings at this path."""
    given = document.values
    for step in at:
        given = given.get(str(step)) if isinstance(given, dict) else None
    if not isinstance(given, dict):
        return
    tls, hosts = given.get("tls"), given.get("hosts")
    if tls is None and isinstance(hosts, list):
        for place, host in enumerate(hosts):
            if isinstance(host, str) and not is_of_this_machine(host):
                problem = "expected `tls`, or a host of this machine: nobody may listen"
                yield document.problem((*at, "hosts", place), problem)
    if isinstance(tls, dict) and ("certificate" in tls) != ("key" in tls):
        yield document.problem((*at, "tls"), "expected `certificate` and `key`, or neither")


def is_of_this_machine(host: str) -> bool:
    """A socket's folder, or an address of the loopback; a name could be anybody's."""
    if host.startswith("/"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
