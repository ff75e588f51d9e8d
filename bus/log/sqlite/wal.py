"""Read SQLite's write-ahead log: which pages it holds, and whether every byte of it is sound.

Format: https://www.sqlite.org/fileformat2.html#the_write_ahead_log (§4).
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bus.runtime.found_files import open_file

PAGE_BYTES = 4096
WAL_HEADER_BYTES = 32
FRAME_HEADER_BYTES = 24
FRAME_BYTES = FRAME_HEADER_BYTES + PAGE_BYTES

_MAGIC = {0x377F0682: "<", 0x377F0683: ">"}
"""The magic number tells in which byte order checksums were made."""
_HEADER = struct.Struct(">8I")
_FRAME = struct.Struct(">6I")
_WORD = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class WalDamage:
    """The first place at which the write-ahead log is not what SQLite wrote."""

    offset: int
    what: str


@dataclass(slots=True)
class WalScan:
    """What a write-ahead log holds up to its last commit."""

    content_offsets: dict[int, int] = field(default_factory=dict)
    """Page number to the offset of its last committed content."""
    page_count: int = 0
    """Pages of the database after the last commit; 0 if there is none."""
    committed_frames: int = 0
    damage: WalDamage | None = None


@contextmanager
def mapped(path: Path) -> Iterator[bytes | mmap.mmap]:
    """The bytes of a file, mapped: reading them never gives up the interpreter. Raises OSError."""
    descriptor = open_file(path)
    try:
        if os.fstat(descriptor).st_size == 0:
            yield b""
            return
        with mmap.mmap(descriptor, 0, prot=mmap.PROT_READ) as content:
            yield content
    finally:
        os.close(descriptor)


def scan_wal(wal: bytes | mmap.mmap, *, is_checked: bool) -> WalScan:
    """Find the last committed content of each page.

    With `is_checked`, every frame's place in the checksum chain is proved, and the scan stops at
    the first damage as SQLite does; without, the headers are believed (for the connection that
    wrote them). A last frame that is cut short was being written when the hub died: no damage.
    """
    scan = WalScan()
    if len(wal) < WAL_HEADER_BYTES:
        return scan
    header = _HEADER.unpack_from(wal)
    magic, _, page_bytes, _, *salts = header[:6]
    order = _MAGIC.get(magic)
    sums = (0, 0) if order is None else _checksum(wal[:24], order, (0, 0))
    if order is None or page_bytes != PAGE_BYTES or sums != header[6:]:
        scan.damage = WalDamage(0, "the header of the write-ahead log")
        return scan
    pending: dict[int, int] = {}
    for number in range((len(wal) - WAL_HEADER_BYTES) // FRAME_BYTES):
        offset = WAL_HEADER_BYTES + number * FRAME_BYTES
        page, commit_pages, *frame_salts, first, second = _FRAME.unpack_from(wal, offset)
        # SQLite changes both salts when it starts the file anew over frames that a foreign reader
        # kept it from cutting off: what follows is left over and counts for nothing.
        if frame_salts[0] != salts[0] and frame_salts[1] != salts[1]:
            break
        if is_checked:
            content = wal[offset + FRAME_HEADER_BYTES : offset + FRAME_BYTES]
            sums = _checksum(content, order, _checksum(wal[offset : offset + 8], order, sums))
            if frame_salts != salts or sums != (first, second):
                scan.damage = WalDamage(offset, f"frame {number + 1} of the write-ahead log")
                return scan
        pending[page] = offset + FRAME_HEADER_BYTES
        if commit_pages:
            scan.content_offsets |= pending
            scan.page_count, scan.committed_frames = commit_pages, number + 1
            pending.clear()
    return scan


def _checksum(content: bytes, order: str, sums: tuple[int, int]) -> tuple[int, int]:
    """SQLite's running checksum. Fileformat2 §4.2."""
    first, second = sums
    for even, odd in struct.iter_unpack(f"{order}II", content):
        first = (first + even + second) & _WORD
        second = (second + odd + first) & _WORD
    return first, second
