"""Read a folder of adapters, and the settings that the operator gives each of them."""

from __future__ import annotations

from collections.abc import Container, Mapping
from pathlib import Path

from bus.core.errors import ConfigurationError, Problem
from bus.kit.contract import Adapter
from bus.kit.load import load_adapter, settings_problems
from bus.kit.manifest import MANIFEST_NAME, Manifest, read_manifest
from bus.settings.yaml_document import problem_in_file
from bus.trust.key_store import read_secret

FILE_SUFFIX = "_file"


def adapter_names(folder: Path) -> list[str]:
    """The adapters in a folder, whether their manifests are sound or not.

    Raises ConfigurationError: it is no folder.
    """
    if not folder.is_dir():
        raise ConfigurationError([Problem(str(folder), "", "expected a folder of adapters")])
    return sorted(path.parent.name for path in folder.glob(f"*/{MANIFEST_NAME}"))


def read_adapter_folder(folder: Path, wanted: Container[str]) -> Mapping[str, Manifest]:
    """The manifests below a folder that are wanted and there, by adapter id.

    What an integrator still works at, and no service names, stops nobody. Raises
    ConfigurationError with every problem of every manifest.
    """
    manifests: dict[str, Manifest] = {}
    problems: list[Problem] = []
    for name in adapter_names(folder):
        if name not in wanted:
            continue
        try:
            manifest = read_manifest(folder / name)
        except ConfigurationError as error:
            problems += error.problems
        else:
            manifests[manifest.id] = manifest
    if problems:
        raise ConfigurationError(problems)
    return manifests


def read_adapter_settings(
    manifest: Manifest, given: Mapping[str, str], *, settings_file: Path
) -> Mapping[str, str]:
    """An adapter's settings: what hub.yaml gives, with secrets read from their files.

    For a setting `K` that the manifest calls secret, hub.yaml may give `K_file` instead of `K`.
    A value that the manifest calls a path, or whose key ends in `_file`, is one; a relative one
    starts from hub.yaml's folder. What the manifest calls a path must be there.
    Raises ConfigurationError with every problem.
    """
    base = settings_file.parent
    settings: dict[str, str] = {}
    problems: list[Problem] = []
    for key, value in given.items():
        name = _secret_name(manifest, key)
        if name is None:
            settings[key] = str(base / value) if _is_path(manifest, key) else value
            if _must_be_there(manifest, key) and not (base / value).exists():
                message = f"there is no file or folder {base / value}"
                problems.append(_problem(settings_file, manifest, key, message))
        elif name in given:
            message = f"expected {name} or {key}, not both"
            problems.append(_problem(settings_file, manifest, key, message))
        else:
            try:
                settings[name] = read_secret(base / value)
            except ConfigurationError as error:
                # One problem with its file is enough: the setting itself was given.
                problems += error.problems
                settings[name] = "-"
    problems += [
        _problem(settings_file, manifest, key, message)
        for key, message in settings_problems(manifest, settings)
    ]
    if problems:
        raise ConfigurationError(problems)
    return settings


def open_adapter(manifest: Manifest, given: Mapping[str, str], *, settings_file: Path) -> Adapter:
    """The adapter, ready to answer, with what hub.yaml gives it. Raises ConfigurationError."""
    settings = read_adapter_settings(manifest, given, settings_file=settings_file)

    def blame(key: str, message: str) -> Problem:
        # A secret that came from a file stands in hub.yaml by another name.
        named = f"{key}{FILE_SUFFIX}" if key and key not in given else key
        return _problem(settings_file, manifest, named, message)

    return load_adapter(manifest, settings, blame=blame)


def _is_path(manifest: Manifest, key: str) -> bool:
    return key.endswith(FILE_SUFFIX) or _must_be_there(manifest, key)


def _must_be_there(manifest: Manifest, key: str) -> bool:
    return key in manifest.settings and manifest.settings[key].is_path


def _secret_name(manifest: Manifest, key: str) -> str | None:
    """`K` when the key is `K_file` and `K` is a secret of the manifest."""
    name = key.removesuffix(FILE_SUFFIX)
    rule = manifest.settings.get(name)
    is_file_of_secret = key.endswith(FILE_SUFFIX) and key not in manifest.settings
    return name if is_file_of_secret and rule is not None and rule.is_secret else None


def _problem(settings_file: Path, manifest: Manifest, key: str, message: str) -> Problem:
    path = ("agencies", manifest.id, key) if key else ("agencies", manifest.id)
    return problem_in_file(settings_file, path, message)
