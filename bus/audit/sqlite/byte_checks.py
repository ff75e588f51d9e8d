"""Check every stored byte of the database: write-ahead log, pages, page digests."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bus.audit.sqlite.folder import ReadableFolder
from bus.log.files import DATABASE, FOLD, PAGES, WAL
from bus.log.sqlite.pages import (
    LOCK_PAGE,
    SLOT_BYTES,
    FoldInvalid,
    Permitted,
    digest_page,
    read_fold,
)
from bus.log.sqlite.wal import (
    FRAME_BYTES,
    PAGE_BYTES,
    WAL_HEADER_BYTES,
    WalScan,
    scan_wal,
)
from bus.runtime.found_files import copied, open_stream, read_file

DAMAGES_MAX = 10_000
"""Damaged pages that are told one by one; a database of holes has millions."""
FOLD_BYTES_MAX = 256 * 1024 * 1024
"""Largest `pages.fold` that is read: a fold of some millions of pages."""
_PAGES_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes that are not what the hub wrote."""

    file: str
    byte_range: tuple[int, int]
    what: str
    page: int | None = None
    """The page of the database concerned; None: see where the readable rows end."""


@dataclass(frozen=True, slots=True)
class StoredPages:
    """The pages of the database as SQLite sees them: write-ahead log before database file."""

    folder: Path
    wal: WalScan

    def read(self, number: int) -> bytes:
        """The current content of a page. Raises OSError, ValueError."""
        held_at = self.wal.content_offsets.get(number)
        path = self.folder / (DATABASE if held_at is None else WAL)
        with open_stream(path) as stream:
            stream.seek((number - 1) * PAGE_BYTES if held_at is None else held_at)
            content = stream.read(PAGE_BYTES)
        if len(content) < PAGE_BYTES:
            raise ValueError(f"page {number} lies behind the end of the database")
        return content


def check_wal(readable: ReadableFolder) -> tuple[WalScan, list[Damage]]:
    """Prove every frame of the write-ahead log. Raises OSError."""
    path = readable.folder / WAL
    if not os.path.lexists(path):
        return WalScan(), []
    with copied(path) as wal:
        if readable.frames_whole is not None:
            # The hub may be writing the frames behind these at this moment.
            scan = scan_wal(
                wal[: WAL_HEADER_BYTES + readable.frames_whole * FRAME_BYTES], is_checked=True
            )
        else:
            scan = scan_wal(wal, is_checked=True)
    if scan.damage is None:
        return scan, []
    start = scan.damage.offset
    end = start + (FRAME_BYTES if start else WAL_HEADER_BYTES)
    what = f"{scan.damage.what} was changed, or a power cut tore it; SQLite ignores what follows"
    return scan, [Damage(WAL, (start, end), what)]


def check_pages(folder: Path) -> tuple[int, list[Damage]]:
    """Compare every page of the database file with its slot; give the count. Raises OSError."""
    permitted, damages = _read_permitted(folder)
    number = 0
    with open_stream(folder / DATABASE) as database, open_stream(folder / PAGES) as slots:
        while content := database.read(_PAGES_AT_ONCE * PAGE_BYTES):
            stored = slots.read(_PAGES_AT_ONCE * SLOT_BYTES)
            for offset in range(0, len(content), PAGE_BYTES):
                number += 1
                at = offset // PAGE_BYTES * SLOT_BYTES
                slot = stored[at : at + SLOT_BYTES]
                page = content[offset : offset + PAGE_BYTES]
                what = _evaluate(number, page, slot, permitted.get(number))
                if what:
                    start = (number - 1) * PAGE_BYTES
                    damages.append(Damage(DATABASE, (start, start + len(page)), what, number))
            if len(damages) > DAMAGES_MAX:
                what = f"more than {DAMAGES_MAX:,} pages are damaged; the rest is not compared"
                return number, [*damages, Damage(DATABASE, (number * PAGE_BYTES, -1), what)]
        damages += _check_rest(slots, number, permitted)
    return number, damages


def _evaluate(number: int, page: bytes, slot: bytes, permitted: set[bytes] | None) -> str:
    """What is wrong with a page; empty if nothing is."""
    if number == LOCK_PAGE:
        is_empty = not page.strip(b"\x00") and not slot.strip(b"\x00")
        return "" if is_empty else f"page {number} must be empty, as must its digest"
    digest = digest_page(number, page)
    if len(page) < PAGE_BYTES:
        return f"page {number} is cut short"
    if permitted is None:
        is_sound = digest == slot
    else:
        # A fold was under way: old or new, each for itself; a new page may have no slot yet.
        is_sound = digest in permitted and (
            slot in permitted or len(slot) < SLOT_BYTES or not slot.strip(b"\x00")
        )
    return "" if is_sound else f"page {number} and its digest in `{PAGES}` differ"


def _check_rest(slots: IO[bytes], page_count: int, permitted: Permitted) -> list[Damage]:
    """Slots behind the last page, which only a fold under way may have."""
    start = page_count * SLOT_BYTES
    expected_bytes = max(max(permitted, default=0) - page_count, 0) * SLOT_BYTES
    rest = slots.read(expected_bytes)
    if slots.read(1):
        what = f"digests of pages behind page {max(page_count, max(permitted, default=0))}"
        end = os.fstat(slots.fileno()).st_size
        return [Damage(PAGES, (start + expected_bytes, end), what, page_count)]
    for place in range(0, len(rest), SLOT_BYTES):
        number = page_count + place // SLOT_BYTES + 1
        slot = rest[place : place + SLOT_BYTES]
        if slot not in permitted.get(number, ()) and slot.strip(b"\x00"):
            what = f"a digest of page {number}, which the database does not have"
            return [Damage(PAGES, (start + place, start + len(rest)), what, number)]
    return []


def _read_permitted(folder: Path) -> tuple[Permitted, list[Damage]]:
    try:
        raw = read_file(folder / FOLD, FOLD_BYTES_MAX)
    except FileNotFoundError:
        return {}, []
    except OSError as error:
        return {}, [Damage(FOLD, (0, 0), f"cannot be read: {error.strerror}")]
    try:
        return read_fold(raw), []
    except FoldInvalid as error:
        return {}, [Damage(FOLD, (0, len(raw)), str(error))]
