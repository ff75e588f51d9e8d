"""What a message means to the hub: everything that a later stage acts upon."""

from __future__ import annotations

from bus.core.pipeline import Refusal, judge
from bus.core.routing import RoutedMessage
from bus.protocols.soap_xroad.parse import parse
from signing.canonical import canonicalise
from tests.nation import NOW, SmallNation


def judged(raw: bytes, nation: SmallNation) -> RoutedMessage | Refusal:
    return judge(raw, parse, nation.rules, NOW)


def meaning(message: RoutedMessage) -> object:
    """Everything that is acted upon: two messages that mean the same give the same."""
    verified = message.valid.authorised.verified
    envelope = verified.envelope
    return (
        verified.sender,
        verified.created,
        verified.canonical_parts,
        (envelope.client, envelope.service, envelope.message_id),
        (envelope.user_id, envelope.issue, envelope.protocol_version),
        (message.adapter, message.idempotency_key),
        canonicalise(envelope.payload),
        [canonicalise(block.element) for block in envelope.routing_blocks],
    )


def must_be_harmless(raw: bytes, good: bytes, nation: SmallNation) -> None:
    """Refused, or it says what the good message said."""
    before, after = judged(good, nation), judged(raw, nation)
    assert isinstance(before, RoutedMessage)
    if isinstance(after, RoutedMessage):
        assert meaning(after) == meaning(before)
