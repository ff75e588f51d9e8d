"""Judge a SOAP request whole: every stage before delivery, in one call.

What delivery needs of a message after it was judged is here as values: identifiers, digests, the
canonical payload that was signed, the header blocks of the answer. The nodes that the stages worked
on stay behind.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from bus.core.attachments import parsing_with_attachments
from bus.core.decision import Accepted, Decision
from bus.core.errors import BusError, HubInternal, TooCostly
from bus.core.pipeline import Parse, Refusal, Rules, decide
from bus.core.routing import RoutedMessage
from bus.core.value_prefixes import canonical_element
from bus.protocols.soap_xroad.parse import parse
from bus.protocols.soap_xroad.write import answer_blocks
from signing.attachments import Attachment

Report = Callable[[Exception], None]
"""Told of a mistake of ours; must not tell the message's content to anybody."""


def decide_request(
    raw: bytes,
    rules: Rules,
    now: datetime,
    report: Report,
    attachments: tuple[Attachment, ...] = (),
) -> Decision:
    """Take one request through every stage before delivery. For any bytes: a decision."""
    try:
        decision = decide(raw, parse_with_attachments(attachments), rules, now)
        if isinstance(decision, Refusal):
            return decision
        return _judged(decision)
    except MemoryError:
        return Refusal(TooCostly("there is no memory for it"), None, None)
    except Exception as error:  # a mistake of ours: the sender gets an id, we get the place
        report(error)
        return Refusal(HubInternal(type(error).__name__), None, None)


def _judged(message: RoutedMessage) -> Decision:
    verified, schema = message.valid.authorised.verified, message.valid.schema
    envelope = verified.envelope
    try:
        payload = canonical_element(envelope.payload, all_values=schema.has_qnames)
        return Accepted(message, payload.canonical, answer_blocks(envelope))
    except BusError as error:  # values use more prefixes than an answer could repeat
        return Refusal(error, envelope, verified)


def parse_with_attachments(attachments: tuple[Attachment, ...]) -> Parse:
    """Read requests that come with these attachments."""
    return parsing_with_attachments(parse, attachments)
