"""Make receipts of submissions from the entries that they are about: the same whenever made."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import partial

from bus.core.log.leaf import Leaf
from bus.core.log.merkle import hash_leaf
from bus.core.log.submission_receipts import ClosingReceipt, acceptance_note
from bus.core.ports.message_log import StoredEntry
from bus.delivery.carried_messages import CarriedMessage
from bus.runtime.off_loop import off_loop
from signing.signed_note import SigningKey, sign_note


@dataclass(frozen=True, slots=True)
class ReceiptNotes:
    """The hub's word about what it accepted, and how that ended."""

    key: SigningKey = field(repr=False)
    """The log's key under the name of receipts."""

    async def accepted(self, entry: StoredEntry, leaf: Leaf, message: CarriedMessage) -> bytes:
        """About the entry that received a message: what its sender was given, too."""
        received, raw, beside = (entry.index, entry.leaf), message.raw, message.attachments
        count = leaf.recipients or 0
        make = partial(acceptance_note, self.key, received, leaf.time, raw, beside, count)
        return await off_loop(len(raw), make)

    def closed(
        self, received: StoredEntry, closing: StoredEntry, leaf: Leaf, answer: bytes
    ) -> bytes:
        """About the entry that ended a delivery, whose leaf was read; without an answer: empty."""
        receipt = ClosingReceipt(
            origin=self.key.name,
            time=leaf.time,
            received_index=received.index,
            received_hash=hash_leaf(received.leaf),
            position=leaf.position or 0,
            recipient=leaf.recipient or "",
            verdict=leaf.verdict or "",
            outcome_index=closing.index,
            outcome_hash=hash_leaf(closing.leaf),
            answer_digest=hashlib.sha256(answer).digest() if answer else None,
        )
        return sign_note(receipt.text(), [self.key])
