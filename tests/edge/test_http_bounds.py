"""A connection may not send a head for ever, nor one without end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest

from bus.edge import http_bounds
from bus.edge.serve import Door, _server
from tests.hang_limits import HANG_SECONDS_MAX

LOOPBACK = "127.0.0.1"


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


def told(sent: bytes) -> bytes:
    """What comes back until the connection ends or is quiet for long."""
    with socket.create_server((LOOPBACK, 0)) as listening:
        server = _server(Door(application, listening), 5)

        async def story() -> bytes:
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            try:
                return await asyncio.to_thread(talk, listening.getsockname()[1], sent)
            finally:
                server.should_exit = True
                await serving

        return asyncio.run(story())


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
    monkeypatch.setattr(http_bounds, "HEAD_SECONDS_MAX", 0.05)

    assert told(sent) == b""
