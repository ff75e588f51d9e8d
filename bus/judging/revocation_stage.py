"""Judge requests as before, and then ask whether the sender's certificate is revoked.

The stage stands after judging, because only a proved sender is asked about: a stranger makes the
hub ask nobody. What it decides goes before whatever else was decided about a proved sender.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial

import structlog

from bus.core.decision import Decide, Decision, Refused, SenderProof
from bus.core.errors import LogUnavailable
from bus.core.exchange_leaves import SealedFacts, evidence_leaf
from bus.core.pipeline import Rules, revocation_error
from bus.core.ports.message_log import LogWrite, MessageLog, PayloadSealer
from bus.runtime.daemon_threads import run_aside
from bus.runtime.off_loop import off_loop
from bus.settings.revocation import RevocationSettings
from bus.trust.revocation_inquiry import EvidenceInquiry
from bus.trust.revocation_watch import Record, RevocationWatch
from signing.attachments import Attachment
from signing.pki.revocation import Evidence, Status, Unknown

_log = structlog.get_logger()


class RevocationStage:
    """Owns what is known of revocation; used from one event loop."""

    def __init__(
        self,
        decide: Decide,
        rules: Rules,
        settings: RevocationSettings,
        record: Record,
        clock: Callable[[], datetime],
    ) -> None:
        """`record` puts evidence into the log: `recorder` makes it."""
        self._decide = decide
        self._rules = rules
        self._inquiry = EvidenceInquiry(rules.trust, settings)
        self.watch = RevocationWatch(
            self._inquiry, record, clock, refresh_seconds=settings.refresh_seconds
        )
        if not rules.revocation.is_off:
            self.watch.start()

    async def decide(
        self, raw: bytes, now: datetime, attachments: tuple[Attachment, ...] = ()
    ) -> Decision:
        """The decision about a request. For any bytes: a decision."""
        decision = await self._decide(raw, now, attachments)
        proof = decision.proof
        if proof is None:
            return decision
        status = self.watch.known(proof.certificate_digest, now)
        if status is None:
            try:
                status = await self._find(proof, now)
            except LogUnavailable as error:
                return Refused(error, decision.facts, proof)
        reason = revocation_error(status, self._rules, now)
        return decision if reason is None else Refused(reason, decision.facts, proof)

    async def _find(self, proof: SenderProof, now: datetime) -> Status:
        try:
            return await self.watch.find(proof.certificate_digest, proof.certificate, now)
        except LogUnavailable:
            raise
        except Exception as error:  # a mistake of ours must not let anybody pass
            _log.error("revocation.broken", error=type(error).__name__)
            return Unknown(f"asking failed: {type(error).__name__}")

    async def close(self) -> None:
        """Ask nobody any more."""
        try:
            await self.watch.close()
        finally:
            await run_aside(self._inquiry.close, "revocation-close")  # it waits for its thread


def recorder(log: MessageLog, sealer: PayloadSealer, clock: Callable[[], datetime]) -> Record:
    """What puts evidence into the log, sealed as payloads are."""

    async def record(evidence: Evidence) -> None:
        # A list of what is revoked may have megabytes.
        sealed = await off_loop(len(evidence.der), partial(sealer.seal, evidence.der))
        payload = SealedFacts(*sealed, raw_bytes=len(evidence.der))
        leaf = evidence_leaf(evidence, payload, clock())
        await log.append(LogWrite(leaf, payload.sealed))

    return record
