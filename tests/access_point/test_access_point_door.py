"""The door of an access point: bounded in bytes, and its event loop turns whatever comes in."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bus.access_point.door import AccessPointDoor, Asked
from bus.core import errors
from bus.core.envelope import SoapVersion
from bus.core.limits import Limits
from bus.http.body_room import BodyRoom
from bus.http.spool import Spool
from bus.protocols.reply import Reply
from tests.loop_watchdog import watching

XML = "text/xml; charset=utf-8"
LIMITS = Limits(envelope_bytes_max=10**7, bodies_bytes_max=1)


@dataclass(slots=True)
class AccessPoint:
    """Answers anything, and remembers what it was given."""

    spool: Spool
    limits: Limits = LIMITS
    is_tls: bool = False
    body_room: BodyRoom = field(default_factory=lambda: BodyRoom(LIMITS))
    taken: list[Asked] = field(default_factory=list)
    held: list[int] = field(default_factory=list)

    def answer(self, asked: Asked) -> Reply:
        self.taken.append(asked)
        self.held.append(self.body_room.bytes)
        return Reply(200, b"<answer/>", XML)

    def refuse_unread(
        self, error: errors.BusError, *, soap_version: SoapVersion | None = None
    ) -> Reply:
        return Reply(500, error.code.encode(), XML)

    def describe(self, target: str, accept: str) -> None:
        return None


@pytest.fixture
def point(tmp_path: Path) -> AccessPoint:
    return AccessPoint(Spool(tmp_path, bytes_max=10**9))


def ask(
    point: AccessPoint, *pieces: bytes, content_type: bytes = b"text/xml", claimed: int = 0
) -> tuple[int, dict[bytes, bytes]]:
    head = [(b"content-type", content_type), (b"content-length", str(claimed).encode())]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "headers": head,
    }
    incoming = [
        {"type": "http.request", "body": piece, "more_body": at + 1 < len(pieces)}
        for at, piece in enumerate(pieces)
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.sleep(0)
        return incoming.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    async def story() -> None:
        door = AccessPointDoor(point, exchanges_at_once_max=2)
        await door(scope, receive, send)
        await asyncio.to_thread(door.close)

    asyncio.run(story())
    return sent[0]["status"], dict(sent[0]["headers"])


def test_a_request_takes_room_until_it_is_answered(point: AccessPoint) -> None:
    status, _ = ask(point, b"<a>", b"</a>")

    assert (status, point.taken[0].raw) == (200, b"<a></a>")
    assert (point.held, point.body_room.bytes) == ([7], 0)


def test_a_request_for_which_there_is_no_room_is_not_read_on(point: AccessPoint) -> None:
    other = point.body_room.open()
    other.hold(point.body_room.large_bytes_max - 10**5)

    grows = ask(point, *[bytes(10**5)] * 3)
    claims = ask(point, b"", claimed=10**6)
    small = ask(point, b"<a/>")

    assert (grows[0], grows[1][b"retry-after"]) == (503, b"2")
    assert (claims[0], small[0]) == (503, 200)
    assert [asked.raw for asked in point.taken] == [b"<a/>"]
    assert point.body_room.bytes == point.body_room.large_bytes_max - 10**5


def test_a_soap_part_with_attachments_takes_room_too(point: AccessPoint) -> None:
    start = b"--b\r\nContent-Type: text/xml\r\n\r\n<a>"
    other = point.body_room.open()
    other.hold(point.body_room.large_bytes_max - 10**5)

    status, _ = ask(
        point,
        start,
        *[bytes(10**5)] * 3,
        content_type=b"multipart/related; boundary=b",
        claimed=10**9,
    )

    assert (status, point.taken) == (503, [])


@pytest.mark.parametrize("count", [1_000, 58_000, 1_600_000, 9_000_000])
def test_a_request_of_any_size_lets_the_loop_turn(count: int, point: AccessPoint) -> None:
    raw = b"<a>" + b"x" * count + b"</a>"
    pieces = [raw[at : at + 65536] for at in range(0, len(raw), 65536)]

    with watching() as watched:
        status, _ = ask(point, *pieces, claimed=len(raw))

    assert status == 200
    watched.require_turning()
