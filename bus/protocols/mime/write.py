"""Write a multipart/related message piece by piece: SOAP with Attachments, or MTOM."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bus.protocols.mime.content_type import MULTIPART_RELATED, XOP, ContentType
from signing.attachments import Attachment
from signing.policy import DIGEST_SHA256

XOP_NAMESPACE = b"http://www.w3.org/2004/08/xop/include"
"""A SOAP part that names it is sent as MTOM."""
ROOT_ID = "soap@lienthong.vn"
_TEXT_XML = "text/xml"


@dataclass(frozen=True, slots=True)
class RelatedMessage:
    """A message with attachments, ready to be sent in chunks, more than once."""

    content_type: str
    soap: bytes = field(repr=False)
    attachments: tuple[Attachment, ...]
    _root_head: bytes = field(repr=False)
    _delimiter: bytes = field(repr=False)

    def __len__(self) -> int:
        """How many bytes `chunks` give."""
        heads = (len(self._delimiter) + len(_head(one)) for one in self.attachments)
        contents = (one.bytes_count for one in self.attachments)
        start = len(self._root_head) + len(self.soap)
        return start + sum(heads) + sum(contents) + len(self._delimiter) + len(b"--\r\n")

    def __iter__(self) -> Iterator[bytes]:
        """The bytes, piece by piece."""
        yield self._root_head
        yield self.soap
        for attachment in self.attachments:
            yield self._delimiter + _head(attachment)
            yield from attachment.chunks()
        yield self._delimiter + b"--\r\n"


def write_related(
    soap: bytes,
    attachments: Sequence[Attachment],
    *,
    soap_type: str = _TEXT_XML,
    is_xop: bool = False,
) -> RelatedMessage:
    """A message of a SOAP part and attachments; `soap_type` is the media type of its SOAP version.

    With `is_xop` the SOAP part is written as MTOM 1.0 §2.1 names it. The boundary is made of
    digests of all that it parts, so that no part can hold it.
    """
    digest = hashlib.sha256(soap)
    for attachment in attachments:
        digest.update(attachment.digests[DIGEST_SHA256])
    boundary = f"lienthong-{digest.hexdigest()[:48]}"
    root = _root_type(soap_type, is_xop=is_xop)
    parameters = {"type": root.media_type, "start": f"<{ROOT_ID}>", "boundary": boundary}
    if is_xop:
        parameters["start-info"] = soap_type
    root_head = (
        f"--{boundary}\r\nContent-Type: {root}\r\n"
        f"Content-Transfer-Encoding: 8bit\r\nContent-ID: <{ROOT_ID}>\r\n\r\n"
    )
    return RelatedMessage(
        str(ContentType(MULTIPART_RELATED, parameters)),
        soap,
        tuple(attachments),
        root_head.encode(),
        f"\r\n--{boundary}".encode(),
    )


def _root_type(soap_type: str, *, is_xop: bool) -> ContentType:
    if is_xop:
        return ContentType(XOP, {"charset": "UTF-8", "type": soap_type})
    return ContentType(soap_type, {"charset": "UTF-8"})


def _head(attachment: Attachment) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in attachment.headers)
    return f"\r\n{lines}\r\n".encode("latin-1")
