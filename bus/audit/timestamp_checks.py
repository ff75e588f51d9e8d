"""Check the timestamps that lie in a log: each token, its checkpoint, its place in the log."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.serialization import Encoding

from bus.core.log.checkpoint import Checkpoint, CheckpointInvalid, read_checkpoint
from bus.core.log.findings import Finding
from bus.core.log.leaf import LeafInvalid, read_leaf
from bus.core.ports.log_source import (
    LogSource,
    PieceMissing,
    PieceUnreadable,
    StampedNote,
    StoredToken,
)
from signing.errors import KeyUnusableError
from signing.pki.keys import load_certificates
from signing.pki.timestamps import (
    Timestamp,
    TimestampInvalid,
    TimestampTrust,
    verify_timestamp,
)
from signing.signed_note import VerifyingKey

GAP_SECONDS_MAX = 4 * 3600
"""Entries that stood longer without a timestamp are a finding; the default bound of a hub."""
CLOCK_SECONDS_MAX = 60
"""How far a hub's clock may be ahead of the authority's."""


@dataclass(frozen=True, slots=True)
class _Stamped:
    """A token that holds, over a checkpoint that holds."""

    file: StoredToken
    timestamp: Timestamp


class TimestampChecks:
    """Checks what is kept of timestamps, then what the rows say about it.

    1. Every file bears a name of ours, and a token the digest that its name tells.
    2. Every checkpoint is signed under the log's key.
    3. Every token is one of an authority we trust, as of its time, over that checkpoint.
    4. A larger checkpoint has no earlier time.
    5. The checkpoint's root is that of the rows: `check_root`.
    6. No entry that a token covers was written after the token's time: `observe`.
    7. No entry stood without a timestamp for too long: `finish`.
    """

    def __init__(
        self, source: LogSource, key: VerifyingKey | None, trust: TimestampTrust | None
    ) -> None:
        """`trust` stands in for the anchors that lie in the log."""
        self.findings: list[Finding] = []
        self._source = source
        self._stored = source.timestamps()
        self._roots: dict[int, tuple[StampedNote, Checkpoint]] = {}
        self._check_names()
        self._check_notes(key)
        self._is_own_trust = trust is None
        self._trust = trust or self._own_anchors()
        self._stamped = list(self._check_tokens(self._stored.tokens))
        self._check_order()
        self._sizes = sorted(self._roots)
        covered = [one.file.size for one in self._stamped]
        self._wanted = {size - 1 for size in covered} | set(covered)
        self._times: dict[int, datetime] = {}
        """Of entries at the edge of what a token covers."""
        self._last_time: datetime | None = None

    # --- files ----------------------------------------------------------------------------------

    def _check_names(self) -> None:
        for stranger in self._stored.strangers:
            self._find(0, stranger.place, stranger.why)

    def _check_notes(self, key: VerifyingKey | None) -> None:
        for file in self._stored.notes:
            if key is None:
                return
            try:
                checkpoint = read_checkpoint(self._source.timestamp_piece(file.place), key)
            except (CheckpointInvalid, PieceUnreadable) as error:
                self._find(file.size - 1, file.place, _words(error))
                continue
            if checkpoint.size != file.size:
                self._find(file.size - 1, file.place, f"it covers {checkpoint.size} entries")
                continue
            self._roots[file.size] = (file, checkpoint)

    def _own_anchors(self) -> TimestampTrust:
        anchors: list[bytes] = []
        for file in self._stored.anchors:
            try:
                raw = self._source.timestamp_piece(file.place)
                if not _is_named_after(raw, file.digits):
                    what = "the file was changed: it is not the one that its name tells"
                    self._find(0, file.place, what)
                    continue
                anchors += [one.public_bytes(Encoding.DER) for one in load_certificates(raw)]
            except (KeyUnusableError, PieceUnreadable) as error:
                self._find(0, file.place, _words(error))
        return TimestampTrust(anchors)

    def _check_tokens(self, files: Iterable[StoredToken]) -> Iterator[_Stamped]:
        for file in files:
            try:
                yield _Stamped(file, self._check_token(file))
            except (TimestampInvalid, PieceUnreadable) as error:
                self._find(file.size - 1, file.place, _words(error))

    def _check_token(self, file: StoredToken) -> Timestamp:
        response = self._source.timestamp_piece(file.place)
        if not _is_named_after(response, file.digits):
            raise TimestampInvalid("the file was changed: it is not the one that its name tells")
        try:
            note = self._source.timestamp_piece(file.note_place)
        except PieceMissing as error:
            what = f"{file.note_place.rpartition('/')[2]}, which it was made for, is missing"
            raise TimestampInvalid(what) from error
        timestamp = verify_timestamp(response, note, self._trust)
        if timestamp.time.strftime("%Y-%m-%d") != file.day:
            raise TimestampInvalid(f"it was made on another day: {timestamp.time.isoformat()}")
        return timestamp

    def _check_order(self) -> None:
        for earlier, later in zip(self._stamped, self._stamped[1:], strict=False):
            first, second = earlier.timestamp, later.timestamp
            if second.time + second.accuracy < first.time - first.accuracy:
                what = "a larger checkpoint has an earlier time than the one before"
                expected, found = f"after {first.time.isoformat()}", second.time.isoformat()
                self._find(later.file.size - 1, later.file.place, what, expected, found)

    # --- rows -----------------------------------------------------------------------------------

    def sizes_between(self, start: int, end: int) -> list[int]:
        """The sizes above `start` and up to `end` at which the tree's root is wanted."""
        return self._sizes[bisect_right(self._sizes, start) : bisect_right(self._sizes, end)]

    def check_root(self, size: int, root: bytes) -> None:
        """Compare the tree's root over `size` entries with a checkpoint that is kept for them."""
        if size not in self._roots:
            return
        file, checkpoint = self._roots[size]
        if checkpoint.root != root:
            what = f"the root of the first {size} entries is not theirs"
            self._find(size - 1, file.place, what, checkpoint.root.hex(), root.hex())

    def observe(self, index: int, leaf: bytes, *, is_last: bool) -> None:
        """Look at an entry's time where it matters."""
        if index not in self._wanted and not is_last:
            return
        try:
            time = read_leaf(leaf).time
        except LeafInvalid:
            return  # found by whoever checks leaves
        self._times[index] = time
        if is_last:
            self._last_time = time

    def finish(self, entries: int) -> None:
        """Add what only the whole log tells."""
        for size, (file, _) in self._roots.items():
            if size > entries:
                what = f"it covers {size} entries, {entries} can be read"
                self._find(max(entries - 1, 0), file.place, what)
        slack = timedelta(seconds=CLOCK_SECONDS_MAX)
        for one in self._stamped:
            last = self._times.get(one.file.size - 1)
            if last is not None and one.timestamp.time + one.timestamp.accuracy + slack < last:
                what = "it was made before the last entry that it covers"
                expected, found = f"after {last.isoformat()}", one.timestamp.time.isoformat()
                self._find(one.file.size - 1, one.file.place, what, expected, found)
        for size, waited in self._gaps():
            if waited > timedelta(seconds=GAP_SECONDS_MAX):
                what = f"from this entry on none had a timestamp for {_hours(waited)}"
                self._find(size, self._source.places.timestamps, what)

    def _gaps(self) -> Iterator[tuple[int, timedelta]]:
        """The first entry without a timestamp after each token, and how long it waited for one."""
        ends = [*(one.timestamp.time for one in self._stamped[1:]), self._last_time]
        for one, end in zip(self._stamped, ends, strict=False):
            first = self._times.get(one.file.size)
            if first is not None and end is not None:
                yield one.file.size, end - first

    def levels(self, entries: int) -> Iterator[str]:
        """What was checked, in words."""
        if not self._stamped:
            yield "timestamps: none"
            return
        whose = "lie in the folder itself" if self._is_own_trust else "were given"
        last = self._stamped[-1]
        waiting = max(entries - last.file.size, 0)
        longest = max((waited for _, waited in self._gaps()), default=timedelta(0))
        yield (
            f"timestamps: {len(self._stamped):,} under anchors that {whose}, the last over "
            f"{last.file.size:,} entries at {last.timestamp.time.isoformat()}"
        )
        yield f"  without one: {waiting:,} entries at the end; longest wait {_hours(longest)}"

    def _find(self, index: int, place: str, what: str, expected: str = "", found: str = "") -> None:
        self.findings.append(Finding(max(index, 0), place, what, expected, found))


def _words(error: Exception) -> str:
    return f"cannot be read: {error}" if isinstance(error, PieceUnreadable) else str(error)


def _is_named_after(content: bytes, digits: str) -> bool:
    return hashlib.sha256(content).hexdigest().startswith(digits)


def _hours(wait: timedelta) -> str:
    return str(timedelta(seconds=max(int(wait.total_seconds()), 0)))
