"""Decide about a request whole: every stage before delivery, in one call, for any wire protocol.

What record, delivery and answer need of a message afterwards leaves here as values: identifiers,
digests, the canonical payload that was signed, the header blocks of the answer. The nodes that the
stages worked on stay behind.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from bus.core.decision import Decision, Refused, accept, refused_at
from bus.core.envelope import Envelope
from bus.core.errors import BusError, HubInternal, TooCostly
from bus.core.limits import Limits
from bus.core.pipeline import Refusal, Rules, decide
from bus.core.ports.wire_protocol import WireProtocol
from bus.core.routing import RoutedMessage
from bus.core.value_prefixes import canonical_element
from signing.attachments import Attachment

Report = Callable[[Exception], None]
"""Told of a mistake of ours; must not tell the message's content to anybody."""


def decide_whole(
    wire: WireProtocol,
    raw: bytes,
    rules: Rules,
    now: datetime,
    attachments: tuple[Attachment, ...] = (),
) -> Decision:
    """Take one request through every stage before delivery; mistakes of ours go through."""

    def parse(raw: bytes, limits: Limits) -> Envelope:
        return wire.parse(raw, limits, attachments)

    decided = decide(raw, parse, rules, now)
    if isinstance(decided, Refusal):
        return refused_at(decided)
    return _accepted(wire, decided, rules, now)


def decide_request_in(
    wire: WireProtocol,
    raw: bytes,
    rules: Rules,
    now: datetime,
    report: Report,
    attachments: tuple[Attachment, ...] = (),
) -> Decision:
    """Take one request through every stage before delivery. For any bytes: a decision."""

    try:
        return decide_whole(wire, raw, rules, now, attachments)
    except MemoryError:
        return Refused(TooCostly("there is no memory for it"))
    except Exception as error:  # a mistake of ours: the sender gets an id, we get the place
        report(error)
        return Refused(HubInternal(type(error).__name__))


def _accepted(wire: WireProtocol, message: RoutedMessage, rules: Rules, now: datetime) -> Decision:
    valid = message.valid
    verified = valid.authorised.verified
    envelope = verified.envelope
    try:
        payload = canonical_element(envelope.payload, all_values=valid.schema.has_qnames)
        blocks = wire.answer_blocks(envelope)
    except BusError as error:  # values use more prefixes than an answer could repeat
        return refused_at(Refusal(error, envelope, verified))
    return accept(message, payload.canonical, blocks, rules.digest, now)
