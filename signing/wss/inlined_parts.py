"""Digest a part of an optimised message as if its binary content still stood in it.

XML-binary Optimized Packaging 1.0 §2, §3: an xop:Include stands for the base64 text of an
attachment. The signature is made over the message with that text. Nothing is built in memory: the
text streams from the attachment into the digest.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from lxml import etree

from signing import names
from signing.attachments import Attachment
from signing.errors import SignatureMalformedError
from signing.wss.canonical import Canonicalisation, canonicalise, twin

CONTENT_ID_SCHEME = "cid:"

# The parser refuses processing instructions, and canonical text escapes every `<`: where these
# stand in a canonical form, we put them.
_PLACE_TARGET = "place"
_PLACE = re.compile(rb"<\?place ([0-9]+)\?>")


def attachment_named(uri: str, attachments: Sequence[Attachment]) -> Attachment:
    """The attachment that a `cid:` URL names. RFC 2392. Raises SignatureMalformedError."""
    content_id = unquote(uri.removeprefix(CONTENT_ID_SCHEME))
    found = [one for one in attachments if one.content_id == content_id]
    if not uri.startswith(CONTENT_ID_SCHEME) or len(found) != 1:
        raise SignatureMalformedError("a reference points to no attachment of this message")
    return found[0]


def included_attachment(
    element: etree._Element, attachments: Sequence[Attachment]
) -> Attachment | None:
    """The attachment whose base64 is the content of `element`; None: it holds its own content.

    Raises SignatureMalformedError: something stands beside the xop:Include. XOP §2.1, §3.2.
    """
    if not any(child.tag == names.XOP_INCLUDE for child in element):
        return None
    return _only_content(element, attachments)


def _only_content(holder: etree._Element, attachments: Sequence[Attachment]) -> Attachment:
    include = holder[0]
    text = (holder.text or "") + (include.tail or "")
    if len(holder) != 1 or text.strip() or len(include) or set(include.attrib) != {"href"}:
        raise SignatureMalformedError("an xop:Include must be the only content of its element")
    return attachment_named(include.get("href", ""), attachments)


@dataclass(frozen=True, slots=True)
class InlinedPart:
    """A part in canonical form, in pieces, with the attachments between them."""

    pieces: tuple[bytes, ...] = field(repr=False)
    """One more than there are attachments."""
    attachments: tuple[Attachment, ...]

    def octets(self) -> Iterator[bytes]:
        """The canonical form with the base64 text of each attachment in its place."""
        yield self.pieces[0]
        for attachment, piece in zip(self.attachments, self.pieces[1:], strict=True):
            yield from _base64_text(attachment)
            yield piece


def inlined(
    element: etree._Element, by: Canonicalisation, attachments: Sequence[Attachment]
) -> InlinedPart | None:
    """The part with its attachments in their places; None: it includes none.

    Raises SignatureMalformedError.
    """
    if next(element.iter(names.XOP_INCLUDE), None) is None:
        return None
    copied = twin(element)
    included = []
    for number, include in enumerate(list(copied.iter(names.XOP_INCLUDE))):
        holder = include.getparent()
        assert holder is not None  # no message is an xop:Include
        attachment = _only_content(holder, attachments)
        # Once: what is digested stays within what was sent.
        if attachment in included:
            raise SignatureMalformedError("an attachment is included twice in one part")
        included.append(attachment)
        holder.text = None
        holder.replace(include, etree.ProcessingInstruction(_PLACE_TARGET, str(number)))
    pieces = _PLACE.split(canonicalise(copied, by))[::2]
    return InlinedPart(tuple(pieces), tuple(included))


def _base64_text(attachment: Attachment) -> Iterator[bytes]:
    kept = b""
    for chunk in attachment.chunks():
        data = kept + chunk
        whole = len(data) - len(data) % 3
        kept = data[whole:]
        yield base64.b64encode(data[:whole])
    yield base64.b64encode(kept)
