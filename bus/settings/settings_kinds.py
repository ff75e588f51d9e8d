"""Say which file it is that was given in the place of another settings file."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from bus.core.errors import ConfigurationError, Problem
from bus.settings.yaml_document import YamlDocument


class SettingsKind(StrEnum):
    """The files that an operator writes, as they are told of."""

    ROUTES = "routes.yaml"
    HUB = "hub.yaml"
    ACCESS_POINT = "the settings of an access point"
    WORKER = "worker.yaml"
    MANIFEST = "the manifest of an adapter"


_KEYS: Mapping[SettingsKind, frozenset[str]] = MappingProxyType(
    {
        SettingsKind.ROUTES: frozenset({"members", "services", "grants"}),
        SettingsKind.HUB: frozenset({"routes", "log", "hub_signer"}),
        SettingsKind.ACCESS_POINT: frozenset({"member", "systems", "evidence"}),
        SettingsKind.WORKER: frozenset({"log_keys"}),
        SettingsKind.MANIFEST: frozenset({"class", "services", "settings"}),
    }
)
"""Keys that together stand in files of one kind only."""


def check_kind(document: YamlDocument, expected: SettingsKind) -> None:
    """Raise ConfigurationError if a document is plainly of another kind than expected.

    One sentence instead of a complaint about each of its keys.
    """
    if not isinstance(document.values, dict):
        return
    keys = set(document.values)
    for kind, typical in _KEYS.items():
        if kind is not expected and typical <= keys and not _KEYS[expected] & keys - typical:
            message = f"expected {expected}; this is {kind}"
            raise ConfigurationError([Problem(document.file, "", message)])
