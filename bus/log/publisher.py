"""Publish the log's tree: tiles, then the guard, then the checkpoint, each durable before the next.

A head is derived from committed rows only. Nothing here is needed to append an entry.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bus.core.errors import LogCorrupt
from bus.core.log.checkpoint import Checkpoint, CheckpointInvalid, read_checkpoint
from bus.core.log.merkle import HASH_BYTES, hash_leaf
from bus.core.log.tiles import TILE_WIDTH, Tile, TiledTree, edge_tiles
from bus.core.ports.entry_store import EntryStore
from bus.log.files import CHECKPOINT, store_files
from bus.runtime.found_files import list_folder, read_file
from signing.signed_note import SigningKey


def read_stored_tile(folder: Path, tile: Tile) -> bytes:
    """The hashes of a tile, from its own file or a fuller one. Raises LogCorrupt, OSError."""
    full = Tile(tile.level, tile.index)
    candidates = [folder / tile.path, folder / full.path]
    partials = (folder / full.path).with_name(Path(full.path).name + ".p")
    widths = [
        int(path.name)
        for path, _ in list_folder(partials)
        if path.name.isdecimal() and len(path.name) < 4
    ]
    candidates += [partials / str(width) for width in sorted(widths) if width >= tile.width]
    for path in candidates:
        if path.exists():
            hashes = read_file(path, TILE_WIDTH * HASH_BYTES, within=folder)
            if len(hashes) >= tile.width * HASH_BYTES:
                return hashes
    raise LogCorrupt(f"{tile.path}: the tile is missing or too short")


class Publisher:
    """Owns the tree, tiles, guard and checkpoint. Used by one thread at a time."""

    __slots__ = ("_folder", "_guard", "_key", "_store", "_stored_edge", "_tree")

    def __init__(
        self, folder: Path, store: EntryStore, key: SigningKey, guard: Path | None
    ) -> None:
        self._folder = folder
        self._store = store
        self._key = key
        self._guard = guard
        self._tree = TiledTree()
        self._stored_edge: set[Tile] = set()

    @property
    def published_size(self) -> int:
        """How many entries the last checkpoint covers."""
        return self._tree.size

    def recover(self, committed: int) -> None:
        """Go on from what is stored, if it and the `committed` rows tell one story.

        1. Checkpoint and guard are signed by our key.
        2. Neither covers more entries than there are: else somebody restored an old database.
        3. The tree of the checkpoint comes out of the stored tiles.
        4. The tree of the guard comes out too: else somebody rewrote what was signed.

        Raises LogCorrupt, LogUnavailable, OSError.
        """
        stored = self._read(self._folder / CHECKPOINT)
        guarded = self._read(self._guard) if self._guard is not None else stored
        if self._guard is not None and stored is not None and guarded is None:
            raise LogCorrupt(f"{self._guard}: the guard of this log is missing")
        for checkpoint, path in ((stored, CHECKPOINT), (guarded, self._guard)):
            if checkpoint is not None and checkpoint.size > committed:
                raise LogCorrupt(
                    f"{path}: {checkpoint.size} entries were signed, the log has {committed}; "
                    f"entry {committed} is missing"
                )
        if stored is not None:
            self._tree = self._tree_of(stored.size)
            self._must_have_root(self._tree, stored, CHECKPOINT)
            self._stored_edge = set(self._find_partial_tiles())
        if guarded is not None and guarded != stored:
            self._must_have_root(self._tree_of(guarded.size), guarded, str(self._guard))

    def publish(self, committed: int) -> None:
        """Write tiles and a signed checkpoint for the first `committed` entries.

        When this returns, all of it is on disk. Raises OSError, LogUnavailable, LogCorrupt; then
        what was published before is still there and whole.
        """
        tree = self._tree.copy()
        full = tree.append(self._leaf_hashes(tree.size, committed))
        partial = tree.partial_tiles()
        store_files((self._folder / tile.path, hashes) for tile, hashes in [*full, *partial])
        # If we stop here, no checkpoint covers these tiles yet; the next run writes them again.
        note = Checkpoint(self._key.name, tree.size, tree.root()).sign(self._key)
        if self._guard is not None:
            store_files([(self._guard, note)])
        # If we stop here, the guard knows a head that nobody saw; the rows for it are committed.
        store_files([(self._folder / CHECKPOINT, note)])
        self._tree = tree
        self._remove_partial_tiles({tile for tile, _ in partial})

    def _leaf_hashes(self, first: int, end: int) -> Iterator[bytes]:
        return map(hash_leaf, self._store.leaves(first, end))

    def _tree_of(self, size: int) -> TiledTree:
        """The tree of `size` entries, from tiles as far as they go and then from rows."""
        if size <= self._tree.size or self._tree.size == 0:
            try:
                return TiledTree.load(size, lambda tile: read_stored_tile(self._folder, tile))
            except LogCorrupt:
                if self._tree.size:
                    raise
                # No checkpoint yet, or the guard alone: few rows, or tiles that were lost.
                tree = TiledTree()
        else:
            tree = self._tree.copy()
        tree.append(self._leaf_hashes(tree.size, size))
        return tree

    def _must_have_root(self, tree: TiledTree, checkpoint: Checkpoint, path: str) -> None:
        if tree.root() != checkpoint.root:
            raise LogCorrupt(f"{path}: the first {checkpoint.size} entries have another root now")

    def _read(self, path: Path) -> Checkpoint | None:
        try:
            return read_checkpoint(path.read_bytes(), self._key.verifying_key)
        except FileNotFoundError:
            return None
        except CheckpointInvalid as error:
            raise LogCorrupt(f"{path}: {error}") from error

    def _find_partial_tiles(self) -> Iterator[Tile]:
        """The stored unfinished tiles at the right edge, also those a crash left behind."""
        for edge in edge_tiles(self._tree.size):
            for width in range(1, TILE_WIDTH):
                tile = Tile(edge.level, edge.index, width)
                if (self._folder / tile.path).exists():
                    yield tile

    def _remove_partial_tiles(self, current: set[Tile]) -> None:
        """Remove the unfinished tiles that newer ones replace. C2SP tlog-tiles §Partial Tiles."""
        for tile in self._stored_edge - current:
            path = self._folder / tile.path
            path.unlink(missing_ok=True)
            if not any(path.parent.iterdir()):
                path.parent.rmdir()
        self._stored_edge = current
