"""Find the agencies of a sandbox by their manifests: who simulates each, and how it is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bus.core.registry import MemberRegistry
from bus.delivery.adapter_folder import FILE_SUFFIX, read_adapter_folder
from bus.delivery.carrying import adapters_named
from bus.kit.manifest import SECRET, Manifest, SettingRule
from bus.sandbox.kept_edits import found_text
from bus.settings.hub import packaged_folder
from bus.trust.key_store import read_secret

AGENCY_HOST = "127.0.0.1"
HUB_ACCOUNT = "truclienthong"
"""Under which name the simulated agencies know the hub."""
NOBODY_PORT = 9
"""Of `discard`: where no agency listens. RFC 863."""


@dataclass(frozen=True, slots=True)
class AgencyAccount:
    """An agency of the sandbox, where it listens, and how the hub is known there."""

    manifest: Manifest
    port: int
    secret_file: Path
    """Of the hub's account; it is there if a setting of the adapter is secret."""

    @property
    def address(self) -> str:
        return f"http://{AGENCY_HOST}:{self.port}"

    @property
    def has_simulator(self) -> bool:
        return self.manifest.simulator is not None

    def settings(self) -> dict[str, str]:
        """The adapter's settings, with the secret itself: what a simulator is started with."""
        secret = read_secret(self.secret_file) if self.needs_secret else ""
        return self._settings(secret)

    def hub_values(self) -> dict[str, str]:
        """The adapter's section of hub.yaml, which names the file of the secret."""
        name = f"keys/{self.secret_file.name}"
        rules = self.manifest.settings
        return {
            f"{key}{FILE_SUFFIX}" if rules[key].is_secret else key: text
            for key, text in self._settings(name).items()
        }

    @property
    def needs_secret(self) -> bool:
        return SECRET in self._settings(SECRET).values()

    def _settings(self, secret: str) -> dict[str, str]:
        simulator = self.manifest.simulator
        if simulator is not None:
            return simulator.settings_at(self.address, HUB_ACCOUNT, secret)
        required = [rule for rule in self.manifest.settings.values() if rule.is_required]
        return {rule.key: self._stand_in(rule, secret) for rule in required}

    def _stand_in(self, rule: SettingRule, secret: str) -> str:
        """What an adapter is opened with whose agency nobody simulates; its operator changes it."""
        if rule.is_secret:
            return secret
        is_address = rule.key == "url" or rule.key.endswith("_url")
        return self.address if is_address else HUB_ACCOUNT


def routed_manifests(folder: Path, routes: MemberRegistry) -> Mapping[str, Manifest]:
    """The adapters that routes name, by id, from the folder that a sandbox's hub.yaml names.

    Raises ConfigurationError.
    """
    named = found_text(folder / "hub.yaml", "adapters")
    adapters = folder / named if named else packaged_folder("adapters")
    return read_adapter_folder(adapters, adapters_named(routes))


def agency_accounts(
    folder: Path, manifests: Mapping[str, Manifest], ports: Mapping[str, int]
) -> dict[str, AgencyAccount]:
    """Every agency with the port where it listens, by adapter id."""
    return {
        adapter: AgencyAccount(
            manifest, ports.get(adapter, NOBODY_PORT), folder / "keys" / f"{adapter}.secret"
        )
        for adapter, manifest in manifests.items()
    }
