"""Undo how a part travelled: base64 and quoted-printable, piece by piece. RFC 2045 §6.

What a part says is its content, not the form that it travelled in: a signature covers the content,
since whoever carries a part may change its Content-Transfer-Encoding, and neither of the attachment
transforms covers that header (WS-Security SwA Profile 1.1.1 §5.4).

The checks, in order:

 (1) The encoding is one of RFC 2045 §6.1; one of somebody's own would be guessed at. §6.3.
 (2) base64 is the alphabet, white space, and padding at its end. §6.8.
 (3) quoted-printable is printable characters, `=` and two hexadecimal digits, and line ends. §6.7.
"""

from __future__ import annotations

import binascii
import re
import string
from collections.abc import Callable
from typing import Protocol

from bus.core.errors import MimeInvalid

TRANSFER_ENCODING = "content-transfer-encoding"
UNDONE = "binary"
"""What the header says of a part whose encoding was undone."""
TRAVELLING_BYTES_MAX = 4
"""Most bytes that one byte of content may travel in: `=C4`, and the line ends between."""
WAITING_BYTES_MAX = 1024
"""Longest run of white space in quoted-printable; its meaning waits for what follows."""

_COMMENT = re.compile(r"\([^()]*\)")
_BASE64_ALPHABET = f"{string.ascii_letters}{string.digits}+/=".encode()
_BASE64_GROUP = 4
_BLANKS_AT_LINE_END = re.compile(rb"(?<![ \t])[ \t]++(?=\r?\n)")
_BLANK_ENDS = (b" \n", b"\t\n", b" \r", b"\t\r")
_SOFT_LINE_END = re.compile(rb"=\r?\n")
_PLAIN_OR_QUOTED = b"\t\r\n" + bytes(range(0x20, 0x7F))
_BROKEN_QUOTE = re.compile(rb"=(?![0-9A-Fa-f]{2})")


class Decoder(Protocol):
    """Undoes one encoding. Raises ValueError: it is broken."""

    def feed(self, chunk: bytes) -> bytes:
        """The content that is certain by now."""
        ...

    def end(self) -> bytes:
        """No more bytes follow: the rest of the content."""
        ...


class PartDecoder:
    """Undoes the encoding of one part."""

    def __init__(self, header: str, part: str) -> None:
        """`header`: the part's Content-Transfer-Encoding; `part`: what a sender is told it is.

        Raises MimeInvalid.
        """
        self._part = part
        self._name = _COMMENT.sub("", header).strip().lower()
        # (1)
        if self._name not in _DECODERS:
            detail = f"{part}: its Content-Transfer-Encoding must be one of {', '.join(_NAMES)}"
            raise MimeInvalid(public_detail=detail)
        make = _DECODERS[self._name]
        self._decoder: Decoder | None = make() if make is not None else None

    @property
    def changes(self) -> bool:
        """Whether the content is not what travels."""
        return self._decoder is not None

    def feed(self, chunk: bytes) -> bytes:
        """The content that is certain by now. Raises MimeInvalid."""
        if self._decoder is None:
            return chunk
        try:
            return self._decoder.feed(chunk)
        except ValueError:
            raise self._broken() from None

    def end(self) -> bytes:
        """No more bytes follow: the rest of the content. Raises MimeInvalid."""
        if self._decoder is None:
            return b""
        try:
            return self._decoder.end()
        except ValueError:
            raise self._broken() from None

    def _broken(self) -> MimeInvalid:
        return MimeInvalid(public_detail=f"{self._part}: its content is no {self._name}")


class _Base64:
    def __init__(self) -> None:
        self._waiting = b""
        self._is_over = False
        """Whether padding ended it."""

    def feed(self, chunk: bytes) -> bytes:
        text = self._waiting + chunk.translate(None, b" \t\r\n")
        # (2)
        if text.translate(None, _BASE64_ALPHABET) or (text and self._is_over):
            raise ValueError
        whole = len(text) - len(text) % _BASE64_GROUP
        text, self._waiting = text[:whole], text[whole:]
        padding = text.find(b"=")
        if padding >= 0:
            if self._waiting or text[padding:] not in (b"=", b"=="):
                raise ValueError
            self._is_over = True
        return binascii.a2b_base64(text)

    def end(self) -> bytes:
        # (2)
        if self._waiting:
            raise ValueError
        return b""


class _QuotedPrintable:
    def __init__(self) -> None:
        self._waiting = b""

    def feed(self, chunk: bytes) -> bytes:
        text = self._waiting + chunk
        place = _certain(text)
        text, self._waiting = text[:place], text[place:]
        # (3)
        if len(self._waiting) > WAITING_BYTES_MAX:
            raise ValueError
        return _unquoted(text)

    def end(self) -> bytes:
        # The end of the content is the end of a line. §6.7 (3).
        return _unquoted(self._waiting + b"\n").removesuffix(b"\n")


def _certain(text: bytes) -> int:
    """How much of quoted-printable means the same, whatever follows."""
    bare = text.rstrip(b" \t\r")
    if bare.endswith(b"="):
        return len(bare) - 1
    if bare == text and bare[-2:-1] == b"=":
        return len(bare) - 2
    return len(bare)


def _unquoted(text: bytes) -> bytes:
    if any(end in text for end in _BLANK_ENDS):
        text = _BLANKS_AT_LINE_END.sub(b"", text)
    text = _SOFT_LINE_END.sub(b"", text)
    # (3)
    if text.translate(None, _PLAIN_OR_QUOTED) or _BROKEN_QUOTE.search(text):
        raise ValueError
    return binascii.a2b_qp(text)


_DECODERS: dict[str, Callable[[], Decoder] | None] = {
    "": None,
    "7bit": None,
    "8bit": None,
    "binary": None,
    "base64": _Base64,
    "quoted-printable": _QuotedPrintable,
}
_NAMES = sorted(filter(None, _DECODERS))
