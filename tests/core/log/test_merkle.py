"""Roots and proofs are those of RFC 6962."""

import hashlib
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.core.log.merkle import (
    ProofInvalid,
    compact_range,
    fold_right,
    hash_leaf,
    hash_node,
    prove_consistency,
    prove_inclusion,
    root_of_hashes,
    verify_consistency,
    verify_inclusion,
)
from bus.core.log.tiles import Tile, TiledTree, edge_tiles, node_reader

# Leaves and roots of the reference tree of the Certificate Transparency implementations.
KNOWN_LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
KNOWN_ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    4: "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    5: "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    6: "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    7: "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


def naive_root(hashes: Sequence[bytes]) -> bytes:
    """RFC 6962 §2.1, word for word."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return hash_node(naive_root(hashes[:split]), naive_root(hashes[split:]))


def leaves(count: int) -> list[bytes]:
    return [hash_leaf(b"%d" % number) for number in range(count)]


def reader(hashes: Sequence[bytes]) -> Callable[[int, int], bytes]:
    return lambda level, index: naive_root(hashes[index << level : (index + 1) << level])


@pytest.mark.parametrize("size", KNOWN_ROOTS)
def test_known_trees_have_their_known_roots(size: int) -> None:
    hashes = [hash_leaf(leaf) for leaf in KNOWN_LEAVES[:size]]
    assert root_of_hashes(hashes).hex() == KNOWN_ROOTS[size]


@given(st.integers(0, 700))
def test_every_way_to_the_root_gives_the_root_of_the_definition(size: int) -> None:
    hashes = leaves(size)
    tree = TiledTree()
    tree.append(hashes)
    assert naive_root(hashes) == root_of_hashes(hashes) == tree.root()


@given(st.integers(0, 3000), st.integers(0, 3000))
def test_a_compact_range_covers_its_leaves_once(first: int, count: int) -> None:
    covered = [
        leaf
        for level, index in compact_range(first, first + count)
        for leaf in range(index << level, (index + 1) << level)
    ]
    assert covered == list(range(first, first + count))


@given(st.data())
def test_a_leaf_is_proved_at_its_place_and_at_no_other(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 130))
    index = data.draw(st.integers(0, size - 1))
    hashes = leaves(size)
    root = naive_root(hashes)
    proof = prove_inclusion(index, size, reader(hashes))
    verify_inclusion(hashes[index], index, size, proof, root)
    for other in {0, size - 1, (index + 1) % size} - {index}:
        with pytest.raises(ProofInvalid):
            verify_inclusion(hashes[index], other, size, proof, root)
    with pytest.raises(ProofInvalid):
        verify_inclusion(hashes[index], index, size, [*proof, root], root)
    with pytest.raises(ProofInvalid):
        verify_inclusion(hash_leaf(b"x"), index, size, proof, root)


@given(st.data())
def test_growth_is_proved_and_a_rewritten_past_is_not(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 130))
    old_size = data.draw(st.integers(0, size))
    hashes = leaves(size)
    old_root, root = naive_root(hashes[:old_size]), naive_root(hashes)
    proof = prove_consistency(old_size, size, reader(hashes))
    verify_consistency(old_size, size, proof, old_root, root)
    with pytest.raises(ProofInvalid):
        verify_consistency(old_size, size, proof, hash_leaf(b"x"), root)
    with pytest.raises(ProofInvalid):
        verify_consistency(old_size, size, [*proof, root], old_root, root)
    if proof:
        with pytest.raises(ProofInvalid):
            verify_consistency(old_size, size, proof[:-1], old_root, root)


def test_a_tile_lies_where_the_format_says() -> None:
    assert Tile(0, 5, 17).path == "tile/0/005.p/17"
    assert Tile(0, 1234).path == "tile/0/x001/234"
    assert Tile(3, 1234067, 1).path == "tile/3/x001/x234/067.p/1"


@given(st.integers(0, 7), st.integers(0, 10**10), st.integers(1, 256))
def test_a_tile_path_reads_back(level: int, index: int, width: int) -> None:
    assert Tile.parse(Tile(level, index, width).path) == Tile(level, index, width)


@pytest.mark.parametrize(
    "path",
    ["tile/0/5", "tile/0/x000/005", "tile/9/005", "tile/0/005.p/256", "tile/0/005.p/0", "x"],
)
def test_another_spelling_is_no_tile(path: str) -> None:
    assert Tile.parse(path) is None


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 65535, 65536, 65537, 70000])
def test_a_tree_loaded_from_its_tiles_grows_like_the_one_that_wrote_them(size: int) -> None:
    stored: dict[Tile, bytes] = {}
    tree = TiledTree()
    hashes = leaves(70300)
    for tile, raw in [*tree.append(hashes[:size]), *tree.partial_tiles()]:
        stored[tile] = raw
    assert {tile for tile in stored if tile.width < 256} == set(edge_tiles(size))
    twin = TiledTree.load(size, stored.__getitem__)
    assert twin.root() == root_of_hashes(hashes[:size])
    assert tree.append(hashes[size:]) == twin.append(hashes[size:])
    assert twin.root() == root_of_hashes(hashes)


def test_proofs_can_be_made_from_tiles() -> None:
    size = 66000
    hashes = leaves(size)
    tree = TiledTree()
    stored = dict([*tree.append(hashes), *tree.partial_tiles()])
    node = node_reader(size, stored.__getitem__)
    for index in (0, 255, 256, 65535, 65536, size - 1):
        proof = prove_inclusion(index, size, node)
        verify_inclusion(hashes[index], index, size, proof, tree.root())
    for old_size in (1, 256, 65536, 65999):
        proof = prove_consistency(old_size, size, node)
        verify_consistency(old_size, size, proof, root_of_hashes(hashes[:old_size]), tree.root())


def test_an_empty_range_has_the_root_of_the_empty_tree() -> None:
    assert fold_right([]) == root_of_hashes([])


def test_a_place_outside_the_tree_has_no_proof() -> None:
    hashes = leaves(5)
    with pytest.raises(ValueError, match="does not lie"):
        prove_inclusion(5, 5, reader(hashes))
    with pytest.raises(ProofInvalid, match="does not lie"):
        verify_inclusion(hashes[0], 5, 5, [], naive_root(hashes))


def test_a_tree_does_not_come_before_a_smaller_one() -> None:
    hashes = leaves(5)
    root = naive_root(hashes)
    with pytest.raises(ValueError, match="cannot come before"):
        prove_consistency(6, 5, reader(hashes))
    with pytest.raises(ProofInvalid, match="cannot come before"):
        verify_consistency(6, 5, [], root, root)
    with pytest.raises(ProofInvalid, match="too short"):
        verify_consistency(3, 5, [], root, root)


def test_a_tree_of_the_largest_size_has_an_edge_on_every_level() -> None:
    assert [tile.level for tile in edge_tiles(2**64 - 1)] == list(range(8))
