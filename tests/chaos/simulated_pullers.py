"""An agency of a simulation that fetches: two programs over one memory, which die between fetching
and acknowledging, go on beyond their leases, and repeat what nobody answered."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

from bus.core.deliveries import DeliveryKey
from bus.core.errors import BusError, LeaseLost, LogUnavailable, NotInMailbox
from bus.core.identifiers import SubsystemId
from bus.mailbox.messages import Mailboxes
from bus.protocols.mailbox import (
    Acknowledgement,
    FetchedMessage,
    HandedOut,
    MessageFetchRequest,
)
from tests.chaos.journals import Acted, Called, MemoryJournal

FETCHING = SubsystemId.parse("VN/GOV/H18/vanban")
LEASE_SECONDS = 10
_ENDED = (LeaseLost, NotInMailbox)
_MARK = b"<acknowledged>"


class AskedHub(Protocol):
    """A hub that may die while it is asked."""

    async def __call__(self, work: Callable[[Mailboxes], Awaitable[Any]]) -> Any:
        """What came of it. Raises ConnectionError, TimeoutError: nobody answered; BusError."""
        ...


def acknowledged_in(signed: bytes) -> Acknowledgement | None:
    """What `_signed` says."""
    if not signed.startswith(_MARK):
        return None
    index, position, lease, is_refused = signed.removeprefix(_MARK).decode().split()
    key = DeliveryKey(int(index), int(position))
    return Acknowledgement(key, lease, is_refused == "True", "R1")


def _signed(said: Acknowledgement) -> bytes:
    key = said.key
    facts = f"{key.received_index} {key.position} {said.lease} {said.is_refused}"
    return _MARK + facts.encode()


@dataclass(slots=True)
class FetchingPrograms:
    """Two of them, and what they know together."""

    ask: AskedHub
    luck: random.Random
    journal: MemoryJournal
    clock: Callable[[], datetime]
    faults: list[tuple[str, str]] = field(default_factory=list)
    is_ending: bool = False
    """They end when there is nothing to fetch any more."""
    _acted: set[str] = field(default_factory=set)
    """Keys, as in the agency's database."""
    _held: dict[DeliveryKey, tuple[str, datetime]] = field(default_factory=dict)
    """By whom, until when."""

    async def run(self, name: str) -> None:
        """One program."""
        number = 0
        while True:
            number += 1
            lease = f"{name}-{number}"
            handed = await self._fetch(lease)
            for message in handed.messages:
                self._note_held(message, lease, handed.until)
            for message in handed.messages:
                if self.luck.random() < 0.2:
                    continue  # dies, and the next one knows nothing of it
                await self._take(message, lease)
            if self.is_ending and not handed.messages:
                return
            await asyncio.sleep(self.luck.uniform(0.2, 3))

    async def _fetch(self, lease: str) -> HandedOut:
        asked = MessageFetchRequest(self.luck.randint(1, 3), LEASE_SECONDS)
        while True:
            try:
                handed: HandedOut = await self.ask(
                    lambda boxes: boxes.fetch(str(FETCHING), lease, asked)
                )
            except (ConnectionError, TimeoutError, LogUnavailable):
                await asyncio.sleep(self.luck.uniform(0.2, 2))
            else:
                return handed

    def _note_held(self, message: FetchedMessage, lease: str, until: datetime) -> None:
        key, now = message.listed.key, self.clock()
        other, end = self._held.get(key, ("", now))
        if other not in ("", lease) and end > now:
            self.faults.append(("two holders", f"{other} and {lease} hold {message.message_id}"))
        self._held[key] = (lease, until)
        name, known = message.message_id, message.listed.idempotency_key
        self.journal.write(
            Called(name, str(FETCHING), known, message.listed.fetched, message.may_be_known)
        )

    async def _take(self, message: FetchedMessage, lease: str) -> None:
        name, key = message.message_id, message.listed.idempotency_key
        await asyncio.sleep(self.luck.choice((0, 0.5, 3, 2 * LEASE_SECONDS)))
        is_refused = key not in self._acted and self.luck.random() < 0.1
        if not is_refused and key not in self._acted:
            self._acted.add(key)
            self.journal.write(Acted(name, str(FETCHING), key))
        if self.luck.random() < 0.2:
            return  # dies before it says so
        said = Acknowledgement(message.listed.key, lease, is_refused, "R1" if is_refused else "")
        await self._acknowledge(said)

    async def _acknowledge(self, said: Acknowledgement) -> None:
        for _ in range(self.luck.choice((1, 1, 2))):
            while True:
                try:
                    await self.ask(
                        lambda boxes: boxes.acknowledge(str(FETCHING), said, _signed(said))
                    )
                except (ConnectionError, TimeoutError, LogUnavailable):
                    await asyncio.sleep(self.luck.uniform(0.2, 2))
                except _ENDED:
                    break
                except BusError as error:
                    self.faults.append(("broken", f"an acknowledgement: {error!r}"))
                    break
                else:
                    break
        self._let_go(said)

    def _let_go(self, said: Acknowledgement) -> None:
        holder, _ = self._held.get(said.key, ("", self.clock()))
        if holder == said.lease:
            del self._held[said.key]


def with_simulated_words(boxes: Mailboxes) -> Mailboxes:
    """The same, where what recipients sign is read as it is written here."""
    return replace(boxes, read_acknowledgement=acknowledged_in)


async def tell_of(work: Awaitable[Any], told: asyncio.Future[Any]) -> None:
    """Hand on what comes of it, unless nobody waits any more."""
    try:
        answer = await work
    except BusError as error:
        if not told.done():
            told.set_exception(error)
    else:
        if not told.done():
            told.set_result(answer)
