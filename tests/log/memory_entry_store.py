"""A store of entries in memory, for tests: it keeps every promise of `EntryStore` but durability.

Several stores may be opened on one disk, as two hubs on one database; a disk can be told to fail.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field, replace

from bus.core.deliveries import Changed, DeliveryChange, Moved, ReceiptRemoval
from bus.core.errors import LogCorrupt, LogUnavailable
from bus.core.log.leaf import text_of_digest
from bus.core.ports.entry_store import CommitResult, Fenced, OpenClaim
from bus.core.ports.message_log import (
    AlreadyTaken,
    Appended,
    Claim,
    InboxState,
    LogWrite,
    StoredEntry,
)
from tests.log.memory_delivery_rows import MemoryDeliveries, MemoryDeliveryRows


@dataclass(slots=True)
class _Taken:
    digest: bytes
    state: InboxState
    received_index: int
    outcome_index: int | None = None


@dataclass(slots=True)
class _Rows:
    entries: list[StoredEntry] = field(default_factory=list)
    inbox: dict[bytes, _Taken] = field(default_factory=dict)
    texts: dict[bytes, bytes] = field(default_factory=dict)
    deliveries: MemoryDeliveries = field(default_factory=MemoryDeliveries)

    def copy(self) -> _Rows:
        """Another that may be changed; what both hold never changes."""
        return _Rows(
            list(self.entries),
            {key: copy(taken) for key, taken in self.inbox.items()},
            dict(self.texts),
            self.deliveries.copy(),
        )


@dataclass(slots=True)
class MemoryDisk:
    """What outlives a store."""

    rows: _Rows = field(default_factory=_Rows)
    epoch: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    fails_before: bool = False
    """The next commits do nothing and fail."""
    fails_after: bool = False
    """The next commits are done, and their confirmation is lost."""


class MemoryEntryStore:
    """Implements `bus.core.ports.entry_store.LogStore`."""

    def __init__(self, disk: MemoryDisk) -> None:
        """Open it; whoever had it is fenced off."""
        self._disk = disk
        with disk.lock:
            disk.epoch += 1
            self._epoch = disk.epoch
            self._size = len(disk.rows.entries)
            open_rows = [
                OpenClaim(key, row.received_index)
                for key, row in disk.rows.inbox.items()
                if row.state is InboxState.OPEN
            ]
        self._left_open = sorted(open_rows, key=lambda one: one.received_index)
        self._trouble = ""
        self._is_fenced = False
        self._deliveries = MemoryDeliveryRows(lambda: disk.rows.deliveries)

    @property
    def size(self) -> int:
        return self._size

    @property
    def stored_bytes(self) -> int:
        rows = self._disk.rows
        sealed = sum(len(one.sealed.ciphertext) for one in rows.entries if one.sealed)
        return sealed + sum(len(one.leaf) for one in rows.entries)

    @property
    def trouble(self) -> str:
        return self._trouble

    @property
    def is_fenced(self) -> bool:
        return self._is_fenced

    def open_claims(self) -> list[OpenClaim]:
        return list(self._left_open)

    @property
    def deliveries(self) -> MemoryDeliveryRows:
        return self._deliveries

    def commit(self, works: Sequence[LogWrite | DeliveryChange]) -> list[CommitResult]:
        rows = self._begin()
        results = [_commit(rows, work) for work in works]
        self._end(rows)
        return results

    def keep_text(self, text: bytes) -> bytes:
        rows = self._begin()
        digest = hashlib.sha256(text).digest()
        rows.texts[digest] = text
        self._end(rows)
        return digest

    def remove_receipts(self, removal: ReceiptRemoval) -> int:
        rows = self._begin()
        removed = rows.deliveries.remove_receipts(removal)
        self._end(rows)
        return removed

    def prove(self) -> None:
        self._end(self._begin())

    def tend(self) -> None:
        pass

    def entry(self, index: int) -> StoredEntry | None:
        entries = self._disk.rows.entries
        return entries[index] if 0 <= index < len(entries) else None

    def claimed(self, claim: Claim) -> AlreadyTaken | None:
        return _claim_refused(self._disk.rows, claim)

    def entry_elsewhere(self, origin: str, index: int) -> StoredEntry | None:
        return None

    def leaves(self, first: int, end: int) -> Iterator[bytes]:
        entries = self._disk.rows.entries
        if end > len(entries):
            raise LogCorrupt(f"entry {len(entries)} is missing")
        return (one.leaf for one in entries[first:end])

    def text(self, digest: bytes) -> bytes | None:
        return self._disk.rows.texts.get(digest)

    def names_attachments(self, stored: bytes) -> bool:
        mark = f'"stored":"{text_of_digest(stored)}"'.encode()
        return any(mark in one.leaf for one in self._disk.rows.entries)

    def close(self) -> None:
        pass

    def _begin(self) -> _Rows:
        if self._is_fenced or self._disk.epoch != self._epoch:
            self._is_fenced = True
            self._trouble = "another hub took over this log"
            raise Fenced(self._trouble)
        if self._disk.fails_before:
            self._fail()
        return self._disk.rows.copy()

    def _end(self, rows: _Rows) -> None:
        with self._disk.lock:
            self._disk.rows = rows
        if self._disk.fails_after:
            self._fail()
        self._trouble = ""
        self._size = len(rows.entries)

    def _fail(self) -> None:
        self._trouble = "the disk failed"
        raise LogUnavailable(self._trouble)


def _commit(rows: _Rows, work: LogWrite | DeliveryChange) -> CommitResult:
    if isinstance(work, DeliveryChange):
        moved = rows.deliveries.moved(work)
        return moved or Changed(*rows.deliveries.apply(work))
    return _append(rows, work)


def _append(rows: _Rows, write: LogWrite) -> Appended | AlreadyTaken | Moved:
    index = len(rows.entries)
    taken = _claim_refused(rows, write.claim) if write.claim else None
    moved = rows.deliveries.moved(write.change) if write.change else None
    if taken is not None:
        return taken
    if moved is not None:
        return moved
    if write.claim is not None:
        rows.inbox[write.claim.key] = _Taken(write.claim.digest, write.claim.state, index)
    rows.entries.append(StoredEntry(index, write.leaf, write.sealed))
    if write.settlement is not None and write.settlement.key in rows.inbox:
        settled = rows.inbox[write.settlement.key]
        settled.state, settled.outcome_index = write.settlement.state, index
    if write.erases is not None:
        rows.entries[write.erases] = replace(rows.entries[write.erases], sealed=None)
    freed = rows.deliveries.apply(write.change)[1] if write.change else None
    return Appended(index, rows.deliveries.add(index, write), freed)


def _claim_refused(rows: _Rows, claim: Claim) -> AlreadyTaken | None:
    row = rows.inbox.get(claim.key)
    if row is None or (row.digest == claim.digest and row.state is InboxState.RETRYABLE):
        return None
    is_same = row.digest == claim.digest
    return AlreadyTaken(is_same, row.state, row.received_index, row.outcome_index)
