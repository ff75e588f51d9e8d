"""A part's content is the same in whatever form it travelled; a form that is broken is told."""

from __future__ import annotations

import base64
import binascii

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.core.errors import MimeInvalid
from bus.protocols.mime.transfer_encoding import WAITING_BYTES_MAX, PartDecoder

CONTENT = st.binary(max_size=200) | st.text(alphabet="= \t\r\nab\xc4", max_size=100).map(
    lambda text: text.encode("latin-1")
)


def undone(header: str, raw: bytes, piece_bytes: int = 7) -> bytes:
    decoder = PartDecoder(header, "attachment 1")
    pieces = [
        decoder.feed(raw[place : place + piece_bytes]) for place in range(0, len(raw), piece_bytes)
    ]
    return b"".join(pieces) + decoder.end()


@given(CONTENT, st.integers(1, 90))
def test_base64_of_any_content_in_any_pieces_is_that_content(
    content: bytes, piece_bytes: int
) -> None:
    assert undone("base64", base64.encodebytes(content), piece_bytes) == content
    assert undone("BASE64 (RFC 2045)", base64.b64encode(content), piece_bytes) == content


@given(CONTENT, st.integers(1, 90), st.booleans())
def test_quoted_printable_of_any_content_in_any_pieces_is_that_content(
    content: bytes, piece_bytes: int, quotes_blanks: bool
) -> None:
    travelled = binascii.b2a_qp(content, istext=False, quotetabs=quotes_blanks)

    assert undone("Quoted-Printable", travelled, piece_bytes) == content


@given(st.binary(max_size=100), st.integers(1, 9))
def test_any_bytes_are_undone_or_refused(raw: bytes, piece_bytes: int) -> None:
    for header in ("base64", "quoted-printable"):
        try:
            found = undone(header, raw, piece_bytes)
        except MimeInvalid:
            with pytest.raises(MimeInvalid, match="attachment 1: "):
                undone(header, raw, len(raw) + 1)
        else:
            assert len(found) <= len(raw)
            assert undone(header, raw, len(raw) + 1) == found


@pytest.mark.parametrize("header", ["", "7bit", "8BIT", " binary ", "8bit (as it stands)"])
def test_what_travelled_as_it_is_stays_as_it_is(header: str) -> None:
    decoder = PartDecoder(header, "attachment 1")

    assert (decoder.changes, decoder.feed(b"=\r\nYQ=="), decoder.end()) == (
        False,
        b"=\r\nYQ==",
        b"",
    )


@pytest.mark.parametrize(
    ("header", "raw"),
    [
        ("base64", b"YQ"),
        ("base64", b"YQ="),
        ("base64", b"YQ=a"),
        ("base64", b"YQ==YQ=="),
        ("base64", b"YQ==\r\nYQ=="),
        ("base64", b"===="),
        ("base64", b"Y==="),
        ("base64", b"Y-Q="),
        ("base64", b"noi\x00dung"),
        ("base64", "nội dung".encode()),
        ("quoted-printable", b"a=G1"),
        ("quoted-printable", b"a=4"),
        ("quoted-printable", b"a\x00"),
        ("quoted-printable", "nội dung".encode()),
        ("quoted-printable", b" " * (WAITING_BYTES_MAX + 1)),
    ],
)
@pytest.mark.parametrize("piece_bytes", [1, 3, 5000])
def test_a_broken_form_is_refused_and_names_the_part(
    header: str, raw: bytes, piece_bytes: int
) -> None:
    with pytest.raises(MimeInvalid, match=f"attachment 1: its content is no {header}"):
        undone(header, raw, piece_bytes)


@pytest.mark.parametrize("header", ["x-uuencode", "gzip", "base64, gzip", "base 64", "binary;x"])
def test_a_form_of_somebodys_own_is_refused(header: str) -> None:
    with pytest.raises(MimeInvalid, match="attachment 1: its Content-Transfer-Encoding must be"):
        PartDecoder(header, "attachment 1")


@pytest.mark.parametrize(
    ("travelled", "content"),
    [
        (b"a  \r\nb\t\nc", b"a\r\nb\nc"),
        (b"a=  \r\nb=\nc=", b"abc"),
        (b"a=20\r\n=3d=3D", b"a \r\n=="),
        (b"a \t", b"a"),
    ],
)
@pytest.mark.parametrize("piece_bytes", [1, 2, 100])
def test_blanks_at_the_end_of_a_quoted_line_and_soft_line_ends_are_no_content(
    travelled: bytes, content: bytes, piece_bytes: int
) -> None:
    assert undone("quoted-printable", travelled, piece_bytes) == content
