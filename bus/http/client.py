"""Speak HTTP to one agency: bounded in size and time, no redirects, blind to the environment."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from errno import ENOENT
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import (
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.response import BaseHTTPResponse

from bus.core.errors import (
    AccountRefused,
    AnswerContentTypeInvalid,
    AnswerMimeInvalid,
    ContentTypeInvalid,
    MimeInvalid,
    RecipientBrokeOff,
    RecipientHostUnknown,
    RecipientHttpError,
    RecipientHttpRefused,
    RecipientTimeout,
    RecipientUnavailable,
    RecipientUntrusted,
    SoapMissing,
    SpoolUnavailable,
    TooLarge,
)
from bus.core.limits import Limits
from bus.http.multipart import MultipartIntake, WholeMessage
from bus.http.read_replies import count_read
from bus.http.refused_settings import SettingRefused
from bus.http.spool import Spool
from bus.protocols.mime.content_type import MULTIPART_RELATED, parse_content_type
from bus.runtime.deadline import Deadline
from signing.attachments import Attachment

REPLY_BYTES_MAX = 4 * 1024 * 1024
"""Largest reply that is read from an agency."""
CONNECT_SECONDS_MAX = 5.0
"""Longest wait for a connection; a query's own deadline may be nearer."""
READ_BYTES = 64 * 1024
UNASKED_BYTES_MAX = 16 * 1024 * 1024
"""Of attachments that one agency sends at one time to an adapter that takes none."""
PUBLIC_MESSAGE_CHARACTERS_MAX = 200
"""How much of an agency's own words is handed on to the sender."""

ACCOUNT_STATUSES = frozenset({401, 403, 407})
"""Whoever asks here is the hub: it is the hub's account that the agency does not take."""
_TRY_LATER = frozenset({408, 425, 429})


class StreamedBody(Protocol):
    """A body that is sent piece by piece, more than once if need be."""

    def __len__(self) -> int:
        """How many bytes."""
        ...

    def __iter__(self) -> Iterator[bytes]:
        """The bytes, from the start."""
        ...


@dataclass(frozen=True, slots=True)
class AttachmentBody:
    """The content of an attachment as a body of its own."""

    attachment: Attachment

    def __len__(self) -> int:
        return self.attachment.bytes_count

    def __iter__(self) -> Iterator[bytes]:
        return self.attachment.chunks()


@dataclass(frozen=True, slots=True)
class AgencyRequest:
    """One request to an agency."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | StreamedBody = field(default=b"", repr=False)
    """A body that is no bytes is sent piece by piece."""


@dataclass(frozen=True, slots=True)
class AgencyReply:
    """What an agency sent back, read whole."""

    status: int
    body: bytes = field(repr=False)
    content_type: str = ""
    """The Content-Type header; empty if there was none. That of the SOAP part, if it had parts."""
    attachments: tuple[Attachment, ...] = ()
    """What came beside the body of a multipart reply."""


class AgencyHttp:
    """HTTP to one agency; used from several threads, with one session for each.

    No redirect is followed: it would carry our account to an address nobody configured. Proxies
    and .netrc of the environment are not read, because the latter replaces Authorization.
    """

    def __init__(
        self,
        *,
        authority_file: str = "",
        reply_bytes_max: int = REPLY_BYTES_MAX,
        spool: Spool | None = None,
    ) -> None:
        """`authority_file`: PEM of the CAs to trust instead of the public ones. With a `spool`
        replies may have attachments of any size, and `reply_bytes_max` bounds what they stand
        beside; without one, a multipart reply is read all the same, its attachments are small.

        Raises FileNotFoundError if it names no file, SettingRefused if one without certificates:
        at start-up, not at the first query.
        """
        if authority_file and not Path(authority_file).is_file():
            raise FileNotFoundError(ENOENT, "there is no such file", authority_file)
        _check_authorities(authority_file)
        self._authority_file = authority_file
        self._reply_bytes_max = reply_bytes_max
        self._spool = spool or Spool(None, bytes_max=UNASKED_BYTES_MAX)
        self.takes_attachments = spool is not None
        """Whether the adapter asked for what comes beside a reply."""
        self._limits = replace(Limits(), envelope_bytes_max=reply_bytes_max)
        self._local = threading.local()
        self._sessions: list[requests.Session] = []  # guarded by _lock
        self._lock = threading.Lock()

    def send(self, request: AgencyRequest, deadline: Deadline) -> AgencyReply:
        """Send and read the whole reply, whatever its status.

        Raises RecipientUnavailable (no connection; RecipientHostUnknown and RecipientUntrusted say
        why), RecipientBrokeOff (it may have had the request; more than the bound, too),
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
                content_type = response.headers.get("Content-Type", "")
                if content_type.strip().lower().startswith(MULTIPART_RELATED):
                    return self._read_reply(
                        response.status_code, content_type, response.raw, deadline
                    )
                body = self._read(response.raw, deadline)
                return AgencyReply(response.status_code, body, content_type)
        # A connect timeout is both a timeout and a connection error: nothing was sent, so the
        # agency is away rather than slow.
        except requests.ConnectTimeout as error:
            raise RecipientUnavailable("no connection in time") from error
        except (requests.Timeout, ReadTimeoutError) as error:
            raise RecipientTimeout("no reply in time") from error
        except (requests.RequestException, HTTPError, OSError) as error:
            raise _unavailable(error) from error

    def _read(self, raw: BaseHTTPResponse, deadline: Deadline) -> bytes:
        # BUG: a reply head that trickles in byte by byte restarts the socket's timeout with each
        # byte, because http.client reads it in one go; the hub's own timeout ends the query then.
        body = bytearray()
        for chunk in _chunks(raw, deadline):
            body += chunk
            if len(body) > self._reply_bytes_max:
                raise RecipientBrokeOff(f"a reply of more than {self._reply_bytes_max} bytes")
        count_read(len(body))
        return bytes(body)

    def _read_reply(
        self, status: int, content_type: str, raw: BaseHTTPResponse, deadline: Deadline
    ) -> AgencyReply:
        """A multipart reply; one that is broken says as much as its HTTP status, if that is bad.

        Raises AnswerMimeInvalid, AnswerContentTypeInvalid; RecipientBrokeOff: too large.
        """
        try:
            whole = self._read_related(content_type, raw, deadline)
        except (AnswerMimeInvalid, AnswerContentTypeInvalid):
            if is_success(status):
                raise
            return AgencyReply(status, b"", content_type)
        return AgencyReply(
            status, whole.soap, whole.soap_head.header("content-type"), whole.attachments
        )

    def _read_related(
        self, content_type: str, raw: BaseHTTPResponse, deadline: Deadline
    ) -> WholeMessage:
        """Raises AnswerMimeInvalid, AnswerContentTypeInvalid; RecipientBrokeOff: too large."""
        intake = None
        try:
            intake = MultipartIntake(parse_content_type(content_type), self._limits, self._spool)
            for chunk in _chunks(raw, deadline):
                intake.feed(chunk)
            whole = intake.end()
            count_read(len(whole.soap))
            if whole.failure is not None:
                raise whole.failure
            return whole
        except (MimeInvalid, SoapMissing) as error:
            raise AnswerMimeInvalid(error.detail) from error
        except ContentTypeInvalid as error:
            raise AnswerContentTypeInvalid(error.detail) from error
        except (TooLarge, SpoolUnavailable) as error:
            raise RecipientBrokeOff(f"a reply with attachments: {error.detail}") from error
        finally:
            if intake is not None:
                intake.close()

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


def _chunks(raw: BaseHTTPResponse, deadline: Deadline) -> Iterator[bytes]:
    while True:
        deadline.remaining_seconds()
        chunk = raw.read1(READ_BYTES, decode_content=True)
        if not chunk:
            return
        yield chunk


_WHY_UNAVAILABLE: tuple[tuple[type[Exception], type[RecipientUnavailable]], ...] = (
    (NameResolutionError, RecipientHostUnknown),
    (socket.gaierror, RecipientHostUnknown),
    (SSLError, RecipientUntrusted),
    (ssl.SSLError, RecipientUntrusted),
    (NewConnectionError, RecipientUnavailable),
    (ProtocolError, RecipientBrokeOff),
    (ConnectionResetError, RecipientBrokeOff),
)
"""What an error in the chain of causes says; the first row that fits."""


def _unavailable(error: Exception) -> RecipientUnavailable:
    causes = list(_causes(error))
    for kind, found in _WHY_UNAVAILABLE:
        if any(isinstance(cause, kind) for cause in causes):
            return found(type(error).__name__)
    # Whatever else it was: the agency may have had the request, and acted on it.
    return RecipientBrokeOff(type(error).__name__)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error with everything that it was raised for; requests keeps some as an argument."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        inner = [getattr(one, "reason", None), *one.args]
        waiting += [part for part in inner if isinstance(part, BaseException)]
        waiting += [one.__cause__, one.__context__]


def _check_authorities(file: str) -> None:
    if not file:
        return
    try:
        ssl.create_default_context(cafile=file)
    except OSError as error:  # no certificate in it, or no file that may be read
        raise SettingRefused(file, "expected a file of CA certificates in PEM") from error


def agency_address(text: str) -> str:
    """An address as the operator set it; raise SettingRefused unless http or https with a host."""
    try:
        parts = urlsplit(text)
        is_address = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # brackets without an address, a port that is none
        is_address = False
    if not is_address or text != "".join(text.split()):
        raise SettingRefused(text, "expected an address as https://host/path")
    return text


def check_status(status: int) -> None:
    """Raise what a status other than 2xx means, where the reply says no more.

    Raises AccountRefused (401, 403, 407), RecipientHttpRefused (every other 4xx: the agency
    understood and said no) and RecipientHttpError (408, 425, 429, 5xx, and redirects, which are
    never followed).
    """
    if is_success(status):
        return
    if status in ACCOUNT_STATUSES:
        raise AccountRefused(f"HTTP status {status}")
    if 400 <= status < 500 and status not in _TRY_LATER:
        raise RecipientHttpRefused(f"HTTP status {status}")
    error = RecipientHttpError(f"HTTP status {status}")
    error.status = status
    raise error


def is_success(status: int) -> bool:
    """Whether an HTTP status is one of success."""
    return 200 <= status < 300


def public_message(text: str) -> str:
    """An agency's own words, on one line and cut to what is handed on to the sender."""
    return " ".join(text.split())[:PUBLIC_MESSAGE_CHARACTERS_MAX]
