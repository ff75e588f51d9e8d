"""What a message means to the hub: everything that a later stage acts upon."""

from __future__ import annotations

from copy import deepcopy

from lxml import etree

from bus.core.pipeline import Refusal, decide
from bus.core.routing import RoutedMessage
from bus.protocols.soap_xroad.parse import parse
from signing.names import WSU_ID
from signing.wss.canonical import canonicalise
from tests.nation import NOW, SmallNation


def judged(raw: bytes, nation: SmallNation) -> RoutedMessage | Refusal:
    return decide(raw, parse, nation.rules, NOW)


def acted_upon(message: RoutedMessage) -> object:
    """What delivery, answer and log take of a message, however it was signed."""
    verified = message.valid.authorised.verified
    envelope = verified.envelope
    return (
        verified.sender,
        (envelope.client, envelope.service, envelope.message_id),
        (envelope.user_id, envelope.issue, envelope.protocol_version),
        (message.adapter, message.idempotency_key),
        canonicalise(envelope.payload),
        [_without_identifier(block.element) for block in envelope.routing_blocks],
    )


def meaning(message: RoutedMessage) -> object:
    """All of it, and the very bytes that were signed."""
    verified = message.valid.authorised.verified
    return acted_upon(message), verified.created, verified.canonical_parts


def must_be_harmless(raw: bytes, good: bytes, nation: SmallNation) -> None:
    """Refused, or it says what the good message said."""
    before, after = judged(good, nation), judged(raw, nation)
    assert isinstance(before, RoutedMessage)
    if isinstance(after, RoutedMessage):
        assert meaning(after) == meaning(before)


def _without_identifier(block: etree._Element) -> bytes:
    copied = deepcopy(block)
    if WSU_ID in copied.attrib:
        del copied.attrib[WSU_ID]
    return canonicalise(copied)
