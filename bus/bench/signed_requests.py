"""Sign distinct requests before the clock starts, on every processor."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

from bus.bench.citizen_answer import SERVICE
from bus.core.identifiers import ServiceId, SubsystemId
from bus.core.xml import parse_xml
from bus.protocols.soap_xroad.names import IDENTIFIERS, XROAD
from bus.protocols.soap_xroad.write import RequestHeader, SigningTime, write_request
from bus.runtime.clock import now
from bus.settings.signer import SignerFiles
from bus.trust.key_store import read_signer
from signing.names import SOAP11, WSU
from signing.pki.keys import Signer

_CHUNK = 64
_ROOT = f'<soap:Envelope xmlns:soap="{SOAP11}"'.encode()
_AT_ROOT = tuple(
    f' xmlns:{prefix}="{namespace}"'.encode()
    for prefix, namespace in (("wsu", WSU), ("xrd", XROAD), ("id", IDENTIFIERS))
)
_EMPTY = tuple(
    f'"></ds:{name}>'.encode()
    for name in ("CanonicalizationMethod", "SignatureMethod", "Transform", "DigestMethod")
)
_PAYLOAD_BYTES_MAX = 64 * 1024
_HEAD = (
    "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/xml; charset=utf-8\r\n"
    'SOAPAction: ""\r\nContent-Length: {length}\r\n\r\n'
)
_PAYLOAD = (
    '<TraCuuThongTinCongDan xmlns="http://dancuquocgia.bca"><MaYeuCau>{number}</MaYeuCau>'
    "<MaDVC>G22-DVC</MaDVC><MaCanBo>CB-0117</MaCanBo><SoDinhDanh>{citizen}</SoDinhDanh>"
    "<HoVaTen>Nguyễn Văn An</HoVaTen><NgayThangNamSinh><NgayThangNam>19900101</NgayThangNam>"
    "</NgayThangNamSinh></TraCuuThongTinCongDan>"
)


@dataclass(frozen=True, slots=True)
class RequestForm:
    """What is sent to which service."""

    service: str
    payload: str
    """The element of the Body; `{number}` and `{citizen}` stand for what changes."""


CITIZEN_QUERY = RequestForm(SERVICE, _PAYLOAD)


@dataclass(frozen=True, slots=True)
class Client:
    """Who sends, what, and the key that it signs with."""

    subsystem: SubsystemId
    files: SignerFiles
    form: RequestForm = CITIZEN_QUERY


@dataclass(frozen=True, slots=True)
class _Chunk:
    client: Client
    first: int
    count: int


class RequestSigner:
    """Signs requests; no two that one signer gives have the same message id."""

    def __init__(self, client: Client, processes: ProcessPoolExecutor) -> None:
        """Use `request_signer`."""
        self._client = client
        self._processes = processes
        self._next = 0

    def sign(self, count: int) -> list[bytes]:
        """At least `count` whole HTTP requests, signed now and valid for five minutes."""
        chunks = []
        for _ in range(0, count, _CHUNK):
            chunks.append(_Chunk(self._client, self._next, _CHUNK))
            self._next += _CHUNK
        return [one for signed in self._processes.map(_sign, chunks) for one in signed]


@contextmanager
def request_signer(client: Client) -> Iterator[RequestSigner]:
    """A signer with a process for each processor; they end with the block."""
    # Spawned, not forked: a fork would copy threads' locks in whatever state they are.
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=spawning) as processes:
        yield RequestSigner(client, processes)


def http_request(body: bytes) -> bytes:
    """The bytes that carry a request over HTTP, kept alive."""
    return _HEAD.format(length=len(body)).encode("ascii") + body


def body_of(request: bytes) -> bytes:
    """The envelope in a whole HTTP request."""
    return request.partition(b"\r\n\r\n")[2]


def _sign(chunk: _Chunk) -> list[bytes]:
    signer = _signer(chunk.client.files)
    time = SigningTime(now())
    return [
        http_request(_request(chunk.client, signer, time, number))
        for number in range(chunk.first, chunk.first + chunk.count)
    ]


@cache
def _signer(files: SignerFiles) -> Signer:
    return read_signer(files)


def _request(client: Client, signer: Signer, time: SigningTime, number: int) -> bytes:
    header = RequestHeader(
        client=client.subsystem,
        service=ServiceId.parse(client.form.service),
        message_id=f"bench-{number:012}",
        user_id="CB-0117",
        issue=f"HS-{number // 4:010}",
    )
    payload = client.form.payload.format(
        number=f"MC-{number:012}", citizen=f"040090{number % 1_000_000:06}"
    )
    element = parse_xml(payload.encode(), bytes_max=_PAYLOAD_BYTES_MAX)
    return as_clients_write(write_request(header, element, signer, time))


def as_clients_write(request: bytes) -> bytes:
    """The same envelope with its namespaces declared once, as most SOAP stacks write it.

    The canonical form of each part, and so the signature, is the same.
    """
    for declaration in _AT_ROOT:
        request = request.replace(declaration, b"")
    for end in _EMPTY:
        request = request.replace(end, b'"/>')
    return request.replace(_ROOT, _ROOT + b"".join(_AT_ROOT), 1)
