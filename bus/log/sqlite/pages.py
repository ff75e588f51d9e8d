"""Keep a digest of every page of the database, so that no byte of it can change unseen.

SQLite leaves bytes in its pages that no query reads. `pages` holds 16 bytes for each page of
log.sqlite. The main file changes in one place only: `fold`, which moves the write-ahead log into
it. `pages.fold` exists while that happens and lists what each page concerned may hold, so that
there is no moment at which a crash leaves a page that cannot be judged.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import struct
from collections.abc import Mapping
from pathlib import Path

from bus.core.errors import LogCorrupt
from bus.log.files import DATABASE, FOLD, PAGES, WAL, store_files, sync_folder
from bus.log.sqlite.wal import PAGE_BYTES, mapped, scan_wal

SLOT_BYTES = 16
LOCK_PAGE = 0x40000000 // PAGE_BYTES + 1
"""SQLite never uses the page at 1 GiB: its locks lie there. Fileformat2 §1.4."""

_FOLD_HEAD = b"lienthong.vn/pages-fold/v1\n"
_RECORD = struct.Struct(f">I{SLOT_BYTES}s")
_RECORDS_START = len(_FOLD_HEAD)

Permitted = dict[int, set[bytes]]
"""Page number to the digests that the page, and its slot, may have while a fold is under way."""


class FoldInvalid(ValueError):
    """`pages.fold` is not what the hub wrote."""


def digest_page(number: int, content: bytes | mmap.mmap, offset: int = 0) -> bytes:
    """The slot of one page: SHA-256 of its number and content, cut to 16 bytes.

    hashlib gives up the interpreter for 2048 bytes and more, and a thread that gives it up
    thousands of times beside a busy one waits for milliseconds each time; hence the pieces.
    """
    digest = hashlib.sha256(number.to_bytes(8, "big") + content[offset : offset + 2000])
    digest.update(content[offset + 2000 : offset + 4000])
    digest.update(content[offset + 4000 : offset + PAGE_BYTES])
    return digest.digest()[:SLOT_BYTES]


def read_fold(raw: bytes) -> Permitted:
    """What pages may hold while a fold is under way. Raises FoldInvalid."""
    body, digest = raw[:-32], raw[-32:]
    is_whole = (len(body) - _RECORDS_START) % _RECORD.size == 0
    if not raw.startswith(_FOLD_HEAD) or not is_whole or hashlib.sha256(body).digest() != digest:
        raise FoldInvalid("the file does not have its form or digest")
    permitted: Permitted = {}
    for number, slot in _RECORD.iter_unpack(body[_RECORDS_START:]):
        permitted.setdefault(number, set()).add(slot)
    return permitted


def write_fold(permitted: Permitted) -> bytes:
    """The bytes of `pages.fold`."""
    records = [
        _RECORD.pack(number, slot)
        for number in sorted(permitted)
        for slot in sorted(permitted[number])
    ]
    body = _FOLD_HEAD + b"".join(records)
    return body + hashlib.sha256(body).digest()


def digest_wal(path: Path, *, is_checked: bool) -> tuple[dict[int, bytes], int]:
    """The slots that the pages in the write-ahead log will have, and the count of pages then.

    Raises OSError.
    """
    with mapped(path) as wal:
        scan = scan_wal(wal, is_checked=is_checked)
        offsets = scan.content_offsets.items()
        return {number: digest_page(number, wal, at) for number, at in offsets}, scan.page_count


def digest_database(path: Path) -> bytes:
    """The whole of `pages` for a database that nobody has open. Raises OSError."""
    with mapped(path) as database:
        slots = bytearray()
        for number in range(1, len(database) // PAGE_BYTES + 1):
            slots += digest_page(number, database, (number - 1) * PAGE_BYTES)
        return bytes(slots)


def first_damaged_page(folder: Path) -> int | None:
    """The first page of a database that nobody has open which is not what `pages` says; None: all
    are. Raises OSError."""
    with mapped(folder / DATABASE) as database, mapped(folder / PAGES) as slots:
        page_count = len(database) // PAGE_BYTES
        for number in range(1, page_count + 1):
            slot = slots[(number - 1) * SLOT_BYTES : number * SLOT_BYTES]
            if number == LOCK_PAGE:
                continue
            if slot != digest_page(number, database, (number - 1) * PAGE_BYTES):
                return number
        is_whole = len(database) == page_count * PAGE_BYTES
        return None if is_whole and len(slots) == page_count * SLOT_BYTES else page_count


class PageSlots:
    """Owns `pages` and `pages.fold` of one folder. Used by the writer's thread alone."""

    __slots__ = ("_folder",)

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin_fold(self, coming: Mapping[int, bytes]) -> None:
        """Write down what each page of the write-ahead log is and will be. Raises OSError.

        From here on these pages may hold either. If we stop before the database file changes,
        each still holds the first; if we stop within, some hold the second, and the write-ahead
        log, which SQLite syncs before and truncates after, holds all of them.
        """
        permitted = self._permitted()
        with mapped(self._folder / PAGES) as slots:
            for number, slot in coming.items():
                known = permitted.setdefault(number, {slot})
                known.add(slot)
                start = (number - 1) * SLOT_BYTES
                if start < len(slots):
                    known.add(slots[start : start + SLOT_BYTES])
        store_files([(self._folder / FOLD, write_fold(permitted))])

    def end_fold(self, settled: Mapping[int, bytes], page_count: int) -> None:
        """Write the slots of pages that now are in the database file. Raises OSError.

        If we stop within, some slots are old and some new, and `pages.fold` permits both.
        """
        self._write_slots(settled, page_count)
        # If we stop before the next line, the fold is settled once more at the next start.
        (self._folder / FOLD).unlink(missing_ok=True)
        sync_folder(self._folder)

    def _write_slots(self, settled: Mapping[int, bytes], page_count: int) -> None:
        descriptor = os.open(self._folder / PAGES, os.O_RDWR | os.O_CLOEXEC)
        try:
            # Allocated first: a mapped page for which the disk has no room would kill the process.
            os.posix_fallocate(descriptor, 0, page_count * SLOT_BYTES)
            with mmap.mmap(descriptor, page_count * SLOT_BYTES) as slots:
                for number, slot in settled.items():
                    start = (number - 1) * SLOT_BYTES
                    slots[start : start + SLOT_BYTES] = slot
                slots.flush()
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def recover(self) -> None:
        """Settle a fold that was interrupted; call it while nobody has the database open.

        Pages that the write-ahead log still holds are left to the next fold. Raises OSError,
        LogCorrupt: a page is neither what it was nor what it should have become.
        """
        permitted = self._permitted()
        if not permitted:
            return
        wal_path = self._folder / WAL
        held = digest_wal(wal_path, is_checked=True)[0] if wal_path.exists() else {}
        settled = {}
        with mapped(self._folder / DATABASE) as database:
            for number, slots in permitted.items():
                offset = (number - 1) * PAGE_BYTES
                if number in held:
                    continue
                slot = digest_page(number, database, offset)
                if slot not in slots:
                    raise LogCorrupt(f"{DATABASE}: page {number} at byte {offset} is damaged")
                settled[number] = slot
            file_pages = len(database) // PAGE_BYTES
        if held:
            # The hub folds again before it takes anything, and settles the rest then.
            self._write_slots(settled, file_pages)
            return
        self.end_fold(settled, file_pages)

    def _permitted(self) -> Permitted:
        try:
            return read_fold((self._folder / FOLD).read_bytes())
        except FileNotFoundError:
            return {}
        except FoldInvalid as error:
            raise LogCorrupt(f"{FOLD}: {error}") from error
