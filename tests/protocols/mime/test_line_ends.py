"""Messages whose lines end in LF are read like others, and their content stays as it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.core.errors import MimeInvalid
from bus.protocols.mime.line_ends import HEADER_LINE_BYTES_MAX, LineEnds

DELIMITER = b"--b"
CHUNKS = [1, 2, 3, 7, 1000]


def changed(raw: bytes, chunk_bytes: int = 1000) -> bytes:
    ends = LineEnds(DELIMITER)
    pieces = (raw[at : at + chunk_bytes] for at in range(0, len(raw), chunk_bytes))
    return b"".join(ends.feed(piece) for piece in pieces)


@pytest.mark.parametrize("chunk_bytes", CHUNKS)
def test_delimiters_and_header_lines_get_the_line_ends_of_mime(chunk_bytes: int) -> None:
    raw = b"--b\nContent-Type: text/xml\nX: 1\n\n<a>\n</a>\n--b\nContent-Type: a/b\n\n1\n--b--\n"

    assert changed(raw, chunk_bytes) == (
        b"--b\r\nContent-Type: text/xml\r\nX: 1\r\n\r\n<a>\n</a>\r\n"
        b"--b\r\nContent-Type: a/b\r\n\r\n1\r\n--b--\r\n"
    )


@pytest.mark.parametrize("chunk_bytes", CHUNKS)
def test_a_folded_header_line_becomes_one(chunk_bytes: int) -> None:
    raw = b"--b  \nContent-Type: text/xml;\n   charset=utf-8\n\tx=1\nId:\n  <a>\n\n1\n--b--"

    assert changed(raw, chunk_bytes) == (
        b"--b\r\nContent-Type: text/xml; charset=utf-8 x=1\r\nId: <a>\r\n\r\n1\r\n--b--\r\n"
    )


@pytest.mark.parametrize("chunk_bytes", CHUNKS)
@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"--b\n\n--b--", b"--b\r\n\r\n\r\n--b--\r\n"),
        (b"--b\n\n\n--b--", b"--b\r\n\r\n\r\n--b--\r\n"),
        (b"--b\n\n--b", b"--b\r\n\r\n"),
        (b"--b\n\n--bc\n--b--", b"--b\r\n\r\n--bc\r\n--b--\r\n"),
        (b"--b\n\n1\n--bc\n--b-\n--b--", b"--b\r\n\r\n1\n--bc\n--b-\r\n--b--\r\n"),
        (b"--b\r\nA: 1\r\n\r\n1\r\n--b--\r\n", b"--b\r\nA: 1\r\n\r\n1\r\n--b--\r\n"),
        (b"--b\n fold of nothing\n\n1\n--b--", b"--b\r\n fold of nothing\r\n\r\n1\r\n--b--\r\n"),
        (b"--b--\nepilogue\n--b\n", b"--b--\r\n"),
    ],
)
def test_what_only_looks_like_a_delimiter_is_content(
    raw: bytes, expected: bytes, chunk_bytes: int
) -> None:
    assert changed(raw, chunk_bytes) == expected


@pytest.mark.parametrize("start", [b"--b", b"--b\n", b"--b\nX: 1\n"])
def test_a_line_without_end_is_refused(start: bytes) -> None:
    with pytest.raises(MimeInvalid, match="too long"):
        changed(start + b"x" * (HEADER_LINE_BYTES_MAX + 1))


def test_a_header_line_that_folds_for_ever_is_refused() -> None:
    with pytest.raises(MimeInvalid, match="too long"):
        changed(b"--b\nX: 1\n" + b" y" * 40 + b"\n " + (b"z" * 80 + b"\n ") * 200)


@given(content=st.binary(max_size=60), chunk_bytes=st.integers(1, 70))
def test_any_content_stays_as_it_is(content: bytes, chunk_bytes: int) -> None:
    # Without a delimiter in it, and without a CR that would belong to the delimiter's line end.
    content = content.replace(b"--b", b"").removesuffix(b"\r")

    raw = b"--b\nX: 1\n\n" + content + b"\n--b--\n"

    assert changed(raw, chunk_bytes) == b"--b\r\nX: 1\r\n\r\n" + content + b"\r\n--b--\r\n"
