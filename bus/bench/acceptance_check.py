"""Verify acceptances of submissions as a careful sender would."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from cryptography.hazmat.primitives.serialization import Encoding

from bus.bench.answer_checks import AnswerWrong
from bus.bench.load import Exchange
from bus.bench.signed_requests import body_of
from bus.core.limits import Limits
from bus.core.log.receipts import RECEIPT_NAME
from bus.judge_program import WIRE
from bus.protocols.soap_xroad.read_answer import AnswerRejected
from bus.protocols.soap_xroad.verify_answer import KnownHub, VerifiedAcceptance, verify_reply
from bus.settings.hub import HubSettings
from bus.settings.routes import read_registry
from bus.trust.key_store import read_certificates, read_ed25519_key
from signing.errors import SignatureError
from signing.pki.certificates import TrustStore
from signing.signed_note import SigningKey


@dataclass(frozen=True, slots=True)
class AcceptanceCheck:
    """What a sender knows beforehand of the hub and of who gets what it submits."""

    hub: KnownHub = field(repr=False)
    recipients_count: int

    def check(self, exchange: Exchange, now: datetime) -> None:
        """Verify one acceptance. Raises AnswerWrong."""
        request = WIRE.parse(body_of(exchange.request), Limits())
        try:
            verified = verify_reply(exchange.answer, request, self.hub, now)
        except (AnswerRejected, SignatureError) as error:
            raise AnswerWrong(f"an acceptance does not hold: {error}") from error
        if not isinstance(verified, VerifiedAcceptance):
            raise AnswerWrong("a submission was answered by something else than its acceptance")
        if verified.acceptance.recipients_count != self.recipients_count:
            raise AnswerWrong("an acceptance names another number of recipients")


def acceptance_check(settings: HubSettings, recipients_count: int) -> AcceptanceCheck:
    """What is known of the hub that these settings are of. Raises ConfigurationError."""
    anchors = [one.public_bytes(Encoding.DER) for one in read_certificates(settings.trust.anchors)]
    registry = read_registry(settings.routes)
    key = SigningKey(settings.log.origin + RECEIPT_NAME, read_ed25519_key(settings.log.signing_key))
    hub = KnownHub(
        trust=TrustStore(anchors),
        member=registry.hub.member,
        certificate_subjects={
            member.id: member.certificate_subject for member in registry.members.values()
        },
        receipt_key=key.verifying_key,
    )
    return AcceptanceCheck(hub, recipients_count)
