"""Multipart bodies over HTTP: as they stream, within bounds and time, and back again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from bus.core import errors
from bus.core.limits import Limits
from bus.edge import http_body
from bus.edge.http_body import multipart_type, read_multipart, send_related
from bus.kit.multipart import WholeMessage
from bus.kit.spool import Spool
from bus.protocols.mime.content_type import ContentType, parse_content_type
from bus.protocols.mime.write import write_related
from tests.attachments import attachment

RELATED = ContentType("multipart/related", {"boundary": "b"})
SOAP = b"--b\r\nContent-Type: text/xml\r\n\r\n<soap/>"
END = b"\r\n--b--\r\n"


@dataclass
class Sender:
    """Hands over chunks as an ASGI server does; then says nothing more, or goes away."""

    chunks: Iterator[bytes]
    is_silent: bool = False
    taken: int = 0
    messages: list[Any] = field(default_factory=list)

    async def receive(self) -> dict[str, Any]:
        chunk = next(self.chunks, None)
        if chunk is None and self.is_silent:
            await asyncio.Event().wait()
        if chunk is None:
            return {"type": "http.disconnect"}
        self.taken += len(chunk)
        return {"type": "http.request", "body": chunk, "more_body": chunk != END}


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path, bytes_max=10**9)


def read(
    sender: Sender, spool: Spool, *, content_type: ContentType = RELATED, **limits: int
) -> WholeMessage:
    bounds = replace(Limits(), **limits)  # type: ignore[arg-type]
    return asyncio.run(read_multipart(sender.receive, content_type, bounds, spool))


def chunks_of(count: int, *, chunk_bytes: int = 65536) -> Iterator[bytes]:
    """A message with one attachment of so many bytes."""
    yield SOAP + b"\r\n--b\r\nContent-Type: a/b\r\nContent-ID: <a>\r\n\r\n"
    for place in range(0, count, chunk_bytes):
        yield bytes(min(chunk_bytes, count - place))
    yield END


@pytest.mark.parametrize("count", [0, 10, 65536, 3_000_000])
def test_a_body_is_read_whole(spool: Spool, count: int) -> None:
    whole = read(Sender(chunks_of(count)), spool)

    assert whole.soap == b"<soap/>"
    assert [one.bytes_count for one in whole.attachments] == [count]
    assert sum(map(len, whole.attachments[0].chunks())) == count


def test_the_rest_of_a_refused_body_is_read_and_thrown_away(spool: Spool) -> None:
    sender = Sender(chunks_of(3_000_000))

    with pytest.raises(errors.TooLarge):
        read(sender, spool, attachment_bytes_max=1000)

    assert sender.taken > 3_000_000
    assert spool.bytes_in_use == 0


def test_of_a_refused_body_only_so_much_is_thrown_away(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_body, "DRAIN_BYTES_MAX", 500_000)
    sender = Sender(chunks_of(3_000_000))

    with pytest.raises(errors.TooLarge):
        read(sender, spool, attachment_bytes_max=1000)

    assert sender.taken < 2_000_000


def test_a_sender_that_goes_away_or_says_nothing_more_leaves_nothing_in_the_spool(
    spool: Spool,
) -> None:
    without_end = (chunk for chunk in chunks_of(1_000_000) if chunk != END)
    with pytest.raises(errors.NotWellFormed, match="connection ended"):
        read(Sender(without_end), spool)

    without_end = (chunk for chunk in chunks_of(1_000_000) if chunk != END)
    with pytest.raises(errors.NotWellFormed, match="in time"):
        read(
            Sender(without_end, is_silent=True),
            spool,
            request_read_seconds_max=0,
            attachment_bytes_per_second_min=10**8,
        )

    assert spool.bytes_in_use == 0


def test_who_is_refused_and_goes_away_is_refused_all_the_same(spool: Spool) -> None:
    broken = iter([b"x" * 300_000])

    with pytest.raises(errors.MimeInvalid):
        read(Sender(broken), spool)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"text/xml", None),
        (b'Multipart/Related; boundary="b"', RELATED),
    ],
)
def test_a_multipart_request_is_known_by_its_type(
    value: bytes, expected: ContentType | None
) -> None:
    assert multipart_type([(b"x", b"y"), (b"content-type", value)]) == expected
    assert multipart_type([]) is None


@pytest.mark.parametrize("value", [b"multipart/form-data; boundary=b", b"multipart/related; x"])
def test_other_multipart_types_are_refused(value: bytes) -> None:
    with pytest.raises(errors.ContentTypeInvalid):
        multipart_type([(b"content-type", value)])


def test_a_reply_is_sent_piece_by_piece_with_its_length() -> None:
    message = write_related(b"<soap/>", [attachment(bytes(100_000)), attachment(b"", "b")])
    sent: list[Any] = []

    async def send(one: Any) -> None:
        sent.append(one)

    asyncio.run(send_related(send, 200, message, [(b"x", b"y")]))

    start, *rest = sent
    assert (start["status"], dict(start["headers"])[b"content-length"]) == (
        200,
        str(len(message)).encode(),
    )
    assert b"".join(one["body"] for one in rest) == b"".join(message)
    assert [one.get("more_body", False) for one in rest] == [True] * (len(rest) - 1) + [False]
    assert parse_content_type(message.content_type).media_type == "multipart/related"
