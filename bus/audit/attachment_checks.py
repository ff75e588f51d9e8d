"""Check the files of attachments against the entries that name them.

(1) Each file that a leaf names is there, unless an entry says that it was erased.
(2) Its bytes have the digest that the leaf names.
(3) With the read key it opens, and holds the attachments that the leaf commits to: each has the
    size and the digests that its manifest says.
(4) Every file in the folder is named by a leaf.
"""

from __future__ import annotations

import hashlib

from bus.audit.checks.entry_checks import LogReport
from bus.core.errors import LogCorrupt
from bus.core.log.findings import Finding
from bus.core.log.leaf import Event, LeafInvalid, digest_of_text, read_leaf_facts, text_of_digest
from bus.core.ports.log_source import (
    LogSource,
    PieceMissing,
    PieceUnreadable,
    SealedBytes,
    Stranger,
)
from bus.kit.made_attachments import is_whole
from bus.log.sealed_attachments import open_attachments
from bus.log.sealing import Sealer

READ_BYTES = 1024 * 1024
SEALED_BYTES_MAX = 1 << 32
"""Largest sealed form that is read: more than lies beside any message (spool_bytes_max)."""
_MARK = b'"stored":"'


class AttachmentChecks:
    """Checks each entry's file; call `check` in order of index, then `finish`.

    Memory grows by 32 bytes for each entry with attachments.
    """

    def __init__(self, source: LogSource, report: LogReport, sealer: Sealer | None) -> None:
        """Look what there is. Raises LogUnavailable."""
        self._source = source
        # Before any row is read: what has its name for good by now has its entry, too.
        self._stored = tuple(source.attachments())
        self._report = report
        self._sealer = sealer
        self._named: set[bytes] = set()
        self._missing: dict[int, bytes] = {}
        self._erased: set[int] = set()

    def check(self, index: int, leaf: bytes) -> None:
        """Look at what one entry names, and add what is wrong to the report."""
        has_tombstone = b'"erased"' in leaf
        if _MARK not in leaf and not has_tombstone:
            return
        try:
            facts = read_leaf_facts(leaf)
        except LeafInvalid:
            return  # told by the check of the leaf itself
        if facts["event"] == Event.ERASED and "continues" in facts:
            self._erased.add(facts["continues"])
        if "stored" in facts:
            self._check_file(index, digest_of_text(facts["stored"]), facts.get("attachments"))

    def finish(self, *, last: int) -> None:
        """Add what only the whole log tells; `last` is the last entry."""
        # (1)
        for index, stored in self._missing.items():
            if index not in self._erased:
                self._find(index, stored, "the attachments are missing and were not erased")
        # (4)
        for one in self._stored:
            if isinstance(one, Stranger) or one.digest not in self._named:
                self._report.add(Finding(last, one.place, "a file that no entry names"))

    def _check_file(self, index: int, stored: bytes, commitment: str | None) -> None:
        self._named.add(stored)
        try:
            sealed = self._source.sealed_attachments(stored)
        except PieceMissing:
            self._missing[index] = stored
            return
        except PieceUnreadable as error:
            self._find(index, stored, f"cannot be read: {error}")
            return
        # (2)
        self._report.attachments += 1
        if sealed.bytes_count > SEALED_BYTES_MAX:
            what = f"cannot be read: it has more than {SEALED_BYTES_MAX:,} bytes"
            self._find(index, stored, what)
            return
        try:
            found = _digest_of(sealed)
        except LogCorrupt as error:
            self._find(index, stored, error.detail)
            return
        if found != stored:
            what = "the sealed attachments were changed"
            self._find(index, stored, what, stored.hex(), found.hex())
        elif self._sealer is not None:
            self._check_content(index, stored, sealed, commitment)

    def _check_content(
        self, index: int, stored: bytes, sealed: SealedBytes, commitment: str | None
    ) -> None:
        assert self._sealer is not None
        # (3)
        try:
            opened = open_attachments(sealed, self._sealer)
            if text_of_digest(opened.commitment) != commitment:
                what = "the attachments are not those that the leaf commits to"
                self._find(index, stored, what)
            if not opened.is_content_kept:
                return
            for attachment in opened.attachments:
                if not is_whole(attachment):
                    self._find(index, stored, "an attachment is not what its manifest says")
        except LogCorrupt as error:
            self._find(index, stored, str(error))

    def _find(
        self, index: int, stored: bytes, what: str, expected: str = "", found: str = ""
    ) -> None:
        place = self._source.attachment_place(stored)
        self._report.add(Finding(index, place, what, expected, found))


def _digest_of(sealed: SealedBytes) -> bytes:
    digest, offset = hashlib.sha256(), 0
    while chunk := sealed.read_at(offset, READ_BYTES):
        digest.update(chunk)
        offset += len(chunk)
        if offset > SEALED_BYTES_MAX:
            raise LogCorrupt(f"cannot be read: it has more than {SEALED_BYTES_MAX:,} bytes")
    return digest.digest()
