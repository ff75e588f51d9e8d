"""Check everything that a worker needs before it starts: what `lienthong check --worker` tells."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from bus.core.errors import ConfigurationError, Problem
from bus.core.registry import MemberRegistry
from bus.delivery.adapter_folder import open_adapter, read_adapter_folder
from bus.delivery.carrying import adapters_named, services_carried, what_adapter_lacks
from bus.operations.readiness_report import Made, Readiness
from bus.settings.form import did_you_mean
from bus.settings.payload_schemas import CompiledSchema
from bus.settings.routes import read_registry
from bus.settings.worker import WorkerSettings, read_worker_settings
from bus.trust.broker_access import rabbit_address
from bus.trust.certificate_checks import (
    anchor_problems,
    anchor_warnings,
    read_trust_store,
    signer_findings,
)
from bus.trust.key_store import read_verifying_key
from signing.pki.certificates import TrustStore


def check_worker(settings_path: Path, *, now: datetime) -> Readiness:
    """Check a worker whole, without starting anything or asking the broker.

    The agencies are those whose settings stand in the file.
    """
    try:
        settings = read_worker_settings(settings_path)
    except ConfigurationError as error:
        return Readiness(tuple(error.problems), ())
    check = _WorkerCheck(settings, now)
    check.run()
    return Readiness(tuple(check.problems), tuple(check.warnings))


class _WorkerCheck:
    """One run over one worker; gathers what it finds."""

    def __init__(self, settings: WorkerSettings, now: datetime) -> None:
        self.settings = settings
        self.now = now
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []

    def run(self) -> None:
        settings = self.settings
        for file in settings.log_keys:
            self._made(lambda file=file: read_verifying_key(file))  # type: ignore[misc]
        self._made(lambda: rabbit_address(settings.broker))
        store = None
        if settings.trust is not None:
            trust = settings.trust
            store = self._made(lambda: read_trust_store(trust))
            self._made(lambda: self.problems.extend(anchor_problems(trust, self.now)))
            self._made(lambda: self.warnings.extend(anchor_warnings(trust, self.now)))
        registry = self._made(lambda: read_registry(settings.routes))
        if registry is not None:
            self._check_signers(registry, store)
            for adapter in settings.agencies:
                self._check_adapter(adapter, registry)

    def _made(self, make: Callable[[], Made]) -> Made | None:
        try:
            return make()
        except ConfigurationError as error:
            self.problems += error.problems
            return None

    def _check_signers(self, registry: MemberRegistry, store: TrustStore | None) -> None:
        for member, source in self.settings.signers.items():
            known = registry.members.get(member)
            if known is None:
                self._problem(f"signers.{member}", "the routes know no such member")
                continue
            problems, warnings = signer_findings(source, known, store, self.now)
            self.problems += problems
            self.warnings += warnings

    def _check_adapter(self, adapter: str, registry: MemberRegistry) -> None:
        place, known = f"agencies.{adapter}", adapters_named(registry)
        if adapter not in known:
            self._problem(place, f"no service names this adapter.{did_you_mean(adapter, known)}")
            return
        settings = self.settings
        manifests = self._made(lambda: read_adapter_folder(settings.adapters, {adapter})) or {}
        if adapter not in manifests:
            self._problem(place, f"there is no such adapter in {settings.adapters}")
            return
        given = settings.agencies[adapter]
        opened = self._made(
            lambda: open_adapter(manifests[adapter], given, settings_file=settings.file)
        )
        if opened is not None:
            for service, lacking in what_adapter_lacks(type(opened), adapter, registry):
                self._problem(place, f"{service.id}: {lacking}")
        for service in services_carried(adapter, registry):
            schema = settings.schemas / service.schema
            self._made(lambda schema=schema: CompiledSchema(schema, within=settings.schemas))  # type: ignore[misc]

    def _problem(self, place: str, message: str) -> None:
        self.problems.append(Problem(str(self.settings.file), place, message))
