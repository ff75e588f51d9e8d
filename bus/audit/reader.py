"""Read entries out of a log, by index, by event, by message; without the hub."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

from bus.core.canonical_json import canonical_json
from bus.core.errors import LogCorrupt, LogUnavailable
from bus.core.log.leaf import Event
from bus.core.log.merkle import prove_inclusion
from bus.core.log.tiles import TiledTree, node_reader
from bus.core.ports.log_source import LogRows, LogSource, PieceUnreadable, RowsLost, SealedBytes
from bus.core.ports.message_log import StoredEntry


class LogReader:
    """The entries of one log as they were when it was opened."""

    def __init__(self, source: LogSource, rows: LogRows) -> None:
        """Use `open_reader`. Raises LogCorrupt."""
        self._source = source
        self._rows = rows
        self.size = rows.size
        """Committed entries."""

    def entries(self, first: int = 0, end: int | None = None) -> Iterator[StoredEntry]:
        """Entries [first, end). Raises LogCorrupt."""
        yield from self._rows.entries(first, self.size if end is None else end)

    def entry(self, index: int) -> StoredEntry:
        """The entry at `index`. Raises LogCorrupt if there is none."""
        for entry in self.entries(index, index + 1):
            return entry
        raise LogCorrupt(f"there is no entry {index}")

    def entries_of_event(self, event: Event) -> Iterator[StoredEntry]:
        """Every entry of one event. Raises LogCorrupt."""
        yield from self._rows.entries_holding(f'"event":"{event}"'.encode())

    def entries_of_fault(self, fault_id: str) -> Iterator[StoredEntry]:
        """The entry of the fault that carried this id to a sender. Raises LogCorrupt."""
        mark = f'"fault":{canonical_json(fault_id).decode()}'.encode()
        yield from self._rows.entries_holding(mark)

    def entries_of_message(self, pseudonyms: Iterable[str]) -> Iterator[StoredEntry]:
        """Entries of a message id, and those that continue them, in order of index.

        `pseudonyms` are those of the months in which it may have passed:
        `Pseudonyms.over_months`. Raises LogCorrupt.
        """
        found: dict[int, StoredEntry] = {}
        for pseudonym in pseudonyms:
            mark = f'"message":"{pseudonym}"'.encode()
            for entry in self._rows.entries_holding(mark):
                found[entry.index] = entry
        for index in sorted(found):
            found |= {entry.index: entry for entry in self.entries_continuing(index)}
        yield from (found[index] for index in sorted(found))

    def entries_continuing(self, index: int) -> Iterator[StoredEntry]:
        """Every entry that continues an entry, in order of index. Raises LogCorrupt."""
        yield from self._rows.entries_holding(f'"continues":{index},'.encode(), index + 1)

    def text(self, digest: bytes) -> bytes:
        """The configuration text with this SHA-256. Raises LogCorrupt if there is none."""
        text = self._rows.text(digest)
        if text is None:
            raise LogCorrupt(f"no text has the digest {digest.hex()}")
        return text

    def checkpoint(self) -> bytes:
        """The signed head as it is stored. Raises LogUnavailable."""
        try:
            return self._source.checkpoint()
        except PieceUnreadable as error:
            raise LogUnavailable(f"{self._source.places.checkpoint}: {error}") from error

    def sealed_attachments(self, stored: bytes) -> SealedBytes:
        """The sealed attachments that an entry names. Raises LogCorrupt."""
        return read_sealed(self._source, stored)

    def prove(self, index: int, size: int) -> list[bytes]:
        """The audit path of entry `index` to the root of the first `size` entries.

        Both must lie under the checkpoint. Raises LogCorrupt (a tile is missing).
        """
        return prove_inclusion(index, size, node_reader(size, self._source.hashes))

    def root(self, size: int) -> bytes:
        """The root of the first `size` entries, from the tiles. Raises LogCorrupt."""
        return TiledTree.load(size, self._source.hashes).root()


def read_sealed(source: LogSource, stored: bytes) -> SealedBytes:
    """The sealed attachments that an entry names. Raises LogCorrupt."""
    try:
        return source.sealed_attachments(stored)
    except PieceUnreadable as error:
        raise LogCorrupt(str(error)) from error


@contextlib.contextmanager
def open_reader(source: LogSource) -> Iterator[LogReader]:
    """Read a log. Raises LogUnavailable, LogCorrupt."""
    try:
        with source.rows() as rows:
            yield LogReader(source, rows)
    except RowsLost as error:
        raise LogCorrupt(f"{source.places.rows}: {error}") from error
