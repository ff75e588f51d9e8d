"""Tell which entry a damaged page of the database belongs to.

Format: https://www.sqlite.org/fileformat2.html §1.6 (b-trees), §1.7 (overflow), §2.1 (records).
Used only once damage is found; every number read here may itself be damaged.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping

from bus.log.sqlite.wal import PAGE_BYTES

PageReader = Callable[[int], bytes]
"""Gives the current content of a page; raises OSError or ValueError if there is none."""

ROOT_PAGES = {
    "entries": 2,
    "payloads": 3,
    "inbox": 4,
    "inbox_key": 5,
    "inbox_open": 6,
    "texts": 7,
    "meta": 8,
    "deliveries": 9,
    "deliveries_due": 10,
    "deliveries_begun": 11,
    "deliveries_expiring": 12,
    "deliveries_offered": 13,
    "deliveries_dead": 14,
    "deliveries_dead_of": 15,
    "deliveries_queued": 16,
    "carried": 17,
    "related": 18,
    "mailbox": 19,
    "recipients": 20,
}
"""Where each tree starts in a database that was made as it is, in the order of its schema; what
the schema itself says goes before, since one that was upgraded has others."""
_RECEIVED_COLUMN = {
    "inbox_key": 1,
    "inbox_open": 0,
    "deliveries": 0,
    "deliveries_due": 3,
    "deliveries_begun": 1,
    "deliveries_expiring": 1,
    "deliveries_offered": 1,
    "deliveries_dead": 0,
    "deliveries_dead_of": 1,
    "deliveries_queued": 3,
    "related": 0,
    "mailbox": 3,
}
"""The column that holds an entry's index, in trees whose keys are records."""

_SCHEMA_PAGE = 1
_FILE_HEADER_BYTES = 100
"""Before the b-tree of the schema page. Fileformat2 §1.3."""
_SCHEMA_NAME_COLUMN, _SCHEMA_ROOT_COLUMN = 1, 3

_DEPTH_MAX = 20
"""SQLite reads no deeper trees (BTCURSOR_MAX_DEPTH)."""
_INTERIOR_INDEX, _INTERIOR_TABLE, _LEAF_INDEX, _LEAF_TABLE = 2, 5, 10, 13
_LOCAL_BYTES_MAX = PAGE_BYTES - 35
_LOCAL_BYTES_MIN = (PAGE_BYTES - 12) * 32 // 255 - 23
_INTEGER_BYTES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 8: 0, 9: 0}
_PageLost = (OSError, ValueError, IndexError, struct.error)


def entries_of_pages(
    pages: Iterable[int], read_page: PageReader, entry_count: int
) -> Mapping[int, tuple[str, int]]:
    """For each damaged page, the table it belongs to and the first entry concerned.

    Pages that belong to no row (the schema, free pages) are not in what is returned.
    """
    wanted = set(pages)
    found: dict[int, tuple[str, int]] = {}
    for table, root in (ROOT_PAGES | _roots(read_page)).items():
        seen: set[int] = set()
        for page, index in _walk(table, root, read_page, seen, 0, 0):
            if page in wanted and page not in found:
                found[page] = (table, min(max(index, 0), max(entry_count - 1, 0)))
        if wanted <= found.keys():
            break
    return found


def _roots(read_page: PageReader) -> dict[str, int]:
    """Where the trees start that the schema speaks of, as far as it can be read."""
    roots = {}
    waiting, seen = [_SCHEMA_PAGE], set[int]()
    while waiting:
        page = waiting.pop()
        if page in seen or len(seen) > _DEPTH_MAX:
            continue
        seen.add(page)
        try:
            content = read_page(page)
            start = _FILE_HEADER_BYTES if page == _SCHEMA_PAGE else 0
            for cell in _cells(content, start):
                if content[start] == _INTERIOR_TABLE:
                    waiting += struct.unpack_from(">I", content, cell)
                else:
                    name, root = _schema_row(content, cell)
                    roots[name] = root
            if content[start] == _INTERIOR_TABLE:
                waiting += struct.unpack_from(">I", content, start + 8)
        except _PageLost:
            continue
    return {name: root for name, root in roots.items() if name in ROOT_PAGES}


def _schema_row(content: bytes, cell: int) -> tuple[str, int]:
    """Name and first page of a table or index. Fileformat2 §2.6."""
    _, at = _varint(content, cell)
    _, record = _varint(content, at)
    kind, at = _column(content, record, _SCHEMA_NAME_COLUMN)
    name = content[at : at + (kind - 13) // 2].decode("ascii")
    return name, _integer_column(content, record, _SCHEMA_ROOT_COLUMN)


def _walk(
    table: str, page: int, read_page: PageReader, seen: set[int], first: int, depth: int
) -> Iterator[tuple[int, int]]:
    """Every page of a tree with the first entry index below it, as far as it can be read."""
    if page in seen or depth > _DEPTH_MAX:
        return
    seen.add(page)
    try:
        content = read_page(page)
        cells = list(_cells(content))
    except _PageLost:
        yield page, first
        return
    if table in _RECEIVED_COLUMN:
        first = _first_received(content, cells, _RECEIVED_COLUMN[table], first)
    yield page, first
    if content[0] in (_INTERIOR_INDEX, _INTERIOR_TABLE):
        yield from _walk_children(table, content, cells, read_page, seen, first, depth + 1)
    elif content[0] == _LEAF_TABLE:
        yield from _walk_overflow(content, cells, read_page, seen)


def _walk_children(
    table: str,
    content: bytes,
    cells: list[int],
    read_page: PageReader,
    seen: set[int],
    first: int,
    depth: int,
) -> Iterator[tuple[int, int]]:
    for cell in cells:
        try:
            (child,) = struct.unpack_from(">I", content, cell)
            last = _varint(content, cell + 4)[0]
        except _PageLost:
            continue
        yield from _walk(table, child, read_page, seen, first, depth)
        if content[0] == _INTERIOR_TABLE:
            first = last + 1
    (rightmost,) = struct.unpack_from(">I", content, 8)
    yield from _walk(table, rightmost, read_page, seen, first, depth)


def _walk_overflow(
    content: bytes, cells: list[int], read_page: PageReader, seen: set[int]
) -> Iterator[tuple[int, int]]:
    """The overflow pages of each row. Fileformat2 §1.6, §1.7."""
    for cell in cells:
        try:
            length, at = _varint(content, cell)
            index, at = _varint(content, at)
            if length <= _LOCAL_BYTES_MAX:
                continue
            local = _LOCAL_BYTES_MIN + (length - _LOCAL_BYTES_MIN) % (PAGE_BYTES - 4)
            at += local if local <= _LOCAL_BYTES_MAX else _LOCAL_BYTES_MIN
            (page,) = struct.unpack_from(">I", content, at)
            while page and page not in seen:
                seen.add(page)
                yield page, index
                (page,) = struct.unpack_from(">I", read_page(page))
        except _PageLost:
            continue


def _cells(content: bytes, page_start: int = 0) -> Iterator[int]:
    """Where the cells of a b-tree page start."""
    kind = content[page_start]
    if kind not in (_INTERIOR_INDEX, _INTERIOR_TABLE, _LEAF_INDEX, _LEAF_TABLE):
        raise ValueError(f"no b-tree page has the kind {kind}")
    (count,) = struct.unpack_from(">H", content, page_start + 3)
    start = page_start + (12 if kind in (_INTERIOR_INDEX, _INTERIOR_TABLE) else 8)
    for (cell,) in struct.iter_unpack(">H", content[start : start + 2 * count]):
        if cell >= PAGE_BYTES:
            raise ValueError("a cell lies outside its page")
        yield cell


def _first_received(content: bytes, cells: list[int], column: int, otherwise: int) -> int:
    """The smallest entry index that the rows of an index page speak of."""
    indexes = []
    for cell in cells:
        try:
            at = cell + 4 if content[0] == _INTERIOR_INDEX else cell
            _, at = _varint(content, at)
            indexes.append(_integer_column(content, at, column))
        except _PageLost:
            continue
    return min(indexes, default=otherwise)


def _integer_column(content: bytes, record: int, column: int) -> int:
    """One integer of a record. Fileformat2 §2.1."""
    kind, at = _column(content, record, column)
    if kind in (8, 9):
        return kind - 8
    width = _INTEGER_BYTES.get(kind, 0)
    return int.from_bytes(content[at : at + width], "big", signed=True)


def _column(content: bytes, record: int, column: int) -> tuple[int, int]:
    """The kind of a column's value, and where that lies. Fileformat2 §2.1."""
    header_bytes, at = _varint(content, record)
    value_at = record + header_bytes
    for _ in range(column):
        kind, at = _varint(content, at)
        value_at += (kind - 12) // 2 if kind >= 12 else _INTEGER_BYTES.get(kind, 0)
    kind, _ = _varint(content, at)
    return kind, value_at


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """A variable-length integer and where it ends. Fileformat2 §1.6."""
    value = 0
    for count in range(8):
        byte = content[at + count]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + count + 1
    return value << 8 | content[at + 8], at + 9
