"""The load counts an answer only if it is one."""

import itertools
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bus.bench.load import SAMPLE_EVERY, LoadFailed, Round, load
from tests.hang_limits import HANG_SECONDS_MAX

_REQUEST = b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi"


@contextmanager
def server(*chunks: bytes) -> Iterator[int]:
    """A server on loopback that gives these chunks to every request of its one connection."""
    listening = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        connection, _ = listening.accept()
        with connection:
            while connection.recv(65536):
                for chunk in chunks:
                    connection.sendall(chunk)

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        thread.join(HANG_SECONDS_MAX)
        listening.close()


def _load(port: int, count: int) -> Round:
    requests = itertools.repeat(_REQUEST, count)
    return load(port, requests, connections=1, seconds=20)


def test_every_request_is_answered_once_and_some_answers_are_kept() -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nyes!"
    with server(answer) as port:
        found = _load(port, SAMPLE_EVERY * 2)

    assert len(found.latencies) == SAMPLE_EVERY * 2
    assert found.answer_bytes == SAMPLE_EVERY * 2 * 4
    assert [sample.answer for sample in found.samples] == [b"yes!", b"yes!"]
    assert found.samples[0].request == _REQUEST
    assert found.rate == pytest.approx(len(found.latencies) / found.seconds)


def test_an_answer_in_pieces_is_one_answer() -> None:
    with server(b"HTTP/1.1 200 OK\r\nContent-Le", b"ngth: 4\r\n\r", b"\nye", b"s!") as port:
        found = _load(port, 3)

    assert len(found.latencies) == 3
    assert found.answer_bytes == 12


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\nno", "answered with 500"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "no Content-Length"),
    ],
)
def test_a_wrong_answer_fails_the_run(answer: bytes, reason: str) -> None:
    with server(answer) as port, pytest.raises(LoadFailed, match=reason):
        _load(port, 5)


def test_no_request_is_sent_after_the_time_is_over() -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
    with server(answer) as port:
        found = load(port, itertools.repeat(_REQUEST), connections=1, seconds=0.05)

    assert found.seconds == pytest.approx(0.05, abs=2)
    assert found.latencies
