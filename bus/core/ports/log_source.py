"""Where a log lies that is to be verified or read, as an interface: a folder today.

Verifying, reading and bringing back rules stand above it and know no database and no file. It is
handed over by somebody who is not trusted: whatever it holds, asking it ends, and what cannot be
read is said in words. The names of places are the source's own; findings repeat them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from bus.core.log.findings import Finding
from bus.core.log.tiles import Tile
from bus.core.ports.message_log import StoredEntry


class PieceUnreadable(Exception):
    """A piece of a log cannot be read; the words say why."""


class PieceMissing(PieceUnreadable):
    """It is not there."""


class RowsLost(Exception):
    """From here on no row can be read; the words say whose and why."""


@dataclass(frozen=True, slots=True)
class LogPlaces:
    """How findings name where things lie."""

    rows: str
    """Entries, payloads, inbox, deliveries and texts."""
    checkpoint: str
    verifier_key: str
    tiles: str
    timestamps: str


@dataclass(frozen=True, slots=True)
class Stranger:
    """Something that lies in the log and does not belong there."""

    place: str
    why: str


@dataclass(frozen=True, slots=True)
class StampedNote:
    """A checkpoint that is kept for timestamps."""

    place: str
    size: int
    """How many entries it is said to cover."""


@dataclass(frozen=True, slots=True)
class StoredToken:
    """An authority's response, and the checkpoint that it was made for."""

    place: str
    size: int
    digits: str
    """Begins the SHA-256 of what was stored, in hex."""
    day: str
    """Under which it is kept: `2026-03-01`, UTC."""
    note_place: str


@dataclass(frozen=True, slots=True)
class StoredAnchors:
    """Certificates of authorities (PEM) that the hub believed."""

    place: str
    digits: str


@dataclass(frozen=True, slots=True)
class StoredTimestamps:
    """All that is kept of timestamps: notes and tokens in order of their sizes."""

    notes: Sequence[StampedNote] = ()
    tokens: Sequence[StoredToken] = ()
    anchors: Sequence[StoredAnchors] = ()
    strangers: Sequence[Stranger] = ()


@dataclass(frozen=True, slots=True)
class NamedAttachments:
    """Sealed attachments that are kept under this digest."""

    digest: bytes
    place: str


@dataclass(frozen=True, slots=True)
class InboxRow:
    """What the hub remembers of a message that it took; as stored, not as it should be."""

    received: int
    outcome: int | None
    state: int
    """0 open, 1 answered, 2 may be sent again, 3 accepted for delivery."""


@dataclass(frozen=True, slots=True)
class OpenRow:
    """What the hub remembers of an open delivery; as stored, not as it should be."""

    received: int
    position: int
    recipient: str
    state: int
    """0 waiting, 1 blocked, 2 out, 3 offered, 4 held, 5 dead letter."""
    attempt: int
    doubt: bool


@dataclass(frozen=True, slots=True)
class UnseenReceipt:
    """What the hub has ready for a sender; as stored, not as it should be."""

    sender: str
    entry: int
    received: int
    position: int


class SealedBytes(Protocol):
    """Bytes that are read at any place; safe to use from several threads."""

    @property
    def bytes_count(self) -> int:
        """How many there are."""
        ...

    def read_at(self, offset: int, count: int) -> bytes:
        """Up to so many bytes from there on. Raises LogCorrupt: they cannot be read."""
        ...


class LogRows(Protocol):
    """The rows of a log as they were when they were opened. For one thread at a time.

    `scan`, `inbox`, `deliveries`, `receipts`, `texts` and `orphans` are for a check of all: each
    may raise RowsLost. The others look something up: each raises LogCorrupt where rows are damaged.
    """

    @property
    def size(self) -> int:
        """One more than the largest index of an entry."""
        ...

    def count(self) -> int:
        """How many entries there are; looks at each. Raises RowsLost."""
        ...

    def scan(self) -> Iterator[StoredEntry | None]:
        """Every entry in order of index, one at a time; None: a row holds something else."""
        ...

    def inbox(self) -> Iterator[InboxRow | None]:
        """Every row of the inbox; None: it does not hold what it should."""
        ...

    def deliveries(self) -> Iterator[OpenRow | None]:
        """Every row of an open delivery; None: it does not hold what it should."""
        ...

    def receipts(self) -> Iterator[UnseenReceipt | None]:
        """Every row of a receipt; None: it does not hold what it should."""
        ...

    def texts(self) -> Iterator[tuple[bytes, bytes] | None]:
        """Every text with the digest that it is kept under; None: they are not stored as bytes."""
        ...

    def orphans(self) -> Iterator[int]:
        """Payloads without an entry, by the index that they bear."""
        ...

    def entries(self, first: int, end: int) -> Iterator[StoredEntry]:
        """Entries [first, end), in order; those that are there."""
        ...

    def entries_holding(self, mark: bytes, first: int = 0) -> Iterator[StoredEntry]:
        """Entries from `first` on whose leaf holds these bytes, in order."""
        ...

    def text(self, digest: bytes) -> bytes | None:
        """The text that is kept under this digest; None: there is none."""
        ...


class StorageCheck(Protocol):
    """What a source found out about its own bytes before its rows were read."""

    @property
    def checked(self) -> int:
        """How many pieces were compared: of a database, pages."""
        ...

    @property
    def level(self) -> str:
        """What was checked, in words."""
        ...

    def findings(self, entries: int, first_citing: int | None) -> Iterator[Finding]:
        """What is damaged, with the entries concerned as exactly as can be told.

        `entries` could be read; `first_citing` is the first that names a configuration text.
        """
        ...


class LogSource(Protocol):
    """One log. Nothing is written into it."""

    @property
    def places(self) -> LogPlaces:
        """How findings name where things lie."""
        ...

    @property
    def is_live(self) -> bool:
        """Somebody writes it meanwhile."""
        ...

    def verifier_key(self) -> bytes:
        """The line of the verifier key that lies in the log. Raises PieceUnreadable."""
        ...

    def checkpoint(self) -> bytes:
        """The signed head. Raises PieceUnreadable."""
        ...

    def tiles(self) -> Iterator[Tile | Stranger]:
        """Every stored tile, unfinished ones too, as they are at this moment.

        Raises LogUnavailable: there are more than can be looked at.
        """
        ...

    def tile(self, tile: Tile) -> bytes:
        """The hashes of exactly this tile. Raises PieceUnreadable."""
        ...

    def hashes(self, tile: Tile) -> bytes:
        """At least the hashes of a tile, from it or a fuller one. Raises LogCorrupt."""
        ...

    def timestamps(self) -> StoredTimestamps:
        """What is kept of timestamps."""
        ...

    def timestamp_piece(self, place: str) -> bytes:
        """A note, a token or anchors, by the place that `timestamps` told.

        Raises PieceUnreadable.
        """
        ...

    def attachments(self) -> Iterator[NamedAttachments | Stranger]:
        """All sealed attachments that entries should name. Raises LogUnavailable."""
        ...

    def attachment_place(self, stored: bytes) -> str:
        """How findings name the attachments with this digest, whether there are any or not."""
        ...

    def sealed_attachments(self, stored: bytes) -> SealedBytes:
        """The sealed attachments that are kept under this digest. Raises PieceUnreadable."""
        ...

    def check_storage(self) -> StorageCheck:
        """Compare every byte of the storage with what it says of itself; before `rows`.

        Raises LogUnavailable.
        """
        ...

    def rows(self) -> AbstractContextManager[LogRows]:
        """The rows as they are now, each time. Raises LogUnavailable, RowsLost."""
        ...
