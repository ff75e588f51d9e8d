"""Find the status of a certificate's path: verify the evidence at hand, fetch what is newer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

import structlog

from bus.settings.revocation import RevocationSettings
from bus.trust.evidence_store import EvidenceStore
from bus.trust.revocation_sources import RevocationSources, SourceFailed
from signing.errors import CertificateRejectedError
from signing.pki.certificate_paths import Link, listed_serial_numbers, path_links
from signing.pki.certificates import TrustStore
from signing.pki.revocation import (
    Evidence,
    Status,
    Unknown,
    link_status,
    revocation_status,
)

FETCHING_THREADS = 8
FAILING_REPORTED_MAX = 1024
"""Sources of which is remembered how they fail."""
STATUSES_KEPT_MAX = 4096
"""Statuses that need not be verified again while the evidence is the same."""
PATHS_KEPT_MAX = 4096
"""Certificates of which is remembered what they hang on."""

_log = structlog.get_logger()
_EVER = datetime.min.replace(tzinfo=UTC)

Found = TypeVar("Found")


class EvidenceInquiry:
    """Verifies in one thread, which owns trust and store; fetches in others.

    Implements `bus.trust.revocation_watch.Inquiry`; used from one event loop.
    """

    def __init__(self, trust: TrustStore, settings: RevocationSettings) -> None:
        self._trust = TrustStore(trust.anchors, trust.intermediates)  # our own: another thread's
        self._settings = settings
        self._store = EvidenceStore(settings.cache)
        self._sources = RevocationSources(settings)
        self._links: dict[bytes, tuple[Link, ...]] = {}
        self._verifying = ThreadPoolExecutor(1, thread_name_prefix="revocation-verify")
        self._fetching = ThreadPoolExecutor(FETCHING_THREADS, thread_name_prefix="revocation-fetch")
        self._statuses: dict[tuple[bytes, ...], Status] = {}
        """By certificate and the digests of what is known about its path."""
        self._failing: dict[str, str] = {}
        """How a source failed the last time."""
        self._fetching_list: dict[tuple[str, bytes], asyncio.Lock] = {}
        """One for each place and issuer."""
        self._new_until: dict[tuple[str, bytes], datetime] = {}
        """Until when what a place gave about a subject need not be asked again."""
        self._flights: dict[tuple[str, bytes], asyncio.Future[Evidence]] = {}

    async def at_hand(self, certificate: bytes, now: datetime) -> Status:
        """What the evidence at hand says; nobody is asked."""
        return await self._verify(lambda: self._status(certificate, now))

    async def fetch(self, certificate: bytes, now: datetime) -> None:
        """Ask about each certificate of the path: responders first, then lists."""
        links = await self._verify(lambda: self._path_links(certificate, now))
        await asyncio.gather(*(self._fetch_link(certificate, link, now) for link in links))

    def subjects(self, certificate: bytes) -> frozenset[bytes]:
        """Digests of every certificate of the path; empty before `at_hand`."""
        links = self._links.get(certificate, ())
        return frozenset(digest for link in links for digest in (link.digest, link.issuer_digest))

    async def concerned(self, new: Sequence[Evidence]) -> frozenset[bytes]:
        """Known certificates, in DER, of which new evidence may tell something bad."""
        return await self._verify(lambda: self._concerned(new))

    def close(self) -> None:
        """Stop both kinds of threads; what is being fetched is not waited for."""
        self._verifying.shutdown(wait=True, cancel_futures=True)
        self._fetching.shutdown(wait=False, cancel_futures=True)

    # --- in the verifying thread -------------------------------------------------------------

    def _path_links(self, certificate: bytes, now: datetime) -> tuple[Link, ...]:
        if certificate not in self._links:
            if len(self._links) >= PATHS_KEPT_MAX:
                self._links.pop(next(iter(self._links)))
            self._links[certificate] = path_links(self._trust.path(certificate, now))
        return self._links[certificate]

    def _status(self, certificate: bytes, now: datetime) -> Status:
        links = self._path_links(certificate, now)
        # A source that the operator named speaks of every certificate.
        where_named_only = self._settings.policy.where_named_only and not self._sources.is_named
        for link in links if not where_named_only else ():
            if not self._sources.has_any(link):
                return Unknown(f"nobody can be asked about {link.name}")
        evidence = self._store.about(sorted(self.subjects(certificate)))
        key = (certificate, *(piece.digest for piece in evidence))
        known = self._statuses.get(key)
        if known is not None:
            return known
        status = revocation_status(
            self._trust, certificate, evidence, now, where_named_only=where_named_only
        )
        if len(self._statuses) >= STATUSES_KEPT_MAX:
            self._statuses.pop(next(iter(self._statuses)))
        if not isinstance(status, Unknown):  # later, the same evidence may tell
            self._statuses[key] = status
        return status

    def _concerned(self, new: Sequence[Evidence]) -> frozenset[bytes]:
        answered = {piece.about for piece in new if piece.is_ocsp}
        listed = {
            piece.about: listed_serial_numbers(piece.der) for piece in new if not piece.is_ocsp
        }
        return frozenset(
            certificate
            for certificate, links in self._links.items()
            if any(
                link.digest in answered or link.serial_number in listed.get(link.issuer_digest, ())
                for link in links
            )
        )

    def _take(self, certificate: bytes, link: Link, piece: Evidence, now: datetime) -> datetime:
        """Keep a piece that proves something, counts now, and is not older than what is kept.

        Gives until when it counts. Raises SourceFailed.
        """
        path = self._trust.path(certificate, now)
        kept = self._store.about([link.digest, link.issuer_digest])
        found = link_status(self._trust, path, link, [piece, *kept], now)
        if isinstance(found, Unknown):
            raise SourceFailed(found.why)
        if found.evidence != (piece,):
            raise SourceFailed("it proves nothing, or is older than what is known")
        if now > found.next_update:
            raise SourceFailed(f"it counted until {found.next_update.isoformat()}")
        self._store.keep(found)
        return found.next_update

    async def _verify(self, work: Callable[[], Found]) -> Found:
        return await asyncio.get_running_loop().run_in_executor(self._verifying, work)

    # --- fetching ----------------------------------------------------------------------------

    async def _fetch_link(self, certificate: bytes, link: Link, now: datetime) -> None:
        """The first source that proves something ends the asking."""
        try:
            async with asyncio.timeout(2 * self._settings.fetch_seconds):
                if not await self._fetch_response(certificate, link, now):
                    await self._fetch_list(certificate, link, now)
        except TimeoutError:
            self._report_failed(f"whoever speaks of {link.name}", link, "no answer in time")

    async def _fetch_response(self, certificate: bytes, link: Link, now: datetime) -> bool:
        for address in self._sources.ocsp_addresses(link):
            ask = partial(self._sources.ask, address, link)
            if await self._try(address, ask, link.digest, certificate, link, now):
                return True
        return False

    async def _fetch_list(self, certificate: bytes, link: Link, now: datetime) -> None:
        for place in self._sources.crl_places(link):
            # A list speaks of many certificates: it is not fetched for each of them.
            key = (str(place), link.issuer_digest)
            async with self._fetching_list.setdefault(key, asyncio.Lock()):
                if now < self._new_until.get(key, _EVER):
                    return
                ask = partial(self._sources.crl, place, link)
                until = await self._try(str(place), ask, link.issuer_digest, certificate, link, now)
                if until is not None:
                    refresh = timedelta(seconds=self._settings.refresh_seconds)
                    self._new_until[key] = min(until, now + refresh)
                    return

    async def _try(
        self,
        place: str,
        ask: Callable[[], Evidence],
        subject: bytes,
        certificate: bytes,
        link: Link,
        now: datetime,
    ) -> datetime | None:
        """Until when what the source at `place` proved counts; None: it proved nothing newer."""
        try:
            piece = await self._shared(place, subject, ask)
            until = await self._verify(lambda: self._take(certificate, link, piece, now))
        except (SourceFailed, CertificateRejectedError) as error:
            self._report_failed(place, link, str(error))
            return None
        if self._failing.pop(place, None) is not None:
            _log.warning("revocation.source-works", source=place)
        return until

    def _report_failed(self, place: str, link: Link, reason: str) -> None:
        """Once for each way in which a source fails: it is asked every few seconds."""
        if self._failing.get(place) == reason:
            return
        if len(self._failing) >= FAILING_REPORTED_MAX:
            self._failing.clear()
        self._failing[place] = reason
        name = link.digest.hex()
        _log.warning("revocation.source-failed", source=place, certificate=name, reason=reason)

    async def _shared(self, place: str, subject: bytes, ask: Callable[[], Evidence]) -> Evidence:
        """One question at a time to one source about one certificate, or one issuer."""
        key = (place, subject)
        flight = self._flights.get(key)
        if flight is None:
            loop = asyncio.get_running_loop()
            flight = asyncio.ensure_future(loop.run_in_executor(self._fetching, ask))
            self._flights[key] = flight
            flight.add_done_callback(lambda done: self._land(key, done))
        return await asyncio.shield(flight)

    def _land(self, key: tuple[str, bytes], done: asyncio.Future[Evidence]) -> None:
        del self._flights[key]
        if not done.cancelled():
            done.exception()  # told to whoever still waits
