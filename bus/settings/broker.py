"""Say in a settings file which broker carries orders to workers, and how it is reached."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from bus.core.errors import Problem
from bus.settings.form import SettingsForm, SettingText, matching, pattern_schema
from bus.settings.yaml_document import KeyPath, YamlDocument

RABBITMQ_PORT = 5672
RABBITMQ_TLS_PORT = 5671
_NODE = re.compile(r"(?:\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::[0-9]{1,5})?\Z")
_AGENCY = re.compile(r"[a-z0-9_-]{1,40}\Z")
_PREFIX = re.compile(r"[a-z0-9-]{1,20}\Z")
_USER = re.compile(r"[A-Za-z0-9_.@-]{1,64}\Z")


# --- values ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RabbitTlsFiles:
    """How a broker proves itself, and we to it."""

    anchors: tuple[Path, ...]
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class RabbitSettings:
    """A broker of RabbitMQ; every path is absolute."""

    nodes: tuple[tuple[str, int], ...]
    user: str
    password_file: Path
    virtual_host: str
    prefix: str
    tls: RabbitTlsFiles | None
    file: Path
    """The settings file that says so."""


# --- the form ----------------------------------------------------------------------------------


NodeText = Annotated[
    str, matching(_NODE, "a host, or a host and its port: mq1.example:5671"), pattern_schema(_NODE)
]
AgencyText = Annotated[
    str,
    matching(_AGENCY, "the id of an adapter of at most 40 of a-z 0-9 _ -"),
    pattern_schema(_AGENCY),
]


class RabbitTlsForm(SettingsForm):
    """TLS towards a broker."""

    anchors: Annotated[list[SettingText], Field(min_length=1)]
    """Files of CA certificates that the broker's own leads to; its name must be that of `nodes`."""
    certificate: SettingText | None = None
    """The file of a certificate that we show, if the broker wants one (PEM)."""
    key: SettingText | None = None
    """The file of its key (PEM, not encrypted)."""


class RabbitForm(SettingsForm):
    """A broker of RabbitMQ, and who we are to it."""

    nodes: Annotated[list[NodeText], Field(min_length=1, max_length=16)]
    """Its nodes, `host` or `host:port`; any one that answers will do."""
    user: Annotated[str, matching(_USER, "the name of a user"), pattern_schema(_USER)]
    """The user of the broker; a hub and each agency's workers have one of their own."""
    password_file: SettingText
    """The file whose first line is the user's password."""
    virtual_host: SettingText = "/"
    """The virtual host, if the broker has several."""
    prefix: Annotated[
        str, matching(_PREFIX, "at most 20 of a-z 0-9 -"), pattern_schema(_PREFIX)
    ] = "lt"
    """What the names of its queues begin with; two installations may share a broker."""
    tls: RabbitTlsForm | None = None
    """TLS; without it anybody on the way may read what is carried."""


# --- reading -----------------------------------------------------------------------------------


def rabbit_problems(document: YamlDocument, path: KeyPath) -> Iterator[Problem]:
    """What no single key is wrong in: a certificate without key, a port that is none."""
    section = document.values
    for step in path:
        section = section.get(str(step)) if isinstance(section, dict) else None
    if not isinstance(section, dict):
        return
    tls = section.get("tls")
    if isinstance(tls, dict) and ("key" in tls) != ("certificate" in tls):
        yield document.problem((*path, "tls"), "expected both certificate and key, or none")
    nodes = section.get("nodes")
    for number, node in enumerate(nodes if isinstance(nodes, list) else []):
        found = re.search(r":([0-9]{1,5})\Z", node) if isinstance(node, str) else None
        if found and not 1 <= int(found[1]) <= 65535:
            yield document.problem((*path, "nodes", number), "expected a port up to 65535")


def rabbit_settings(form: RabbitForm, file: Path) -> RabbitSettings:
    """The values of a form; `file` (absolute) is where its paths start from."""
    base, tls = file.parent, form.tls
    usual_port = RABBITMQ_PORT if tls is None else RABBITMQ_TLS_PORT
    return RabbitSettings(
        nodes=tuple(_node(text, usual_port) for text in form.nodes),
        user=form.user,
        password_file=base / form.password_file,
        virtual_host=form.virtual_host,
        prefix=form.prefix,
        tls=None
        if tls is None
        else RabbitTlsFiles(
            tuple(base / anchor for anchor in tls.anchors),
            base / tls.certificate if tls.certificate else None,
            base / tls.key if tls.key else None,
        ),
        file=file,
    )


def _node(text: str, usual_port: int) -> tuple[str, int]:
    host, separator, port = text.rpartition(":")
    if not separator or text.endswith("]"):
        return text.strip("[]"), usual_port
    return host.strip("[]"), int(port)
