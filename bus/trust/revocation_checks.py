"""Check before the start what a hub asks of revocation: whom it can ask, and what it then takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from bus.core.errors import Problem
from bus.core.revocation import RevocationCheck
from bus.settings.revocation import RevocationSettings
from bus.settings.yaml_document import YamlDocument
from bus.trust.revocation_sources import RevocationSources, SourceFailed, read_list
from signing.errors import CertificateRejectedError
from signing.pki.certificate_paths import crl_issuer_name, path_links
from signing.pki.certificates import TrustStore

Certificates = Iterable[tuple[Path, x509.Certificate]]


def revocation_problems(settings: RevocationSettings, document: YamlDocument) -> Iterator[Problem]:
    """Lists in files that cannot be used."""
    for place, listed in enumerate(settings.crls):
        if isinstance(listed, Path):
            reason = _why_no_list(listed)
            if reason:
                yield document.problem(("revocation", "crls", place), f"{listed}: {reason}")


def revocation_warnings(
    settings: RevocationSettings,
    document: YamlDocument,
    known: Certificates,
    store: TrustStore,
    now: datetime,
) -> Iterator[Problem]:
    """What an operator should know of: nobody is asked, or nobody can be.

    `known` are certificates of the deployment, as examples of what its authorities issue.
    """
    if settings.policy.is_off:
        message = "a revoked certificate is taken like any other"
        yield document.problem(("revocation", "check"), message)
        return
    sources = RevocationSources(settings)
    reported = set()
    for path, certificate in known:
        try:
            found = store.path(certificate.public_bytes(Encoding.DER), now)
        except CertificateRejectedError:
            continue  # told elsewhere
        for link in path_links(found):
            if not sources.has_any(link) and link.digest not in reported:
                reported.add(link.digest)
                yield Problem(str(path), "", _unasked(link.name, settings.policy.check))


def _unasked(name: str, check: RevocationCheck) -> str:
    what = f"{name} names neither OCSP responder nor CRL, and hub.yaml names none under revocation"
    if check is RevocationCheck.REQUIRED:
        return f"{what}: a sender with such a certificate is refused"
    return f"{what}: a sender with such a certificate is taken even if it is revoked"


def _why_no_list(path: Path) -> str:
    try:
        listed = read_list(path)
    except SourceFailed as error:
        return str(error)
    return "" if crl_issuer_name(listed) else "not a CRL in DER"
