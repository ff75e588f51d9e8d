"""Serve a simulated agency over HTTP, and let a test make it slow, down, wrong or unwilling.

A manifest names a class that derives from SimulatedAgency. The sandbox lets it invent its data
(`make_data`), opens it over them in a process of its own (`open`), and takes its sample requests
(`sample_requests`).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl

from bus.kit.invented_nation import InventedNation

REQUEST_BYTES_MAX = 1024 * 1024
_HEALTH_PATH = "/_health"
_FAULT_PATH = "/_fault"
_SLOW_SECONDS_DEFAULT = 5.0
CLOSED_PATH = "/_closed"
"""Where a simulator that is several recipients in one takes which of them is away for a while:
POST {"office": "H41", "closed": true}, by member code. Whoever is one agency has no such door."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class FaultMode(StrEnum):
    """What is wrong with the agency at the moment."""

    NONE = "none"
    SLOW = "slow"
    """Answers after some seconds."""
    DOWN = "down"
    """503 without a word of its protocol."""
    WRONG_ANSWER = "wrong-answer"
    """An answer of its protocol that does not follow the schema."""
    GARBAGE = "garbage"
    """200 with bytes of no protocol."""
    REFUSE = "refuse"
    """A refusal as its protocol writes it."""


@dataclass(frozen=True, slots=True)
class FaultSetting:
    """The fault in force, and how long `slow` takes."""

    mode: FaultMode = FaultMode.NONE
    seconds: float = _SLOW_SECONDS_DEFAULT


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request read whole."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    """Its first REQUEST_BYTES_MAX bytes."""
    bytes_count: int = 0
    """Of the whole body."""
    sha256: str = ""
    """Of the whole body, in hex."""


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A reply to send."""

    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def open_to_read(database: Path) -> sqlite3.Connection:
    """What was written once, for reading from the one thread that serves. Raises OSError."""
    if not database.is_file():
        raise FileNotFoundError(f"there is no {database}; `lienthong sandbox up` makes it")
    return sqlite3.connect(
        f"{database.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False
    )


def json_reply(value: object, *, status: int = 200) -> HttpReply:
    body = json.dumps(value, ensure_ascii=False).encode()
    return HttpReply(status, "application/json; charset=utf-8", body)


def text_reply(status: int, text: str) -> HttpReply:
    return HttpReply(status, "text/plain; charset=utf-8", text.encode())


class SimulatedAgency(ABC):
    """An ASGI application that is one agency."""

    def __init__(self) -> None:
        self._fault = FaultSetting()  # owned by the event loop

    @classmethod
    @abstractmethod
    def open(cls, nation: InventedNation, folder: Path, settings: Mapping[str, str]) -> Self:
        """The agency over the data of `make_data`.

        `settings` are those that the adapter gets: the address at which it is asked, the account
        and secret that it is to know the hub by. Raises OSError: the data are not there.
        """

    @classmethod  # noqa: B027 - most need none
    def make_data(cls, nation: InventedNation, folder: Path) -> None:
        """Write into an empty folder what the agency knows; the same nation gives the same data.

        By default nothing: it answers from the nation's people, or needs no data.
        """

    @classmethod
    def sample_requests(cls, nation: InventedNation, folder: Path) -> Mapping[str, bytes]:
        """For each service code, a request element that these data answer.

        By default none: the samples of the adapter's folder are taken as they are. With the usual
        seed both must ask the same.
        """
        return {}

    @abstractmethod
    def answer(self, request: HttpRequest) -> HttpReply:
        """What the agency says when nothing is wrong with it."""

    @abstractmethod
    def is_service_call(self, request: HttpRequest) -> bool:
        """Whether the request asks for the service: to such only, a fault applies."""

    def takes_files(self, request: HttpRequest) -> bool:
        """Whether a request may be of any size: of its body only digest and size count."""
        return False

    @abstractmethod
    def wrong_answer(self) -> HttpReply:
        """An answer that the agency's protocol carries and its schema forbids."""

    @abstractmethod
    def refusal(self) -> HttpReply:
        """A refusal in the agency's own form."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = await read_request(scope, receive)
        if request.bytes_count > REQUEST_BYTES_MAX and not self.takes_files(request):
            await send_reply(send, text_reply(413, "too large"))
            return
        await send_reply(send, await self._reply(request))

    async def _reply(self, request: HttpRequest) -> HttpReply:
        if request.path == _HEALTH_PATH:
            return text_reply(200, "ok")
        if request.path == _FAULT_PATH:
            return self._set_fault(request)
        if not self.is_service_call(request):
            return self.answer(request)
        match self._fault.mode:
            case FaultMode.SLOW:
                await asyncio.sleep(self._fault.seconds)
            case FaultMode.DOWN:
                return text_reply(503, "down for a moment")
            case FaultMode.WRONG_ANSWER:
                return self.wrong_answer()
            case FaultMode.GARBAGE:
                return text_reply(200, "\x00<<{[ no protocol")
            case FaultMode.REFUSE:
                return self.refusal()
            case FaultMode.NONE:
                pass
        return self.answer(request)

    def _set_fault(self, request: HttpRequest) -> HttpReply:
        setting, reply = read_fault(request)
        self._fault = setting or self._fault
        return reply


def read_fault(request: HttpRequest) -> tuple[FaultSetting | None, HttpReply]:
    """The fault that a test wants, and the reply to it; None: it did not say it in its form."""
    try:
        wanted = json.loads(request.body)
        seconds = float(wanted.get("seconds", _SLOW_SECONDS_DEFAULT))
        setting = FaultSetting(FaultMode(wanted["mode"]), seconds)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None, text_reply(400, f"mode must be one of {', '.join(FaultMode)}")
    return setting, json_reply({"mode": setting.mode, "seconds": setting.seconds})


async def read_request(scope: Scope, receive: Receive) -> HttpRequest:
    """The request; of a large body the first bytes are kept, and its digest."""
    body, digest, count = bytearray(), hashlib.sha256(), 0
    while True:
        message = await receive()
        chunk = message.get("body", b"")
        digest.update(chunk)
        count += len(chunk)
        body += chunk[: REQUEST_BYTES_MAX - len(body)]
        if not message.get("more_body"):
            break
    return HttpRequest(
        scope["method"],
        scope["path"],
        dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)),
        {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
        bytes(body),
        count,
        digest.hexdigest(),
    )


async def send_reply(send: Send, reply: HttpReply) -> None:
    headers = {
        "content-type": reply.content_type,
        "content-length": str(len(reply.body)),
        **reply.headers,
    }
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": encoded})
    await send({"type": "http.response.body", "body": reply.body})
