"""Read an adapter's manifest: what it carries, what the operator sets, who simulates its agency."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from bus.core.errors import ConfigurationError, Problem
from bus.kit.shown_facts import ShownFact
from bus.settings.form import (
    IdentifierPartText,
    SettingsForm,
    SettingText,
    check_form,
    did_you_mean,
    in_order,
    section_items,
)
from bus.settings.yaml_document import Value, YamlDocument, read_settings_file, read_yaml

MANIFEST_NAME = "manifest.yaml"
CALLS_AT_ONCE_MAX = 1024

CITIZEN, RELATIVE = "{citizen}", "{relative}"
"""Names of the two people that samples are about: what a shown fact may be expected to be."""
ADDRESS, ACCOUNT, SECRET = "{address}", "{account}", "{secret}"
"""What the sandbox puts into the settings of a simulated agency's adapter."""

_NAME = r"[A-Za-z_][A-Za-z0-9_.\-]*"
_PLACEHOLDER = re.compile(r"\{[^{}]*\}")
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
    shown: tuple[ShownFact, ...] = ()
    """What `lienthong demo` shows of its answer, or of what is submitted to subscribers; empty: it
    does not play."""


@dataclass(frozen=True, slots=True)
class ManifestSimulator:
    """Who stands in for the agency where it cannot be asked: in a sandbox, in tests."""

    class_reference: str
    """`adapters.<folder>.<module>:<Class>`, of a SimulatedAgency."""
    settings: Mapping[str, str]
    """The adapter's settings, with placeholders."""

    def settings_at(self, address: str, account: str, secret: str) -> dict[str, str]:
        """The adapter's settings for a simulator that listens at an address.

        `address` is `http://host:port`; it knows the hub by account and secret.
        """
        filled = {ADDRESS: address, ACCOUNT: account, SECRET: secret}
        return {
            key: _PLACEHOLDER.sub(lambda found: filled[found[0]], text)
            for key, text in self.settings.items()
        }

    @property
    def address_settings(self) -> tuple[str, ...]:
        """The settings that say where the agency is."""
        return tuple(key for key, text in self.settings.items() if ADDRESS in text)


@dataclass(frozen=True, slots=True)
class Manifest:
    """An adapter's declaration of itself."""

    id: str
    """The name of its folder, and what a service in routes.yaml calls it."""
    name: str
    folder: Path
    class_reference: str
    """`adapters.<folder>.<module>:<Class>`, of an Adapter."""
    concurrency: int
    """Most calls of `answer` at one time."""
    services: tuple[ManifestService, ...]
    settings: Mapping[str, SettingRule]
    simulator: ManifestSimulator | None = None
    """None: nobody simulates the agency."""

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


class ShownFactForm(SettingsForm):
    """A fact of an answer, as people read it."""

    label: SettingText
    """What it is, in the agency's language."""
    path: Annotated[str, Field(pattern=rf"^{_NAME}(/{_NAME})*$")]
    """Where it stands in the answer: local names with `/` between them; the first such element
    counts, with all texts in it."""
    values: Annotated[dict[str, SettingText], Field(default_factory=dict)]
    """What codes of the agency mean, by code."""
    date: bool = False
    """true when it stands as yyyyMMdd."""
    expected: SettingText | None = None
    """What it must be of the sample that a sandbox makes. `{citizen}` and `{relative}` stand for
    the names of the two people that samples are about."""


class ManifestServiceForm(SettingsForm):
    """One service that the adapter can carry."""

    code: IdentifierPartText
    """The service code, as in routes.yaml."""
    version: IdentifierPartText
    """The service version, as in routes.yaml."""
    sample: SettingText
    """Path of a sample request below the adapter's folder."""
    shown: Annotated[list[ShownFactForm], Field(default_factory=list)]
    """What `lienthong demo` shows of the answer to its sample; where subscribers get what is
    submitted, of the sample itself. Without it the demo does not ask."""


class ManifestSimulatorForm(SettingsForm):
    """Who stands in for the agency in a sandbox and in tests."""

    class_: Annotated[str, Field(alias="class")]
    """`adapters.<folder>.<module>:<Class>`, a class that derives from `SimulatedAgency`."""
    settings: Annotated[dict[str, SettingText], Field(default_factory=dict)]
    """The adapter's settings in a sandbox, by key, every required one among them. In their texts
    `{address}` stands for `http://host:port` of the simulator, `{account}` for the account that the
    sandbox gives the hub, `{secret}`, in a setting that is secret and nowhere else, for the secret
    that it invents."""


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
    simulator: ManifestSimulatorForm | None = None
    """Without it a sandbox has nobody at the address of this agency."""


def read_manifest(folder: Path) -> Manifest:
    """Read `manifest.yaml` in an adapter's folder.

    Raises ConfigurationError with every problem, each with its path and line.
    """
    path = folder / MANIFEST_NAME
    raw = read_settings_file(path)
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
            ManifestService(
                service.code,
                service.version,
                folder / service.sample,
                tuple(_shown(fact) for fact in service.shown),
            )
            for service in form.services
        ),
        settings={
            key: SettingRule(key, rule.required, rule.secret, rule.description, rule.path)
            for key, rule in form.settings.items()
        },
        simulator=(
            ManifestSimulator(form.simulator.class_, form.simulator.settings)
            if form.simulator
            else None
        ),
    )


def _shown(form: ShownFactForm) -> ShownFact:
    return ShownFact(form.label, form.path, form.values, form.date, form.expected or "")


def _cross_problems(document: YamlDocument, folder: Path) -> list[Problem]:
    values = document.values if isinstance(document.values, dict) else {}
    problems = []
    name = values.get("id")
    if isinstance(name, str) and name != folder.name:
        message = f"expected the name of the folder, {folder.name!r}"
        problems.append(document.problem(("id",), message))
    for section in ((), ("simulator",)):
        reference = _section(values, *section).get("class")
        if isinstance(reference, str) and not _names_class_in(reference, folder.name):
            message = f"expected 'adapters.{folder.name}.<module>:<Class>'"
            problems.append(document.problem((*section, "class"), message))
    problems += _simulator_problems(document, values)
    return problems + _service_problems(document, folder)


def _section(values: Mapping[str, Value], *names: str) -> Mapping[str, Value]:
    """A section within sections, whether sound or not; empty: it is none."""
    for name in names:
        inner = values.get(name)
        values = inner if isinstance(inner, dict) else {}
    return values


def _names_class_in(reference: str, folder_name: str) -> bool:
    starts_there = reference.startswith(f"adapters.{folder_name}.")
    return starts_there and _CLASS_REFERENCE.match(reference) is not None


def _simulator_problems(document: YamlDocument, values: Mapping[str, Value]) -> list[Problem]:
    if not isinstance(values.get("simulator"), dict):
        return []
    given = _section(values, "simulator", "settings")
    rules = {key: _section(values, "settings", key) for key in _section(values, "settings")}
    problems = [
        document.problem(("simulator", "settings"), f"{key} is required, and not set here")
        for key, rule in rules.items()
        if rule.get("required") is True and key not in given
    ]
    for key, text in given.items():
        message = "no setting of this adapter." + did_you_mean(key, rules)
        if key in rules:
            is_secret = rules[key].get("secret") is True
            message = _filled_badly(text, is_secret=is_secret) if isinstance(text, str) else ""
        if message:
            problems.append(document.problem(("simulator", "settings", key), message))
    return problems


def _filled_badly(text: str, *, is_secret: bool) -> str:
    """What is wrong with the text of a setting in a sandbox; empty: nothing."""
    if is_secret and text != SECRET:
        return f"expected {SECRET}: a secret stands in no manifest"
    known = {SECRET} if is_secret else {ADDRESS, ACCOUNT}
    unknown = [found for found in _PLACEHOLDER.findall(text) if found not in known]
    return f"expected {' or '.join(sorted(known))} between braces" if unknown else ""


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
        problems += _shown_problems(document, place, item)
    return problems


def _shown_problems(
    document: YamlDocument, place: int, service: Mapping[str, Value]
) -> list[Problem]:
    shown = service.get("shown")
    facts = enumerate(shown if isinstance(shown, list) else ())
    return [
        document.problem(
            ("services", place, "shown", number, "expected"),
            f"expected {CITIZEN} or {RELATIVE} between braces",
        )
        for number, fact in facts
        if isinstance(fact, dict)
        and set(_PLACEHOLDER.findall(str(fact.get("expected", "")))) - {CITIZEN, RELATIVE}
    ]


def _is_file_below(folder: Path, name: str) -> bool:
    path = (folder / name).resolve()
    return path.is_relative_to(folder.resolve()) and path.is_file()
