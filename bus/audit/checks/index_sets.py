"""Remember something of each entry of a log in little memory: a bit, or to which one it belongs."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

_FAR = 2**32 - 1
"""Distances from here on are not told apart."""


class IndexSet:
    """A set of entry indexes: one bit each."""

    __slots__ = ("_bits",)

    def __init__(self) -> None:
        self._bits = bytearray()

    def add(self, index: int) -> None:
        """Take `index` into the set."""
        missing = (index >> 3) + 1 - len(self._bits)
        if missing > 0:
            self._bits.extend(bytes(missing + 4096))
        self._bits[index >> 3] |= 1 << (index & 7)

    def __contains__(self, index: int) -> bool:
        place = index >> 3
        return 0 <= place < len(self._bits) and bool(self._bits[place] >> (index & 7) & 1)

    def difference(self, other: IndexSet) -> Iterator[int]:
        """What is in this set and not in the other, in order."""
        for place, bits in enumerate(self._bits):
            if bits:
                for index in range(place * 8, place * 8 + 8):
                    if index in self and index not in other:
                        yield index


class Continuations:
    """Which earlier entry each outcome continues: four bytes an entry."""

    __slots__ = ("_distances",)

    def __init__(self) -> None:
        self._distances = array("I")

    def add(self, index: int, continued: int) -> None:
        """The entry at `index` is the outcome of one before it."""
        missing = index + 1 - len(self._distances)
        if missing > 0:
            self._distances.frombytes(bytes((missing + 4096) * self._distances.itemsize))
        self._distances[index] = min(index - continued, _FAR)

    def is_of(self, index: int, continued: int) -> bool:
        """Whether the entry at `index` is an outcome of that one."""
        if not 0 <= continued < index < len(self._distances):
            return False
        return self._distances[index] == min(index - continued, _FAR)
