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
from bus.http import body as http_body
from bus.http.body import (
    claimed_bytes,
    multipart_type,
    read_body,
    read_multipart,
    send_related,
)
from bus.http.body_room import BodyRoom, NoRoom
from bus.http.multipart import WholeMessage
from bus.http.spool import Spool
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
    is_stalled: bool = False
    taken: int = 0
    messages: list[Any] = field(default_factory=list)

    async def receive(self) -> dict[str, Any]:
        chunk = next(self.chunks, None)
        if chunk is None and self.is_stalled:
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
    bounds = replace(Limits(), **limits)
    with BodyRoom(bounds).open() as held:
        return asyncio.run(read_multipart(sender.receive, content_type, bounds, spool, held))


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
            Sender(without_end, is_stalled=True),
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


# --- bodies that stay in memory ------------------------------------------------------------------


def read_plain(sender: Sender, *, is_whole: bool = False, **limits: int) -> bytes:
    bounds = replace(Limits(), **limits)
    with BodyRoom(bounds).open() as held:
        return asyncio.run(read_body(sender.receive, bounds, held, is_whole=is_whole))


def test_a_body_in_memory_is_read_whole() -> None:
    assert read_plain(Sender(iter([b"<a>", b"", b"</a>", END]))) == b"<a></a>" + END
    assert read_plain(Sender(iter([END]))) == END


def test_a_body_must_come_as_fast_as_the_limits_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_body, "BODY_GRACE_SECONDS", 0.05)
    trickling = Sender(iter([b"x", b"x"]), is_stalled=True)

    with pytest.raises(errors.NotWellFormed, match="in time"):
        read_plain(trickling, body_bytes_per_second_min=10**6)


def test_a_body_that_has_come_is_read_without_a_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio, "timeout", None)

    assert read_plain(Sender(iter([END])), is_whole=True) == END


def test_a_body_that_has_come_is_bounded_like_any_other() -> None:
    with pytest.raises(errors.TooLarge, match=f"more than {len(END) - 1} bytes"):
        read_plain(Sender(iter([END])), is_whole=True, envelope_bytes_max=len(END) - 1)
    with pytest.raises(errors.NotWellFormed, match="ended within"):
        read_plain(Sender(iter([])), is_whole=True)
    limits = Limits()
    room = BodyRoom(limits)
    room.bytes = room.bytes_max
    with room.open() as held, pytest.raises(NoRoom):
        asyncio.run(read_body(Sender(iter([END])).receive, limits, held, is_whole=True))


def test_what_came_earns_time_but_no_more_than_a_request_has_in_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_body, "BODY_GRACE_SECONDS", 0.0)
    deadlines: list[float] = []

    class Timer:
        def when(self) -> float:
            return 100.0

        def reschedule(self, when: float) -> None:
            deadlines.append(when)

    limits = Limits(body_bytes_per_second_min=10, request_read_seconds_max=30)
    body = http_body._Body(Sender(iter([b"x" * 50] * 9)).receive, Timer(), limits, 10.0)  # type: ignore[arg-type]

    async def story() -> None:
        for _ in range(6):
            await body.next()

    asyncio.run(story())

    assert deadlines == [105.0, 110.0, 115.0, 120.0, 120.0, 120.0]


def test_a_body_takes_room_as_it_arrives_and_gives_it_back_when_it_is_too_large() -> None:
    limits = Limits(envelope_bytes_max=1000)
    room = BodyRoom(limits)
    taken: list[int] = []

    async def receive() -> dict[str, Any]:
        taken.append(room.bytes)
        return {"type": "http.request", "body": b"x" * 400, "more_body": len(taken) < 4}

    async def story() -> None:
        with room.open() as held, pytest.raises(errors.TooLarge):
            await read_body(receive, limits, held)

    asyncio.run(story())

    assert taken == [0, 400, 800, 0]


def test_of_a_body_that_says_that_it_is_too_large_nothing_is_kept() -> None:
    limits = Limits(envelope_bytes_max=1000)
    room = BodyRoom(limits)
    taken: list[int] = []

    async def receive() -> dict[str, Any]:
        taken.append(room.bytes)
        return {"type": "http.request", "body": b"x" * 400, "more_body": len(taken) < 4}

    async def story() -> None:
        with room.open(2000) as held, pytest.raises(errors.TooLarge):
            await read_body(receive, limits, held)

    asyncio.run(story())

    assert taken == [0, 0, 0, 0]


def test_of_a_multipart_body_the_memory_counts_and_not_what_lies_in_the_spool(
    spool: Spool,
) -> None:
    limits = Limits()
    room = BodyRoom(limits)
    most: list[int] = []

    async def story() -> None:
        sender = Sender(chunks_of(3_000_000))

        async def receive() -> dict[str, Any]:
            most.append(room.bytes)
            return await sender.receive()

        with room.open() as held:
            await read_multipart(receive, RELATED, limits, spool, held)
            most.append(room.bytes)

    asyncio.run(story())

    assert max(most) <= http_body.PIECE_BYTES + 65536 + len(b"<soap/>") + 65536
    assert most[-1] == len(b"<soap/>")
    assert room.bytes == 0


def test_a_soap_part_that_grows_takes_room_and_finds_none(spool: Spool) -> None:
    limits = Limits(envelope_bytes_max=1_000_000, bodies_bytes_max=1)
    room = BodyRoom(limits)
    room.open().hold(room.large_bytes_max - 500_000)
    parts = iter([SOAP, *[b"x" * 65536] * 30, END])

    async def story() -> None:
        with room.open() as held, pytest.raises(NoRoom):
            await read_multipart(Sender(parts).receive, RELATED, limits, spool, held)

    asyncio.run(story())

    assert room.bytes == room.large_bytes_max - 500_000


@pytest.mark.parametrize("count", [10, 100_000, 1_000_000])
def test_what_may_be_kept_is_asked_once_on_the_way_and_nothing_more_is_kept(
    spool: Spool, count: int
) -> None:
    limits = Limits()
    asked: list[bytes] = []
    in_spool: list[int] = []

    async def nothing(soap: bytes) -> int:
        asked.append(soap)
        return 0

    async def story() -> WholeMessage:
        sender = Sender(chunks_of(count))

        async def receive() -> dict[str, Any]:
            in_spool.append(spool.bytes_in_use)
            return await sender.receive()

        with BodyRoom(limits).open() as held:
            return await read_multipart(receive, RELATED, limits, spool, held, nothing)

    whole = asyncio.run(story())

    assert asked == [b"<soap/>"]
    assert [one.bytes_count for one in whole.attachments] == [count]
    assert spool.bytes_in_use == 0
    assert max(in_spool) == 0
    with pytest.raises(errors.AttachmentNotAllowed):
        next(iter(whole.attachments[0].chunks()))


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], 0),
        ([(b"content-length", b"17")], 17),
        ([(b"content-length", b"x")], 0),
        ([(b"content-length", b"9" * 400)], 0),
        ([(b"content-length", b"17"), (b"content-type", b"Multipart/related; x")], 0),
    ],
)
def test_what_a_head_says_of_the_envelopes_size(
    headers: list[tuple[bytes, bytes]], expected: int
) -> None:
    assert claimed_bytes(headers) == expected
