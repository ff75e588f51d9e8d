"""A log's folder as a source of the log: its database, its signed files, its attachments."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bus.audit.sqlite.byte_checks import Damage, StoredPages, check_pages, check_wal
from bus.audit.sqlite.damage import entries_of_pages
from bus.audit.sqlite.folder import ReadableFolder, connect_reading, hold_folder
from bus.audit.sqlite.rows import DAMAGED, SqliteRows
from bus.core.errors import LogCorrupt, LogUnavailable
from bus.core.log.findings import Finding
from bus.core.log.merkle import HASH_BYTES
from bus.core.log.tiles import TILE_WIDTH, Tile
from bus.core.ports.log_source import (
    LogPlaces,
    LogRows,
    NamedAttachments,
    PieceMissing,
    PieceUnreadable,
    RowsLost,
    SealedBytes,
    StampedNote,
    StoredAnchors,
    StoredTimestamps,
    StoredToken,
    Stranger,
)
from bus.log.attachment_files import existing_file, file_of, stored_digests
from bus.log.files import (
    ATTACHMENTS,
    CHECKPOINT,
    DATABASE,
    NEW,
    NOTE_BYTES_MAX,
    PAGES,
    TILES,
    VERIFIER_KEY,
)
from bus.log.publisher import read_stored_tile
from bus.log.sealed_attachments import FileBytes
from bus.log.timestamp_files import (
    TIMESTAMPS,
    find_anchors,
    find_notes,
    find_strange,
    find_tokens,
)
from bus.runtime.found_files import FileUnfit, list_files, read_file
from signing.pki.timestamps import TIMESTAMP_BYTES_MAX

_TILE_BYTES_MAX = TILE_WIDTH * HASH_BYTES
_PLACES = LogPlaces(DATABASE, CHECKPOINT, VERIFIER_KEY, TILES, TIMESTAMPS)


@contextlib.contextmanager
def open_folder(folder: Path) -> Iterator[FolderSource]:
    """The log in `folder`: live, closed, killed, or a copy; nothing is written into it.

    While it is open, the hub that writes there cannot fold: do not keep it open for hours.
    Raises LogUnavailable.
    """
    with hold_folder(folder) as readable:
        yield FolderSource(readable)


class FolderSource:
    """Implements `bus.core.ports.log_source.LogSource`."""

    places = _PLACES

    def __init__(self, readable: ReadableFolder) -> None:
        """Use `open_folder`."""
        self._readable = readable
        self._folder = readable.folder

    @property
    def is_live(self) -> bool:
        """A hub holds it."""
        return self._readable.is_live

    def verifier_key(self) -> bytes:
        """The line of `checkpoint.vkey`. Raises PieceUnreadable."""
        return self._read(VERIFIER_KEY, NOTE_BYTES_MAX)

    def checkpoint(self) -> bytes:
        """The file `checkpoint`. Raises PieceUnreadable."""
        return self._read(CHECKPOINT, NOTE_BYTES_MAX)

    # --- tiles ------------------------------------------------------------------------------------

    def tiles(self) -> Iterator[Tile | Stranger]:
        """Every tile below `tile/`. Raises LogUnavailable."""
        with _listing():
            for found in list_files(self._folder, TILES):
                if not found.is_regular:
                    yield Stranger(found.name, found.why_unfit)
                elif not found.name.endswith(NEW):
                    tile = Tile.parse(found.name)
                    yield tile or Stranger(found.name, "no file of this log has this name")

    def tile(self, tile: Tile) -> bytes:
        """The file of exactly this tile. Raises PieceUnreadable."""
        return self._read(tile.path, _TILE_BYTES_MAX)

    def hashes(self, tile: Tile) -> bytes:
        """The hashes of a tile, from its own file or a fuller one. Raises LogCorrupt."""
        try:
            return read_stored_tile(self._folder, tile)
        except OSError as error:
            raise LogCorrupt(f"{tile.path}: {error.strerror}") from error

    # --- timestamps -------------------------------------------------------------------------------

    def timestamps(self) -> StoredTimestamps:
        """What lies below `timestamp/`."""
        return StoredTimestamps(
            notes=[StampedNote(self._name(one.path), one.size) for one in find_notes(self._folder)],
            tokens=[
                StoredToken(
                    self._name(one.path), one.size, one.digits, one.day, self._name(one.note_path)
                )
                for one in find_tokens(self._folder)
            ],
            anchors=[
                StoredAnchors(self._name(path), digits)
                for path, digits in find_anchors(self._folder)
            ],
            strangers=[
                Stranger(self._name(path), "a file that does not belong here")
                for path in find_strange(self._folder)
            ],
        )

    def timestamp_piece(self, place: str) -> bytes:
        """A file below `timestamp/`. Raises PieceUnreadable."""
        return self._read(place, TIMESTAMP_BYTES_MAX)

    # --- attachments ------------------------------------------------------------------------------

    def attachments(self) -> Iterator[NamedAttachments | Stranger]:
        """The files below `attachments/`. Raises LogUnavailable."""
        with _listing():
            for digest, path in stored_digests(self._folder / ATTACHMENTS):
                name = self._name(path)
                if digest is None:
                    yield Stranger(name, "a file that no entry names")
                else:
                    yield NamedAttachments(digest, name)

    def attachment_place(self, stored: bytes) -> str:
        """The name of a file of attachments."""
        return self._name(file_of(self._folder / ATTACHMENTS, stored))

    def sealed_attachments(self, stored: bytes) -> SealedBytes:
        """A file of attachments. Raises PieceUnreadable."""
        path = existing_file(self._folder / ATTACHMENTS, stored)
        if path is None:
            raise PieceMissing("a file of attachments is missing")
        with _reading():
            return FileBytes(path, within=self._folder)

    # --- the database -----------------------------------------------------------------------------

    def check_storage(self) -> FolderStorage:
        """Compare every byte of the database with its digests. Raises LogUnavailable."""
        with _listing():
            wal, damages = check_wal(self._readable)
            pages, more = self._check_pages()
        return FolderStorage(StoredPages(self._folder, wal), pages, [*damages, *more])

    def _check_pages(self) -> tuple[int, list[Damage]]:
        try:
            return check_pages(self._folder)
        except FileNotFoundError:
            return 0, [Damage(PAGES, (0, 0), "the digests of the pages are missing")]
        except FileUnfit as error:
            return 0, [Damage(PAGES, (0, 0), f"cannot be read: {error.strerror}")]

    @contextlib.contextmanager
    def rows(self) -> Iterator[LogRows]:
        """The rows of the database as they are now. Raises LogUnavailable, RowsLost."""
        with contextlib.ExitStack() as resources:
            try:
                connection = resources.enter_context(connect_reading(self._readable))
                rows = SqliteRows(self._folder, connection)
            except DAMAGED as error:
                raise RowsLost(f"the database cannot be read from here on: {error}") from error
            except OSError as error:
                raise _unavailable(error) from error
            yield rows

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self._folder))

    def _read(self, name: str, bytes_max: int) -> bytes:
        with _reading():
            return read_file(self._folder / name, bytes_max, within=self._folder)


@dataclass(frozen=True, slots=True)
class FolderStorage:
    """What was found out about the bytes of the database."""

    stored: StoredPages
    checked: int
    """Pages that were compared."""
    damages: list[Damage]
    level: str = "every byte of the database and of the attachments"

    def findings(self, entries: int, first_citing: int | None) -> Iterator[Finding]:
        """Each damage with the entry that it touches, as exactly as its page tells."""
        pages = [damage.page for damage in self.damages if damage.page is not None]
        owners = entries_of_pages(pages, self.stored.read, entries) if pages else {}
        for damage in self.damages:
            if damage.page is None:
                index, what = entries, damage.what
            elif damage.page in owners:
                table, index = owners[damage.page]
                if table == "texts" and first_citing is not None:
                    index = first_citing
                what = f"{damage.what}; it holds rows of {table} from entry {index} on"
            else:
                index, what = 0, f"{damage.what}; it holds no row, but what all rows hang on"
            yield Finding(index, damage.file, what, byte_range=damage.byte_range)


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise PieceMissing(error.strerror) from error
    except OSError as error:
        raise PieceUnreadable(error.strerror) from error


@contextlib.contextmanager
def _listing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _unavailable(error) from error


def _unavailable(error: OSError) -> LogUnavailable:
    return LogUnavailable(f"{error.filename or DATABASE}: {error.strerror}")
