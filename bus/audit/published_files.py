"""What a hub publishes into its folder, to be verified and read: signed files and attachments."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from bus.core.errors import LogCorrupt, LogUnavailable
from bus.core.log.merkle import HASH_BYTES
from bus.core.log.tiles import TILE_WIDTH, Tile
from bus.core.ports.log_source import (
    NamedAttachments,
    PieceMissing,
    PieceUnreadable,
    SealedBytes,
    StampedNote,
    StoredAnchors,
    StoredTimestamps,
    StoredToken,
    Stranger,
)
from bus.log.attachment_files import existing_file, file_of, stored_digests
from bus.log.files import ATTACHMENTS, CHECKPOINT, NEW, NOTE_BYTES_MAX, TILES, VERIFIER_KEY
from bus.log.publisher import read_stored_tile
from bus.log.sealed_attachments import FileBytes
from bus.log.timestamp_files import find_anchors, find_notes, find_strange, find_tokens
from bus.runtime.found_files import list_files, read_file
from signing.pki.timestamps import TIMESTAMP_BYTES_MAX

_TILE_BYTES_MAX = TILE_WIDTH * HASH_BYTES


class PublishedFiles:
    """The part of `bus.core.ports.log_source.LogSource` that lies in files, wherever rows lie."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def verifier_key(self) -> bytes:
        """The line of `checkpoint.vkey`. Raises PieceUnreadable."""
        return self._read(VERIFIER_KEY, NOTE_BYTES_MAX)

    def checkpoint(self) -> bytes:
        """The file `checkpoint`. Raises PieceUnreadable."""
        return self._read(CHECKPOINT, NOTE_BYTES_MAX)

    # --- tiles ------------------------------------------------------------------------------------

    def tiles(self) -> Iterator[Tile | Stranger]:
        """Every tile below `tile/`. Raises LogUnavailable."""
        with listing():
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
        with listing():
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

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self._folder))

    def _read(self, name: str, bytes_max: int) -> bytes:
        with _reading():
            return read_file(self._folder / name, bytes_max, within=self._folder)


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise PieceMissing(error.strerror) from error
    except OSError as error:
        raise PieceUnreadable(error.strerror) from error


@contextlib.contextmanager
def listing() -> Iterator[None]:
    """What the system says of a folder is what the log says. Raises LogUnavailable."""
    try:
        yield
    except OSError as error:
        raise unavailable(error) from error


def unavailable(error: OSError) -> LogUnavailable:
    """In words: what, and where."""
    return LogUnavailable(f"{error.filename}: {error.strerror}")
