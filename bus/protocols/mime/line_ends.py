"""Give a multipart message whose lines end in LF the line ends of MIME, and leave its content.

MIME wants CRLF (RFC 2046 §5.1.1). X-Road's own servers, and many clients behind them, write and
take LF alone. Delimiters and header lines get their CRLF, folded header lines become one (RFC 5322
§2.2.3), and not a byte of a part's content changes.
"""

from __future__ import annotations

from enum import Enum, auto

from bus.core.errors import MimeInvalid

HEADER_LINE_BYTES_MAX = 8192
"""Longest line outside of content."""


class _Place(Enum):
    """Where in a message the next byte stands."""

    DELIMITER = auto()
    HEADER = auto()
    CONTENT = auto()
    AFTER_THE_END = auto()


class LineEnds:
    """Takes a message from its first delimiter on, piece by piece, and gives it on."""

    def __init__(self, delimiter: bytes) -> None:
        """`delimiter`: two hyphens and the boundary."""
        self._delimiter = delimiter
        self._waiting = b""
        self._folded = b""
        """The header line before, to which the next one may belong."""
        self._place = _Place.DELIMITER
        self._is_at_start = False
        """Whether no content of this part was given yet."""
        self._steps = {
            _Place.DELIMITER: self._delimiter_line,
            _Place.HEADER: self._header_line,
            _Place.CONTENT: self._content,
        }

    def feed(self, chunk: bytes) -> bytes:
        """The bytes that are certain by now. Raises MimeInvalid: a line has no end."""
        self._waiting += chunk
        given: list[bytes] = []
        while self._place is not _Place.AFTER_THE_END:
            step = self._steps[self._place]()
            if step is None:
                break
            given.append(step)
        return b"".join(given)

    def _delimiter_line(self) -> bytes | None:
        """The delimiter that `_waiting` starts with; the last one ends the message."""
        if self._waiting.startswith(b"--", len(self._delimiter)):
            self._place = _Place.AFTER_THE_END
            return self._delimiter + b"--\r\n"
        if self._line() is None:
            return None
        self._place = _Place.HEADER
        return self._delimiter + b"\r\n"

    def _header_line(self) -> bytes | None:
        line = self._line()
        if line is None:
            return None
        before = self._folded
        if line[:1] in (b" ", b"\t") and before:
            self._folded = before.rstrip() + b" " + line.strip()
            _require_short(self._folded)
            return b""
        self._folded = line
        given = before + b"\r\n" if before else b""
        if line:
            return given
        self._place = _Place.CONTENT
        self._is_at_start = True
        return given + b"\r\n"

    def _content(self) -> bytes | None:
        """Content up to the next delimiter; the line end before that belongs to it."""
        # (1) An empty part: its delimiter follows at once.
        if self._is_at_start and self._delimiter.startswith(self._waiting[: len(self._delimiter)]):
            is_delimiter = self._is_delimiter(0)
            if is_delimiter is None:
                return None
            if is_delimiter:
                self._place = _Place.DELIMITER
                return b"\r\n"
        self._is_at_start = False
        # (2) A line that starts with the delimiter.
        place = self._waiting.find(b"\n" + self._delimiter)
        while place >= 0:
            is_delimiter = self._is_delimiter(place + 1)
            if is_delimiter is None:
                return self._give(place - 1)
            if is_delimiter:
                content = self._waiting[:place].removesuffix(b"\r")
                self._waiting = self._waiting[place + 1 :]
                self._place = _Place.DELIMITER
                return content + b"\r\n"
            place = self._waiting.find(b"\n" + self._delimiter, place + 1)
        # (3) All but what may be the start of one.
        return self._give(len(self._waiting) - len(self._delimiter) - len(b"\r\n"))

    def _is_delimiter(self, place: int) -> bool | None:
        """Whether a delimiter stands there, and not the start of a longer word; None: too soon."""
        after = self._waiting[place + len(self._delimiter) :][:2]
        if len(self._waiting) - place < len(self._delimiter) or after in (b"", b"-"):
            return None
        return after == b"--" or after[:1] in b"\n\r \t"

    def _give(self, count: int) -> bytes | None:
        """So many of the waiting bytes; None: there is nothing to give."""
        if count <= 0:
            return None
        given, self._waiting = self._waiting[:count], self._waiting[count:]
        return given

    def _line(self) -> bytes | None:
        """The next line, without its end; None: its end has not come."""
        line, end, rest = self._waiting.partition(b"\n")
        _require_short(line)
        if not end:
            return None
        self._waiting = rest
        return line.removesuffix(b"\r")


def _require_short(line: bytes) -> None:
    if len(line) > HEADER_LINE_BYTES_MAX:
        raise MimeInvalid(public_detail="a line outside of content is too long")
