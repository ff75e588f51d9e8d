"""A multipart message is read as it streams in, within bounds, or refused by its own fault."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.core.errors import BusError, ContentTypeInvalid, MimeInvalid, SoapMissing, TooLarge
from bus.core.limits import Limits
from bus.protocols.mime.content_type import ContentType, parse_content_type
from bus.protocols.mime.read import (
    HEADER_LINE_BYTES_MAX,
    HEADERS_MAX,
    PREAMBLE_BYTES_MAX,
    MultipartReader,
    PartHead,
    is_content_id,
)

RELATED = ContentType("multipart/related", {"boundary": "b"})
LIMITS = replace(
    Limits(),
    envelope_bytes_max=64,
    attachments_max=2,
    attachment_bytes_max=32,
    attachments_bytes_max=48,
)
SOAP = b"--b\r\nContent-Type: text/xml; charset=UTF-8\r\n\r\n<soap/>"


@dataclass
class Kept:
    """A part as it was handed over."""

    head: PartHead
    content: bytearray = field(default_factory=bytearray)
    is_whole: bool = False

    def write(self, chunk: bytes) -> None:
        self.content += chunk

    def finish(self) -> None:
        self.is_whole = True


@dataclass
class Read:
    """What a reader gave."""

    soap: bytes
    parts: list[Kept]


def read(
    raw: bytes,
    *,
    content_type: ContentType = RELATED,
    chunk_bytes: int = 7,
    limits: Limits = LIMITS,
) -> Read:
    parts: list[Kept] = []

    def open_attachment(head: PartHead) -> Kept:
        parts.append(Kept(head))
        return parts[-1]

    reader = MultipartReader(content_type, limits, open_attachment)
    try:
        for place in range(0, len(raw), chunk_bytes):
            reader.feed(raw[place : place + chunk_bytes])
        reader.end()
        return Read(reader.soap, parts)
    finally:
        reader.close()


def part(content: bytes, *headers: str) -> bytes:
    lines = headers or ("Content-Type: application/pdf", "Content-ID: <a@x>")
    return b"\r\n--b\r\n" + "".join(f"{one}\r\n" for one in lines).encode() + b"\r\n" + content


END = b"\r\n--b--\r\n"


@pytest.mark.parametrize("chunk_bytes", [1, 2, 5, 1000])
def test_the_soap_part_and_the_attachments_come_out_byte_for_byte(chunk_bytes: int) -> None:
    content = b"\r\n--\r\n--c\r\n--"
    raw = SOAP + part(content) + part(b"", "content-type: text/plain", "content-id: <b>") + END

    found = read(raw, chunk_bytes=chunk_bytes)

    assert (b"<soap/>", [content, b""]) == (found.soap, [bytes(one.content) for one in found.parts])
    assert [one.head.content_id for one in found.parts] == ["a@x", "b"]
    assert all(one.is_whole for one in found.parts)


def test_a_preamble_and_an_epilogue_are_passed_over() -> None:
    raw = b"This is MIME.\r\n" + SOAP + END + b"--b\r\nstray"

    assert read(raw).soap == b"<soap/>"


def test_a_nested_multipart_is_one_attachment() -> None:
    inner = b"--c\r\n\r\none\r\n--c--"
    headers = ('Content-Type: multipart/mixed; boundary="c"', "Content-ID: <n>")

    found = read(SOAP + part(inner, *headers) + END)

    assert [inner] == [bytes(one.content) for one in found.parts]


def test_a_content_id_is_percent_decoded_and_headers_are_kept() -> None:
    headers = ("Content-Type: a/b", "Content-ID: <x%40y>", "Content-Transfer-Encoding: binary")

    (found,) = read(SOAP + part(b"1", *headers) + END).parts

    assert found.head.content_id == "x@y"
    assert found.head.headers[2] == ("Content-Transfer-Encoding", "binary")
    assert found.head.header("content-transfer-encoding") == "binary"


def test_start_names_the_first_part_or_the_message_is_refused() -> None:
    named = SOAP.replace(b"\r\n\r\n", b"\r\nContent-ID: <root>\r\n\r\n")
    start = ContentType("multipart/related", {"boundary": "b", "start": "<root>"})
    other = ContentType("multipart/related", {"boundary": "b", "start": "<other>"})

    assert read(named + END, content_type=start).soap == b"<soap/>"
    with pytest.raises(MimeInvalid):
        read(named + END, content_type=other)


@pytest.mark.parametrize(
    "content_type", ["application/soap+xml", 'application/xop+xml; type="text/xml"', "TEXT/XML"]
)
def test_every_soap_type_may_be_the_root(content_type: str) -> None:
    root = f"--b\r\nContent-Type: {content_type}\r\n\r\n<soap/>".encode()

    assert read(root + END).soap == b"<soap/>"


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b"", SoapMissing),
        (b"--b--\r\n", SoapMissing),
        (b"no boundary at all", SoapMissing),
        (b"--b\r\nContent-ID: <a>\r\n\r\n<soap/>" + END, ContentTypeInvalid),
        (b"--b\r\nContent-Type: application/pdf\r\n\r\n<soap/>" + END, ContentTypeInvalid),
        (b"--b\r\nContent-Type: nothing\r\n\r\n<soap/>" + END, ContentTypeInvalid),
        (SOAP + part(b"", "Content-ID: <a>") + END, ContentTypeInvalid),
        (SOAP, MimeInvalid),
        (SOAP + part(b"cut"), MimeInvalid),
        (b"x" * (PREAMBLE_BYTES_MAX + 9), MimeInvalid),
        (SOAP + part(b"", "Content-Type: a/b", "Content-ID: <a b>") + END, MimeInvalid),
        (SOAP + part(b"", "Content-Type: a/b", f"Content-ID: <{'a' * 300}>") + END, MimeInvalid),
        (SOAP + part(b"") + part(b"") + END, MimeInvalid),
        (SOAP + part(b"", "Content-Type: a/b", "Content-Type: a/b") + END, MimeInvalid),
        (SOAP + part(b"", "Content-Type: a/b", "X: a\x01b", "Content-ID: <a>") + END, MimeInvalid),
        (SOAP + part(b"", "Content-Type: a/b", " folded: 1") + END, MimeInvalid),
        (
            SOAP + part(b"", *[f"X-{n}: 1" for n in range(HEADERS_MAX)], "Content-Type: a/b") + END,
            MimeInvalid,
        ),
        (SOAP + part(b"", f"X: {'y' * HEADER_LINE_BYTES_MAX}") + END, MimeInvalid),
        (SOAP + b"x" * 64 + END, TooLarge),
        (SOAP + part(b"x" * 33) + END, TooLarge),
        (
            SOAP + part(b"x" * 30) + part(b"x" * 30, "Content-Type: a/b", "Content-ID: <c>") + END,
            TooLarge,
        ),
        (
            SOAP
            + b"".join(part(b"", "Content-Type: a/b", f"Content-ID: <{n}>") for n in range(3))
            + END,
            TooLarge,
        ),
    ],
)
def test_a_message_that_breaks_a_rule_is_refused(raw: bytes, error: type[BusError]) -> None:
    with pytest.raises(error):
        read(raw)


@pytest.mark.parametrize("boundary", ["", " ends with a space ", "x" * 71, 'quote"', "new\nline"])
def test_a_boundary_must_have_its_form(boundary: str) -> None:
    with pytest.raises(MimeInvalid):
        read(SOAP + END, content_type=ContentType("multipart/related", {"boundary": boundary}))


@given(st.lists(st.binary(max_size=64), max_size=6))
def test_any_bytes_give_a_message_or_a_bus_error(chunks: list[bytes]) -> None:
    _feed_all(chunks)


@given(
    st.lists(
        st.sampled_from(
            [
                b"--b",
                b"--",
                b"\r\n",
                b"\r",
                b"\n",
                b"Content-Type: text/xml",
                b"Content-Type: a/b",
                b"Content-ID: <a>",
                b": ",
                b"<soap/>",
                b"\x00\xff",
                b" ",
            ]
        ),
        max_size=40,
    )
)
def test_any_pieces_of_a_message_give_a_message_or_a_bus_error(chunks: list[bytes]) -> None:
    _feed_all(chunks)


def _feed_all(chunks: Iterable[bytes]) -> None:
    reader = MultipartReader(RELATED, LIMITS, Kept)
    try:
        for chunk in chunks:
            reader.feed(chunk)
        head = reader.end()
    except BusError:
        return
    assert head is reader.soap_head


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("text/xml", ContentType("text/xml")),
        ("  TEXT/XML ; Charset=UTF-8 ", ContentType("text/xml", {"charset": "UTF-8"})),
        ('a/b; x="1;2\\"3"; y=z;', ContentType("a/b", {"x": '1;2"3', "y": "z"})),
        ("a/b; boundary=----=_Part_1.2", ContentType("a/b", {"boundary": "----=_Part_1.2"})),
    ],
)
def test_a_content_type_is_read_with_its_parameters(text: str, expected: ContentType) -> None:
    assert expected == parse_content_type(text)
    assert expected == parse_content_type(str(expected))


@pytest.mark.parametrize(
    "text",
    ["", "text", "text/xml x", "a/b; x", 'a/b; x="open', "a/b; x=1; X=2", "a/b;" + "x" * 2000],
)
def test_a_content_type_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ContentTypeInvalid):
        parse_content_type(text)


@given(st.text(max_size=60))
def test_any_text_is_a_content_type_or_refused(text: str) -> None:
    try:
        found = parse_content_type(text)
    except ContentTypeInvalid:
        return
    assert found.media_type == found.media_type.lower()


def test_a_content_id_of_ours_means_itself() -> None:
    assert [is_content_id(text) for text in ("a@b", "a b", "a%40b", "x" * 300)] == [
        True,
        False,
        False,
        False,
    ]


def test_an_attachment_without_a_content_id_is_named_by_its_place() -> None:
    raw = SOAP + part(b"1", "Content-Type: a/b") + part(b"2", "Content-Type: a/b") + END

    found = read(raw)

    assert [one.head.content_id for one in found.parts] == ["unnamed-1", "unnamed-2"]
    assert found.parts[0].head.header("content-id") == "<unnamed-1>"


def test_a_name_of_ours_is_not_taken_twice() -> None:
    raw = (
        SOAP
        + part(b"1", "Content-Type: a/b", "Content-ID: <unnamed-2>")
        + part(b"2", "Content-Type: a/b")
        + END
    )

    with pytest.raises(MimeInvalid, match="same Content-ID"):
        read(raw)


@pytest.mark.parametrize("chunk_bytes", [1, 3, 1000])
@pytest.mark.parametrize("preamble", [b"", b"This is MIME.\n"])
def test_a_message_whose_lines_end_in_lf_is_read_like_others(
    preamble: bytes, chunk_bytes: int
) -> None:
    raw = preamble + (SOAP + part(b"1\r\n2") + END).replace(b"\r\n", b"\n")

    found = read(raw, chunk_bytes=chunk_bytes)

    assert (found.soap, [bytes(one.content) for one in found.parts]) == (b"<soap/>", [b"1\n2"])


def test_a_message_that_ends_with_its_first_delimiter_has_no_soap_part() -> None:
    for chunk_bytes in (1, 1000):
        with pytest.raises(SoapMissing):
            read(b"--b--", chunk_bytes=chunk_bytes)


# --- how a part travelled --------------------------------------------------------------------


PDF_HEADERS = ("Content-Type: application/pdf", "Content-ID: <a@x>")


@pytest.mark.parametrize("chunk_bytes", [1, 7, 1000])
@pytest.mark.parametrize(
    ("encoding", "travelled"),
    [("base64", b"bm9p\r\nIGR1bmc=\r\n"), ("Quoted-Printable", b"noi=20=\r\ndung")],
)
def test_a_part_is_its_content_however_it_travelled(
    encoding: str, travelled: bytes, chunk_bytes: int
) -> None:
    headers = (*PDF_HEADERS, f"Content-transfer-encoding: {encoding}")

    (found,) = read(SOAP + part(travelled, *headers) + END, chunk_bytes=chunk_bytes).parts

    assert bytes(found.content) == b"noi dung"
    assert found.is_whole
    assert found.head.headers[2] == ("Content-transfer-encoding", "binary")


@pytest.mark.parametrize(
    ("encoding", "travelled"), [("base64", b"PHNv\r\nYXAvPg=="), ("quoted-printable", b"<soap=2F>")]
)
def test_the_soap_part_is_its_content_too(encoding: str, travelled: bytes) -> None:
    head = f"--b\r\nContent-Type: text/xml\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"

    assert read(head.encode() + travelled + END).soap == b"<soap/>"


@pytest.mark.parametrize(
    ("encoding", "said"), [("base64", "its content is no base64"), ("x-own", "must be one of")]
)
def test_the_part_that_cannot_be_undone_is_named_by_its_number(encoding: str, said: str) -> None:
    headers = (*PDF_HEADERS, f"Content-Transfer-Encoding: {encoding}")
    unnamed = part(b"", "Content-Type: a/b")

    with pytest.raises(MimeInvalid, match=f"attachment 2: .*{said}"):
        read(SOAP + unnamed + part(b"{}", *headers) + END)
    with pytest.raises(MimeInvalid, match=f"the SOAP part: .*{said}"):
        read(SOAP.replace(b"\r\n\r\n", f"\r\n{headers[-1]}\r\n\r\n".encode()) + END)


def test_the_content_is_bounded_and_so_is_the_way_that_it_travels() -> None:
    headers = (*PDF_HEADERS, "Content-Transfer-Encoding: base64")
    largest = b"eHh4" * 10 + b"eHg="
    assert len(read(SOAP + part(largest, *headers) + END).parts[0].content) == 32

    for travelled in (b"eHh4" * 11, b"\r\n" * 80 + b"eHh4"):
        with pytest.raises(TooLarge):
            read(SOAP + part(travelled, *headers) + END)
