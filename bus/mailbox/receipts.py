"""Tell senders how deliveries of what they submitted ended, until they have it.

Each end is a row beside the entry that says it, written in its transaction; what is told is made of
the entries. What its sender has acknowledged goes, and what lay there for too long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bus.core.deliveries import ReceiptRemoval
from bus.core.errors import BusError, NotInMailbox
from bus.core.limits import Limits
from bus.core.log.leaf import read_leaf
from bus.core.ports.delivery_rows import DeliveryRows
from bus.core.ports.wire_protocol import WireProtocol
from bus.log.entry_writer import EntryWriter
from bus.mailbox.closings import Closings
from bus.protocols.mailbox import ClosedDelivery, ListedReceipt, ReceiptListRequest


@dataclass(frozen=True, slots=True)
class SenderReceipts:
    """The receipts of all senders in one log; used from one event loop.

    Each raises LogUnavailable, LogCorrupt.
    """

    rows: DeliveryRows
    entries: EntryWriter
    closings: Closings
    wire: WireProtocol
    limits: Limits

    async def page(
        self, sender: str, asked: ReceiptListRequest
    ) -> tuple[list[ListedReceipt], bool]:
        """What lies there, and whether there may be more."""
        after = -1 if asked.after is None else asked.after
        rows = await asyncio.to_thread(self.rows.receipts, sender, after, asked.count)
        listed = [await self._listed(row.entry) for row in rows]
        return listed, len(rows) == asked.count

    async def _listed(self, index: int) -> ListedReceipt:
        entry = await self.entries.log.read(index)
        return await self.closings.listed(await self.closings.of(entry))

    async def one(self, sender: str, index: int) -> ClosedDelivery:
        """A receipt with what the recipient said. Raises NotInMailbox."""
        rows = await asyncio.to_thread(self.rows.receipts, sender, index - 1, 1)
        if not rows or rows[0].entry != index:
            raise NotInMailbox("the client has no receipt of this entry")
        ended = await self.closings.of(await self.entries.log.read(index))
        return ClosedDelivery(
            listed=await self.closings.listed(ended),
            message_id=await self._message_id(ended.key.received_index),
            said=ended.said,
            answer=ended.answer,
            attachments=await self.entries.kept_attachments(ended.leaf.stored),
        )

    async def _message_id(self, received_index: int) -> str:
        """That of a message; empty: its payload was erased."""
        entry = await self.entries.log.read(received_index)
        if entry.sealed is None:
            return ""
        try:
            return self.wire.parse(await self.entries.opened(entry.sealed), self.limits).message_id
        except BusError:
            return ""  # it was taken when other bounds were in force

    async def acknowledge(self, sender: str, indexes: Sequence[int]) -> int:
        """Remove what the sender has; give how many lay there."""
        return await self.entries.log.remove_receipts(ReceiptRemoval(sender, tuple(indexes)))

    # --- what lies there for too long ------------------------------------------------------------

    async def tidy(self, size: int, now: datetime) -> int:
        """Remove what is beyond the limits; `size` are the entries of the log. Gives how many."""
        oldest = now - timedelta(days=self.limits.receipts_days_max)
        cut, removed = await self._first_since(oldest, size), 0
        for sender in await asyncio.to_thread(self.rows.receipt_senders):
            kept = self.limits.receipts_per_sender_max
            below = max(cut, await asyncio.to_thread(self.rows.receipts_beyond, sender, kept))
            first = await asyncio.to_thread(self.rows.receipts, sender, -1, 1)
            if first and first[0].entry < below:
                removed += await self.entries.log.remove_receipts(
                    ReceiptRemoval(sender, below=below)
                )
        return removed

    async def _first_since(self, moment: datetime, size: int) -> int:
        """The first entry that is not before a moment: times in a log do not go back."""
        low, high = 0, size
        while low < high:
            middle = (low + high) // 2
            leaf = read_leaf((await self.entries.log.read(middle)).leaf)
            low, high = (middle + 1, high) if leaf.time < moment else (low, middle)
        return low
