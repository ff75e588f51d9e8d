"""Fetch OCSP responses and CRLs: bounded in size and time, no redirect, http and https only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bus.http.bounded_get import Bounds, FetchFailed, FetchRequest, fetch
from bus.settings.revocation import RevocationSettings
from signing.pki.certificate_paths import Link, crl_issuer_name, ocsp_request
from signing.pki.revocation import Evidence

OCSP_BYTES_MAX = 64 * 1024
"""Largest OCSP response that is read."""
CRL_BYTES_MAX = 8 * 1024 * 1024
"""Largest CRL that is read."""
_OCSP_HEADERS = {
    "Content-Type": "application/ocsp-request",  # RFC 6960, Appendix A.1
    "Accept": "application/ocsp-response",
}


class SourceFailed(Exception):
    """A source gave nothing that can be used; the text says why, for operators."""


class RevocationSources:
    """Asks responders and distribution points. Its functions wait: call them in threads."""

    def __init__(self, settings: RevocationSettings) -> None:
        self._settings = settings

    @property
    def is_named(self) -> bool:
        """Whether the operator named a source, for whatever certificate."""
        return bool(self._settings.ocsp_url or self._settings.crls)

    def ocsp_addresses(self, link: Link) -> tuple[str, ...]:
        """Who is asked about a certificate by OCSP."""
        return (self._settings.ocsp_url,) if self._settings.ocsp_url else link.ocsp_urls

    def crl_places(self, link: Link) -> Iterator[str | Path]:
        """Where a CRL may lie that speaks of a certificate."""
        yield from link.crl_urls
        yield from self._settings.crls

    def has_any(self, link: Link) -> bool:
        """Whether there is anybody to ask."""
        return bool(self.ocsp_addresses(link)) or any(self.crl_places(link))

    def ask(self, address: str, link: Link) -> Evidence:
        """A responder's answer about a certificate; nothing is verified. Raises SourceFailed."""
        request = FetchRequest(address, ocsp_request(link), _OCSP_HEADERS)
        return Evidence(link.digest, self._fetch(request, OCSP_BYTES_MAX))

    def crl(self, place: str | Path, link: Link) -> Evidence:
        """A CRL of a certificate's issuer; nothing is verified. Raises SourceFailed."""
        if isinstance(place, Path):
            listed = read_list(place)
        else:
            listed = self._fetch(FetchRequest(place), CRL_BYTES_MAX)
        if crl_issuer_name(listed) != link.issuer_name:
            raise SourceFailed("no CRL of this issuer")
        return Evidence(link.issuer_digest, listed)

    def _fetch(self, request: FetchRequest, bytes_max: int) -> bytes:
        try:
            return fetch(request, Bounds(self._settings.fetch_seconds, bytes_max))
        except FetchFailed as error:
            raise SourceFailed(str(error)) from error


def read_list(path: Path) -> bytes:
    """The bytes of a CRL in a file. Raises SourceFailed."""
    try:
        with path.open("rb") as file:
            listed = file.read(CRL_BYTES_MAX + 1)
    except OSError as error:
        raise SourceFailed(f"cannot be read: {error.strerror}") from error
    if len(listed) > CRL_BYTES_MAX:
        raise SourceFailed(f"larger than {CRL_BYTES_MAX} bytes")
    return listed
