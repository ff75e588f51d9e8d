"""Senders under a nemesis: each sends its messages one after the other, to whichever hub answers,
until it is told that it was accepted."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from bus.bench.signed_requests import http_request
from bus.core.log.receipts import RECEIPT_NAME
from bus.core.log.submission_receipts import AcceptanceReceipt
from bus.runtime.clock import now
from signing.signed_note import NoteInvalid
from tests.chaos.journaling_agency import POISON
from tests.chaos.journals import FileJournal, Sent, TellAccepted
from tests.chaos.nemesis_programs import KeptProgram
from tests.chaos.nemesis_site import NemesisSite, Party
from tests.chaos.receipts import accepted_receipt
from tests.nation import packaged_sample, request

ANSWER_SECONDS_MAX = 15.0
_AGAIN_SECONDS = (0.1, 0.8)
_LENGTH = b"content-length:"


@dataclass(slots=True)
class Sender:
    """Sends to one agency; of an ordered one, all that it sends is one conversation."""

    name: str
    site: NemesisSite
    party: Party
    hubs: Sequence[KeptProgram]
    journal: FileJournal
    luck: random.Random
    pause_seconds: float = 0.2
    sent: int = 0
    copies: int = 0
    """Sent again, for whatever reason."""
    last: tuple[str, bytes] = field(default=("", b""), repr=False)

    async def send_until(self, is_over: asyncio.Event) -> None:
        while not is_over.is_set():
            await self.send_one(f"{self.name}-{self.sent}")
            await asyncio.sleep(self.luck.uniform(0, 2 * self.pause_seconds))

    async def send_one(self, message: str) -> None:
        """Until it is accepted."""
        raw = self._signed(message)
        self.last = message, raw
        self.sent += 1
        conversation = self.name if self.party.is_ordered else ""
        self.journal.write(Sent(message, (self.party.recipient,), conversation))
        while not await self.ask(message, raw):
            self.copies += 1
            await asyncio.sleep(self.luck.uniform(*_AGAIN_SECONDS))

    async def send_poison(self) -> None:
        """What kills whoever does the work."""
        await self.send_one(f"{POISON}-{self.name}-{self.sent}")

    async def ask(self, message: str, raw: bytes) -> bool:
        """Whether it was accepted, as a proved receipt says."""
        port = self.luck.choice(self.hubs).port
        if port is None:
            return False
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                status, body = await _post(port, raw)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            return False
        if status != 200:
            return False
        receipt = self._receipt(body)
        origin = receipt.origin.removesuffix(RECEIPT_NAME)
        index = self.site.place(origin, receipt.received_index)
        self.journal.write(TellAccepted(message, index, receipt.received_hash.hex()))
        return True

    def _receipt(self, body: bytes) -> AcceptanceReceipt:
        """By whichever hub accepted it first."""
        for key in self.site.receipt_keys().values():
            try:
                return accepted_receipt(body, key)
            except NoteInvalid:
                continue
        raise AssertionError(f"a receipt that no hub signed: {body!r}")

    def _signed(self, message: str) -> bytes:
        nation, service = self.site.nation, self.party.service
        return request(
            nation,
            message,
            service=service,
            body=packaged_sample(service),
            signer=nation.client_signers["ed25519"],
            issue=self.name,
            created=now(),
        )


async def _post(port: int, raw: bytes) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(http_request(raw))
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(_LENGTH)[2].split()[0])
        return int(head[9:12]), await reader.readexactly(length)
    finally:
        writer.transport.abort()
