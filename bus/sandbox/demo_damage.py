"""Alter one byte of a payload in a copy of a message log, as somebody with disk access could."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from bus.audit.folder import open_log_reader
from bus.log.files import DATABASE

_MARK_BYTES = 48
"""Enough ciphertext to find its one place in the file."""


@dataclass(frozen=True, slots=True)
class Alteration:
    """What was altered."""

    folder: Path
    """The copy."""
    entry: int
    offset: int
    """In log.sqlite."""


def alter_copy(log: Path, copy: Path, entry: int) -> Alteration:
    """Copy a closed log and flip one bit in the sealed payload of an entry."""
    shutil.copytree(log, copy)
    with open_log_reader(copy) as reader:
        sealed = reader.entry(entry).sealed
    assert sealed is not None  # the demo chooses an entry that has a payload
    stored = bytearray((copy / DATABASE).read_bytes())
    offset = _find(stored, sealed.ciphertext)
    stored[offset] ^= 1
    (copy / DATABASE).write_bytes(stored)
    return Alteration(copy, entry, offset)


def _find(stored: bytearray, ciphertext: bytes) -> int:
    # A payload lies in several pages: a mark that is cut by the end of a page is not found.
    for start in range(0, len(ciphertext) - _MARK_BYTES, _MARK_BYTES):
        offset = stored.find(ciphertext[start : start + _MARK_BYTES])
        if offset >= 0:
            return offset + _MARK_BYTES // 2
    raise LookupError("the payload does not lie in this file")
