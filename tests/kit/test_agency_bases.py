"""The SOAP and REST bases against replies that no honest agency sends."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from bus.core.errors import (
    AccountRefused,
    AnswerInvalid,
    RecipientRefused,
    RecipientTimeout,
    RecipientUnavailable,
)
from bus.http.client import AgencyHttp, AgencyReply, AgencyRequest, agency_address, check_status
from bus.kit.rest_agency import read_json_object
from bus.kit.soap_agency import read_soap_reply
from bus.runtime.deadline import Deadline
from tests.hang_limits import HANG_SECONDS_MAX

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"


@contextmanager
def answering(respond: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that takes one connection, reads a request's head and lets `respond` go on."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            while b"\r\n\r\n" not in connection.recv(65536):
                pass
            try:
                respond(connection)
            except OSError:
                return  # the client went away, as it should

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        thread.join(timeout=HANG_SECONDS_MAX)
        listener.close()
        assert not thread.is_alive()


def get(url: str, *, timeout_seconds: float = 5.0, reply_bytes_max: int = 1000) -> AgencyReply:
    http = AgencyHttp(reply_bytes_max=reply_bytes_max)
    try:
        return http.send(AgencyRequest("GET", url), Deadline.after(timeout_seconds))
    finally:
        http.close()


def whole(head: str, body: bytes = b"") -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(head.replace("\n", "\r\n").encode() + body)


def test_a_reply_is_read_whole_whatever_its_status() -> None:
    with answering(whole("HTTP/1.1 404 No\nContent-Length: 5\n\n", b"hello")) as url:
        assert get(url) == AgencyReply(404, b"hello")


def test_a_chunked_reply_is_read_whole() -> None:
    head = "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n"
    with answering(whole(head, b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")) as url:
        assert get(url).body == b"abcde"


def test_a_reply_above_the_bound_is_not_read_to_its_end() -> None:
    sent = 0

    def endless(connection: socket.socket) -> None:
        nonlocal sent
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while sent < 100_000_000:
            sent += connection.send(b"x" * 65536)

    with answering(endless) as url, pytest.raises(RecipientUnavailable, match="1000 bytes"):
        get(url)
    assert sent < 100_000_000


def test_a_small_reply_that_unpacks_into_a_large_one_is_refused() -> None:
    body = gzip.compress(b"x" * 10_000_000)
    head = f"HTTP/1.1 200 OK\nContent-Encoding: gzip\nContent-Length: {len(body)}\n\n"
    with answering(whole(head, body)) as url, pytest.raises(RecipientUnavailable, match="bytes"):
        get(url, reply_bytes_max=100_000)


def test_a_reply_that_breaks_off_is_no_reply() -> None:
    with (
        answering(whole("HTTP/1.1 200 OK\nContent-Length: 500\n\n", b"half")) as url,
        pytest.raises(RecipientUnavailable),
    ):
        get(url)


def test_a_body_that_trickles_in_ends_at_the_deadline() -> None:
    gone, ended = threading.Event(), threading.Event()

    def trickle(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n")
        for _ in range(900):
            connection.sendall(b"x")
            if gone.wait(0.05):
                return
        ended.set()

    with answering(trickle) as url:
        with pytest.raises(RecipientTimeout):
            get(url, timeout_seconds=0.5)
        is_waited_for = ended.is_set()
        gone.set()
    assert not is_waited_for


def test_a_redirect_is_not_followed() -> None:
    head = "HTTP/1.1 302 Found\nLocation: http://127.0.0.1:9/\nContent-Length: 0\n\n"
    with answering(whole(head)) as url:
        assert get(url).status == 302
    with pytest.raises(RecipientUnavailable):
        check_status(302)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, RecipientRefused),
        (401, AccountRefused),
        (403, AccountRefused),
        (407, AccountRefused),
        (404, RecipientRefused),
        (408, RecipientUnavailable),
        (429, RecipientUnavailable),
        (503, RecipientUnavailable),
    ],
)
def test_a_status_says_whether_to_try_again(status: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        check_status(status)


@pytest.mark.parametrize("text", ["", "host/path", "ftp://host/", "https:///path", "http://"])
def test_what_is_no_address_is_refused_at_the_start(text: str) -> None:
    with pytest.raises(ValueError, match="expected an address"):
        agency_address(text)


def test_a_missing_authority_file_is_refused_at_the_start() -> None:
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        AgencyHttp(authority_file="/khong-co-tep-nay.pem")


def soap(body: str) -> bytes:
    text = f'<s:Envelope xmlns:s="{SOAP}"><s:Body>{body}</s:Body></s:Envelope>'
    return text.encode(errors="surrogatepass")


def test_the_answer_leaves_its_envelope_behind() -> None:
    answer = read_soap_reply(AgencyReply(200, soap('<a xmlns="urn:x">Nguyễn</a>')))
    assert answer.getparent() is None
    assert (answer.tag, answer.text) == ("{urn:x}a", "Nguyễn")


def test_a_large_answer_of_vietnamese_letters_is_taken() -> None:
    letters = "ễ" * 100_000
    answer = read_soap_reply(AgencyReply(200, soap(f"<a>{letters}</a> \n stray text")))
    assert letters == answer.text


@given(st.binary(max_size=200) | st.text(max_size=100).map(soap), st.integers(100, 599))
def test_any_reply_is_an_answer_or_an_error_of_the_contract(body: bytes, status: int) -> None:
    try:
        assert etree.iselement(read_soap_reply(AgencyReply(status, body)))
    except (AnswerInvalid, RecipientRefused, RecipientUnavailable):
        return


def test_a_fault_is_a_refusal_with_any_status() -> None:
    fault = soap(
        "<s:Fault><faultcode>s:Client</faultcode><faultstring>a\nb</faultstring></s:Fault>"
    )
    for status in (200, 400, 500):
        with pytest.raises(RecipientRefused) as raised:
            read_soap_reply(AgencyReply(status, fault))
        assert raised.value.public_detail == "a b"


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"\xff", b'{"a": NaN}', b"[" * 100_000, b'{"a": 1}{'],
    ids=["empty", "list", "not UTF-8", "NaN", "deep", "trailing"],
)
def test_what_is_no_json_object_counts_as_unavailable(body: bytes) -> None:
    with pytest.raises(RecipientUnavailable):
        read_json_object(AgencyReply(200, body))
