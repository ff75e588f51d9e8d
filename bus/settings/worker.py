"""Read worker.yaml, the settings of a worker; refuse it with every problem at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from bus.core.errors import ConfigurationError, Problem
from bus.core.identifiers import IdentifierInvalid, MemberId
from bus.settings.broker import RabbitForm, RabbitSettings, rabbit_problems, rabbit_settings
from bus.settings.form import SettingsForm, SettingText, check_form, in_order
from bus.settings.hub import packaged_folder
from bus.settings.settings_kinds import SettingsKind, check_kind
from bus.settings.signer import SignerForm, SignerSource, signer_files, signer_problems
from bus.settings.trust import TrustForm, TrustSettings
from bus.settings.yaml_document import YamlDocument, read_settings_file, read_yaml

# --- values ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Everything that worker.yaml says; every path is absolute."""

    file: Path
    log_keys: tuple[Path, ...]
    """`checkpoint.vkey` of each hub that it works for."""
    broker: RabbitSettings
    routes: Path
    schemas: Path
    adapters: Path
    agencies: Mapping[str, Mapping[str, str]] = field(repr=False)
    """Settings of adapters by adapter id, as written: keys ending in `_file` name files."""
    signers: Mapping[MemberId, SignerSource]
    trust: TrustSettings | None
    """None: the hub's word is enough for who sent a message."""


# --- the form ----------------------------------------------------------------------------------


class WorkerForm(SettingsForm):
    """worker.yaml: what a worker needs. Relative paths start from the file's folder."""

    log_keys: Annotated[list[SettingText], Field(min_length=1, max_length=64)]
    """Files of the log keys (`checkpoint.vkey`) of the hubs whose orders it does."""
    broker: RabbitForm
    """The broker that orders come from."""
    routes: SettingText
    """The file routes.yaml, as the hub has it: services, and who is who."""
    schemas: SettingText | None = None
    """The folder of schemas; without it, the ones that come with the program."""
    adapters: SettingText | None = None
    """The folder of adapters; without it, the ones that come with the program."""
    agencies: Annotated[dict[str, dict[str, str]], Field(default_factory=dict)]
    """Settings of adapters, by adapter id; `K_file` names a file that holds a secret `K`."""
    signers: Annotated[dict[str, SignerForm], Field(min_length=1)]
    """Keys of the agencies whose work it does, by member id: answers and reports are signed."""
    trust: TrustForm | None = None
    """Whom the worker itself believes: with it, it proves each message anew before it acts."""


# --- reading -----------------------------------------------------------------------------------


def read_worker_settings(path: Path) -> WorkerSettings:
    """Read worker.yaml.

    Raises ConfigurationError with every problem in the file, each with its path and line.
    """
    raw = read_settings_file(path)
    document = read_yaml(raw, file=str(path))
    check_kind(document, SettingsKind.WORKER)
    form, problems = check_form(document, WorkerForm)
    problems = in_order(problems + list(_cross_problems(document)))
    if form is None or problems:
        raise ConfigurationError(problems)
    return _settings(form, path.absolute())


def worker_json_schema() -> dict[str, Any]:
    """The JSON Schema of worker.yaml (draft 2020-12), for editors."""
    schema = WorkerForm.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _cross_problems(document: YamlDocument) -> Iterator[Problem]:
    values = document.values if isinstance(document.values, dict) else {}
    yield from rabbit_problems(document, ("broker",))
    signers = values.get("signers")
    for member in signers if isinstance(signers, dict) else {}:
        yield from signer_problems(document, ("signers", member))
        try:
            MemberId.parse(member)
        except IdentifierInvalid as error:
            yield document.problem(("signers", member), str(error))


def _settings(form: WorkerForm, file: Path) -> WorkerSettings:
    base, trust = file.parent, form.trust
    return WorkerSettings(
        file=file,
        log_keys=tuple(base / one for one in form.log_keys),
        broker=rabbit_settings(form.broker, file),
        routes=base / form.routes,
        schemas=base / form.schemas if form.schemas else packaged_folder("schemas"),
        adapters=base / form.adapters if form.adapters else packaged_folder("adapters"),
        agencies=form.agencies,
        signers={
            MemberId.parse(member): signer_files(signer, base)
            for member, signer in form.signers.items()
        },
        trust=None
        if trust is None
        else TrustSettings(
            tuple(base / anchor for anchor in trust.anchors),
            tuple(base / intermediate for intermediate in trust.intermediates),
            tuple(base / certificate for certificate in trust.certificates),
        ),
    )
