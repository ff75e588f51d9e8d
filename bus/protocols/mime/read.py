"""Read a multipart/related message as it streams in: its SOAP part, then its attachments.

The checks, in order (RELATED = RFC 2387, MIME = RFC 2045, RFC 2046; MESS = X-Road Message
Protocol 4.0 §2.3):

 (1) The message has a boundary of its form, and its `start`, if any, is the first part. RELATED §3.
 (2) What stands before the first boundary is short. MIME §5.1.1.
 (3) Each part has few, short, plain header lines, none of those below twice. MIME §5.1.
 (4) Each part has a Content-Type. The first is an XML message, so that it is never spooled. MESS.
 (5) No two parts have the same Content-ID. RFC 2392 §2. An attachment without one is named by its
     place: nothing in the SOAP part can mean it, but a signature must. MESS.
 (6) Each part, all parts and their number stay within bounds.
 (7) The last boundary has come. MIME §5.1.1.

 (8) A Content-Transfer-Encoding is undone, for it is not covered by what signs a part's content:
     what a signature, a record and an agency get is the content. MIME §6 (RFC 2045).

Beyond that the content stays as it is. MESS.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import ParseError
from python_multipart.multipart import MultipartParser

from bus.core.errors import ContentTypeInvalid, MimeInvalid, SoapMissing, TooLarge
from bus.core.limits import Limits
from bus.protocols.mime.content_type import BOUNDARY, XOP, ContentType, parse_content_type
from bus.protocols.mime.line_ends import LineEnds
from bus.protocols.mime.transfer_encoding import (
    TRANSFER_ENCODING,
    TRAVELLING_BYTES_MAX,
    UNDONE,
    PartDecoder,
)

HEADERS_MAX = 16
"""Most header lines of one part."""
HEADER_LINE_BYTES_MAX = 2048
"""Largest header line of one part."""
PREAMBLE_BYTES_MAX = 1024
"""Most bytes before the first boundary."""
CONTENT_ID_CHARACTERS_MAX = 256
UNNAMED = "unnamed-"
"""What the name of an attachment without Content-ID starts with."""
ROOT_TYPES = frozenset({"text/xml", "application/soap+xml", XOP})

logging.getLogger("python_multipart").setLevel(logging.CRITICAL)
# What it finds wrong is told to the sender; its own words would show bytes of the message.

_CONTENT_ID = re.compile(r"[!-;=?-~]+\Z")
"""Visible ASCII without angle brackets."""
_ONCE = frozenset({"content-type", "content-id", TRANSFER_ENCODING, "content-location"})
_HEADER_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*\Z")


@dataclass(frozen=True, slots=True)
class PartHead:
    """The headers of one part."""

    headers: tuple[tuple[str, str], ...] = field(repr=False)
    """Every header as received, in order: name, value; of an encoding that was undone, that."""
    content_type: ContentType
    content_id: str
    """Without angle brackets, percent-decoded; the SOAP part may have none."""

    def header(self, name: str) -> str:
        """A header by its name in lower case; empty if there is none."""
        return _header(self.headers, name)


class PartContent(Protocol):
    """Takes the content of one part."""

    def write(self, chunk: bytes) -> None:
        """Take the next bytes. Raises a BusError: there is no room."""
        ...

    def finish(self) -> None:
        """No more bytes follow."""
        ...


class MultipartReader:
    """Reads one message: `feed` its bytes, then `end`; then, or after an error, `close`.

    `soap_head` and `soap` are the first part; each other part goes to what `open_attachment`
    gives for it.
    """

    def __init__(
        self,
        content_type: ContentType,
        limits: Limits,
        open_attachment: Callable[[PartHead], PartContent],
    ) -> None:
        """Raises MimeInvalid."""
        # (1)
        boundary = content_type.parameter("boundary")
        if not BOUNDARY.match(boundary):
            raise MimeInvalid(public_detail="there is no boundary of the right form")
        self._start = _content_id(content_type.parameter("start"))
        self._limits = limits
        self._open_attachment = open_attachment
        self._delimiter = b"--" + boundary.encode()
        self._before = bytearray()
        self._line_ends: LineEnds | None = None
        """For a message whose lines end in LF alone."""
        self._has_begun = False
        self._has_ended = False
        self._headers: list[tuple[str, str]] = []
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._content: PartContent | None = None
        self._content_bytes = 0
        self._attachments_bytes = 0
        self._decoder = PartDecoder("", "")
        self._travelled_bytes = 0
        self._content_ids: set[str] = set()
        self.soap_head: PartHead | None = None
        self._soap: list[bytes] = []
        self.attachments_count = 0
        self._parser = MultipartParser(
            boundary.encode(),
            {
                "on_header_field": self._take_header_name,
                "on_header_value": self._take_header_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
                "on_part_data": self._take_content,
                "on_part_end": self._end_part,
                "on_end": self._take_end,
            },
            max_header_count=HEADERS_MAX,
            max_header_size=HEADER_LINE_BYTES_MAX,
        )

    @property
    def soap(self) -> bytes:
        """The bytes of the first part."""
        return b"".join(self._soap)

    @property
    def soap_bytes(self) -> int:
        """How much of the first part is there."""
        return sum(map(len, self._soap))

    def feed(self, chunk: bytes) -> None:
        """Read the next bytes.

        Raises MimeInvalid, ContentTypeInvalid, TooLarge, and what an attachment's content raises.
        """
        if not self._has_begun:
            chunk = self._skip_preamble(chunk)
        if self._line_ends is not None:
            chunk = self._line_ends.feed(chunk)
        if not chunk:
            return
        try:
            self._parser.write(chunk)
        except ParseError as error:
            raise MimeInvalid(public_detail="a boundary or a header line is broken") from error

    def end(self) -> PartHead:
        """No more bytes follow; give the head of the SOAP part.

        Raises MimeInvalid, SoapMissing.
        """
        if self.soap_head is None and (self._has_ended or not self._has_begun):
            raise SoapMissing
        # (7)
        if not self._has_ended or self.soap_head is None:
            raise MimeInvalid(public_detail="the last boundary is missing")
        return self.soap_head

    def close(self) -> None:
        """Let go of everything: parser and reader hold each other."""
        self._parser.callbacks = {}
        self._content = None

    def _skip_preamble(self, chunk: bytes) -> bytes:
        self._before += chunk
        place = _line_start(self._before, self._delimiter)
        end = self._before.find(b"\n", place) if place >= 0 else -1
        if end >= 0:
            self._has_begun = True
            if not self._before.endswith(b"\r", 0, end):
                self._line_ends = LineEnds(self._delimiter)
            return bytes(self._before[place:])
        if place >= 0 and self._before.startswith(b"--", place + len(self._delimiter)):
            self._has_begun = True
            return bytes(self._before[place:])
        # (2)
        if len(self._before) > PREAMBLE_BYTES_MAX + len(self._delimiter):
            raise MimeInvalid(public_detail="the first boundary does not come")
        return b""

    # --- what the parser tells ------------------------------------------------------------

    def _take_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _take_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        name, value = bytes(self._header_name), bytes(self._header_value).strip(b" \t")
        self._header_name.clear()
        self._header_value.clear()
        # (3)
        if not _HEADER_VALUE.match(value):
            raise MimeInvalid(public_detail="a header line of a part is broken")
        self._headers.append((name.decode("latin-1"), value.decode("latin-1")))

    def _end_headers(self) -> None:
        head = _read_head(tuple(self._headers))
        self._headers.clear()
        self._content_bytes = self._travelled_bytes = 0
        if self.soap_head is None:
            self._begin_soap(self._undoing(head, "the SOAP part"))
        else:
            self.attachments_count += 1
            self._begin_attachment(self._undoing(head, f"attachment {self.attachments_count}"))

    def _undoing(self, head: PartHead, part: str) -> PartHead:
        """The head of the part as it will be once its encoding is undone."""
        # (8)
        self._decoder = PartDecoder(head.header(TRANSFER_ENCODING), part)
        return _undone(head) if self._decoder.changes else head

    def _begin_soap(self, head: PartHead) -> None:
        # (4)
        if head.content_type.media_type not in ROOT_TYPES:
            raise ContentTypeInvalid(public_detail="the first part is no SOAP message")
        # (1)
        if self._start and self._start != head.content_id:
            raise MimeInvalid(public_detail="start does not name the first part")
        self.soap_head = head
        if head.content_id:
            self._content_ids.add(head.content_id)

    def _begin_attachment(self, head: PartHead) -> None:
        # (5)
        if not head.content_id:
            head = _named(head, f"{UNNAMED}{self.attachments_count}")
        if head.content_id in self._content_ids:
            raise MimeInvalid(public_detail="two parts have the same Content-ID")
        self._content_ids.add(head.content_id)
        # (6)
        if self.attachments_count > self._limits.attachments_max:
            detail = f"more than {self._limits.attachments_max} attachments"
            raise TooLarge(public_detail=detail)
        self._content = self._open_attachment(head)

    def _take_content(self, data: bytes, start: int, end: int) -> None:
        self._travelled_bytes += end - start
        self._take_decoded(self._decoder.feed(data[start:end]))

    def _take_decoded(self, content: bytes) -> None:
        self._content_bytes += len(content)
        # (6)
        if self._content is None:
            self._require_within(self._limits.envelope_bytes_max, "the SOAP part")
            self._soap.append(content)
            return
        self._attachments_bytes += len(content)
        self._require_within(self._limits.attachment_bytes_max, "an attachment")
        _require_within(self._attachments_bytes, self._limits.attachments_bytes_max, "attachments")
        self._content.write(content)

    def _require_within(self, bytes_max: int, what: str) -> None:
        _require_within(self._content_bytes, bytes_max, what)
        # White space in base64 is no content, and is paid for all the same.
        _require_within(self._travelled_bytes // TRAVELLING_BYTES_MAX, bytes_max, what)

    def _end_part(self) -> None:
        rest = self._decoder.end()
        if rest:
            self._take_decoded(rest)
        if self._content is not None:
            self._content.finish()
            self._content = None

    def _take_end(self) -> None:
        self._has_ended = True


def is_content_id(text: str) -> bool:
    """Whether a text can stand between the angle brackets of a Content-ID, and means itself."""
    is_short = len(text) <= CONTENT_ID_CHARACTERS_MAX
    return is_short and bool(_CONTENT_ID.match(text)) and _unquoted(text) == text


def _read_head(headers: tuple[tuple[str, str], ...]) -> PartHead:
    names = [name.lower() for name, _ in headers]
    # (3)
    if any(names.count(name) > 1 for name in _ONCE):
        raise MimeInvalid(public_detail="a part says one header twice")
    # (4)
    if "content-type" not in names:
        raise ContentTypeInvalid(public_detail="a part has no Content-Type")
    return PartHead(
        headers,
        parse_content_type(_header(headers, "content-type")),
        _content_id(_header(headers, "content-id")),
    )


def _undone(head: PartHead) -> PartHead:
    """The head of a part whose encoding was undone."""
    headers = tuple(
        (name, UNDONE if name.lower() == TRANSFER_ENCODING else value)
        for name, value in head.headers
    )
    return replace(head, headers=headers)


def _named(head: PartHead, content_id: str) -> PartHead:
    """The head with a name of ours, the same for the same message wherever it is read."""
    header = ("Content-ID", f"<{content_id}>")
    return replace(head, headers=(*head.headers, header), content_id=content_id)


def _header(headers: tuple[tuple[str, str], ...], name: str) -> str:
    return next((value for found, value in headers if found.lower() == name), "")


def _content_id(text: str) -> str:
    if not text:
        return ""
    bare = text.strip().removeprefix("<").removesuffix(">")
    if not _CONTENT_ID.match(bare) or len(bare) > CONTENT_ID_CHARACTERS_MAX:
        raise MimeInvalid(public_detail="a Content-ID does not have its form")
    return _unquoted(bare)


def _unquoted(text: str) -> str:
    return unquote_to_bytes(text).decode("utf-8", "replace")


def _require_within(count: int, bytes_max: int, what: str) -> None:
    if count > bytes_max:
        raise TooLarge(public_detail=f"{what} of more than {bytes_max} bytes")


def _line_start(data: bytearray, delimiter: bytes) -> int:
    """Where the delimiter stands at the start of a line; -1: nowhere yet."""
    if data.startswith(delimiter):
        return 0
    place = data.find(b"\n" + delimiter)
    return place + 1 if place >= 0 else -1
