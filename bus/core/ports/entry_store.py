"""Where the entries of a log lie, as an interface: SQLite in a folder, or tables of PostgreSQL.

Group commit, publishing, sealing and timestamps stand above it and know no database.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from bus.core.deliveries import Changed, DeliveryChange, Moved, ReceiptRemoval
from bus.core.errors import LogUnavailable
from bus.core.ports.delivery_rows import DeliveryRows
from bus.core.ports.message_log import AlreadyTaken, Appended, Claim, LogWrite, StoredEntry

CommitResult = Appended | AlreadyTaken | Changed | Moved
"""What became of one work of a batch."""


class Fenced(LogUnavailable):
    """Another hub has taken this log over; this one must not write again."""


@dataclass(frozen=True, slots=True)
class OpenClaim:
    """A message that was taken and has no outcome yet."""

    key: bytes
    """The key of its claim."""
    received_index: int


class EntryStore(Protocol):
    """Entries, payloads, claims and texts of one log, under one epoch at a time.

    Opening it raises the epoch: a store of the same log that was opened before is fenced off from
    then on. `commit`, `keep_text`, `remove_receipts`, `prove` and `tend` are called by one thread
    at a time; what only reads may be called from any thread meanwhile.
    """

    @property
    def size(self) -> int:
        """Committed entries, as far as this store was told; they have no gaps."""
        ...

    @property
    def stored_bytes(self) -> int:
        """What all of it takes on disk, about."""
        ...

    @property
    def trouble(self) -> str:
        """Why the last commit, or what follows it, failed; empty since the last success."""
        ...

    @property
    def is_fenced(self) -> bool:
        """Another store has the log; nothing is committed here any more."""
        ...

    def open_claims(self) -> list[OpenClaim]:
        """What was taken and left without an outcome when the store was opened, oldest first."""
        ...

    def commit(self, works: Sequence[LogWrite | DeliveryChange]) -> list[CommitResult]:
        """Append and change a batch in order, in one transaction; when this returns it is on disk
        and synced.

        A claim meets what stands in the store and what stands before it in the batch; one that is
        refused (see `MessageLog.append`) appends nothing of its write, and the others stand. So
        does a change of a delivery whose row, with what stands before it in the batch, is another.
        Raises Fenced: nothing was done, and nothing will be; LogUnavailable: nothing was done, or
        only the confirmation was lost, which the next commit sees.
        """
        ...

    def keep_text(self, text: bytes) -> bytes:
        """Keep a text under its SHA-256, once; give the digest. It is on disk and synced then.

        Raises LogUnavailable, Fenced.
        """
        ...

    def remove_receipts(self, removal: ReceiptRemoval) -> int:
        """Remove receipts of a sender; give how many lay there. That is on disk and synced then.

        Raises LogUnavailable, Fenced.
        """
        ...

    def prove(self) -> None:
        """Write and sync something that says nothing: whether a commit would succeed is known then.

        Raises LogUnavailable, Fenced.
        """
        ...

    def tend(self) -> None:
        """Do what the store needs from time to time between commits. Failures are `trouble`."""
        ...

    def entry(self, index: int) -> StoredEntry | None:
        """The entry at `index`; None: there is none. Raises LogCorrupt, LogUnavailable."""
        ...

    def claimed(self, claim: Claim) -> AlreadyTaken | None:
        """What an append with this claim would meet now; None: it would take it.

        Raises LogUnavailable.
        """
        ...

    def entry_elsewhere(self, origin: str, index: int) -> StoredEntry | None:
        """An entry of another log that lies in the same place; None: there is none.

        Raises LogUnavailable.
        """
        ...

    def leaves(self, first: int, end: int) -> Iterator[bytes]:
        """The leaves of entries [first, end), in order. For one thread at a time.

        Raises LogCorrupt (one is missing), LogUnavailable.
        """
        ...

    def text(self, digest: bytes) -> bytes | None:
        """The text with this SHA-256; None: there is none. Raises LogCorrupt, LogUnavailable."""
        ...

    def names_attachments(self, stored: bytes) -> bool:
        """Whether an entry names attachments that lie under this digest; looks at every leaf.

        Raises LogCorrupt, LogUnavailable.
        """
        ...

    def close(self) -> None:
        """Release everything; what fails on the way is `trouble`."""
        ...


class LogStore(EntryStore, Protocol):
    """All that a hub's log keeps: entries, and what is open beside them."""

    @property
    def deliveries(self) -> DeliveryRows:
        """The rows of what is open."""
        ...
