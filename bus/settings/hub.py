"""Read hub.yaml, the settings of one deployment; refuse it with every problem at once."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from bus.core.errors import ConfigurationError, Problem
from bus.core.identifiers import IdentifierInvalid, MemberId
from bus.settings.broker import (
    AgencyText,
    RabbitForm,
    RabbitSettings,
    rabbit_problems,
    rabbit_settings,
)
from bus.settings.form import (
    SettingsForm,
    SettingText,
    check_form,
    in_order,
    matching,
    pattern_schema,
)
from bus.settings.listen import HostTexts, HttpUrlText, ListenAddress, ListenForm
from bus.settings.postgres import PostgresSettings, StoreForm, postgres_settings, store_problems
from bus.settings.revocation import (
    RevocationForm,
    RevocationSettings,
    revocation_settings,
)
from bus.settings.settings_kinds import SettingsKind, check_kind
from bus.settings.signer import (
    SignerForm,
    SignerSource,
    signer_files,
    signer_problems,
)
from bus.settings.timestamp import (
    TimestampForm,
    TimestampSettings,
    timestamp_settings,
)
from bus.settings.trust import TrustForm, TrustSettings
from bus.settings.yaml_document import KeyPath, Value, YamlDocument, read_settings_file, read_yaml

_ORIGIN = re.compile(r"[^\s+]{1,255}\Z")


# --- values ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OtherLog:
    """The log of another hub of the same operator, in the same database."""

    origin: str
    signing_key: Path
    folder: Path
    guard: Path


@dataclass(frozen=True, slots=True)
class LogSettings:
    """Where the message log lies, and the files of its keys."""

    folder: Path
    origin: str
    guard: Path
    signing_key: Path
    read_key: Path
    pseudonym_key: Path
    others: tuple[OtherLog, ...] = ()
    """Logs that this hub goes on with when their hubs are gone."""


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """Who carries orders to workers outside the hub, and for whom."""

    rabbitmq: RabbitSettings
    agencies: tuple[str, ...]
    """Ids of the adapters whose workers are elsewhere."""


@dataclass(frozen=True, slots=True)
class HubSettings:
    """Everything that hub.yaml says; every path is absolute."""

    file: Path
    listen: ListenAddress
    public_url: str
    routes: Path
    schemas: Path
    adapters: Path
    log: LogSettings
    spool: Path
    """The folder of attachments in work: private, and empty when no hub runs."""
    trust: TrustSettings
    hub_signer: SignerSource
    signers: Mapping[MemberId, SignerSource]
    agencies: Mapping[str, Mapping[str, str]] = field(repr=False)
    """Settings of adapters by adapter id, as written: keys ending in `_file` name files."""
    revocation: RevocationSettings
    judge_process: bool = True
    show_precise_faults: bool = False
    timestamps: TimestampSettings | None = None
    """None: no authority stamps the log."""
    database: PostgresSettings | None = None
    """Keeps the log's entries; None: an SQLite file of the log's folder does."""
    operations: ListenAddress | None = None
    """None: nobody listens for operators."""
    operations_hosts: tuple[str, ...] = ()
    """More names under which operators ask."""
    probe_seconds: int = 60
    """Between two probes of an agency; 0: none is made."""
    broker: BrokerSettings | None = None
    """None: every agency's work is done in this process."""


# --- the form ----------------------------------------------------------------------------------


OriginText = Annotated[
    str,
    matching(_ORIGIN, "a name as lienthong.example/vn, without blanks and plus signs"),
    pattern_schema(_ORIGIN),
]


class OperationsForm(SettingsForm):
    """Where operators ask how the hub is; apart from the doors for messages."""

    host: SettingText = "127.0.0.1"
    """The address to listen on; what is told there is not for strangers."""
    port: Annotated[int, Field(ge=1, le=65535)] = 8081
    """The port to listen on."""
    hosts: HostTexts
    """More names under which operators and monitoring ask; any other Host is refused."""


class OtherLogForm(SettingsForm):
    """The log of another hub of the same operator, in the same database."""

    origin: OriginText
    """Its name: `log.origin` of that hub."""
    signing_key: SettingText
    """The file of its Ed25519 key (PEM)."""
    folder: SettingText
    """A folder of our own for it, or the very one of that hub, if this machine reaches it."""
    guard: SettingText
    """Our own file that remembers its last signed checkpoint; outside its folder."""


class LogForm(SettingsForm):
    """The message log."""

    folder: SettingText
    """The folder that holds it."""
    origin: OriginText
    """The log's name in its checkpoints (C2SP tlog-checkpoint)."""
    guard: SettingText
    """The file that remembers the last signed checkpoint; outside the log's folder."""
    signing_key: SettingText
    """The file of the Ed25519 key that signs checkpoints (PEM)."""
    read_key: SettingText
    """The file of the key that opens payloads (32 bytes, base64)."""
    pseudonym_key: SettingText
    """The file of the key that names messages and cases (32 bytes, base64)."""
    others: Annotated[list[OtherLogForm], Field(default_factory=list)]
    """Logs of other hubs in the same database that this one goes on with when they are gone."""


class BrokerForm(SettingsForm):
    """What carries orders to workers outside the hub."""

    rabbitmq: RabbitForm
    """The broker; `lienthong broker declare` makes there what is needed."""
    agencies: Annotated[list[AgencyText], Field(min_length=1)]
    """Ids of the adapters whose workers run elsewhere (`lienthong worker`)."""


class HubForm(SettingsForm):
    """hub.yaml: one deployment of the hub. Relative paths start from the file's folder."""

    listen: ListenForm = ListenForm()
    """Where the doors are."""
    public_url: HttpUrlText
    """The address under which others reach the hub; it stands in the WSDL."""
    routes: SettingText
    """The file routes.yaml."""
    schemas: SettingText | None = None
    """The folder of schemas; without it, the ones that come with the program."""
    adapters: SettingText | None = None
    """The folder of adapters; without it, the ones that come with the program."""
    log: LogForm
    """The message log."""
    store: StoreForm | None = None
    """The database that keeps the log's entries; without it, an SQLite file of the log's folder."""
    spool: SettingText | None = None
    """The folder for attachments in work; without it, `spool` beside the log's folder."""
    trust: TrustForm
    """Which certificates are believed."""
    revocation: Annotated[RevocationForm, Field(default_factory=RevocationForm)]
    """What is asked of the certificates of senders before they are believed."""
    hub_signer: SignerForm
    """What the hub signs with: faults."""
    signers: Annotated[dict[str, SignerForm], Field(default_factory=dict)]
    """Keys of answering agencies that this process holds, by member id."""
    agencies: Annotated[dict[str, dict[str, str]], Field(default_factory=dict)]
    """Settings of adapters, by adapter id; `K_file` names a file that holds a secret `K`."""
    judge_process: bool = True
    """false keeps all work in one process; true lets others share the verifying."""
    show_precise_faults: bool = False
    """true tells unproved senders why they were refused: for a sandbox only."""
    timestamps: TimestampForm | None = None
    """Who stamps the log with trusted time; without it, nobody."""
    operations: OperationsForm | None = None
    """Where operators ask for status and metrics; without it, nowhere."""
    probe_seconds: Annotated[int, Field(ge=0, le=86400)] = 60
    """Between two looks whether an agency is there, of those whose adapters can see it; 0: none."""
    broker: BrokerForm | None = None
    """What carries messages to workers elsewhere; without it the hub does all the work."""


# --- reading -----------------------------------------------------------------------------------


def read_hub_settings(path: Path) -> HubSettings:
    """Read hub.yaml.

    Raises ConfigurationError with every problem in the file, each with its path and line.
    """
    raw = read_settings_file(path)
    document = read_yaml(raw, file=str(path))
    check_kind(document, SettingsKind.HUB)
    form, problems = check_form(document, HubForm)
    problems = in_order(problems + list(_cross_problems(document, path.absolute().parent)))
    if form is None or problems:
        raise ConfigurationError(problems)
    return _settings(form, path.absolute())


def hub_json_schema() -> dict[str, Any]:
    """The JSON Schema of hub.yaml (draft 2020-12), for editors."""
    schema = HubForm.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _cross_problems(document: YamlDocument, base: Path) -> Iterator[Problem]:
    values = document.values if isinstance(document.values, dict) else {}
    yield from signer_problems(document, ("hub_signer",))
    signers = values.get("signers")
    for member in signers if isinstance(signers, dict) else {}:
        yield from signer_problems(document, ("signers", member))
        try:
            MemberId.parse(member)
        except IdentifierInvalid as error:
            yield document.problem(("signers", member), str(error))
    yield from rabbit_problems(document, ("broker", "rabbitmq"))
    yield from store_problems(document, ("store", "postgres"))
    log = values.get("log")
    if isinstance(log, dict):
        yield from _guard_problems(document, base, ("log",), log)
        others = log.get("others")
        yield from _other_problems(document, base, log, others if isinstance(others, list) else [])


def _guard_problems(
    document: YamlDocument, base: Path, path: KeyPath, log: dict[str, Value]
) -> Iterator[Problem]:
    folder, guard = log.get("folder"), log.get("guard")
    if isinstance(folder, str) and isinstance(guard, str) and _lies_in(base / guard, base / folder):
        # Whoever puts an old copy of the folder back must not put the guard back with it.
        yield document.problem((*path, "guard"), "expected a file outside the log's folder")


def _other_problems(
    document: YamlDocument, base: Path, log: dict[str, Value], others: list[Value]
) -> Iterator[Problem]:
    if others and not (isinstance(document.values, dict) and document.values.get("store")):
        yield document.problem(("log", "others"), "expected `store`: only a database is shared")
    known = [log.get("origin"), log.get("folder")]
    for place, other in enumerate(others):
        if isinstance(other, dict):
            path: KeyPath = ("log", "others", place)
            yield from _guard_problems(document, base, path, other)
            for key in ("origin", "folder"):
                if other.get(key) in known:
                    yield document.problem((*path, key), "expected another than any log before it")
            known += [other.get("origin"), other.get("folder")]


def _lies_in(file: Path, folder: Path) -> bool:
    return file.resolve().is_relative_to(folder.resolve())


def _settings(form: HubForm, file: Path) -> HubSettings:
    base = file.parent
    return HubSettings(
        file=file,
        listen=ListenAddress(form.listen.host, form.listen.port),
        public_url=form.public_url,
        routes=base / form.routes,
        schemas=base / form.schemas if form.schemas else packaged_folder("schemas"),
        adapters=base / form.adapters if form.adapters else packaged_folder("adapters"),
        log=LogSettings(
            folder=base / form.log.folder,
            origin=form.log.origin,
            guard=base / form.log.guard,
            signing_key=base / form.log.signing_key,
            read_key=base / form.log.read_key,
            pseudonym_key=base / form.log.pseudonym_key,
            others=tuple(
                OtherLog(one.origin, base / one.signing_key, base / one.folder, base / one.guard)
                for one in form.log.others
            ),
        ),
        spool=base / (form.spool or Path(form.log.folder).parent / "spool"),
        trust=TrustSettings(
            tuple(base / anchor for anchor in form.trust.anchors),
            tuple(base / intermediate for intermediate in form.trust.intermediates),
            tuple(base / certificate for certificate in form.trust.certificates),
        ),
        hub_signer=signer_files(form.hub_signer, base),
        signers={
            MemberId.parse(member): signer_files(signer, base)
            for member, signer in form.signers.items()
        },
        agencies=form.agencies,
        revocation=revocation_settings(form.revocation, base),
        judge_process=form.judge_process,
        show_precise_faults=form.show_precise_faults,
        timestamps=timestamp_settings(form.timestamps, base),
        database=postgres_settings(form.store, base),
        operations=(
            ListenAddress(form.operations.host, form.operations.port) if form.operations else None
        ),
        operations_hosts=tuple(form.operations.hosts) if form.operations else (),
        probe_seconds=form.probe_seconds,
        broker=(
            BrokerSettings(rabbit_settings(form.broker.rabbitmq, file), tuple(form.broker.agencies))
            if form.broker
            else None
        ),
    )


def packaged_folder(package: str) -> Path:
    """The folder of a package that comes with the program: `adapters`, `schemas`."""
    # By name: nobody imports the adapters.
    found = importlib.util.find_spec(package)
    assert found is not None  # both are parts of this distribution
    assert found.submodule_search_locations is not None
    return Path(found.submodule_search_locations[0])
