"""A connection may not send a head for ever, nor one without end."""

from __future__ import annotations

import asyncio
import resource
import socket
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from bus.http import head_bounds
from bus.http.asgi import Receive, Scope, Send, is_whole
from bus.http.server import Door, _server
from tests.hang_limits import HANG_SECONDS_MAX

LOOPBACK = "127.0.0.1"
Told = TypeVar("Told")
Application = Callable[..., Any]


async def application(scope: object, receive: object, send: Callable[..., object]) -> None:
    """Reads the whole body and says how long it was."""
    size, is_more = 0, True
    while is_more:
        message = await receive()  # type: ignore[operator]
        size += len(message.get("body", b""))
        is_more = message.get("more_body", False)
    body = str(size).encode()
    head = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})  # type: ignore[misc]
    await send({"type": "http.response.body", "body": body})  # type: ignore[misc]


def told(sent: bytes, served: Application = application) -> bytes:
    """What comes back until the connection ends or is quiet for long."""
    return serve(served, lambda port: talk(port, sent))


def serve(served: Application, story: Callable[[int], Told]) -> Told:
    """Let a story happen, in a thread, with the port of a server."""
    with socket.create_server((LOOPBACK, 0)) as listening:
        server = _server(Door(served, listening), 5)

        async def serve_meanwhile() -> Told:
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            try:
                return await asyncio.to_thread(story, listening.getsockname()[1])
            finally:
                server.should_exit = True
                await serving

        return asyncio.run(serve_meanwhile())


def talk(port: int, sent: bytes) -> bytes:
    back = bytearray()
    with socket.create_connection((LOOPBACK, port), timeout=HANG_SECONDS_MAX) as line:
        try:
            line.sendall(sent)
            while piece := line.recv(65536):
                back += piece
        except ConnectionError:
            pass
    return bytes(back)


HEAD = b"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"


async def saying_what_came(scope: Scope, receive: Receive, send: Send) -> None:
    """Says whether the body was all there when the request began, and when it was read."""
    at_first = is_whole(scope)
    while (await receive()).get("more_body", False):
        pass
    said = f"{at_first} {is_whole(scope)}".encode()
    head = [(b"content-length", str(len(said)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": said})


def send_when_asked(port: int, head: bytes, body: bytes) -> bytes:
    """What comes back where the body is sent only when the application waits for it."""
    with socket.create_connection((LOOPBACK, port), timeout=HANG_SECONDS_MAX) as line:
        line.sendall(head + b"Expect: 100-continue\r\n\r\n")
        back = bytearray()
        while b"HTTP/1.1 100 " not in back:
            back += line.recv(65536) or pytest.fail("the connection ended before the body")
        line.sendall(body)
        while piece := line.recv(65536):
            back += piece
    return bytes(back)


OFFERING = b"POST / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n"


@pytest.mark.parametrize("head", [HEAD, OFFERING], ids=["plain", "an offer to upgrade"])
def test_a_body_is_whole_when_its_last_byte_has_come_and_not_before(head: bytes) -> None:
    sized = head + b"Content-Length: 5\r\n"

    at_once = told(sized + b"\r\n<a/>\n", saying_what_came)
    later = serve(saying_what_came, lambda port: send_when_asked(port, sized, b"<a/>\n"))

    assert at_once.endswith(b"True True")
    assert later.endswith(b"False True")


def test_of_requests_that_were_sent_ahead_each_is_whole_by_itself() -> None:
    first = HEAD.replace(b"Connection: close\r\n", b"") + b"Content-Length: 1\r\n\r\nx"
    last = HEAD + b"Content-Length: 5\r\n"

    back = serve(saying_what_came, lambda port: send_when_asked(port, first + last, b"<a/>\n"))

    assert [b"True True" in back, b"False True" in back] == [True, True]


def test_a_large_body_has_nothing_to_do_with_the_bound_of_the_head() -> None:
    body = bytes(1_000_000)

    back = told(HEAD + b"Content-Length: 1000000\r\n\r\n" + body)

    assert back.startswith(b"HTTP/1.1 200 ")
    assert back.endswith(b"1000000")


def test_small_chunks_are_framed_within_the_bound() -> None:
    body = b"1\r\nx\r\n" * 50_000 + b"0\r\n\r\n"

    assert told(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body).endswith(b"50000")


def test_an_offer_to_upgrade_is_counted_once() -> None:
    offer = b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 60000\r\n\r\n"
    head = HEAD.replace(b"Connection: close\r\n", b"") + offer

    back = talked_until(head + bytes(60_000), b"60000")

    assert b"200 OK" in back


def talked_until(sent: bytes, end: bytes) -> bytes:
    """Of a connection that is kept open: what comes back up to these bytes."""
    with socket.create_server((LOOPBACK, 0)) as listening:
        server = _server(Door(application, listening), 5)

        def read(port: int) -> bytes:
            back = bytearray()
            with socket.create_connection((LOOPBACK, port), timeout=HANG_SECONDS_MAX) as line:
                line.sendall(sent)
                while not back.endswith(end):
                    piece = line.recv(65536)
                    if not piece:
                        break
                    back += piece
            return bytes(back)

        async def story() -> bytes:
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            try:
                return await asyncio.to_thread(read, listening.getsockname()[1])
            finally:
                server.should_exit = True
                await serving

        return asyncio.run(story())


@pytest.mark.parametrize(
    "sent",
    [
        HEAD + b"X-A: " + b"a" * 2_000_000,
        HEAD + b"X-A: b\r\n" * 200_000,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n" + b"X-A: b\r\n" * 200_000,
    ],
    ids=["one line", "many lines", "trailers"],
)
def test_a_head_without_end_is_refused(sent: bytes) -> None:
    back = told(sent)

    assert b" 431 " in back or back == b""  # closed while it was still sending


@pytest.mark.parametrize("sent", [b"", HEAD, HEAD + b"X-A: "])
def test_a_head_that_does_not_come_ends_the_connection(
    sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head_bounds, "HEAD_SECONDS_MAX", 0.05)

    assert told(sent) == b""


async def refusing(scope: object, receive: object, send: Callable[..., object]) -> None:
    """Answers before it has read anything."""
    head = [(b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 503, "headers": head})  # type: ignore[misc]
    await send({"type": "http.response.body", "body": b""})  # type: ignore[misc]


def test_a_body_that_nobody_reads_is_thrown_away_within_a_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(head_bounds, "UNREAD_BYTES_MAX", 500_000)
    head = HEAD.replace(b"Connection: close\r\n", b"") + b"Content-Length: 99000000\r\n\r\n"

    back = told(head + bytes(20_000_000), refusing)

    assert back.startswith(b"HTTP/1.1 503 ") or back == b""


def test_a_body_that_nobody_reads_may_not_go_on_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head_bounds, "UNREAD_SECONDS_MAX", 0.0)
    monkeypatch.setattr(head_bounds, "HEAD_SECONDS_MAX", 0.05)
    head = HEAD.replace(b"Connection: close\r\n", b"") + b"Content-Length: 99000000\r\n\r\n"

    def story(port: int) -> None:
        with socket.create_connection((LOOPBACK, port), timeout=HANG_SECONDS_MAX) as line:
            line.sendall(head)
            assert line.recv(65536).startswith(b"HTTP/1.1 503 ")
            line.sendall(b"x")
            assert line.recv(1) == b""

    serve(refusing, story)


def test_a_silent_connection_makes_room_for_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head_bounds, "connections_max", lambda: 2)
    asked = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx"

    def story(port: int) -> None:
        first, second, third = (
            socket.create_connection((LOOPBACK, port), timeout=HANG_SECONDS_MAX) for _ in range(3)
        )
        with first, second, third:
            assert first.recv(10) == b""  # silent the longest
            for line in (second, third):
                line.sendall(asked)
                assert line.recv(12) == b"HTTP/1.1 200"

    serve(application, story)


def test_where_every_connection_is_in_work_a_new_one_is_asked_for_patience(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(head_bounds, "connections_max", lambda: 1)

    def story(port: int) -> None:
        with socket.create_connection((LOOPBACK, port), timeout=HANG_SECONDS_MAX) as first:
            first.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nx")
            begun.wait(HANG_SECONDS_MAX)
            with socket.create_connection((LOOPBACK, port), timeout=HANG_SECONDS_MAX) as second:
                back = second.recv(1000)
            first.sendall(b"x")
            assert first.recv(12) == b"HTTP/1.1 200"
        assert back.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 2" in back

    begun = threading.Event()

    async def noting(scope: object, receive: object, send: Callable[..., object]) -> None:
        begun.set()
        await application(scope, receive, send)

    serve(noting, story)


def test_there_are_descriptors_left_for_everything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    for descriptors, expected in [
        (1024, 1024 - 192),
        (10**6, head_bounds.CONNECTIONS_MAX),
        (resource.RLIM_INFINITY, head_bounds.CONNECTIONS_MAX),
        (64, 1),
    ]:
        head_bounds.connections_max.cache_clear()
        monkeypatch.setattr(resource, "getrlimit", lambda _, soft=descriptors: (soft, soft))
        assert head_bounds.connections_max() == expected
    head_bounds.connections_max.cache_clear()
