"""A hub that really runs in a test: its HTTP door, its pipeline, its log on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from bus.audit.folder import open_log_reader
from bus.audit.postgres.source import LogDatabase
from bus.core.limits import Limits
from bus.core.log.leaf import Leaf, read_leaf
from bus.doors.soap import HttpDoor
from bus.hub import Hub, open_hub
from bus.kit.contract import Adapter, Answer, Query
from bus.protocols.soap_xroad.parse import parse
from bus.protocols.soap_xroad.verify_answer import (
    KnownHub,
    VerifiedAnswer,
    VerifiedFault,
    verify_answer,
)
from bus.settings.postgres import PostgresSettings
from bus.settings.revocation import RevocationSettings
from bus.trust.key_store import read_ed25519_key
from signing.signed_note import SigningKey
from tests.nation import ANSWER, HUB, LOOKUP, NOW, SLOW_ANSWER, SmallNation, carried_by, payload

XML = b"text/xml; charset=utf-8"
Told = TypeVar("Told")


class ScriptedAgency(Adapter):
    """An adapter that does what a test says, and remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__({})
        self.asked: list[Query] = []
        self.script: Callable[[Query], Answer] = answer_well

    def answer(self, query: Query) -> Answer:
        self.asked.append(query)
        return self.script(query)


def answer_well(query: Query) -> Answer:
    is_lookup = query.service.service_code == LOOKUP.service_code
    return Answer(payload(ANSWER if is_lookup else SLOW_ANSWER))


@dataclass(slots=True)
class SetClock:
    """A clock that shows what a test sets."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass(frozen=True, slots=True)
class HttpReply:
    """What came back over HTTP."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class RunningHub:
    """An open hub behind its door."""

    nation: SmallNation
    hub: Hub
    door: HttpDoor
    agency: ScriptedAgency
    clock: SetClock
    log_folder: Path
    database: LogDatabase | None = None
    """Where the entries lie, if not in the folder."""

    async def post(
        self,
        raw: bytes,
        *,
        method: str = "POST",
        content_type: bytes = XML,
        soap_action: bytes = b'""',
    ) -> HttpReply:
        headers = [(b"content-type", content_type), (b"soapaction", soap_action)]
        return await call(self.door, method, "/", raw, headers=headers)

    async def get(self, path: str, query: bytes = b"") -> HttpReply:
        return await call(self.door, "GET", path, b"", query=query)

    def proved(self, reply: HttpReply, raw: bytes) -> VerifiedAnswer | VerifiedFault:
        """The reply, verified as a sender of `raw` does."""
        return verify_answer(reply.body, parse(raw, Limits()), self.known(), self.clock.now)

    def known(self) -> KnownHub:
        settings = self.nation.settings
        key = read_ed25519_key(settings.log.signing_key)
        return KnownHub(
            trust=self.nation.rules.trust,
            member=HUB.member,
            receipt_key=SigningKey(f"{settings.log.origin}/receipt", key).verifying_key,
        )

    def leaves(self) -> list[Leaf]:
        """Every entry that is on disk."""
        return [read_leaf(leaf) for leaf in self.raw_leaves()]

    def raw_leaves(self) -> list[bytes]:
        """The same as it lies there."""
        with open_log_reader(self.log_folder, self.database) as reader:
            return [entry.leaf for entry in reader.entries()]


async def call(
    door: HttpDoor,
    method: str,
    path: str,
    body: bytes,
    *,
    query: bytes = b"",
    headers: list[tuple[bytes, bytes]] | None = None,
) -> HttpReply:
    """One HTTP request, as an ASGI server hands it over: the body in pieces of 64 KiB."""
    pieces = [body[at : at + 65536] for at in range(0, len(body), 65536)] or [b""]
    incoming = [
        {"type": "http.request", "body": piece, "more_body": at + 1 < len(pieces)}
        for at, piece in enumerate(pieces)
    ]
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query,
        "headers": headers or [],
    }
    return await exchange(door, scope, incoming)


async def exchange(
    door: HttpDoor, scope: dict[str, Any], incoming: list[dict[str, Any]]
) -> HttpReply:
    """Hand messages of ASGI to the door and gather what it sends."""
    waiting = iter(incoming)
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0)  # as a server does: more comes in another turn of the loop
        return next(waiting)

    async def send(message: Any) -> None:
        sent.append(message)

    await door(scope, receive, send)
    start, *rest = sent
    return HttpReply(start["status"], dict(start["headers"]), b"".join(one["body"] for one in rest))


class OpenHub:
    """A hub with the event loop that it lives in. Give it stories; they happen one by one."""

    def __init__(self, loop: asyncio.Runner, running: RunningHub) -> None:
        self._loop = loop
        self.running = running

    def tell(self, story: Callable[[RunningHub], Coroutine[Any, Any, Told]]) -> Told:
        self.running.agency.asked.clear()
        self.running.agency.script = answer_well
        self.running.clock.now = NOW
        return self._loop.run(story(self.running))


_STORE: ContextVar[PostgresSettings | None] = ContextVar("store", default=None)


@contextmanager
def kept_in(database: PostgresSettings | None) -> Iterator[None]:
    """Hubs that are opened here keep their entries in this database; None: in their folder."""
    token = _STORE.set(database)
    yield
    _STORE.reset(token)


def stored_elsewhere(nation: SmallNation) -> LogDatabase | None:
    """Where hubs that are opened now keep their entries; None: in their folder."""
    store = _STORE.get()
    return None if store is None else LogDatabase(store, nation.settings.log.origin)


@contextmanager
def opened(
    nation: SmallNation,
    folder: Path,
    *,
    shows_precise_faults: bool = True,
    revocation: RevocationSettings | None = None,
    judge_process: bool = False,
    **changes: Any,
) -> Iterator[OpenHub]:
    """A hub over a log in `folder`; `changes` are other settings of hub.yaml."""
    log = replace(nation.settings.log, folder=folder / "log", guard=folder / "guard")
    changes.setdefault("database", _STORE.get())
    settings = replace(
        nation.settings,
        log=log,
        show_precise_faults=shows_precise_faults,
        revocation=revocation or nation.settings.revocation,
        **changes,
    )
    agency, clock = ScriptedAgency(), SetClock()
    adapters = carried_by(agency)
    with asyncio.Runner() as loop:
        hub = loop.run(
            open_hub(settings, adapters=adapters, judge_process=judge_process, clock=clock)
        )
        try:
            database = stored_elsewhere(nation)
            running = RunningHub(nation, hub, HttpDoor(hub), agency, clock, log.folder, database)
            yield OpenHub(loop, running)
        finally:
            loop.run(hub.close())


def in_hub(
    nation: SmallNation,
    folder: Path,
    story: Callable[[RunningHub], Coroutine[Any, Any, Told]],
    *,
    shows_precise_faults: bool = True,
) -> Told:
    """Open a hub over a log in `folder`, let the story happen, close the hub."""
    with opened(nation, folder, shows_precise_faults=shows_precise_faults) as hub:
        return hub.tell(story)
