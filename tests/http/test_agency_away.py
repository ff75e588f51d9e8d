"""Why an agency cannot be reached is told by what is wrong: name, connection, trust, broken off."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from bus.core.errors import (
    AnswerContentTypeInvalid,
    AnswerMimeInvalid,
    BusError,
    RecipientBrokeOff,
    RecipientHostUnknown,
    RecipientUnavailable,
    RecipientUntrusted,
)
from bus.http.client import AgencyHttp, AgencyReply, AgencyRequest
from bus.http.spool import Spool
from bus.runtime.clock import now
from bus.runtime.deadline import Deadline
from tests.access_point.tls_certificates import write_key_and_certificate
from tests.hang_limits import HANG_SECONDS_MAX


def get(url: str, *, spool: Spool | None = None) -> AgencyReply:
    http = AgencyHttp(spool=spool)
    try:
        return http.send(AgencyRequest("GET", url), Deadline.after(HANG_SECONDS_MAX))
    finally:
        http.close()


@contextmanager
def answering(reply: bytes, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """A server that takes one connection, reads a request's head, says something and hangs up."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(HANG_SECONDS_MAX)

    def serve() -> None:
        with suppress(OSError), listener.accept()[0] as plain:
            connection = tls.wrap_socket(plain, server_side=True) if tls else plain
            while b"\r\n\r\n" not in connection.recv(65536):
                pass
            connection.sendall(reply)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        thread.join()
        listener.close()


def raises_exactly(error: type[BusError], act: Callable[[], object]) -> None:
    with pytest.raises(error) as caught:
        act()
    assert type(caught.value) is error


def test_a_host_without_address_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_address(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_address)

    raises_exactly(RecipientHostUnknown, lambda: get("http://khong-co-may-nay.example/"))


def test_a_host_that_refuses_is_unavailable_and_nothing_more() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]

        raises_exactly(RecipientUnavailable, lambda: get(f"http://127.0.0.1:{port}/"))


@pytest.mark.parametrize("reply", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"])
def test_a_reply_that_breaks_off_is_told_so(reply: bytes) -> None:
    with answering(reply) as url:
        raises_exactly(RecipientBrokeOff, lambda: get(url))


def test_a_certificate_that_leads_nowhere_is_not_trusted(tmp_path: Path) -> None:
    write_key_and_certificate(tmp_path, "server", now())
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    with answering(b"", tls) as url:
        raises_exactly(RecipientUntrusted, lambda: get(url))


MULTIPART = (
    b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: multipart/related; boundary=b\r\n\r\n"
)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"--b--\r\n", AnswerMimeInvalid),
        (b"--b\r\nContent-Type: text/xml\r\n\r\n<a/>", AnswerMimeInvalid),
        (b"--b\r\nContent-Type: text/plain\r\n\r\na\r\n--b--\r\n", AnswerContentTypeInvalid),
    ],
)
def test_parts_that_cannot_be_read_are_told_so(body: bytes, error: type[BusError]) -> None:
    with answering(MULTIPART + body) as url:
        raises_exactly(error, lambda: get(url, spool=Spool(None, bytes_max=1000)))
