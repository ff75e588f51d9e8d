"""Decide about a SOAP request whole: every stage before delivery, in one call."""

from __future__ import annotations

from datetime import datetime

from bus.core.attachments import parsing_with_attachments
from bus.core.decision import Decision
from bus.core.pipeline import Parse, Rules
from bus.core.request_decision import Report, decide_request_in
from bus.protocols.soap_xroad.parse import parse
from bus.protocols.soap_xroad.wire import SOAP_XROAD
from signing.attachments import Attachment


def decide_request(
    raw: bytes,
    rules: Rules,
    now: datetime,
    report: Report,
    attachments: tuple[Attachment, ...] = (),
) -> Decision:
    """Take one request through every stage before delivery. For any bytes: a decision."""
    return decide_request_in(SOAP_XROAD, raw, rules, now, report, attachments)


def parse_with_attachments(attachments: tuple[Attachment, ...]) -> Parse:
    """Read requests that come with these attachments."""
    return parsing_with_attachments(parse, attachments)
