"""A log in memory, to be verified and read: it keeps every promise of `LogSource`.

What was stored may be changed behind its back, as in the database of somebody who is not trusted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from bus.audit.checks.conservation import Conservation
from bus.core.deliveries import DeliveryRow, DeliveryState
from bus.core.errors import LogCorrupt
from bus.core.log.checkpoint import Checkpoint
from bus.core.log.findings import Finding
from bus.core.log.leaf import read_leaf_facts
from bus.core.log.merkle import HASH_BYTES, hash_leaf
from bus.core.log.tiles import Tile, TiledTree
from bus.core.ports.log_source import (
    InboxRow,
    LogPlaces,
    LogRows,
    NamedAttachments,
    OpenRow,
    PieceMissing,
    RowsLost,
    SealedBytes,
    StoredTimestamps,
    Stranger,
    UnseenReceipt,
)
from bus.core.ports.message_log import InboxState, LogWrite, StoredEntry
from signing.signed_note import SigningKey
from tests.log.memory_delivery_rows import MemoryDeliveries

_STATES = {
    InboxState.OPEN: 0,
    InboxState.ANSWERED: 1,
    InboxState.RETRYABLE: 2,
    InboxState.ACCEPTED: 3,
}
_DELIVERY_STATES = {state: number for number, state in enumerate(DeliveryState)}


@dataclass(slots=True)
class MemoryRows:
    """Implements `bus.core.ports.log_source.LogRows`."""

    stored: list[StoredEntry | None] = field(default_factory=list)
    """As they are scanned; None: a row that holds something else."""
    inbox_rows: list[InboxRow | None] = field(default_factory=list)
    delivery_rows: list[OpenRow | None] = field(default_factory=list)
    receipt_rows: list[UnseenReceipt | None] = field(default_factory=list)
    kept_texts: dict[bytes, bytes | None] = field(default_factory=dict)
    orphaned: list[int] = field(default_factory=list)
    lost_at: int | None = None
    """Behind so many rows nothing can be read."""

    @property
    def size(self) -> int:
        return max((one.index + 1 for one in self.stored if one is not None), default=0)

    def count(self) -> int:
        return len(self.stored)

    def scan(self) -> Iterator[StoredEntry | None]:
        for place, entry in enumerate(self.stored):
            if place == self.lost_at:
                raise RowsLost("nothing can be read from here on")
            yield entry

    def inbox(self) -> Iterator[InboxRow | None]:
        return iter(self.inbox_rows)

    def deliveries(self) -> Iterator[OpenRow | None]:
        return iter(self.delivery_rows)

    def receipts(self) -> Iterator[UnseenReceipt | None]:
        return iter(self.receipt_rows)

    def texts(self) -> Iterator[tuple[bytes, bytes] | None]:
        for digest, text in self.kept_texts.items():
            yield None if text is None else (digest, text)

    def orphans(self) -> Iterator[int]:
        return iter(self.orphaned)

    def entries(self, first: int, end: int) -> Iterator[StoredEntry]:
        return (one for one in self._whole() if first <= one.index < end)

    def entries_holding(self, mark: bytes, first: int = 0) -> Iterator[StoredEntry]:
        return (one for one in self._whole() if one.index >= first and mark in one.leaf)

    def text(self, digest: bytes) -> bytes | None:
        text = self.kept_texts.get(digest)
        if text is None and digest in self.kept_texts:
            raise LogCorrupt("a text is not stored as bytes")
        return text

    def _whole(self) -> Iterator[StoredEntry]:
        for place, entry in enumerate(self.stored):
            if entry is None or place == self.lost_at:
                raise LogCorrupt("a row cannot be read")
            yield entry


@dataclass(frozen=True, slots=True)
class _Bytes:
    content: bytes

    @property
    def bytes_count(self) -> int:
        return len(self.content)

    def read_at(self, offset: int, count: int) -> bytes:
        return self.content[offset : offset + count]


@dataclass(frozen=True, slots=True)
class _Storage:
    checked: int = 0
    level: str = "nothing of the storage itself: it lies in memory"

    def findings(self, entries: int, first_citing: int | None) -> Iterator[Finding]:
        return iter(())


@dataclass(slots=True)
class MemorySource:
    """Implements `bus.core.ports.log_source.LogSource`."""

    table: MemoryRows = field(default_factory=MemoryRows)
    signed_head: bytes | None = None
    key_line: bytes | None = None
    stored_tiles: dict[Tile, bytes] = field(default_factory=dict)
    sealed: dict[bytes, bytes] = field(default_factory=dict)
    strangers: list[Stranger] = field(default_factory=list)
    is_live: bool = False

    @property
    def places(self) -> LogPlaces:
        return LogPlaces("rows", "head", "key", "tiles", "stamps")

    def verifier_key(self) -> bytes:
        return _there(self.key_line)

    def checkpoint(self) -> bytes:
        return _there(self.signed_head)

    def tiles(self) -> Iterator[Tile | Stranger]:
        yield from list(self.stored_tiles)
        yield from self.strangers

    def tile(self, tile: Tile) -> bytes:
        return _there(self.stored_tiles.get(tile))

    def hashes(self, tile: Tile) -> bytes:
        for stored, content in self.stored_tiles.items():
            is_same = (stored.level, stored.index) == (tile.level, tile.index)
            if is_same and len(content) >= tile.width * HASH_BYTES:
                return content
        raise LogCorrupt(f"{tile.path}: the tile is missing or too short")

    def timestamps(self) -> StoredTimestamps:
        return StoredTimestamps()

    def timestamp_piece(self, place: str) -> bytes:
        raise PieceMissing(f"no piece has the place {place}")

    def attachments(self) -> Iterator[NamedAttachments | Stranger]:
        return (NamedAttachments(digest, digest.hex()) for digest in list(self.sealed))

    def attachment_place(self, stored: bytes) -> str:
        return stored.hex()

    def sealed_attachments(self, stored: bytes) -> SealedBytes:
        return _Bytes(_there(self.sealed.get(stored)))

    def check_storage(self) -> _Storage:
        return _Storage()

    @contextmanager
    def rows(self) -> Iterator[LogRows]:
        yield MemoryRows(
            list(self.table.stored),
            list(self.table.inbox_rows),
            list(self.table.delivery_rows),
            list(self.table.receipt_rows),
            dict(self.table.kept_texts),
            list(self.table.orphaned),
            self.table.lost_at,
        )

    # --- as a hub would have written it -----------------------------------------------------------

    def write(self, writes: Sequence[LogWrite], texts: Sequence[bytes], key: SigningKey) -> None:
        """Append entries, keep texts, and publish tiles and a signed head."""
        for text in texts:
            self.table.kept_texts[hashlib.sha256(text).digest()] = text
        taken: dict[bytes, int] = {}
        owed = MemoryDeliveries()
        for write in writes:
            index = len(self.table.stored)
            self.table.stored.append(StoredEntry(index, write.leaf, write.sealed))
            if write.claim is not None:
                taken[write.claim.key] = len(self.table.inbox_rows)
                state = _STATES[write.claim.state]
                self.table.inbox_rows.append(InboxRow(index, None, state))
            if write.settlement is not None:
                place = taken[write.settlement.key]
                row = self.table.inbox_rows[place]
                assert row is not None
                state = _STATES[write.settlement.state]
                self.table.inbox_rows[place] = InboxRow(row.received, index, state)
            if write.change is not None:
                owed.apply(write.change)
            owed.add(index, write)
        self.table.delivery_rows += map(_open_row, owed.rows.values())
        for sender, ended in owed.receipts.items():
            self.table.receipt_rows += (
                UnseenReceipt(sender, entry, key.received_index, key.position)
                for entry, key in ended.items()
            )
        tree = TiledTree()
        hashes = [hash_leaf(one.leaf) for one in self.table.stored if one is not None]
        for tile, content in [*tree.append(hashes), *tree.partial_tiles()]:
            self.stored_tiles[tile] = content
        self.signed_head = Checkpoint(key.name, tree.size, tree.root()).sign(key)
        self.key_line = f"{key.verifying_key}\n".encode("ascii")


def unexplained(entries: Iterable[StoredEntry], rows: Iterable[DeliveryRow]) -> list[str]:
    """What is wrong between entries and deliveries."""
    checks = Conservation(place="rows")
    found: list[Finding] = []
    for entry in entries:
        found += checks.observe(entry.index, read_leaf_facts(entry.leaf))
    for row in rows:
        found += checks.compare(_open_row(row))
    return [str(finding) for finding in (*found, *checks.finish())]


def _open_row(row: DeliveryRow) -> OpenRow:
    key, delivery = row.key, row.delivery
    return OpenRow(
        key.received_index,
        key.position,
        row.recipient,
        _DELIVERY_STATES[delivery.state],
        delivery.attempt,
        delivery.doubt,
    )


def _there(content: bytes | None) -> bytes:
    if content is None:
        raise PieceMissing("it is not there")
    return content
