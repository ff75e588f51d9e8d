"""Check everything that a hub needs before it starts: what `lienthong check` tells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path

from bus.core.errors import ConfigurationError, LogCorrupt, LogUnavailable, Problem
from bus.core.identifiers import MemberId
from bus.core.registry import MemberRegistry, Service
from bus.delivery.adapter_folder import adapter_names, open_adapter, read_adapter_folder
from bus.delivery.beyond import elsewhere
from bus.delivery.carrying import (
    adapters_here,
    adapters_named,
    services_carried,
    signing_members,
    what_adapter_lacks,
)
from bus.kit.contract import Adapter
from bus.kit.manifest import Manifest
from bus.log.postgres.upgrade import check_database
from bus.log.sqlite.database import check_format
from bus.log.timestamping import read_timestamp_trust
from bus.operations.readiness_report import Made, Readiness, why_not_writable
from bus.settings.form import did_you_mean
from bus.settings.hub import HubSettings, read_hub_settings
from bus.settings.listen import is_loopback
from bus.settings.payload_schemas import CompiledSchema
from bus.settings.routes import read_registry
from bus.settings.routes_policies import exception_warnings
from bus.settings.signer import SignerSource
from bus.settings.trust import TrustSettings
from bus.settings.yaml_document import KeyPath, YamlDocument, read_yaml
from bus.trust.broker_access import rabbit_address
from bus.trust.certificate_checks import (
    anchor_problems,
    anchor_warnings,
    known_certificates,
    known_warnings,
    read_trust_store,
    signer_findings,
)
from bus.trust.key_store import read_ed25519_key, read_symmetric_key, why_not_private
from bus.trust.revocation_checks import revocation_problems, revocation_warnings
from signing.pki.certificates import TrustStore


def check_readiness(settings_path: Path, *, now: datetime) -> Readiness:
    """Check a deployment whole, without starting anything.

    Files that cannot be read stop only the checks that need them, so that one run tells as much
    as can be known.
    """
    try:
        settings = read_hub_settings(settings_path)
    except ConfigurationError as error:
        return Readiness(tuple(error.problems), ())
    check = _HubCheck(settings, now)
    check.run()
    return Readiness(tuple(check.problems), tuple(check.warnings))


class _HubCheck:
    """One run over one deployment; gathers what it finds."""

    def __init__(self, settings: HubSettings, now: datetime) -> None:
        self.settings = settings
        self.now = now
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.settings_document = read_yaml(settings.file.read_bytes(), file=str(settings.file))

    def run(self) -> None:
        settings = self.settings
        registry = self._made(lambda: read_registry(settings.routes))
        names = self._made(lambda: adapter_names(settings.adapters))
        store = self._made(lambda: read_trust_store(settings.trust))
        if registry is not None and names is not None:
            self._check_adapters(registry, names)
        if registry is not None:
            self._check_broker(registry)
            self._check_schemas(registry)
            self._check_signers(registry, store)
            self.warnings += exception_warnings(registry, str(settings.routes), self.now)
        if store is not None:
            self.problems += anchor_problems(settings.trust, self.now)
            self.warnings += anchor_warnings(settings.trust, self.now)
            self._check_revocation(store)
        if store is not None and registry is not None:
            self.warnings += known_warnings(settings.trust, store, registry, self.now)
        self._check_time_authority()
        self._check_log()
        self._check_exposure()

    def _made(self, make: Callable[[], Made]) -> Made | None:
        try:
            return make()
        except ConfigurationError as error:
            self.problems += error.problems
            return None
        except (LogUnavailable, LogCorrupt) as error:
            self._hub_problem(("store", "postgres"), error.detail)
            return None

    # --- services, adapters, schemas -----------------------------------------------------------

    def _check_adapters(self, registry: MemberRegistry, names: list[str]) -> None:
        routes = read_yaml(registry.text, file=str(self.settings.routes))
        used = adapters_here(registry, elsewhere(self.settings))
        manifests = {name: self._manifest(name) for name in names if name in used}
        for place, service in enumerate(registry.services.values()):
            if service.adapter in used:
                path = ("services", place, "adapter")
                carried = [service]
                self.problems += _adapter_problems(
                    routes, path, service.adapter, carried, manifests, names
                )
        for place, adapter in enumerate(registry.recipients.values()):
            if adapter in used:
                path = ("recipients", place, "adapter")
                carried = [
                    one for one in services_carried(adapter, registry) if one.adapter != adapter
                ]
                self.problems += _adapter_problems(routes, path, adapter, carried, manifests, names)
        for adapter in self.settings.agencies:
            if adapter not in names:
                message = "there is no such adapter." + did_you_mean(adapter, names)
                self._hub_problem(("agencies", adapter), message)
        for manifest in manifests.values():
            if manifest is not None:
                self._check_methods(self._open(manifest), manifest.id, registry, routes)
        self._check_unused([name for name in names if name not in adapters_named(registry)])

    def _check_broker(self, registry: MemberRegistry) -> None:
        broker = self.settings.broker
        if broker is None:
            return
        self._made(lambda: rabbit_address(broker.rabbitmq))
        known = adapters_named(registry)
        for place, adapter in enumerate(broker.agencies):
            if adapter not in known:
                message = "no service names this adapter." + did_you_mean(adapter, known)
                self._hub_problem(("broker", "agencies", place), message)

    def _check_unused(self, names: list[str]) -> None:
        """What no service names cannot stop the hub: everything about it is a warning."""
        problems, self.problems = self.problems, []
        for name in names:
            manifest = self._manifest(name)
            if name in self.settings.agencies:
                message = "no service in routes.yaml names this adapter: it is not used"
                place = ("agencies", name)
                self.warnings.append(self.settings_document.problem(place, message))
                if manifest is not None:
                    self._open(manifest)
        self.warnings += self.problems
        self.problems = problems

    def _manifest(self, name: str) -> Manifest | None:
        return self._made(lambda: read_adapter_folder(self.settings.adapters, {name})[name])

    def _check_methods(
        self,
        adapter: type[Adapter] | None,
        name: str,
        registry: MemberRegistry,
        routes: YamlDocument,
    ) -> None:
        if adapter is None:
            return
        places = list(registry.services)
        for service, message in what_adapter_lacks(adapter, name, registry):
            path = ("services", places.index(service.id))
            self.problems.append(routes.problem(path, message))

    def _open(self, manifest: Manifest) -> type[Adapter] | None:
        """The class of the adapter, if it could be made."""
        given = self.settings.agencies.get(manifest.id, {})
        self._check_inline_secrets(manifest, given)
        adapter = self._made(
            lambda: open_adapter(manifest, given, settings_file=self.settings.file)
        )
        if adapter is None:
            return None
        adapter.close()
        return type(adapter)

    def _check_inline_secrets(self, manifest: Manifest, given: Mapping[str, str]) -> None:
        reason = why_not_private(self.settings.file)
        for key in given:
            if reason and key in manifest.settings and manifest.settings[key].is_secret:
                message = f"a secret stands here and {reason}, or give {key}_file"
                path = ("agencies", manifest.id, key)
                self.warnings.append(self.settings_document.problem(path, message))

    def _check_schemas(self, registry: MemberRegistry) -> None:
        routes = read_yaml(registry.text, file=str(self.settings.routes))
        schemas = {
            path: self._made(lambda path=path: _compiled(path, self.settings.schemas))  # type: ignore[misc]
            for path in sorted({service.schema for service in registry.services.values()})
        }
        for place, service in enumerate(registry.services.values()):
            schema = schemas[service.schema]
            if schema is None:
                continue
            code = service.id.service_code
            # Whoever gets a submission need not say anything.
            answer = (f"{code}Response",) if service.submission is None else ()
            for element in (code, *answer):
                if not schema.has_element(element):
                    message = f"{service.schema} has no element {element}"
                    self.problems.append(routes.problem(("services", place, "schema"), message))

    # --- keys and certificates -------------------------------------------------------------------

    def _check_signers(self, registry: MemberRegistry, store: TrustStore | None) -> None:
        self._check_signer(registry, registry.hub.member, self.settings.hub_signer, store)
        for member, files in self.settings.signers.items():
            if member in registry.members:
                self._check_signer(registry, member, files, store)
            else:
                known = [str(name) for name in registry.members]
                message = "this member is not registered." + did_you_mean(str(member), known)
                self._hub_problem(("signers", str(member)), message)
        for member in sorted(signing_members(registry, elsewhere(self.settings))):
            if member not in self.settings.signers:
                message = f"no key to sign the answers of {member} with"
                self._hub_problem(("signers", str(member)), message)

    def _check_signer(
        self,
        registry: MemberRegistry,
        member: MemberId,
        files: SignerSource,
        store: TrustStore | None,
    ) -> None:
        problems, warnings = signer_findings(files, registry.members[member], store, self.now)
        self.problems += problems
        self.warnings += warnings

    def _check_revocation(self, store: TrustStore) -> None:
        settings, document = self.settings, self.settings_document
        self.problems += revocation_problems(settings.revocation, document)
        signers = (settings.hub_signer, *settings.signers.values())
        known = known_certificates([one.certificate for one in signers])
        self.warnings += revocation_warnings(settings.revocation, document, known, store, self.now)
        reason = why_not_writable(settings.revocation.cache)
        if reason and not settings.revocation.policy.is_off:
            message = f"{settings.revocation.cache} cannot be written: {reason}"
            self._hub_problem(("revocation", "cache"), message)

    # --- log and doors --------------------------------------------------------------------------

    def _check_log(self) -> None:
        log = self.settings.log
        self._made(lambda: read_ed25519_key(log.signing_key))
        self._made(lambda: read_symmetric_key(log.read_key))
        self._made(lambda: read_symmetric_key(log.pseudonym_key))
        for folder, key in ((log.folder, "folder"), (log.guard.parent, "guard")):
            reason = why_not_writable(folder)
            if reason:
                self._hub_problem(("log", key), f"{folder} cannot be written: {reason}")
        database = self.settings.database
        if database is not None:
            self._made(lambda: check_database(database))
        else:
            self._made(lambda: check_format(log.folder))

    def _check_time_authority(self) -> None:
        timestamps = self.settings.timestamps
        if timestamps is None:
            return
        self._made(lambda: read_timestamp_trust(timestamps))
        trust = TrustSettings(timestamps.anchors, timestamps.intermediates)
        try:
            self.problems += anchor_problems(trust, self.now)
            self.warnings += anchor_warnings(trust, self.now)
        except ConfigurationError:
            return  # told above

    def _check_exposure(self) -> None:
        operations = self.settings.operations
        if operations is not None and not is_loopback(operations.host):
            message = "who reaches this address sees the hub's status: keep strangers from it"
            place = ("operations", "host")
            self.warnings.append(self.settings_document.problem(place, message))
        if self.settings.show_precise_faults and not is_loopback(self.settings.listen.host):
            message = "strangers are told why they were refused: for a sandbox only"
            self.warnings.append(self.settings_document.problem(("show_precise_faults",), message))

    def _hub_problem(self, path: KeyPath, message: str) -> None:
        self.problems.append(self.settings_document.problem(path, message))


def _adapter_problems(
    routes: YamlDocument,
    path: KeyPath,
    adapter: str,
    carried: Iterable[Service],
    manifests: Mapping[str, Manifest | None],
    names: Iterable[str],
) -> Iterable[Problem]:
    """What is wrong with an adapter that a path names, for the services that it carries there.

    A manifest that is None was told of already."""
    manifest = manifests.get(adapter)
    if adapter not in manifests:
        yield routes.problem(path, f"there is no adapter {adapter}." + did_you_mean(adapter, names))
    if manifest is None:
        return
    for service in carried:
        code, version = service.id.service_code, service.id.service_version
        if not manifest.carries(code, version):
            yield routes.problem(path, f"the adapter {adapter} does not carry {code}/{version}")


def _compiled(path: str, folder: Path) -> CompiledSchema:
    """A schema that both validators understand. Raises ConfigurationError."""
    schema = CompiledSchema(folder / path, within=folder)
    schema.compile_precise()
    return schema
