"""Verify a log, wherever it lies: every stored byte, every entry, the tree and its signed head."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

from bus.audit.attachment_checks import AttachmentChecks
from bus.audit.checks.entry_checks import EntryChecks, Examine, LogReport
from bus.audit.checks.receipt_rows import is_explained
from bus.audit.tile_checks import TileChecks
from bus.audit.timestamp_checks import TimestampChecks
from bus.core.log.checkpoint import Checkpoint, CheckpointInvalid, read_checkpoint
from bus.core.log.findings import Finding
from bus.core.log.leaf import text_of_digest
from bus.core.log.merkle import hash_leaf
from bus.core.log.tiles import TILE_WIDTH, TiledTree
from bus.core.ports.log_source import (
    LogRows,
    LogSource,
    PieceMissing,
    PieceUnreadable,
    RowsLost,
    StorageCheck,
)
from bus.core.ports.message_log import StoredEntry
from bus.log.sealing import Sealer
from signing.pki.timestamps import TimestampTrust
from signing.signed_note import KeyTextInvalid, VerifyingKey

Progress = Callable[[int, int], None]
"""Told how many of how many entries are done."""

_ACCEPTED = 3
"""State of an inbox row: the entry that received the message is its answer."""
_GAP_FINDINGS_MAX = 100
_GAPS_MAX = 100_000
"""Missing entries whose hashes are looked for in tiles; whoever signs may speak of any number."""


def verify_source(
    source: LogSource,
    *,
    checkpoint_key: VerifyingKey | None = None,
    read_key: bytes | None = None,
    timestamp_trust: TimestampTrust | None = None,
    progress: Progress | None = None,
    examine: Examine | None = None,
) -> LogReport:
    """Verify the log that `source` is.

    1. Checkpoint signature, under `checkpoint_key` or else the key that lies in the log.
    2. Every byte of its storage, as far as the source knows it.
    3. Every entry: leaf, order, payload, attachments; with `read_key`, what the leaf commits to.
    4. Every tile against the rows; the tree's root against the checkpoint.
    5. Inbox, open deliveries and configuration texts against the entries.
    6. Every timestamp, under `timestamp_trust` or else the anchors that lie in the log.

    Memory does not grow with the log but by some bytes for each entry, and for each open delivery.
    Raises LogUnavailable: it could not be checked.
    """
    verification = _Verification(source, read_key, progress, examine)
    return verification.run(checkpoint_key, timestamp_trust)


class _Verification:
    """One run over one log."""

    def __init__(
        self,
        source: LogSource,
        read_key: bytes | None,
        progress: Progress | None,
        examine: Examine | None,
    ) -> None:
        self._source = source
        self._places = source.places
        self._progress = progress
        self._report = LogReport()
        sealer = None if read_key is None else Sealer(read_key)
        self._attachments = AttachmentChecks(source, self._report, sealer)
        self._checks = EntryChecks(
            self._report, sealer=sealer, examine=examine, place=self._places.rows
        )
        self._has_read_key = read_key is not None
        self._tree = TiledTree()
        self._checkpoint: Checkpoint | None = None
        self._total = 0
        """Rows of entries, as the source counts them."""
        self._plausible_size = 0
        """No number of a row can be as large, unless it is damaged."""
        self._gaps_left = _GAPS_MAX
        self._early: list[Finding] = []
        """Findings about signed pieces, which belong to the last entry."""

    def run(
        self, checkpoint_key: VerifyingKey | None, timestamp_trust: TimestampTrust | None
    ) -> LogReport:
        # What is signed, and tiles, first: rows only grow, so that the rows read later cover them.
        key = self._read_key(checkpoint_key)
        self._timestamps = TimestampChecks(self._source, key, timestamp_trust)
        self._checkpoint = self._read_checkpoint(key)
        signed_size = 0 if self._checkpoint is None else self._checkpoint.size
        self._report.signed_size = signed_size
        tiles = TileChecks(self._source, signed_size=signed_size)
        storage = self._source.check_storage()
        self._report.pages = storage.checked
        try:
            with self._source.rows() as rows:
                self._check_rows(rows, tiles)
        except RowsLost as error:
            self._add(Finding(self._tree.size, self._places.rows, str(error)))
        self._report.entries = self._tree.size
        self._report.root = self._tree.root()
        self._check_signed_size(signed_size)
        first_citing = min(self._checks.first_citing.values(), default=None)
        for finding in storage.findings(self._tree.size, first_citing):
            self._add(finding)
        self._timestamps.finish(self._tree.size)
        for finding in self._timestamps.findings:
            self._add(finding)
        self._say_levels(checkpoint_key, storage)
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

    # --- what is signed -----------------------------------------------------------------------

    def _read_checkpoint(self, key: VerifyingKey | None) -> Checkpoint | None:
        if key is None:
            return None
        self._report.origin = key.name
        try:
            return read_checkpoint(self._source.checkpoint(), key)
        except PieceMissing:
            what = "the checkpoint is missing"
        except PieceUnreadable as error:
            what = f"cannot be read: {error}"
        except CheckpointInvalid as error:
            what = str(error)
        self._early.append(Finding(0, self._places.checkpoint, what))
        return None

    def _read_key(self, checkpoint_key: VerifyingKey | None) -> VerifyingKey | None:
        place = self._places.verifier_key
        try:
            text = self._source.verifier_key().decode("ascii")
            if not text.endswith("\n"):
                raise KeyTextInvalid("the line does not end")
            stored = VerifyingKey.parse(text[:-1])
        except (PieceUnreadable, UnicodeDecodeError, KeyTextInvalid) as error:
            self._early.append(Finding(0, place, f"the verifier key: {error}"))
            return checkpoint_key
        if checkpoint_key is not None and stored != checkpoint_key:
            found = str(stored)
            what = "another key than the one given"
            self._early.append(Finding(0, place, what, str(checkpoint_key), found))
        return checkpoint_key or stored

    def _check_signed_size(self, signed_size: int) -> None:
        rows = self._tree.size
        if rows < signed_size:
            what = f"{signed_size} entries were signed, {rows} can be read; this is the first one"
            self._find(rows, what)
        for finding in self._early:
            last = max(rows - 1, 0)
            self._add(Finding(last, finding.file, finding.what, finding.expected, finding.found))

    # --- rows ---------------------------------------------------------------------------------

    def _check_rows(self, rows: LogRows, tiles: TileChecks) -> None:
        self._total = total = rows.count()
        self._plausible_size = max(total, self._report.signed_size)
        self._check_signed_root(tiles)
        hashes: list[bytes] = []
        for entry in rows.scan():
            hashes += self._check_row(entry, self._tree.size + len(hashes), tiles)
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
        self._check_inbox(rows)
        self._check_deliveries(rows)
        self._check_receipts(rows)
        self._check_texts(rows)
        for index in rows.orphans():
            self._find(index, "a payload without an entry")

    def _check_row(
        self, entry: StoredEntry | None, expected: int, tiles: TileChecks
    ) -> list[bytes]:
        """Check one entry; give its leaf hash, after those of entries missing before it."""
        if entry is None:
            self._find(expected, "a row does not hold what it should")
            return []
        index, leaf = entry.index, entry.leaf
        if index < expected:
            self._find(expected, f"a row bears the earlier number {index}")
            return []
        if index >= self._plausible_size:
            self._find(expected, f"the row bears the number {index}")
            index = expected
        missing = []
        if index - expected > self._gaps_left:
            what = f"{index - expected:,} entries are missing: too many to look for"
            self._find(expected, what)
            index = expected
        self._gaps_left -= index - expected
        for gap in range(expected, index):
            if gap - expected < _GAP_FINDINGS_MAX:
                self._find(gap, "the entry is missing")
            missing.append(tiles.stored_hash(gap))
        self._attachments.check(index, leaf)
        self._checks.check(replace(entry, index=index))
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
            place = self._places.checkpoint
            self._add(Finding(last, place, what, checkpoint.root.hex(), root.hex()))

    def _check_inbox(self, rows: LogRows) -> None:
        for row in rows.inbox():
            if row is None:
                self._find(0, "an inbox row does not hold what it should")
                continue
            if row.received not in self._checks.received:
                self._find(row.received, "an inbox row names it as received")
            outcomes = self._checks.outcomes
            if row.outcome is not None and not outcomes.is_of(row.outcome, row.received):
                what = f"an inbox row names it as an outcome of entry {row.received}"
                self._find(row.outcome, what)
            is_accepted = row.state == _ACCEPTED
            if row.state not in range(4) or (row.outcome is None) != (row.state in (0, _ACCEPTED)):
                self._find(row.received, f"its inbox row has the state {row.state}")
            elif is_accepted != self._checks.conservation.is_submission(row.received):
                told = "accepted for delivery" if is_accepted else f"a query, of state {row.state}"
                self._find(row.received, f"its inbox row says that it is {told}")

    def _check_deliveries(self, rows: LogRows) -> None:
        conservation = self._checks.conservation
        for row in rows.deliveries():
            if row is None:
                self._find(0, "the row of a delivery does not hold what it should")
                continue
            for finding in conservation.compare(row):
                self._add(finding)
        for finding in conservation.finish():
            self._add(finding)

    def _check_receipts(self, rows: LogRows) -> None:
        for row in rows.receipts():
            if row is None:
                self._find(0, "the row of a receipt does not hold what it should")
            elif not is_explained(row, rows):
                what = f"a receipt says that delivery {row.position} of entry {row.received} ended"
                self._find(row.entry, f"{what} with it, and it is not so, or the sender is another")

    def _check_texts(self, rows: LogRows) -> None:
        cited = self._checks.first_citing
        kept = set()
        for row in rows.texts():
            if row is None:
                self._find(0, "a configuration text is not stored as bytes")
                continue
            digest, text = row
            name = text_of_digest(digest)
            kept.add(name)
            if hashlib.sha256(text).digest() != digest:
                index = cited.get(name, 0)
                self._find(index, "the configuration text was changed")
        for name, index in cited.items():
            if name not in kept:
                what = f"judged by a configuration that is not kept: {name}"
                self._find(index, what)

    def _say_levels(self, checkpoint_key: VerifyingKey | None, storage: StorageCheck) -> None:
        whose = "the key given" if checkpoint_key is not None else "the key in the folder itself"
        payloads = "opened and compared" if self._has_read_key else "sealed bytes only"
        self._report.levels += [
            storage.level,
            "every leaf, its order and its tile",
            f"checkpoint under {whose}",
            f"payloads: {payloads}",
            *self._timestamps.levels(self._tree.size),
        ]

    def _find(self, index: int, what: str) -> None:
        """Something is wrong with rows."""
        self._add(Finding(index, self._places.rows, what))

    def _add(self, finding: Finding) -> None:
        self._report.add(finding)
