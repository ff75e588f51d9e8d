"""Read the settings of one access point; refuse them with every problem at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from bus.core.errors import ConfigurationError, Problem
from bus.core.identifiers import IdentifierInvalid, MemberId, SubsystemId, subsystem_id
from bus.core.limits import Limits
from bus.core.registry import FaultStyle
from bus.settings.faults import FaultsForm
from bus.settings.form import (
    IdentifierPartText,
    SettingsForm,
    SettingText,
    check_form,
    in_order,
)
from bus.settings.listen import HostTexts, HttpUrlText, ListenAddress, ListenForm, is_loopback
from bus.settings.revocation import (
    RevocationForm,
    RevocationSettings,
    revocation_settings,
)
from bus.settings.settings_kinds import SettingsKind, check_kind
from bus.settings.signer import SignerForm, SignerSource, signer_files, signer_problems
from bus.settings.trust import HubFiles, TrustForm, TrustSettings
from bus.settings.yaml_document import YamlDocument, read_settings_file, read_yaml

PORT_USUAL = 8081

# --- values ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """What the access point shows to its clients."""

    key: Path
    certificate: Path


@dataclass(frozen=True, slots=True)
class ServedSystem:
    """A system of the agency that may ask here."""

    id: SubsystemId
    signer: SignerSource
    client_certificates: tuple[Path, ...]
    """Its certificates towards the access point; empty where it comes without TLS."""


@dataclass(frozen=True, slots=True)
class HubAddress:
    """Where the hub is, and by what it is known."""

    url: str
    member: MemberId
    log_key: Path
    other_log_keys: tuple[Path, ...]
    authority_file: str
    answer_seconds_max: int


@dataclass(frozen=True, slots=True)
class AccessPointLimits:
    """Bounds of an access point."""

    envelope_bytes_max: int
    exchanges_at_once_max: int
    exchanges_waiting_max: int
    bodies_bytes_max: int
    request_read_seconds_max: int
    receipts_max: int
    rejected_answers_max: int

    def reading(self) -> Limits:
        """The bounds by which a request is read."""
        return Limits(
            envelope_bytes_max=self.envelope_bytes_max,
            exchanges_at_once_max=self.exchanges_waiting_max,
            bodies_bytes_max=self.bodies_bytes_max,
            request_read_seconds_max=self.request_read_seconds_max,
        )


@dataclass(frozen=True, slots=True)
class AccessPointSettings:
    """Everything that the settings of an access point say; every path is absolute."""

    file: Path
    member: MemberId
    systems: Mapping[SubsystemId, ServedSystem]
    listen: ListenAddress
    public_url: str
    tls: TlsFiles | None
    hosts: tuple[str, ...]
    """More names under which its systems ask."""
    hub: HubAddress
    trust: TrustSettings
    certificate_subjects: Mapping[MemberId, str]
    revocation: RevocationSettings
    evidence: Path
    renews_message_ids: bool
    faults: FaultStyle
    limits: AccessPointLimits = field(repr=False)

    @property
    def hub_files(self) -> HubFiles:
        """The files by which the hub is known."""
        hub, trust = self.hub, self.trust
        return HubFiles(trust.anchors, hub.log_key, trust.intermediates, hub.other_log_keys)


# --- the form ----------------------------------------------------------------------------------


class ServedSystemForm(SettingsForm):
    """A system of the agency that may ask here."""

    signer: SignerForm | None = None
    """Its own key; without it, the agency's."""
    client_certificates: Annotated[list[SettingText], Field(default_factory=list)]
    """Files of the certificates that it shows to the access point; each is taken by itself."""


class TlsForm(SettingsForm):
    """TLS towards the agency's systems; each must show one of its certificates."""

    key: SettingText
    """The file of the access point's private key (PEM)."""
    certificate: SettingText
    """The file of its certificate (PEM), with those between it and its authority."""


class HubAddressForm(SettingsForm):
    """Where the hub is, and by what it is known."""

    url: HttpUrlText
    """The hub's address."""
    member: SettingText
    """The member that signs the hub's faults: VN/GOV/G22."""
    log_key: SettingText
    """The file `checkpoint.vkey` of the hub's log."""
    other_log_keys: Annotated[list[SettingText], Field(default_factory=list, max_length=64)]
    """The same of other hubs of its operator: a copy is told under the receipt of the first."""
    authority_file: SettingText | None = None
    """The file of the CAs that the hub's TLS certificate leads to, instead of the public ones."""
    answer_seconds_max: Annotated[int, Field(ge=1, le=600)] = 60
    """How long an answer of the hub may take."""


class AccessPointLimitsForm(SettingsForm):
    """Bounds of the access point."""

    envelope_bytes_max: Annotated[int, Field(ge=1024, le=64 * 1024 * 1024)] = 10 * 1024 * 1024
    """Largest request, in bytes."""
    exchanges_at_once_max: Annotated[int, Field(ge=1, le=512)] = 32
    """Exchanges with the hub at one time; the next ones wait."""
    exchanges_waiting_max: Annotated[int, Field(ge=1, le=65536)] = 512
    """Requests in work or waiting; the next one gets 503 with Retry-After."""
    bodies_bytes_max: Annotated[int, Field(ge=1024, le=2**31 - 1)] = 64 * 1024 * 1024
    """Bytes of requests that come in, wait or are in work; above it 503 with Retry-After."""
    request_read_seconds_max: Annotated[int, Field(ge=1, le=600)] = 30
    """How long a system may take to hand over its request."""
    receipts_max: Annotated[int, Field(ge=1)] = 1_000_000
    """Receipts that are kept; the oldest go first."""
    rejected_answers_max: Annotated[int, Field(ge=1)] = 1000
    """Answers that were not proved and are kept as evidence; the oldest go first."""


class AccessPointForm(SettingsForm):
    """The settings of one access point. Relative paths start from the file's folder."""

    member: SettingText
    """The agency that it signs for: VN/GOV/H41."""
    systems: Annotated[dict[IdentifierPartText, ServedSystemForm], Field(min_length=1)]
    """Its systems that may ask here, by subsystem code."""
    itself: ServedSystemForm | None = None
    """{} for systems that ask in the name of the agency itself, without a subsystem."""
    signer: SignerForm
    """The agency's key, which signs their requests."""
    listen: ListenForm = ListenForm(port=PORT_USUAL)
    """Where the systems find it. Without TLS: an address of this machine only."""
    public_url: HttpUrlText | None = None
    """The address under which they reach it; it stands in the WSDL."""
    tls: TlsForm | None = None
    """TLS towards the systems; without it, plain HTTP on this machine."""
    hosts: HostTexts
    """More names under which the systems ask; without TLS any other Host is refused."""
    hub: HubAddressForm
    """The hub."""
    trust: TrustForm
    """Which certificates are believed in answers."""
    revocation: RevocationForm = RevocationForm(check="none", crls=[])
    """Whether the certificates under answers are asked about; without it, they are not."""
    certificate_subjects: Annotated[dict[str, SettingText], Field(default_factory=dict)]
    """organizationIdentifier of members whose certificates say something else than their id."""
    evidence: SettingText
    """The folder of the receipts and of what is kept for repeated requests."""
    renews_message_ids: bool = False
    """true for systems that use a message id again: the hub gets an id of its own making."""
    faults: FaultsForm = FaultsForm()
    """How faults are written to the systems."""
    limits: AccessPointLimitsForm = AccessPointLimitsForm()
    """Bounds."""


# --- reading -----------------------------------------------------------------------------------


def read_access_point_settings(path: Path) -> AccessPointSettings:
    """Read the settings of an access point.

    Raises ConfigurationError with every problem in the file, each with its path and line.
    """
    raw = read_settings_file(path)
    return access_point_settings_of(raw, path.absolute())


def access_point_settings_of(text: bytes, file: Path) -> AccessPointSettings:
    """Read settings that stand in a text; `file` says where its relative paths start.

    Raises ConfigurationError.
    """
    document = read_yaml(text, file=str(file))
    check_kind(document, SettingsKind.ACCESS_POINT)
    form, problems = check_form(document, AccessPointForm)
    if form is not None:
        problems = in_order(problems + list(_cross_problems(document, form)))
    if form is None or problems:
        raise ConfigurationError(problems)
    return _settings(form, file)


def access_point_json_schema() -> dict[str, Any]:
    """The JSON Schema of an access point's settings (draft 2020-12), for editors."""
    schema = AccessPointForm.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _cross_problems(document: YamlDocument, form: AccessPointForm) -> Iterator[Problem]:
    members = {("member",): form.member, ("hub", "member"): form.hub.member}
    members |= {("certificate_subjects", one): one for one in form.certificate_subjects}
    for path, member in members.items():
        try:
            MemberId.parse(member)
        except IdentifierInvalid as error:
            yield document.problem(path, str(error))
    for path in (("signer",), *((*place, "signer") for place, _ in _served(form))):
        yield from signer_problems(document, path)
    if form.tls is None and not is_loopback(form.listen.host):
        message = (
            "expected an address of this machine, or `tls`: without TLS anybody who reaches "
            "the access point could ask in the agency's name"
        )
        yield document.problem(("listen", "host"), message)
    for place, system in _served(form):
        path = (*place, "client_certificates")
        if form.tls is not None and not system.client_certificates:
            yield document.problem(path, "expected a certificate by which it is known over TLS")
        if form.tls is None and system.client_certificates:
            yield document.problem(path, "has no meaning without `tls`")


def _settings(form: AccessPointForm, file: Path) -> AccessPointSettings:
    base = file.parent
    member = MemberId.parse(form.member)
    listen = ListenAddress(form.listen.host, form.listen.port)
    return AccessPointSettings(
        file=file,
        member=member,
        systems={one.id: one for one in _systems(form, member, base)},
        listen=listen,
        public_url=(form.public_url or _own_url(listen, is_tls=form.tls is not None)).rstrip("/"),
        tls=TlsFiles(base / form.tls.key, base / form.tls.certificate) if form.tls else None,
        hosts=tuple(form.hosts),
        hub=HubAddress(
            url=form.hub.url.rstrip("/"),
            member=MemberId.parse(form.hub.member),
            log_key=base / form.hub.log_key,
            other_log_keys=tuple(base / one for one in form.hub.other_log_keys),
            authority_file=str(base / form.hub.authority_file) if form.hub.authority_file else "",
            answer_seconds_max=form.hub.answer_seconds_max,
        ),
        trust=TrustSettings(
            tuple(base / one for one in form.trust.anchors),
            tuple(base / one for one in form.trust.intermediates),
        ),
        certificate_subjects={
            MemberId.parse(one): subject for one, subject in form.certificate_subjects.items()
        },
        revocation=revocation_settings(form.revocation, base),
        evidence=base / form.evidence,
        renews_message_ids=form.renews_message_ids,
        faults=FaultStyle(form.faults.spelling, form.faults.http_status),
        limits=AccessPointLimits(**form.limits.model_dump()),
    )


def _served(form: AccessPointForm) -> Iterator[tuple[tuple[str, ...], ServedSystemForm]]:
    """Everybody who may ask, and where the file says so."""
    for code, system in form.systems.items():
        yield ("systems", code), system
    if form.itself is not None:
        yield ("itself",), form.itself


def _systems(form: AccessPointForm, member: MemberId, base: Path) -> Iterator[ServedSystem]:
    for place, system in _served(form):
        code = place[1] if len(place) > 1 else ""
        yield ServedSystem(
            id=subsystem_id(member.instance, member.member_class, member.member_code, code),
            signer=signer_files(system.signer or form.signer, base),
            client_certificates=tuple(base / one for one in system.client_certificates),
        )


def _own_url(listen: ListenAddress, *, is_tls: bool) -> str:
    host = f"[{listen.host}]" if ":" in listen.host else listen.host
    return f"{'https' if is_tls else 'http'}://{host}:{listen.port}"
