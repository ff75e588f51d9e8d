"""Find the entry by which a delivery ended, and tell it: receipt, what the recipient said."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from bus.core.deliveries import DeliveryKey
from bus.core.errors import LogCorrupt
from bus.core.log.leaf import Event, Leaf, read_leaf
from bus.core.ports.delivery_rows import DeliveryRows
from bus.core.ports.message_log import StoredEntry
from bus.log.entry_writer import EntryWriter
from bus.mailbox.notes import ReceiptNotes
from bus.protocols.mailbox import ListedReceipt
from bus.protocols.orders import ReportInvalid
from bus.protocols.report_notes import read_report

RELATED_AT_ONCE_MAX = 256
"""Entries about one message that are looked at in one turn."""


@dataclass(frozen=True, slots=True)
class EndedDelivery:
    """A delivery that ended."""

    entry: StoredEntry
    leaf: Leaf = field(repr=False)
    said: bytes = field(repr=False)
    """What the recipient's agency signed; empty: it said nothing."""
    answer: bytes = field(repr=False)
    """Its signed answer; empty: it gave none."""

    @property
    def key(self) -> DeliveryKey:
        """Which delivery it is."""
        return DeliveryKey(self.leaf.continues or 0, self.leaf.position or 0)


@dataclass(frozen=True, slots=True)
class Closings:
    """Reads closing entries; used from one event loop. Raises LogUnavailable, LogCorrupt."""

    rows: DeliveryRows
    entries: EntryWriter
    notes: ReceiptNotes

    async def last_of(self, key: DeliveryKey) -> EndedDelivery | None:
        """How a delivery ended last; None: it did not, or there never was one."""
        found, after = None, key.received_index
        while True:
            indexes = await asyncio.to_thread(
                self.rows.related, key.received_index, after, RELATED_AT_ONCE_MAX
            )
            for index in indexes:
                entry = await self.entries.log.read(index)
                leaf = read_leaf(entry.leaf)
                if leaf.event is Event.OUTCOME and leaf.position == key.position:
                    found = entry
            if len(indexes) < RELATED_AT_ONCE_MAX:
                return None if found is None else await self.of(found)
            after = indexes[-1]

    async def of(self, entry: StoredEntry) -> EndedDelivery:
        """What a closing entry says."""
        leaf = read_leaf(entry.leaf)
        said = b"" if entry.sealed is None else await self.entries.opened(entry.sealed)
        return EndedDelivery(entry, leaf, said, _answer_in(said))

    async def listed(self, closing: EndedDelivery) -> ListedReceipt:
        """The receipt of a delivery that ended."""
        leaf = closing.leaf
        received = await self.entries.log.read(closing.key.received_index)
        note = self.notes.closed(received, closing.entry, leaf, closing.answer)
        return ListedReceipt(
            entry=closing.entry.index,
            key=closing.key,
            recipient=leaf.recipient or "",
            service=leaf.service or "",
            verdict=leaf.verdict or "",
            closed_at=leaf.time,
            receipt=note,
        )


def _answer_in(said: bytes) -> bytes:
    """The signed answer in an agency's report; empty: there is none, as in an acknowledgement."""
    if not said or said.lstrip()[:1] == b"<":
        return b""
    try:
        return read_report(said, lambda _: lambda: iter(())).answer
    except ReportInvalid as error:
        raise LogCorrupt(f"what a recipient said cannot be read: {error}") from error
