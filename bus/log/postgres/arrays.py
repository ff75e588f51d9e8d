"""Hand columns of values to PostgreSQL as arrays in its binary form.

A batch is some forty short columns, mostly of NULL: what the library does for lists of anything
takes several times as long.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from psycopg import Connection
from psycopg.adapt import Dumper
from psycopg.pq import Format

_NULL = b"\xff\xff\xff\xff"
_HEAD = struct.Struct("!iiIii")
_LENGTH = struct.Struct("!i")
_NUMBER = struct.Struct("!iq")
_EMPTY = struct.Struct("!iiI")


@dataclass(frozen=True, slots=True)
class Blobs:
    """A value of type `bytea[]`."""

    values: Sequence[bytes | None]

    def items(self) -> list[bytes]:
        """Each with its length before it."""
        pack = _LENGTH.pack
        return [_NULL if one is None else pack(len(one)) + one for one in self.values]


@dataclass(frozen=True, slots=True)
class Texts:
    """A value of type `text[]`."""

    values: Sequence[str | None]

    def items(self) -> list[bytes]:
        """Each with its length before it."""
        raw = [None if one is None else one.encode() for one in self.values]
        return Blobs(raw).items()


@dataclass(frozen=True, slots=True)
class Numbers:
    """A value of type `bigint[]`; truth is 1."""

    values: Sequence[int | None]

    def items(self) -> list[bytes]:
        """Each with its length before it."""
        pack = _NUMBER.pack
        return [_NULL if one is None else pack(8, one) for one in self.values]


Column = Blobs | Texts | Numbers


class _ArrayDumper(Dumper):
    format = Format.BINARY
    element_oid: ClassVar[int]

    def dump(self, obj: Column) -> bytes:
        """PostgreSQL, src/backend/utils/adt/arrayfuncs.c, array_recv."""
        count = len(obj.values)
        if not count:
            return _EMPTY.pack(0, 0, self.element_oid)
        nulls = obj.values.count(None)
        head = _HEAD.pack(1, nulls > 0, self.element_oid, count, 1)
        return head + (_NULL * count if nulls == count else b"".join(obj.items()))


class _BlobsDumper(_ArrayDumper):
    oid = 1001
    element_oid = 17


class _TextsDumper(_ArrayDumper):
    oid = 1009
    element_oid = 25


class _NumbersDumper(_ArrayDumper):
    oid = 1016
    element_oid = 20


def take_arrays(connection: Connection[tuple[object, ...]]) -> None:
    """Let a connection take columns as values."""
    connection.adapters.register_dumper(Blobs, _BlobsDumper)
    connection.adapters.register_dumper(Texts, _TextsDumper)
    connection.adapters.register_dumper(Numbers, _NumbersDumper)
