"""What we write is what we read, and other readers read it too."""

from __future__ import annotations

import email
from email import policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.core.limits import Limits
from bus.protocols.mime.content_type import parse_content_type
from bus.protocols.mime.read import MultipartReader, PartHead
from bus.protocols.mime.write import XOP_NAMESPACE, write_related
from tests.attachments import attachment
from tests.protocols.mime.test_multipart_read import Kept


@given(st.lists(st.binary(max_size=200), max_size=4), st.integers(1, 64), st.booleans())
def test_what_is_written_is_read_again(
    contents: list[bytes],
    chunk_bytes: int,
    is_xop: bool,
) -> None:
    attachments = [attachment(content, f"{n}@x") for n, content in enumerate(contents)]
    message = write_related(b"<soap/>", attachments, is_xop=is_xop)
    raw = b"".join(message)
    parts: list[Kept] = []

    def keep(head: PartHead) -> Kept:
        parts.append(Kept(head))
        return parts[-1]

    reader = MultipartReader(parse_content_type(message.content_type), Limits(), keep)
    for place in range(0, len(raw), chunk_bytes):
        reader.feed(raw[place : place + chunk_bytes])
    reader.end()

    assert (b"<soap/>", contents) == (reader.soap, [bytes(one.content) for one in parts])
    assert len(message) == len(raw)
    assert raw == b"".join(message)


@pytest.mark.parametrize("is_xop", [True, False])
def test_the_standard_library_reads_it(is_xop: bool) -> None:
    message = write_related(
        b"<soap/>", [attachment(b"%PDF")], soap_type="application/soap+xml", is_xop=is_xop
    )
    head = f"Content-Type: {message.content_type}\r\n\r\n".encode()

    found = email.message_from_bytes(head + b"".join(message), policy=policy.HTTP)

    root, beside = found.iter_parts()
    expected = "application/xop+xml" if is_xop else "application/soap+xml"
    assert expected == root.get_content_type() == found.get_param("type")
    assert ("application/soap+xml" if is_xop else None) == found.get_param("start-info")
    assert found.get_param("start") == root["Content-ID"]
    assert beside.get_payload(decode=True) == b"%PDF"
    assert not found.defects


def test_other_contents_have_another_boundary() -> None:
    first, second = (
        write_related(b"<soap/>", [attachment(content)]).content_type for content in (b"1", b"2")
    )

    assert first != second
    assert XOP_NAMESPACE.startswith(b"http://")
