"""Speak HTTP to one agency: bounded in size and time, no redirects, blind to the environment."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, ReadTimeoutError
from urllib3.response import BaseHTTPResponse

from bus.core.errors import RecipientRefused, RecipientTimeout, RecipientUnavailable
from bus.kit.clock import Deadline

REPLY_BYTES_MAX = 4 * 1024 * 1024
"""Largest reply that is read from an agency."""
CONNECT_SECONDS_MAX = 5.0
"""Longest wait for a connection; a query's own deadline may be nearer."""
READ_BYTES = 64 * 1024
PUBLIC_MESSAGE_CHARACTERS_MAX = 200
"""How much of an agency's own words is handed on to the sender."""

_TRY_LATER = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class AgencyRequest:
    """One request to an agency."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class AgencyReply:
    """What an agency sent back, read whole."""

    status: int
    body: bytes = field(repr=False)
    content_type: str = ""
    """The Content-Type header; empty if there was none."""


class AgencyHttp:
    """HTTP to one agency; used from several threads, with one session for each.

    No redirect is followed: it would carry our account to an address nobody configured. Proxies
    and .netrc of the environment are not read, because the latter replaces Authorization.
    """

    def __init__(self, *, authority_file: str = "", reply_bytes_max: int = REPLY_BYTES_MAX) -> None:
        """`authority_file`: PEM of the CAs to trust instead of the public ones.

        Raises FileNotFoundError if it names no file: at start-up, not at the first query.
        """
        if authority_file and not Path(authority_file).is_file():
            raise FileNotFoundError(f"authority_file: there is no file {authority_file}")
        self._authority_file = authority_file
        self._reply_bytes_max = reply_bytes_max
        self._local = threading.local()
        self._sessions: list[requests.Session] = []  # guarded by _lock
        self._lock = threading.Lock()

    def send(self, request: AgencyRequest, deadline: Deadline) -> AgencyReply:
        """Send and read the whole reply, whatever its status.

        Raises RecipientUnavailable (no connection, broken off, more than the bound),
        RecipientTimeout.
        """
        wait_seconds = deadline.remaining_seconds()
        try:
            with self._session().request(
                request.method,
                request.url,
                params=dict(request.query),
                data=request.body or None,
                headers=dict(request.headers),
                timeout=(min(wait_seconds, CONNECT_SECONDS_MAX), wait_seconds),
                allow_redirects=False,
                stream=True,
            ) as response:
                body = self._read(response.raw, deadline)
                content_type = response.headers.get("Content-Type", "")
                return AgencyReply(response.status_code, body, content_type)
        # A connect timeout is both a timeout and a connection error: nothing was sent, so the
        # agency is away rather than slow.
        except requests.ConnectTimeout as error:
            raise RecipientUnavailable("no connection in time") from error
        except (requests.Timeout, ReadTimeoutError) as error:
            raise RecipientTimeout("no reply in time") from error
        except (requests.RequestException, HTTPError, OSError) as error:
            raise RecipientUnavailable(type(error).__name__) from error

    def _read(self, raw: BaseHTTPResponse, deadline: Deadline) -> bytes:
        # BUG: a reply head that trickles in byte by byte restarts the socket's timeout with each
        # byte, because http.client reads it in one go; the hub's own timeout ends the query then.
        body = bytearray()
        while True:
            deadline.remaining_seconds()
            chunk = raw.read1(READ_BYTES, decode_content=True)
            if not chunk:
                return bytes(body)
            body += chunk
            if len(body) > self._reply_bytes_max:
                raise RecipientUnavailable(f"a reply of more than {self._reply_bytes_max} bytes")

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            session.trust_env = False
            session.verify = self._authority_file or True
            session.mount("http://", HTTPAdapter(pool_connections=1, pool_maxsize=1))
            session.mount("https://", HTTPAdapter(pool_connections=1, pool_maxsize=1))
            self._local.session = session
            with self._lock:
                self._sessions.append(session)
        return session

    def close(self) -> None:
        """Close every connection."""
        with self._lock:
            while self._sessions:
                self._sessions.pop().close()


def agency_address(text: str) -> str:
    """An address as the operator set it; raise ValueError unless http or https with a host."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"expected an address like https://host/path, not {text!r}")
    return text


def check_status(status: int) -> None:
    """Raise what a status other than 2xx means, where the reply says no more.

    Raises RecipientRefused (4xx: the agency understood and said no) and RecipientUnavailable
    (408, 425, 429, 5xx, and redirects, which are never followed).
    """
    if 200 <= status < 300:
        return
    if 400 <= status < 500 and status not in _TRY_LATER:
        raise RecipientRefused(f"HTTP status {status}")
    raise RecipientUnavailable(f"HTTP status {status}")


def public_message(text: str) -> str:
    """An agency's own words, on one line and cut to what is handed on to the sender."""
    return " ".join(text.split())[:PUBLIC_MESSAGE_CHARACTERS_MAX]
