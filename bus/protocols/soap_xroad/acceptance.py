"""Write and read the answer to a submission: that the hub has it, and delivers it to so many."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from lxml import etree

from bus.core.value_prefixes import CanonicalElement
from bus.protocols.soap_xroad import names
from bus.protocols.soap_xroad.read_answer import AnswerRejected
from bus.protocols.soap_xroad.write import escape
from signing.utc_text import text_in_microseconds

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\Z")
_COUNT = re.compile(r"[1-9]\d{0,8}\Z")
_PARTS = tuple(f"{{{names.LIENTHONG}}}{one}" for one in ("messageId", "recipients", "acceptedAt"))


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What the hub says of a submission that it took."""

    message_id: str
    recipients_count: int
    time: datetime
    """That of the entry that received it; UTC."""

    def element(self) -> CanonicalElement:
        """schemas/lienthong/1.0/message.xsd, in canonical form."""
        return CanonicalElement(
            (
                f'<lt:acceptance xmlns:lt="{names.LIENTHONG}">'
                f"<lt:messageId>{escape(self.message_id)}</lt:messageId>"
                f"<lt:recipients>{self.recipients_count}</lt:recipients>"
                f"<lt:acceptedAt>{text_in_microseconds(self.time)}</lt:acceptedAt></lt:acceptance>"
            ).encode()
        )


def read_acceptance(payload: etree._Element) -> Acceptance:
    """What the payload of an answer says. Raises AnswerRejected."""
    if tuple(child.tag for child in payload) != _PARTS:
        raise AnswerRejected("the acceptance does not have its form")
    message_id, count, moment = (child.text or "" for child in payload)
    try:
        if not (_COUNT.match(count) and _MOMENT.match(moment)):
            raise ValueError
        return Acceptance(message_id, int(count), datetime.fromisoformat(moment))
    except ValueError as error:
        raise AnswerRejected("the acceptance does not have its form") from error
