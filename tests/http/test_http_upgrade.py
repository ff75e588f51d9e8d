"""A client that offers another protocol is answered in HTTP/1.1, and its body is read."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
import uvicorn

from bus.http.upgrade import StayingProtocol
from tests.hang_limits import HANG_SECONDS_MAX

OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAEAAEAA\r\nUpgrade: h2c\r\n"
BODY = b"<a>Upgrade: h2c\r\n\r\n</a>"


async def echo(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
    """Say back which request came: target, names of its headers, body."""
    body, is_more = b"", True
    while is_more:
        message = await receive()
        body += message["body"]
        is_more = message.get("more_body", False)
    names = b",".join(sorted(name for name, _ in scope["headers"]))
    said = b"|".join((scope["method"].encode(), scope["raw_path"], names, body))
    length = (b"content-length", str(len(said)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": said})


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    door = socket.create_server(("127.0.0.1", 0))
    configuration = uvicorn.Config(
        echo, http=StayingProtocol, ws="none", lifespan="off", log_config=None
    )
    server = uvicorn.Server(configuration)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [door]})
    thread.start()
    try:
        yield door.getsockname()
    finally:
        server.should_exit = True
        thread.join(HANG_SECONDS_MAX)


def post(offer: bytes, body: bytes = BODY) -> bytes:
    length = str(len(body)).encode()
    head = b"POST /to?x HTTP/1.1\r\nHost: hub\r\nContent-Length: " + length + b"\r\n"
    return head + offer + b"\r\n" + body


def said_by(connection: socket.socket) -> bytes:
    """The body of the next answer."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += connection.recv(1)
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    return connection.recv(length, socket.MSG_WAITALL)


HEARD = b"POST|/to|" + b",".join((b"connection", b"content-length", b"host")) + b"|" + BODY


@pytest.mark.parametrize("piece", [100_000, 1, 7])
def test_a_request_with_an_offer_is_read_whole_however_it_arrives(
    address: tuple[str, int], piece: int
) -> None:
    request = post(OFFER)
    with socket.create_connection(address, timeout=HANG_SECONDS_MAX) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(request), piece):
            connection.sendall(request[start : start + piece])

        assert said_by(connection) == HEARD


def test_a_connection_goes_on_after_an_offer(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=HANG_SECONDS_MAX) as connection:
        for offer in (OFFER, b"", OFFER, OFFER):
            connection.sendall(post(offer))
            said = said_by(connection)

            assert said.endswith(BODY)
            assert b"upgrade" not in said.partition(b"<")[0]


def test_requests_that_were_sent_ahead_are_all_answered(address: tuple[str, int]) -> None:
    bodies = [b"<a/>", b"<bb/>", b"<ccc/>"]
    with socket.create_connection(address, timeout=HANG_SECONDS_MAX) as connection:
        connection.sendall(b"".join(post(OFFER, body) for body in bodies))

        assert [said_by(connection).rpartition(b"|")[2] for _ in bodies] == bodies


def test_a_get_with_an_offer_is_answered(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=HANG_SECONDS_MAX) as connection:
        connection.sendall(b"GET /wsdl HTTP/1.1\r\nHost: hub\r\n" + OFFER + b"\r\n")

        assert said_by(connection) == b"GET|/wsdl|connection,host|"


@pytest.mark.parametrize(
    "head", [b"NOT HTTP\r\n\r\n", post(OFFER).replace(b"Host: hub", b"H\0: h")]
)
def test_what_is_not_http_is_refused_and_the_connection_closed(
    address: tuple[str, int], head: bytes
) -> None:
    with socket.create_connection(address, timeout=HANG_SECONDS_MAX) as connection:
        connection.sendall(head)

        assert said_by(connection) == b"Invalid HTTP request received."
        assert connection.recv(1) == b""
