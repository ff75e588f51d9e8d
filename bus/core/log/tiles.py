"""Cut the Merkle tree into tiles and grow it tile by tile (C2SP tlog-tiles)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from bus.core.log.merkle import EMPTY_ROOT, HASH_BYTES, compact_range, fold_right, root_of_hashes

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
"""Hashes in a full tile. C2SP tlog-tiles §Merkle Tree."""
LEVELS_MAX = 8
"""2**64 leaves need no more."""

_TILE_PATH = re.compile(r"tile/([0-7])/((?:x\d{3}/)*\d{3})(?:\.p/([1-9]\d{0,2}))?\Z")


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """A run of up to 256 hashes of one level of the tree."""

    level: int
    index: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """Where it lies below the log's folder: `tile/0/x001/234.p/17`."""
        groups: list[str] = []
        rest = self.index
        while True:
            rest, group = divmod(rest, 1000)
            groups.append(f"{group:03d}" if not groups else f"x{group:03d}")
            if rest == 0:
                break
        partial = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{self.level}/{'/'.join(reversed(groups))}{partial}"

    @classmethod
    def parse(cls, path: str) -> Tile | None:
        """Read a tile's path; None if it is not one in its one spelling."""
        found = _TILE_PATH.match(path)
        if found is None:
            return None
        index = int(found[2].replace("x", "").replace("/", ""))
        tile = cls(int(found[1]), index, int(found[3]) if found[3] else TILE_WIDTH)
        return tile if tile.width <= TILE_WIDTH and tile.path == path else None

    @property
    def leaves_per_hash(self) -> int:
        """How many entries lie under one of its hashes."""
        return 1 << (TILE_HEIGHT * self.level)

    def first_leaf(self, place: int = 0) -> int:
        """The first entry under its hash number `place`."""
        return (self.index * TILE_WIDTH + place) * self.leaves_per_hash

    @property
    def leaves_end(self) -> int:
        """The entry after the last one it covers."""
        return self.first_leaf(self.width)


TileBytes = tuple[Tile, bytes]
TileReader = Callable[[Tile], bytes]
"""Gives the stored hashes of a tile, at least `width` of them; raises OSError."""


def edge_tiles(size: int) -> Iterator[Tile]:
    """The unfinished tile of each level in a tree of `size` leaves."""
    for level in range(LEVELS_MAX):
        count = size >> (TILE_HEIGHT * level)
        if count == 0:
            return
        if count % TILE_WIDTH:
            yield Tile(level, count // TILE_WIDTH, count % TILE_WIDTH)


class TiledTree:
    """The right edge of the tree: at most 255 hashes a level, whatever the log's size."""

    __slots__ = ("_rows", "size")

    def __init__(self) -> None:
        self.size = 0
        self._rows: list[list[bytes]] = [[]]

    @classmethod
    def load(cls, size: int, read_tile: TileReader) -> TiledTree:
        """The tree of `size` leaves from its stored tiles. Raises what `read_tile` raises."""
        tree = cls()
        tree.size = size
        for tile in edge_tiles(size):
            stored = read_tile(tile)
            row = tree._row(tile.level)
            row.extend(_cut(stored)[: tile.width])
        return tree

    def copy(self) -> TiledTree:
        """A tree that grows on its own."""
        twin = TiledTree()
        twin.size = self.size
        twin._rows = [list(row) for row in self._rows]
        return twin

    def append(self, leaf_hashes: Iterable[bytes]) -> list[TileBytes]:
        """Grow by these leaves; give the tiles that are full now."""
        full: list[TileBytes] = []
        for leaf_hash in leaf_hashes:
            self._rows[0].append(leaf_hash)
            self.size += 1
            if len(self._rows[0]) == TILE_WIDTH:
                self._close(0, full)
        return full

    def _close(self, level: int, full: list[TileBytes]) -> None:
        """Take a full row as a tile and hand its root to the level above."""
        row = self._rows[level]
        index = (self.size >> (TILE_HEIGHT * (level + 1))) - 1
        full.append((Tile(level, index), b"".join(row)))
        root = root_of_hashes(row)
        row.clear()
        above = self._row(level + 1)
        above.append(root)
        if len(above) == TILE_WIDTH:
            self._close(level + 1, full)

    def _row(self, level: int) -> list[bytes]:
        while len(self._rows) <= level:
            self._rows.append([])
        return self._rows[level]

    def partial_tiles(self) -> list[TileBytes]:
        """The unfinished tile of each level, as far as it is filled."""
        return [
            (tile, b"".join(self._rows[tile.level][: tile.width])) for tile in edge_tiles(self.size)
        ]

    def root(self) -> bytes:
        """The root over all leaves so far."""
        if self.size == 0:
            return EMPTY_ROOT
        # High levels lie left: the compact range of the whole tree, from large to small subtrees.
        subtrees = []
        for row in reversed(self._rows):
            for level, index in compact_range(0, len(row)):
                subtrees.append(root_of_hashes(row[index << level : (index + 1) << level]))
        return fold_right(subtrees)


def _cut(stored: bytes) -> list[bytes]:
    return [stored[place : place + HASH_BYTES] for place in range(0, len(stored), HASH_BYTES)]


def node_reader(size: int, read_tile: TileReader) -> Callable[[int, int], bytes]:
    """Read nodes of the tree of `size` leaves from its tiles, for proofs."""

    def node(level: int, index: int) -> bytes:
        tile_level, height = divmod(level, TILE_HEIGHT)
        first = index << height
        count = size >> (TILE_HEIGHT * tile_level)
        tile_index = first // TILE_WIDTH
        width = min(TILE_WIDTH, count - tile_index * TILE_WIDTH)
        hashes = _cut(read_tile(Tile(tile_level, tile_index, width)))
        place = first % TILE_WIDTH
        return root_of_hashes(hashes[place : place + (1 << height)])

    return node
