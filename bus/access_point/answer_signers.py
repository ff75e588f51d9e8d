"""Ask whether the certificate under an answer is revoked."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import datetime

from bus.core.revocation import require_not_revoked
from bus.settings.revocation import RevocationSettings
from bus.trust.revocation_inquiry import EvidenceInquiry
from bus.trust.revocation_watch import RevocationWatch
from signing.pki.certificates import TrustStore, ValidatedCertificate
from signing.pki.revocation import Evidence, Status


class AnswerSigners:
    """Owns a watch and the thread of its event loop; safe to use from several threads."""

    def __init__(
        self, trust: TrustStore, settings: RevocationSettings, clock: Callable[[], datetime]
    ) -> None:
        self._policy = settings.policy
        self._loop = asyncio.new_event_loop()
        self._inquiry = EvidenceInquiry(trust, settings)
        self._watch = RevocationWatch(
            self._inquiry, _keep_nothing, clock, refresh_seconds=settings.refresh_seconds
        )
        self._thread = threading.Thread(target=self._run, name="answer-signers", daemon=True)
        self._thread.start()

    def require_good(self, certificate: ValidatedCertificate, now: datetime) -> None:
        """Wait until the status is known, no longer than fetching may take.

        Raises CertificateRevoked, RevocationUnknown.
        """
        asking = asyncio.run_coroutine_threadsafe(self._status(certificate, now), self._loop)
        require_not_revoked(asking.result(), self._policy, now)

    async def _status(self, certificate: ValidatedCertificate, now: datetime) -> Status:
        known = self._watch.known(certificate.digest, now)
        if known is not None:
            return known
        return await self._watch.find(certificate.digest, certificate.der, now)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.call_soon(self._watch.start)
        self._loop.run_forever()

    def close(self) -> None:
        """Ask nobody any more."""
        try:
            asyncio.run_coroutine_threadsafe(self._watch.close(), self._loop).result()
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            self._inquiry.close()


async def _keep_nothing(_: Evidence) -> None:
    """The hub's log is where evidence is kept for auditors; this is an asker's own doubt."""
