"""Hash entries into a Merkle tree and prove what lies in it (RFC 6962 §2.1, SHA-256)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
"""The root of a tree without leaves. RFC 6962 §2.1."""

NodeReader = Callable[[int, int], bytes]
"""Gives the hash of the perfect subtree of 2**level leaves that is number `index` of its level."""


class ProofInvalid(Exception):
    """A proof does not lead from what it starts with to the root."""


def hash_leaf(leaf: bytes) -> bytes:
    """The hash of one entry."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def hash_node(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of_hashes(hashes: Sequence[bytes]) -> bytes:
    """The root over leaf (or equally high subtree) hashes."""
    if not hashes:
        return EMPTY_ROOT
    row = list(hashes)
    sha256 = hashlib.sha256
    while len(row) > 1:
        # A node without a right neighbour rises as it is: the same tree as RFC 6962's split at
        # the largest power of two.
        above = [
            sha256(b"\x01" + row[place] + row[place + 1]).digest()
            for place in range(0, len(row) - 1, 2)
        ]
        if len(row) % 2:
            above.append(row[-1])
        row = above
    return row[0]


def compact_range(first: int, last: int) -> list[tuple[int, int]]:
    """The fewest perfect subtrees, as (level, index), that cover leaves [first, last)."""
    nodes = []
    while first < last:
        level = min(
            (first & -first).bit_length() - 1 if first else 63, (last - first).bit_length() - 1
        )
        nodes.append((level, first >> level))
        first += 1 << level
    return nodes


def fold_right(hashes: Sequence[bytes]) -> bytes:
    """The root over the hashes of a compact range that starts at leaf 0 or at a split."""
    if not hashes:
        return EMPTY_ROOT
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = hash_node(left, root)
    return root


def _range_root(first: int, last: int, node: NodeReader) -> bytes:
    return fold_right([node(level, index) for level, index in compact_range(first, last)])


def _split(count: int) -> int:
    """The largest power of two smaller than `count`. RFC 6962 §2.1."""
    return 1 << ((count - 1).bit_length() - 1)


def prove_inclusion(index: int, size: int, node: NodeReader) -> list[bytes]:
    """The audit path of leaf `index` in the tree of `size` leaves. RFC 6962 §2.1.1."""
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} does not lie in a tree of {size}")
    first, last, path = 0, size, []
    while last - first > 1:
        middle = first + _split(last - first)
        if index < middle:
            path.append(_range_root(middle, last, node))
            last = middle
        else:
            path.append(_range_root(first, middle, node))
            first = middle
    return path[::-1]


def verify_inclusion(
    leaf_hash: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Prove that a leaf lies at `index`. RFC 9162 §2.1.3.2. Raises ProofInvalid."""
    if not 0 <= index < size:
        raise ProofInvalid(f"leaf {index} does not lie in a tree of {size}")
    place, last, computed = index, size - 1, leaf_hash
    for sibling in proof:
        if last == 0:
            raise ProofInvalid("the proof is too long")
        if place % 2 or place == last:
            computed = hash_node(sibling, computed)
            while place % 2 == 0 and place:
                place, last = place >> 1, last >> 1
        else:
            computed = hash_node(computed, sibling)
        place, last = place >> 1, last >> 1
    if last or computed != root:
        raise ProofInvalid("the proof does not lead to the root")


def prove_consistency(old_size: int, size: int, node: NodeReader) -> list[bytes]:
    """The proof that the tree of `size` leaves continues that of `old_size`. RFC 6962 §2.1.2."""
    if not 0 <= old_size <= size:
        raise ValueError(f"a tree of {old_size} cannot come before one of {size}")
    if old_size in (0, size):
        return []
    first, last, path, is_complete = 0, size, [], True
    while old_size != last:
        middle = first + _split(last - first)
        if old_size <= middle:
            path.append(_range_root(middle, last, node))
            last = middle
        else:
            path.append(_range_root(first, middle, node))
            first, is_complete = middle, False
    if not is_complete:
        path.append(_range_root(first, last, node))
    return path[::-1]


def verify_consistency(
    old_size: int, size: int, proof: Sequence[bytes], old_root: bytes, root: bytes
) -> None:
    """Prove that a tree only grew. RFC 9162 §2.1.4.2. Raises ProofInvalid."""
    if not 0 <= old_size <= size:
        raise ProofInvalid(f"a tree of {old_size} cannot come before one of {size}")
    if old_size in (0, size):
        known_root = EMPTY_ROOT if old_size == 0 else root
        if proof or old_root != known_root:
            raise ProofInvalid("trees of these sizes need no proof and have one root")
        return
    path = list(proof)
    if old_size & (old_size - 1) == 0:
        path.insert(0, old_root)
    if not path:
        raise ProofInvalid("the proof is too short")
    place, last = old_size - 1, size - 1
    while place % 2:
        place, last = place >> 1, last >> 1
    old_computed = computed = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ProofInvalid("the proof is too long")
        if place % 2 or place == last:
            old_computed = hash_node(sibling, old_computed)
            computed = hash_node(sibling, computed)
            while place % 2 == 0 and place:
                place, last = place >> 1, last >> 1
        else:
            computed = hash_node(computed, sibling)
        place, last = place >> 1, last >> 1
    if last or old_computed != old_root or computed != root:
        raise ProofInvalid("the proof does not lead to both roots")
