"""Read entries out of a log's folder, by index, by event, by message; without the hub."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from bus.audit.sqlite.folder import bound_work, connect_reading, hold_folder
from bus.core.canonical_json import canonical_json
from bus.core.errors import LogCorrupt, LogUnavailable
from bus.core.log.leaf import Event
from bus.core.log.merkle import prove_inclusion
from bus.core.log.tiles import TiledTree, node_reader
from bus.core.ports.message_log import SealedPayload, StoredEntry
from bus.log.files import CHECKPOINT, DATABASE, NOTE_BYTES_MAX
from bus.log.publisher import read_stored_tile
from bus.log.sqlite.database import entry_count
from bus.runtime.found_files import read_file

_COLUMNS = "SELECT idx, leaf, ciphertext, wrapped_key FROM entries LEFT JOIN payloads USING (idx)"
_RANGE = f"{_COLUMNS} WHERE idx >= ? AND idx < ? ORDER BY idx"
_HOLDING = f"{_COLUMNS} WHERE instr(leaf, ?) > 0 AND idx >= ? AND idx < ? ORDER BY idx"
_TEXT = "SELECT text FROM texts WHERE digest = ?"


class LogReader:
    """The entries of one folder as they were when it was opened."""

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        """Use `open_log_reader`."""
        self._folder = folder
        self._connection = connection
        bound_work(connection, folder)
        connection.execute("BEGIN")
        self.size = entry_count(connection)
        """Committed entries."""

    def entries(self, first: int = 0, end: int | None = None) -> Iterator[StoredEntry]:
        """Entries [first, end). Raises LogCorrupt."""
        yield from self._select(_RANGE, (first, self.size if end is None else end))

    def entry(self, index: int) -> StoredEntry:
        """The entry at `index`. Raises LogCorrupt if there is none."""
        for entry in self.entries(index, index + 1):
            return entry
        raise LogCorrupt(f"there is no entry {index}")

    def entries_of_event(self, event: Event) -> Iterator[StoredEntry]:
        """Every entry of one event. Raises LogCorrupt."""
        yield from self._select(_HOLDING, (f'"event":"{event}"'.encode(), 0, self.size))

    def entries_of_fault(self, fault_id: str) -> Iterator[StoredEntry]:
        """The entry of the fault that carried this id to a sender. Raises LogCorrupt."""
        mark = f'"fault":{canonical_json(fault_id).decode()}'.encode()
        yield from self._select(_HOLDING, (mark, 0, self.size))

    def entries_of_message(self, pseudonyms: Iterable[str]) -> Iterator[StoredEntry]:
        """Entries of a message id, and those that continue them, in order of index.

        `pseudonyms` are those of the months in which it may have passed:
        `Pseudonyms.over_months`. Raises LogCorrupt.
        """
        found: dict[int, StoredEntry] = {}
        for pseudonym in pseudonyms:
            mark = f'"message":"{pseudonym}"'.encode()
            for entry in self._select(_HOLDING, (mark, 0, self.size)):
                found[entry.index] = entry
        for index in sorted(found):
            mark = f'"continues":{index},'.encode()
            for entry in self._select(_HOLDING, (mark, index + 1, self.size)):
                found[entry.index] = entry
        yield from (found[index] for index in sorted(found))

    def text(self, digest: bytes) -> bytes:
        """The configuration text with this SHA-256. Raises LogCorrupt if there is none."""
        bound_work(self._connection, self._folder)
        try:
            row = self._connection.execute(_TEXT, (digest,)).fetchone()
        except sqlite3.Error as error:
            raise LogCorrupt(f"{DATABASE}: {error}") from error
        if row is None:
            raise LogCorrupt(f"no text has the digest {digest.hex()}")
        return bytes(row[0])

    def checkpoint(self) -> bytes:
        """The signed head as it is stored. Raises LogUnavailable."""
        try:
            return read_file(self._folder / CHECKPOINT, NOTE_BYTES_MAX)
        except OSError as error:
            raise LogUnavailable(f"{error.filename}: {error.strerror}") from error

    def prove(self, index: int, size: int) -> list[bytes]:
        """The audit path of entry `index` to the root of the first `size` entries.

        Both must lie under the checkpoint. Raises LogCorrupt (a tile is missing), OSError.
        """
        node = node_reader(size, lambda tile: read_stored_tile(self._folder, tile))
        return prove_inclusion(index, size, node)

    def root(self, size: int) -> bytes:
        """The root of the first `size` entries, from the tiles. Raises LogCorrupt, OSError."""
        tree = TiledTree.load(size, lambda tile: read_stored_tile(self._folder, tile))
        return tree.root()

    def _select(self, statement: str, values: tuple[object, ...]) -> Iterator[StoredEntry]:
        bound_work(self._connection, self._folder)
        try:
            for index, leaf, ciphertext, wrapped_key in self._connection.execute(statement, values):
                sealed = None if ciphertext is None else SealedPayload(ciphertext, wrapped_key)
                yield StoredEntry(index, leaf, sealed)
        except sqlite3.Error as error:
            raise LogCorrupt(f"{DATABASE}: {error}") from error


@contextlib.contextmanager
def open_log_reader(folder: Path) -> Iterator[LogReader]:
    """Read the log in `folder`, live or not; nothing is written into it.

    While it is open, the hub that writes there cannot fold: do not keep it open for hours.
    Raises LogUnavailable, LogCorrupt.
    """
    with hold_folder(folder) as readable:
        try:
            with connect_reading(readable) as connection:
                yield LogReader(folder, connection)
        except sqlite3.Error as error:
            raise LogCorrupt(f"{folder / DATABASE}: {error}") from error
