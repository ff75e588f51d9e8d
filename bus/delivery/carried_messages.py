"""Open again what an open delivery needs of its message: decision, bytes, attachments.

The last few are kept, because what goes to many recipients is asked for many times in a row.
"""

from __future__ import annotations

import asyncio
import struct
from collections import OrderedDict
from dataclasses import dataclass, field, replace

from bus.core.decision import Accepted, Decision
from bus.core.decision_encoding import (
    DecisionUnreadable,
    decode_decision,
    encode_decision,
    encode_without_payload,
)
from bus.core.errors import LogCorrupt
from bus.core.log.leaf import read_leaf
from bus.core.ports.delivery_rows import DeliveryRows
from bus.log.entry_writer import EntryWriter
from signing.attachments import Attachment

MESSAGES_KEPT_MAX = 16
MESSAGES_KEPT_BYTES_MAX = 32 * 1024 * 1024
_HAS_PLACE = b"P"
"""Before a decision that names the place of its payload; no form of a decision begins so."""
_PLACE = struct.Struct(">cII")


@dataclass(frozen=True, slots=True)
class CarriedMessage:
    """An accepted message, as every order for it needs it."""

    accepted: Accepted
    raw: bytes = field(repr=False)
    attachments: tuple[Attachment, ...] = ()

    @property
    def bytes_held(self) -> int:
        """About what it takes in memory; attachments are read where they lie."""
        return len(self.raw) + len(self.accepted.payload)


def carried_form(accepted: Accepted, raw: bytes) -> bytes:
    """What is kept of a decision while a delivery is open: where its payload stands in the message,
    which is kept anyway, and all else. A payload that stands there in another form is kept, too."""
    # Not from the end, though the Body comes last: rfind takes the square of what nearly fits.
    start = raw.find(accepted.payload)
    if start < 0:
        return encode_decision(accepted)
    place = _PLACE.pack(_HAS_PLACE, start, len(accepted.payload))
    return place + encode_without_payload(accepted)


def read_carried(content: bytes, raw: bytes) -> Accepted:
    """What `carried_form` wrote of a message. Raises DecisionUnreadable."""
    if content[:1] != _HAS_PLACE:
        return _accepted(decode_decision(content))
    try:
        _, start, length = _PLACE.unpack_from(content)
    except struct.error as error:
        raise DecisionUnreadable("it does not say where its payload stands") from error
    accepted = _accepted(decode_decision(content[_PLACE.size :]))
    payload = raw[start : start + length]
    if len(payload) != length:
        raise DecisionUnreadable("its payload does not stand in its message")
    return replace(accepted, payload=payload)


def _accepted(decision: Decision) -> Accepted:
    if not isinstance(decision, Accepted):
        raise DecisionUnreadable("the message was refused")
    return decision


class CarriedMessages:
    """Messages of open deliveries; used from one event loop."""

    def __init__(self, rows: DeliveryRows, writer: EntryWriter) -> None:
        self._rows = rows
        self._writer = writer
        self._kept: OrderedDict[int, CarriedMessage] = OrderedDict()
        self._bytes = 0

    async def of(self, received_index: int) -> CarriedMessage:
        """A message, by the index of its entry. Raises LogCorrupt, LogUnavailable."""
        kept = self._kept.get(received_index)
        if kept is None:
            kept = await self._open(received_index)
            self._keep(received_index, kept)
        return kept

    async def _open(self, received_index: int) -> CarriedMessage:
        sealed = await asyncio.to_thread(self._rows.carried, received_index)
        entry = await self._writer.log.read(received_index)
        if sealed is None or entry.sealed is None:
            raise LogCorrupt(f"what deliveries of entry {received_index} need is gone")
        raw = await self._writer.opened(entry.sealed)
        try:
            accepted = read_carried(await self._writer.opened(sealed), raw)
        except DecisionUnreadable as error:
            raise LogCorrupt(f"what deliveries of entry {received_index} need: {error}") from error
        attachments = await self._writer.kept_attachments(read_leaf(entry.leaf).stored)
        return CarriedMessage(accepted, raw, attachments)

    def _keep(self, received_index: int, message: CarriedMessage) -> None:
        if received_index in self._kept or message.bytes_held > MESSAGES_KEPT_BYTES_MAX:
            return
        self._kept[received_index] = message
        self._bytes += message.bytes_held
        while len(self._kept) > MESSAGES_KEPT_MAX or self._bytes > MESSAGES_KEPT_BYTES_MAX:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= oldest.bytes_held
