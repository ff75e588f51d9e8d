"""A fetch ends when its time is over, whatever the other side does."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from bus.http.bounded_get import Bounds, FetchFailed, FetchRequest, ReplyUnfit, fetch
from tests.hang_limits import HANG_SECONDS_MAX

OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"
BOUNDS = Bounds(5, 1000)
SHORT = Bounds(0.3, 1000)

Behaviour = Callable[[socket.socket, list[bytes]], None]


def said(body: bytes) -> bytes:
    return OK % (len(body), body)


@contextmanager
def answering(
    behave: Behaviour,
) -> Iterator[tuple[str, list[bytes]]]:
    """A server for one connection; gives its address, and what it was asked."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as door:
        door.settimeout(HANG_SECONDS_MAX)

        def serve() -> None:
            try:
                connection, _ = door.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(HANG_SECONDS_MAX)
                try:
                    asked.append(connection.recv(65536))
                    behave(connection, asked)
                except OSError:
                    pass  # who asked has gone

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{door.getsockname()[1]}", asked
        finally:
            door.shutdown(socket.SHUT_RDWR)
            thread.join()


def saying(reply: bytes) -> Behaviour:
    return lambda connection, _: connection.sendall(reply)


def trickling(head: bytes) -> Behaviour:
    """Sends something every now and then, for ever."""

    def behave(connection: socket.socket, _: list[bytes]) -> None:
        connection.sendall(head)
        end = time.monotonic() + HANG_SECONDS_MAX
        while time.monotonic() < end:
            connection.sendall(b"x")
            time.sleep(0.02)

    return behave


def test_a_reply_is_fetched_whole() -> None:
    with answering(saying(said(b"a list"))) as (address, asked):
        assert fetch(FetchRequest(f"{address}/ca.crl?x=1"), BOUNDS) == b"a list"
    assert asked[0].startswith(b"GET /ca.crl?x=1 HTTP/1.1\r\n")


def test_a_question_is_posted() -> None:
    with answering(saying(said(b"an answer"))) as (address, asked):
        request = FetchRequest(address, b"question", {"Content-Type": "application/ocsp-request"})
        assert fetch(request, BOUNDS) == b"an answer"
    assert asked[0].startswith(b"POST / HTTP/1.1\r\n")
    assert b"Content-Type: application/ocsp-request\r\n" in asked[0]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n", "HTTP status 302"),
        (b"HTTP/1.1 503 Down\r\nContent-Length: 0\r\n\r\n", "HTTP status 503"),
        (said(bytes(1001)), "more than 1000 bytes"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + bytes(2000), "more than 1000 bytes"),
        (b"no HTTP\r\n\r\n", "BadStatusLine"),
        (b"", "RemoteDisconnected"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "broke off"),
    ],
)
def test_what_is_no_reply_to_use_is_told(reply: bytes, reason: str) -> None:
    with answering(saying(reply)) as (address, _), pytest.raises(FetchFailed, match=reason):
        fetch(FetchRequest(address), BOUNDS)


@pytest.mark.parametrize(
    "behave",
    [
        trickling(b""),
        trickling(b"HTTP/1.1 200 OK\r\nX: "),
        trickling(b"HTTP/1.1 200 OK\r\n\r\n"),
        trickling(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"),
        lambda connection, asked: connection.recv(1),
    ],
)
def test_time_is_over_for_who_trickles_or_is_silent(
    behave: Behaviour,
) -> None:
    bounds = Bounds(SHORT.seconds_max, 10**6)
    with answering(behave) as (address, _), pytest.raises(FetchFailed, match="no reply in time"):
        fetch(FetchRequest(address), bounds)


@pytest.mark.parametrize(
    "address",
    ["ftp://127.0.0.1/", "http://", "file:///etc/passwd", "http://127.0.0.1:port/", "http://[::1"],
)
def test_only_http_addresses_are_fetched(address: str) -> None:
    with pytest.raises(FetchFailed, match="expected an http or https address"):
        fetch(FetchRequest(address), BOUNDS)


def test_who_replied_otherwise_is_told_from_who_did_not() -> None:
    for reply, kind in (
        (b"HTTP/1.1 404 No\r\n\r\n", ReplyUnfit),
        (b"no HTTP\r\n\r\n", FetchFailed),
    ):
        with answering(saying(reply)) as (address, _), pytest.raises(FetchFailed) as failed:
            fetch(FetchRequest(address), BOUNDS)
        assert failed.type is kind


def test_the_environment_names_no_proxy_and_no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with answering(saying(said(b"it"))) as (address, asked):
        assert fetch(FetchRequest(address), BOUNDS) == b"it"
    assert b"Authorization" not in asked[0]


def test_nobody_there_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    with pytest.raises(FetchFailed, match="ConnectionRefusedError"):
        fetch(FetchRequest(f"http://127.0.0.1:{port}/"), BOUNDS)


def test_over_tls_only_a_known_server_is_asked() -> None:
    with answering(saying(said(b"no TLS"))) as (address, _):
        over_tls = FetchRequest(address.replace("http", "https"))
        with pytest.raises(FetchFailed, match="SSLError"):
            fetch(over_tls, BOUNDS)
