"""Compare the stored tiles with the tree that comes out of the rows."""

from __future__ import annotations

from collections.abc import Iterator

from bus.core.log.findings import Finding
from bus.core.log.merkle import HASH_BYTES
from bus.core.log.tiles import TILE_WIDTH, Tile, TileBytes
from bus.core.ports.log_source import LogSource, PieceMissing, PieceUnreadable, Stranger

_STRANGERS_MAX = 100
"""Names that are told one by one."""


class TileChecks:
    """Lists the stored tiles when made; then takes the computed ones in order."""

    def __init__(self, source: LogSource, *, signed_size: int) -> None:
        """Look what tiles there are, before the rows are read. Raises LogUnavailable."""
        self._source = source
        self._signed_size = signed_size
        self._partials: dict[tuple[int, int], list[int]] = {}
        self._full_counts: dict[int, int] = {}
        self._strangers: list[Stranger] = []
        """Names that are no tiles'."""
        self.checked = 0
        self._strangers_left_off = 0
        for found in source.tiles():
            if isinstance(found, Stranger):
                self._note_stranger(found)
            else:
                self._note(found)

    def _note(self, tile: Tile) -> None:
        if tile.width == TILE_WIDTH:
            count = self._full_counts.get(tile.level, 0)
            self._full_counts[tile.level] = max(count, tile.index + 1)
        else:
            self._partials.setdefault((tile.level, tile.index), []).append(tile.width)

    def _note_stranger(self, found: Stranger) -> None:
        if len(self._strangers) < _STRANGERS_MAX:
            self._strangers.append(found)
        else:
            self._strangers_left_off += 1

    def stored_hash(self, index: int) -> bytes:
        """The leaf hash of an entry whose row is missing; zeros if no tile has it."""
        place = index % TILE_WIDTH * HASH_BYTES
        try:
            stored = self._source.tile(Tile(0, index // TILE_WIDTH))
            return stored[place : place + HASH_BYTES].ljust(HASH_BYTES, b"\x00")
        except PieceUnreadable:
            return bytes(HASH_BYTES)

    def check_full(self, tiles: list[TileBytes]) -> Iterator[Finding]:
        """Compare tiles that are full now, and the unfinished files that became them."""
        for tile, hashes in tiles:
            if tile.index < self._full_counts.get(tile.level, 0):
                yield from self._compare(tile, hashes)
            elif tile.leaves_end <= self._signed_size:
                yield Finding(tile.first_leaf(), tile.path, "the tile is missing")
            yield from self._check_partials(tile, hashes)

    def check_edge(self, tiles: list[TileBytes]) -> Iterator[Finding]:
        """Compare the unfinished tiles at the end of the rows."""
        for tile, hashes in tiles:
            yield from self._check_partials(tile, hashes)

    def check_signed_edge(self, tiles: list[TileBytes]) -> Iterator[Finding]:
        """The unfinished tiles of the signed size must be there, or fuller ones."""
        for tile, _ in tiles:
            widths = self._partials.get((tile.level, tile.index), [])
            is_full = tile.index < self._full_counts.get(tile.level, 0)
            if not is_full and not any(width >= tile.width for width in widths):
                yield Finding(tile.first_leaf(), tile.path, "the tile is missing")

    def finish(self, rows: int) -> Iterator[Finding]:
        """What is left over: names that are no tiles, tiles of entries that are not there."""
        last = max(rows - 1, 0)
        for one in self._strangers:
            yield Finding(last, one.place, one.why)
        if self._strangers_left_off:
            what = f"{self._strangers_left_off:,} more names that no file of this log has"
            yield Finding(last, self._source.places.tiles, what)
        for level, count in self._full_counts.items():
            if Tile(level, count - 1).leaves_end > rows:
                what = f"the tile speaks of entries from {rows} on, which are not there"
                yield Finding(rows, Tile(level, count - 1).path, what)
        for (level, index), widths in self._partials.items():
            if (tile := Tile(level, index, max(widths))).leaves_end > rows:
                what = f"the tile speaks of entries from {rows} on, which are not there"
                yield Finding(rows, tile.path, what)

    def _check_partials(self, tile: Tile, hashes: bytes) -> Iterator[Finding]:
        for width in self._partials.get((tile.level, tile.index), ()):
            if width <= tile.width:
                part = Tile(tile.level, tile.index, width)
                yield from self._compare(part, hashes[: width * HASH_BYTES])

    def _compare(self, tile: Tile, hashes: bytes) -> Iterator[Finding]:
        try:
            stored = self._source.tile(tile)
        except PieceMissing:
            # A running hub removes unfinished tiles as fuller ones come.
            if not self._source.is_live:
                yield Finding(tile.first_leaf(), tile.path, "the tile is missing")
            return
        except PieceUnreadable as error:
            what = f"the tile cannot be read: {error}"
            yield Finding(tile.first_leaf(), tile.path, what)
            return
        self.checked += 1
        if stored == hashes:
            return
        if len(stored) != len(hashes):
            what = f"the tile has {len(stored)} bytes, expected {len(hashes)}"
            yield Finding(tile.first_leaf(), tile.path, what)
        for place in range(0, min(len(stored), len(hashes)), HASH_BYTES):
            expected, found = hashes[place : place + HASH_BYTES], stored[place : place + HASH_BYTES]
            if expected != found:
                what = "the stored hash is not that of the row"
                byte_range = (place, place + HASH_BYTES)
                index = tile.first_leaf(place // HASH_BYTES)
                yield Finding(index, tile.path, what, expected.hex(), found.hex(), byte_range)
