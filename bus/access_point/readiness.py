"""Check everything that an access point needs before it starts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from bus.access_point.settings import (
    AccessPointSettings,
    ServedSystem,
    read_access_point_settings,
)
from bus.access_point.tls import make_tls_context
from bus.client.hub_client import read_known_hub
from bus.core.errors import ConfigurationError, Problem
from bus.core.registry import Member
from bus.operations.readiness_report import Readiness, why_not_writable
from bus.settings.yaml_document import read_yaml
from bus.trust.certificate_checks import (
    anchor_problems,
    anchor_warnings,
    expiry_warnings,
    read_trust_store,
    signer_findings,
)
from bus.trust.key_store import read_certificates
from bus.trust.revocation_checks import revocation_problems
from signing.pki.certificates import TrustStore


def check_access_point(settings_path: Path, *, now: datetime) -> Readiness:
    """Check an access point whole, without starting anything or asking the hub."""
    try:
        settings = read_access_point_settings(settings_path)
    except ConfigurationError as error:
        return Readiness(tuple(error.problems), ())
    check = _AccessPointCheck(settings, now)
    check.run()
    return Readiness(tuple(check.problems), tuple(check.warnings))


class _AccessPointCheck:
    """One run over one access point; gathers what it finds."""

    def __init__(self, settings: AccessPointSettings, now: datetime) -> None:
        self.settings = settings
        self.now = now
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []

    def run(self) -> None:
        settings = self.settings
        self._tried(lambda: read_known_hub(settings.hub_files, settings.hub.member))
        self._tried(self._check_anchors)
        for system in settings.systems.values():
            self._tried(lambda system=system: self._check_client_certificates(system))  # type: ignore[misc]
        if settings.tls is not None:
            self._tried(self._check_tls)
        self._check_keys()
        self._check_revocation()
        if reason := why_not_writable(settings.evidence):
            message = f"{settings.evidence} cannot be written: {reason}"
            self.problems.append(Problem(str(settings.file), "evidence", message))
        if settings.hub.authority_file and not Path(settings.hub.authority_file).is_file():
            message = f"there is no file {settings.hub.authority_file}"
            self.problems.append(Problem(str(settings.file), "hub.authority_file", message))

    def _tried(self, check: Callable[[], object]) -> None:
        try:
            check()
        except ConfigurationError as error:
            known = {str(one) for one in self.problems}
            self.problems += [one for one in error.problems if str(one) not in known]

    def _check_anchors(self) -> None:
        self.problems += anchor_problems(self.settings.trust, self.now)
        self.warnings += anchor_warnings(self.settings.trust, self.now)

    def _check_keys(self) -> None:
        store: TrustStore | None = None
        with contextlib.suppress(ConfigurationError):  # told with the hub's files
            store = read_trust_store(self.settings.trust)
        member = self._member()
        signers = {one.signer for one in self.settings.systems.values()}
        for source in signers:
            problems, warnings = signer_findings(source, member, store, self.now)
            self.problems += problems
            self.warnings += warnings

    def _check_revocation(self) -> None:
        settings = self.settings.revocation
        document = read_yaml(self.settings.file.read_bytes(), file=str(self.settings.file))
        self.problems += revocation_problems(settings, document)
        if settings.policy.is_off:
            message = "the certificate under an answer is taken even if it is revoked"
            self.warnings.append(document.problem(("revocation", "check"), message))
        elif reason := why_not_writable(settings.cache):
            message = f"{settings.cache} cannot be written: {reason}"
            self.problems.append(document.problem(("revocation", "cache"), message))

    def _member(self) -> Member:
        """The agency, as far as its certificates are concerned."""
        id_ = self.settings.member
        subject = self.settings.certificate_subjects.get(id_, str(id_))
        return Member(id_, str(id_), "", "", subject, tuple(self.settings.systems))

    def _check_client_certificates(self, system: ServedSystem) -> None:
        for path in system.client_certificates:
            for certificate in read_certificates([path]):
                self.warnings += expiry_warnings(path, certificate, self.now)
                if certificate.not_valid_after_utc < self.now:
                    message = f"has expired: {system.id} does not get through the handshake"
                    self.problems.append(Problem(str(path), "", message))

    def _check_tls(self) -> None:
        assert self.settings.tls is not None
        make_tls_context(self.settings.tls, [])
        for certificate in read_certificates([self.settings.tls.certificate])[:1]:
            path = self.settings.tls.certificate
            self.warnings += expiry_warnings(path, certificate, self.now)
            if certificate.not_valid_after_utc < self.now:
                self.problems.append(Problem(str(path), "", "has expired"))
