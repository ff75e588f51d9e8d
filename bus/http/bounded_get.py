"""Fetch a few bytes over HTTP within one time for all of it, even if they trickle in one by one.

No redirect is followed, no proxy is asked, nothing of the environment is read.
"""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_CONNECTIONS = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
_LATE = "no reply in time"


class FetchFailed(Exception):
    """Nothing was fetched; the text says why, for operators."""


class ReplyUnfit(FetchFailed):
    """Somebody replied, but not with status 200, or with too much."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one fetch may take."""

    seconds_max: float
    """From the first packet to the last byte."""
    bytes_max: int


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """What is asked for: GET, or POST if there is a body."""

    address: str
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)


def fetch(request: FetchRequest, bounds: Bounds) -> bytes:
    """The body of a reply with status 200. It waits: call it in a thread.

    Raises FetchFailed; ReplyUnfit, if somebody replied.
    """
    try:
        parts = urlsplit(request.address)
        connect = _CONNECTIONS.get(parts.scheme)
        if connect is None or not parts.hostname:
            raise FetchFailed("expected an http or https address")
        connection = connect(parts.hostname, parts.port, timeout=bounds.seconds_max)
    except ValueError as error:  # a port that is no number, brackets without an address
        raise FetchFailed("expected an http or https address") from error
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        with _connected(connection, bounds.seconds_max) as is_over:
            body = _exchange(connection, request, path, bounds)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise FetchFailed(type(error).__name__) from error
    if is_over.is_set():
        raise FetchFailed(_LATE)
    return body


@contextmanager
def _connected(
    connection: http.client.HTTPConnection, seconds_max: float
) -> Iterator[threading.Event]:
    """Connect, and break off when the time is over; the event says whether it was.

    What was broken off looks as if it had ended. Raises FetchFailed.
    """
    begun = time.monotonic()
    is_over = threading.Event()
    connection.connect()  # within the connection's timeout, TLS included
    left = max(seconds_max - (time.monotonic() - begun), 0)
    # The socket's own timeout begins again with each byte: this one does not.
    watchdog = threading.Timer(left, _break_off, (connection.sock, is_over))
    watchdog.daemon = True
    watchdog.start()
    try:
        yield is_over
    except TimeoutError as error:  # a busy machine may let the socket's own time end first
        raise FetchFailed(_LATE) from error
    except FetchFailed as error:
        if is_over.is_set():
            raise FetchFailed(_LATE) from error
        raise
    except (OSError, http.client.HTTPException) as error:
        raise FetchFailed(_LATE if is_over.is_set() else type(error).__name__) from error
    finally:
        watchdog.cancel()
        connection.close()


def _exchange(
    connection: http.client.HTTPConnection, request: FetchRequest, path: str, bounds: Bounds
) -> bytes:
    method = "POST" if request.body else "GET"
    connection.request(method, path, request.body or None, dict(request.headers))
    reply = connection.getresponse()
    if reply.status != http.client.OK:
        raise ReplyUnfit(f"HTTP status {reply.status}")
    body = reply.read(bounds.bytes_max + 1)
    if len(body) > bounds.bytes_max:
        raise ReplyUnfit(f"more than {bounds.bytes_max} bytes")
    if reply.length:
        raise FetchFailed("the reply broke off")
    return body


def _break_off(connected: socket.socket, is_over: threading.Event) -> None:
    is_over.set()
    with suppress(OSError):  # closed already
        connected.shutdown(socket.SHUT_RDWR)
