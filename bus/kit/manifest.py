"""Read an adapter's manifest, and make the adapter that it names."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Annotated

from pydantic import Field

from bus.core.errors import ConfigurationError, Problem
from bus.http.refused_settings import refused_keys
from bus.kit.contract import Adapter
from bus.settings.form import (
    IdentifierPartText,
    SettingsForm,
    SettingText,
    check_form,
    did_you_mean,
    in_order,
    section_items,
)
from bus.settings.yaml_document import YamlDocument, read_yaml

MANIFEST_NAME = "manifest.yaml"
CALLS_AT_ONCE_MAX = 1024

_CLASS_REFERENCE = re.compile(r"adapters(\.[a-z][a-z0-9_]*)+:[A-Z][A-Za-z0-9]*\Z")


@dataclass(frozen=True, slots=True)
class SettingRule:
    """What the operator may or must set for an adapter."""

    key: str
    is_required: bool
    is_secret: bool
    description: str
    is_path: bool = False
    """Whether it names a file or folder that must be there; the adapter gets its whole path."""


@dataclass(frozen=True, slots=True)
class ManifestService:
    """A service that the adapter can carry, with a sample request."""

    code: str
    version: str
    sample: Path


@dataclass(frozen=True, slots=True)
class Manifest:
    """An adapter's declaration of itself."""

    id: str
    """The name of its folder, and what a service in routes.yaml calls it."""
    name: str
    folder: Path
    class_reference: str
    """`adapters.population.adapter:PopulationAdapter`."""
    concurrency: int
    """Most calls of `answer` at one time."""
    services: tuple[ManifestService, ...]
    settings: Mapping[str, SettingRule]

    def carries(self, service_code: str, service_version: str) -> bool:
        """Whether one of its services has this code and version."""
        wanted = (service_code, service_version)
        return any((service.code, service.version) == wanted for service in self.services)


class SettingRuleForm(SettingsForm):
    """One setting of the adapter."""

    required: bool
    """true when the adapter cannot work without it."""
    secret: bool
    """true when it must be kept out of hub.yaml and of every display."""
    description: SettingText
    """What it means, in one sentence."""
    path: bool = False
    """true when it names a file or folder that is there before the hub starts; a relative one
    begins at the folder of hub.yaml."""


class ManifestServiceForm(SettingsForm):
    """One service that the adapter can carry."""

    code: IdentifierPartText
    """The service code, as in routes.yaml."""
    version: IdentifierPartText
    """The service version, as in routes.yaml."""
    sample: SettingText
    """Path of a sample request below the adapter's folder."""


class ManifestForm(SettingsForm):
    """manifest.yaml of an adapter."""

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    """The name of the folder."""
    name: SettingText
    """The agency, in its own language."""
    class_: Annotated[str, Field(alias="class")]
    """`adapters.<folder>.<module>:<Class>`."""
    concurrency: Annotated[int, Field(ge=1, le=CALLS_AT_ONCE_MAX)] = 16
    """Most calls at one time."""
    services: Annotated[list[ManifestServiceForm], Field(min_length=1)]
    """What the adapter can carry."""
    settings: Annotated[dict[str, SettingRuleForm], Field(default_factory=dict)]
    """What the operator sets, by key."""


def read_manifest(folder: Path) -> Manifest:
    """Read `manifest.yaml` in an adapter's folder.

    Raises ConfigurationError with every problem, each with its path and line.
    """
    path = folder / MANIFEST_NAME
    try:
        raw = path.read_bytes()
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise ConfigurationError([Problem(str(path), "", message)]) from error
    document = read_yaml(raw, file=str(path))
    form, problems = check_form(document, ManifestForm)
    problems = in_order(problems + _cross_problems(document, folder))
    if form is None or problems:
        raise ConfigurationError(problems)
    return Manifest(
        id=form.id,
        name=form.name,
        folder=folder,
        class_reference=form.class_,
        concurrency=form.concurrency,
        services=tuple(
            ManifestService(service.code, service.version, folder / service.sample)
            for service in form.services
        ),
        settings={
            key: SettingRule(key, rule.required, rule.secret, rule.description, rule.path)
            for key, rule in form.settings.items()
        },
    )


def _cross_problems(document: YamlDocument, folder: Path) -> list[Problem]:
    values = document.values if isinstance(document.values, dict) else {}
    problems = []
    name = values.get("id")
    if isinstance(name, str) and name != folder.name:
        message = f"expected the name of the folder, {folder.name!r}"
        problems.append(document.problem(("id",), message))
    reference = values.get("class")
    if isinstance(reference, str) and not _names_class_in(reference, folder.name):
        message = f"expected 'adapters.{folder.name}.<module>:<Class>'"
        problems.append(document.problem(("class",), message))
    return problems + _service_problems(document, folder)


def _names_class_in(reference: str, folder_name: str) -> bool:
    starts_there = reference.startswith(f"adapters.{folder_name}.")
    return starts_there and _CLASS_REFERENCE.match(reference) is not None


def _service_problems(document: YamlDocument, folder: Path) -> list[Problem]:
    problems = []
    seen: set[tuple[object, object]] = set()
    for place, item in enumerate(section_items(document, "services")):
        if not isinstance(item, dict):
            continue
        named = (str(item.get("code")), str(item.get("version")))
        if named in seen:
            problems.append(document.problem(("services", place), "this service stands twice"))
        seen.add(named)
        sample = item.get("sample")
        if isinstance(sample, str) and not _is_file_below(folder, sample):
            message = "expected the path of a file below the adapter's folder"
            problems.append(document.problem(("services", place, "sample"), message))
    return problems


def _is_file_below(folder: Path, name: str) -> bool:
    path = (folder / name).resolve()
    return path.is_relative_to(folder.resolve()) and path.is_file()


# --- the adapter ---------------------------------------------------------------------------


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
    module_name, _, class_name = manifest.class_reference.partition(":")
    module = _import(manifest, module_name)
    adapter_class = getattr(module, class_name, None)
    if not (isinstance(adapter_class, type) and issubclass(adapter_class, Adapter)):
        raise _refused(manifest, f"{class_name} is no class that derives from Adapter")
    return adapter_class


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
