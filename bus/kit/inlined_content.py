"""Put the content of an optimised reply back into it, for adapters that take no attachments.

XML-binary Optimized Packaging 1.0 §3.2: an xop:Include stands for the base64 of a part. Services
with MTOM switched on decide by size alone which way a value goes.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence

from lxml import etree

from bus.core.attachments import XOP_INCLUDE, attachment_named
from bus.core.errors import AnswerMimeInvalid, AttachmentReferenceInvalid, RecipientUnavailable
from bus.kit.contract import Answer
from signing.attachments import Attachment


def with_inlined_content(
    element: etree._Element, attachments: Sequence[Attachment], *, bytes_max: int
) -> Answer:
    """The answer with base64 where it included attachments, and those that it did not include.

    Raises AnswerMimeInvalid (an Include names no part), RecipientUnavailable (more content than
    `bytes_max`).
    """
    included: list[str] = []
    left = bytes_max
    for include in list(element.iter(XOP_INCLUDE)):
        holder = include.getparent()
        found = None if holder is None else _named(holder, attachments)
        if holder is None or found is None:
            raise AnswerMimeInvalid("an xop:Include names no part of the reply")
        left -= found.bytes_count
        if left < 0:
            raise RecipientUnavailable(f"a reply that includes more than {bytes_max} bytes")
        holder.remove(include)
        holder.text = b64encode(b"".join(found.chunks())).decode("ascii")
        included.append(found.content_id)
    return Answer(element, tuple(one for one in attachments if one.content_id not in included))


def _named(holder: etree._Element, attachments: Sequence[Attachment]) -> Attachment | None:
    try:
        return attachment_named(holder, attachments)
    except AttachmentReferenceInvalid as error:
        raise AnswerMimeInvalid("an xop:Include does not stand alone") from error
