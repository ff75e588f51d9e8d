"""Make the adapter that a manifest names, and find the simulator that it names."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from bus.core.errors import ConfigurationError, Problem
from bus.http.refused_settings import refused_keys
from bus.kit.contract import Adapter
from bus.kit.manifest import MANIFEST_NAME, Manifest
from bus.kit.simulator import SimulatedAgency
from bus.settings.form import did_you_mean

Blame = Callable[[str, str], Problem]
"""From the key of a setting (empty: all of them) and a message to a problem with its place."""


def load_adapter(
    manifest: Manifest, settings: Mapping[str, str], *, blame: Blame | None = None
) -> Adapter:
    """Make the adapter that a manifest names, with the operator's settings.

    `blame` says where the settings stand; without it, they are known by their keys only.
    Raises ConfigurationError: a setting is missing or not known, the class cannot be imported or
    is no Adapter, or its constructor refuses the settings.
    """
    at = blame or partial(_without_place, manifest)
    if wrong := settings_problems(manifest, settings):
        raise ConfigurationError([at(key, message) for key, message in wrong])
    adapter_class = load_adapter_class(manifest)
    try:
        return adapter_class(dict(settings))
    except (ValueError, OSError) as error:
        keys = refused_keys(error, settings)
        reason = str(error.strerror if isinstance(error, OSError) and keys else error)
        if not keys:
            reason = f"the adapter refuses its settings: {type(error).__name__}: {reason}"
        raise ConfigurationError([at(key, reason) for key in keys or [""]]) from error
    except Exception as error:  # an adapter's constructor may fail in any way
        reason = f"{type(error).__name__}: {error}"
        raise _refused(manifest, f"the adapter cannot be made: {reason}") from error


def _without_place(manifest: Manifest, key: str, message: str) -> Problem:
    path = f"settings.{key}" if key else "settings"
    return Problem(str(manifest.folder / MANIFEST_NAME), path, message)


def settings_problems(manifest: Manifest, settings: Mapping[str, str]) -> list[tuple[str, str]]:
    """What is missing from an adapter's settings, and what it does not know: keys with reasons."""
    missing = [
        (key, f"the adapter needs this setting: {rule.description}")
        for key, rule in manifest.settings.items()
        if rule.is_required and not settings.get(key)
    ]
    unknown = [
        (key, "the adapter does not know this setting." + did_you_mean(key, manifest.settings))
        for key in settings
        if key not in manifest.settings
    ]
    return missing + unknown


def load_adapter_class(manifest: Manifest) -> type[Adapter]:
    """Import the class that a manifest names. Raises ConfigurationError."""
    return _load_class(manifest, manifest.class_reference, Adapter)


def load_simulator_class(manifest: Manifest) -> type[SimulatedAgency]:
    """Import the simulator that a manifest names: it must name one. Raises ConfigurationError."""
    assert manifest.simulator is not None
    return _load_class(manifest, manifest.simulator.class_reference, SimulatedAgency)


def _load_class(manifest: Manifest, reference: str, base: type[Any]) -> type[Any]:
    module_name, _, class_name = reference.partition(":")
    module = _import(manifest, module_name)
    found = getattr(module, class_name, None)
    if not (isinstance(found, type) and issubclass(found, base)):
        raise _refused(manifest, f"{class_name} is no class that derives from {base.__name__}")
    return found


def _import(manifest: Manifest, module_name: str) -> ModuleType:
    _add_to_package(manifest.folder.resolve().parent)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # an adapter's module may fail in any way while it is imported
        reason = f"{type(error).__name__}: {error}"
        raise _refused(manifest, f"the module cannot be imported: {reason}") from error
    origin = Path(module.__file__ or "").resolve()
    if not origin.is_relative_to(manifest.folder.resolve()):
        # Two folders of adapters with one id: what is imported must be what was declared.
        raise _refused(manifest, f"{module_name} was imported from {origin}, not from this folder")
    return module


def _add_to_package(folder: Path) -> None:
    """Let `adapters.<id>` be found in an operator's own folder, too."""
    package = importlib.import_module("adapters")
    places = list(package.__path__)
    if str(folder) not in {str(Path(place).resolve()) for place in places}:
        package.__path__ = [str(folder), *places]
        sys.path_importer_cache.pop(str(folder), None)


def _refused(manifest: Manifest, message: str) -> ConfigurationError:
    return ConfigurationError([Problem(str(manifest.folder / MANIFEST_NAME), "class", message)])
