"""Verify a log's folder: every stored byte, every entry, the tree and its signed head."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from bus.audit.attachment_checks import AttachmentChecks
from bus.audit.sqlite.byte_checks import Damage, StoredPages, check_pages, check_wal
from bus.audit.sqlite.damage import entries_of_pages
from bus.audit.sqlite.folder import ReadableFolder, bound_work, connect_reading, hold_folder
from bus.audit.tile_checks import TileChecks
from bus.audit.timestamp_checks import TimestampChecks
from bus.core.audit.entry_checks import EntryChecks, Examine, Finding, IndexSet, LogReport
from bus.core.errors import LogUnavailable
from bus.core.log.checkpoint import Checkpoint, CheckpointInvalid, read_checkpoint
from bus.core.log.leaf import text_of_digest
from bus.core.log.merkle import hash_leaf
from bus.core.log.tiles import TILE_WIDTH, TiledTree
from bus.core.ports.message_log import SealedPayload, StoredEntry
from bus.log.files import CHECKPOINT, DATABASE, NOTE_BYTES_MAX, PAGES, VERIFIER_KEY
from bus.log.sealing import Sealer
from bus.runtime.found_files import FileUnfit, read_file
from signing.pki.timestamps import TimestampTrust
from signing.signed_note import KeyTextInvalid, VerifyingKey

Progress = Callable[[int, int], None]
"""Told how many of how many entries are done."""

_GAP_FINDINGS_MAX = 100
_GAPS_MAX = 100_000
"""Missing entries whose hashes are looked for in tiles; whoever signs may speak of any number."""
_ENTRIES = (
    "SELECT idx, leaf, ciphertext, wrapped_key FROM entries LEFT JOIN payloads USING (idx) "
    "ORDER BY idx"
)
_ORPHANS = (
    "SELECT idx FROM payloads WHERE NOT EXISTS (SELECT 1 FROM entries "
    "WHERE entries.idx = payloads.idx) ORDER BY idx"
)


def verify_log(
    folder: Path,
    *,
    checkpoint_key: VerifyingKey | None = None,
    read_key: bytes | None = None,
    timestamp_trust: TimestampTrust | None = None,
    progress: Progress | None = None,
    examine: Examine | None = None,
) -> LogReport:
    """Verify the log in `folder`: live, closed, killed, or a copy; nothing is written into it.

    1. Checkpoint signature, under `checkpoint_key` or else the key that lies in the folder.
    2. Every byte of the database: write-ahead log, pages, page digests.
    3. Every entry: leaf, order, payload, attachments; with `read_key`, what the leaf commits to.
    4. Every tile against the rows; the tree's root against the checkpoint.
    5. Inbox and configuration texts against the entries.
    6. Every timestamp, under `timestamp_trust` or else the anchors that lie in the folder.

    Memory does not grow with the log but by some bits for each entry.
    Raises LogUnavailable: it could not be checked.
    """
    with hold_folder(folder) as readable:
        verification = _Verification(readable, read_key, progress, examine)
        return verification.run(checkpoint_key, timestamp_trust)


class _Verification:
    """One run over one folder."""

    def __init__(
        self,
        readable: ReadableFolder,
        read_key: bytes | None,
        progress: Progress | None,
        examine: Examine | None,
    ) -> None:
        self._readable = readable
        self._folder = readable.folder
        self._progress = progress
        self._report = LogReport()
        sealer = None if read_key is None else Sealer(read_key)
        self._attachments = AttachmentChecks(self._folder, self._report, sealer)
        self._checks = EntryChecks(self._report, sealer=sealer, examine=examine)
        self._has_read_key = read_key is not None
        self._tree = TiledTree()
        self._checkpoint: Checkpoint | None = None
        self._total = 0
        """Rows of entries, as the database counts them."""
        self._plausible_size = 0
        """No number of a row can be as large, unless it is damaged."""
        self._gaps_left = _GAPS_MAX
        self._early: list[Finding] = []
        """Findings about signed files, which belong to the last entry."""

    def run(
        self, checkpoint_key: VerifyingKey | None, timestamp_trust: TimestampTrust | None
    ) -> LogReport:
        # Signed files and tiles first: rows only grow, so that the rows read later cover them.
        key = self._read_key_file(checkpoint_key)
        self._timestamps = self._read_timestamps(key, timestamp_trust)
        self._checkpoint = self._read_checkpoint(key)
        signed_size = 0 if self._checkpoint is None else self._checkpoint.size
        self._report.signed_size = signed_size
        tiles = TileChecks(self._folder, signed_size=signed_size, is_live=self._readable.is_live)
        wal, damages = check_wal(self._readable)
        damages += self._check_pages()
        try:
            with connect_reading(self._readable) as connection:
                self._check_rows(connection, tiles)
        except (sqlite3.Error, UnicodeDecodeError) as error:  # the second: a message about damage
            what = f"the database cannot be read from here on: {error}"
            self._add(Finding(self._tree.size, DATABASE, what))
        self._report.entries = self._tree.size
        self._report.root = self._tree.root()
        self._check_signed_size(signed_size)
        self._name_entries(damages, StoredPages(self._folder, wal))
        self._timestamps.finish(self._tree.size)
        for finding in self._timestamps.findings:
            self._add(finding)
        self._say_levels(checkpoint_key)
        self._sort_findings()
        return self._report

    def _sort_findings(self) -> None:
        """In order of entries; a damaged row may speak of entries that cannot be."""
        last = max(self._tree.size, self._report.signed_size)
        clamped = [
            replace(finding, index=min(max(finding.index, 0), last))
            for finding in self._report.findings
        ]
        self._report.findings = sorted(clamped, key=lambda finding: finding.index)

    # --- signed files -------------------------------------------------------------------------

    def _read_timestamps(
        self, key: VerifyingKey | None, trust: TimestampTrust | None
    ) -> TimestampChecks:
        try:
            return TimestampChecks(self._folder, key, trust)
        except OSError as error:
            raise LogUnavailable(f"{error.filename}: {error.strerror}") from error

    def _read_checkpoint(self, key: VerifyingKey | None) -> Checkpoint | None:
        if key is None:
            return None
        self._report.origin = key.name
        try:
            return read_checkpoint(read_file(self._folder / CHECKPOINT, NOTE_BYTES_MAX), key)
        except FileNotFoundError:
            self._early.append(Finding(0, CHECKPOINT, "the checkpoint is missing"))
        except OSError as error:
            self._early.append(Finding(0, CHECKPOINT, f"cannot be read: {error.strerror}"))
        except CheckpointInvalid as error:
            self._early.append(Finding(0, CHECKPOINT, str(error)))
        return None

    def _read_key_file(self, checkpoint_key: VerifyingKey | None) -> VerifyingKey | None:
        try:
            text = read_file(self._folder / VERIFIER_KEY, NOTE_BYTES_MAX).decode("ascii")
            if not text.endswith("\n"):
                raise KeyTextInvalid("the line does not end")
            stored = VerifyingKey.parse(text[:-1])
        except (OSError, UnicodeDecodeError, KeyTextInvalid) as error:
            why = error.strerror if isinstance(error, OSError) else error
            self._early.append(Finding(0, VERIFIER_KEY, f"the verifier key: {why}"))
            return checkpoint_key
        if checkpoint_key is not None and stored != checkpoint_key:
            found = str(stored)
            what = "another key than the one given"
            self._early.append(Finding(0, VERIFIER_KEY, what, str(checkpoint_key), found))
        return checkpoint_key or stored

    def _check_signed_size(self, signed_size: int) -> None:
        rows = self._tree.size
        if rows < signed_size:
            what = f"{signed_size} entries were signed, {rows} can be read; this is the first one"
            self._add(Finding(rows, DATABASE, what))
        for finding in self._early:
            last = max(rows - 1, 0)
            self._add(Finding(last, finding.file, finding.what, finding.expected, finding.found))

    # --- bytes --------------------------------------------------------------------------------

    def _check_pages(self) -> list[Damage]:
        try:
            self._report.pages, damages = check_pages(self._folder)
        except FileNotFoundError:
            return [Damage(PAGES, (0, 0), "the digests of the pages are missing")]
        except FileUnfit as error:
            return [Damage(PAGES, (0, 0), f"cannot be read: {error.strerror}")]
        return damages

    def _name_entries(self, damages: list[Damage], stored: StoredPages) -> None:
        """Give each damage the entry that it touches, as exactly as its page tells."""
        rows = self._tree.size
        pages = [damage.page for damage in damages if damage.page is not None]
        owners = entries_of_pages(pages, stored.read, rows) if pages else {}
        for damage in damages:
            if damage.page is None:
                index, what = rows, damage.what
            elif damage.page in owners:
                table, index = owners[damage.page]
                if table == "texts":
                    index = min(self._checks.first_citing.values(), default=index)
                what = f"{damage.what}; it holds rows of {table} from entry {index} on"
            else:
                index, what = 0, f"{damage.what}; it holds no row, but what all rows hang on"
            self._add(Finding(index, damage.file, what, byte_range=damage.byte_range))

    # --- rows ---------------------------------------------------------------------------------

    def _check_rows(self, connection: sqlite3.Connection, tiles: TileChecks) -> None:
        bound_work(connection, self._folder)
        connection.execute("BEGIN")
        # count(*) would be counted in one step, which no bound ends.
        (total,) = connection.execute("SELECT coalesce(sum(1), 0) FROM entries").fetchone()
        self._total = total
        self._plausible_size = max(total, self._report.signed_size)
        self._check_signed_root(tiles)
        hashes: list[bytes] = []
        # One row at a time: a payload may be as large as a message.
        for row in connection.execute(_ENTRIES):
            hashes += self._check_row(row, self._tree.size + len(hashes), tiles)
            if len(hashes) >= TILE_WIDTH:
                self._grow(hashes, tiles)
                hashes = []
                if self._progress is not None:
                    self._progress(self._tree.size, total)
        self._grow(hashes, tiles)
        if self._progress is not None:
            self._progress(self._tree.size, total)
        self._checks.finish()
        self._attachments.finish(last=max(self._tree.size - 1, 0))
        for finding in (
            *tiles.check_edge(self._tree.partial_tiles()),
            *tiles.finish(self._tree.size),
        ):
            self._add(finding)
        self._report.tiles = tiles.checked
        self._check_inbox(connection)
        self._check_texts(connection)
        for (index,) in connection.execute(_ORPHANS):
            self._add(Finding(index or 0, DATABASE, "a payload without an entry"))

    def _check_row(self, row: tuple[Any, ...], expected: int, tiles: TileChecks) -> list[bytes]:
        """Check one entry; give its leaf hash, after those of entries missing before it."""
        if not _has_types(row, _ENTRY_TYPES):
            self._add(Finding(expected, DATABASE, "a row does not hold what it should"))
            return []
        index, leaf, ciphertext, wrapped_key = row
        if index < expected:
            self._add(Finding(expected, DATABASE, f"a row bears the earlier number {index}"))
            return []
        if index >= self._plausible_size:
            self._add(Finding(expected, DATABASE, f"the row bears the number {index}"))
            index = expected
        missing = []
        if index - expected > self._gaps_left:
            what = f"{index - expected:,} entries are missing: too many to look for"
            self._add(Finding(expected, DATABASE, what))
            index = expected
        self._gaps_left -= index - expected
        for gap in range(expected, index):
            if gap - expected < _GAP_FINDINGS_MAX:
                self._add(Finding(gap, DATABASE, "the entry is missing"))
            missing.append(tiles.stored_hash(gap))
        sealed = None if ciphertext is None else SealedPayload(ciphertext, wrapped_key)
        self._attachments.check(index, leaf)
        self._checks.check(StoredEntry(index, leaf, sealed))
        self._timestamps.observe(index, leaf, is_last=index == self._total - 1)
        return [*missing, hash_leaf(leaf)]

    def _grow(self, hashes: list[bytes], tiles: TileChecks) -> None:
        """Grow the tree; stop at each size that was signed or stamped to look at its root."""
        start, end = self._tree.size, self._tree.size + len(hashes)
        stops = {*self._timestamps.sizes_between(start, end), end}
        if start < self._report.signed_size < end:
            stops.add(self._report.signed_size)
        for stop in sorted(stops):
            part = hashes[self._tree.size - start : stop - start]
            for finding in tiles.check_full(self._tree.append(part)):
                self._add(finding)
            if part:
                self._check_signed_root(tiles)
                self._timestamps.check_root(stop, self._tree.root())

    def _check_signed_root(self, tiles: TileChecks) -> None:
        checkpoint = self._checkpoint
        if checkpoint is None or checkpoint.size != self._tree.size:
            return
        for finding in tiles.check_signed_edge(self._tree.partial_tiles()):
            self._add(finding)
        root = self._tree.root()
        if root != checkpoint.root:
            what = f"the signed root of the first {checkpoint.size} entries is not theirs"
            last = max(checkpoint.size - 1, 0)
            self._add(Finding(last, CHECKPOINT, what, checkpoint.root.hex(), root.hex()))

    def _check_inbox(self, connection: sqlite3.Connection) -> None:
        rows = connection.execute("SELECT received_idx, outcome_idx, state FROM inbox")
        for row in rows:
            if not _has_types(row, _INBOX_TYPES):
                self._add(Finding(0, DATABASE, "an inbox row does not hold what it should"))
                continue
            received, outcome, state = row
            if received not in self._checks.received:
                self._add(Finding(received, DATABASE, "an inbox row names it as received"))
            if outcome is not None and not self._is_settling(outcome, received):
                self._add(Finding(outcome, DATABASE, "an inbox row names it as an outcome"))
            if state not in (0, 1, 2) or (outcome is None) != (state == 0):
                self._add(Finding(received, DATABASE, f"its inbox row has the state {state}"))

    def _is_settling(self, outcome: int, received: int) -> bool:
        outcomes: IndexSet = self._checks.outcomes
        return outcome > received and outcome in outcomes

    def _check_texts(self, connection: sqlite3.Connection) -> None:
        cited = self._checks.first_citing
        kept = set()
        for row in connection.execute("SELECT digest, text FROM texts"):
            if not _has_types(row, _TEXT_TYPES):
                self._add(Finding(0, DATABASE, "a configuration text is not stored as bytes"))
                continue
            digest, text = row
            name = text_of_digest(digest)
            kept.add(name)
            if hashlib.sha256(text).digest() != digest:
                index = cited.get(name, 0)
                self._add(Finding(index, DATABASE, "the configuration text was changed"))
        for name, index in cited.items():
            if name not in kept:
                what = f"judged by a configuration that is not kept: {name}"
                self._add(Finding(index, DATABASE, what))

    def _say_levels(self, checkpoint_key: VerifyingKey | None) -> None:
        whose = "the key given" if checkpoint_key is not None else "the key in the folder itself"
        payloads = "opened and compared" if self._has_read_key else "sealed bytes only"
        self._report.levels += [
            "every byte of the database and of the attachments",
            "every leaf, its order and its tile",
            f"checkpoint under {whose}",
            f"payloads: {payloads}",
            *self._timestamps.levels(self._tree.size),
        ]

    def _add(self, finding: Finding) -> None:
        self._report.add(finding)


_ENTRY_TYPES = ((int,), (bytes,), (bytes, type(None)), (bytes, type(None)))
_INBOX_TYPES = ((int,), (int, type(None)), (int,))
_TEXT_TYPES = ((bytes,), (bytes,))


def _has_types(row: tuple[Any, ...], types: tuple[tuple[type, ...], ...]) -> bool:
    """A damaged row may hold anything in any column, and half a payload."""
    is_typed = all(type(value) in allowed for value, allowed in zip(row, types, strict=True))
    return is_typed and (len(row) < 4 or (row[2] is None) == (row[3] is None))
