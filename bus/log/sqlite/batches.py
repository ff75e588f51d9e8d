"""Commit a batch of writes in one statement, which is a transaction of its own.

Each step of a statement gives up the interpreter, and getting it back beside a busy event loop
can take milliseconds. Hence one statement for a batch: its rows go into a view of the writing
connection's own, whose trigger puts each into the tables. The widths of its row list are powers of
two, filled up with NULL, so that a handful of prepared statements serves every batch. A batch that
concerns deliveries goes into a wider view: one row for an entry with what it does to one delivery,
further rows for what it does to others.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from bus.core.deliveries import Changed, DeliveryChange, DeliveryState, ReceiptRemoval
from bus.core.ports.entry_store import CommitResult, Fenced
from bus.core.ports.message_log import AlreadyTaken, Appended, Claim, InboxState, LogWrite
from bus.log.row_plan import RowPlan, RowStep, Work
from bus.log.row_values import (
    INBOX_STATE_OF_NUMBER,
    NUMBER_OF_INBOX_STATE,
    ROW_COLUMNS,
    values_of,
)
from bus.log.sqlite.plan_reading import read_plan

RECEIPT_KIND = 0
"""Of what lies in a mailbox: that a delivery of its owner ended, whose number is that of the
entry."""
OPEN_NUMBER = NUMBER_OF_INBOX_STATE[InboxState.OPEN]

_FENCED = "fenced"
_MOVED = "moved"
_ENTRY_COLUMNS = (
    "idx",
    "leaf",
    "ciphertext",
    "wrapped_key",
    "claimed_key",
    "claimed_digest",
    "claimed_state",
    "settled_key",
    "settled_idx",
    "settled_state",
    "erased_idx",
)
_NO_ENTRY = (None,) * len(_ENTRY_COLUMNS)
_STEP_COLUMNS = ("carried", "carried_key", "receipt_for", "seen_version", "goes", *ROW_COLUMNS)
_NO_STEP = (None,) * len(_STEP_COLUMNS)
_VIEWS = {
    "batch": (*_ENTRY_COLUMNS, "epoch"),
    "mixed": (*_ENTRY_COLUMNS, *_STEP_COLUMNS, "epoch"),
}
_ROWS_MAX = 512
"""Rows of one statement: SQLite takes 32,766 values."""
# The fence is looked at with the first row of a batch. A claim that takes over a message which may
# be sent again replaces the row of the first one. What is settled is found by the entry that
# received it, where that is known, or by its key, also if it was claimed in this very batch.
_FENCE = f"""
    SELECT RAISE(ABORT, '{_FENCED}') WHERE NEW.epoch IS NOT NULL
        AND NEW.epoch IS NOT (SELECT value FROM meta WHERE name = 'epoch');
"""  # noqa: S608 - nothing but names of ours
_ENTRY = """
    INSERT INTO entries SELECT NEW.idx, NEW.leaf WHERE NEW.idx IS NOT NULL;
    INSERT INTO payloads SELECT NEW.idx, NEW.ciphertext, NEW.wrapped_key
        WHERE NEW.ciphertext IS NOT NULL;
    INSERT OR REPLACE INTO inbox
        SELECT NEW.idx, NEW.claimed_key, NEW.claimed_digest, NEW.claimed_state, NULL
        WHERE NEW.claimed_key IS NOT NULL;
    UPDATE inbox SET state = NEW.settled_state, outcome_idx = NEW.idx
        WHERE received_idx = NEW.settled_idx;
    UPDATE inbox SET state = NEW.settled_state, outcome_idx = NEW.idx
        WHERE NEW.settled_idx IS NULL AND key = NEW.settled_key;
    DELETE FROM payloads WHERE idx = NEW.erased_idx;
"""
# A row must be as it was seen; what is kept for a message's deliveries goes with the last of them.
_STEP = f"""
    SELECT RAISE(ABORT, '{_MOVED}') WHERE NEW.seen_version IS NOT NULL
        AND NEW.seen_version IS NOT (SELECT version FROM deliveries
            WHERE received_idx = NEW.received_idx AND position = NEW.position);
    INSERT OR REPLACE INTO deliveries
        SELECT {", ".join(f"NEW.{name}" for name in ROW_COLUMNS)} WHERE NEW.goes = 0;
    DELETE FROM deliveries
        WHERE received_idx = NEW.received_idx AND position = NEW.position AND NEW.goes = 1;
    DELETE FROM carried WHERE received_idx = NEW.received_idx AND NEW.goes = 1
        AND NOT EXISTS (SELECT 1 FROM deliveries WHERE received_idx = NEW.received_idx);
    INSERT INTO carried SELECT NEW.idx, NEW.carried, NEW.carried_key WHERE NEW.carried IS NOT NULL;
    INSERT INTO related SELECT NEW.received_idx, NEW.idx
        WHERE NEW.idx IS NOT NULL AND NEW.seen_version IS NOT NULL;
    INSERT INTO mailbox SELECT NEW.receipt_for, NEW.idx, {RECEIPT_KIND}, NEW.received_idx,
        NEW.position, NEW.idx WHERE NEW.receipt_for IS NOT NULL;
"""  # noqa: S608 - nothing but names of ours
_PREPARATION = f"""
CREATE TEMP VIEW batch AS SELECT {", ".join(f"NULL AS {name}" for name in _VIEWS["batch"])};
CREATE TEMP TRIGGER batch_row INSTEAD OF INSERT ON batch WHEN NEW.idx IS NOT NULL
BEGIN {_FENCE} {_ENTRY} END;
CREATE TEMP VIEW mixed AS SELECT {", ".join(f"NULL AS {name}" for name in _VIEWS["mixed"])};
CREATE TEMP TRIGGER mixed_row INSTEAD OF INSERT ON mixed
WHEN NEW.idx IS NOT NULL OR NEW.goes IS NOT NULL
BEGIN {_FENCE} {_ENTRY} {_STEP} END;
"""


class _Overtaken(Exception):
    """A row of a delivery is not as it was seen; nothing was done."""


@dataclass(slots=True)
class _Taken:
    """An inbox row as it is when the batch comes to it."""

    digest: bytes
    state: InboxState
    received_index: int
    outcome_index: int | None


OpenClaims = dict[bytes, int]
"""Keys of claims without an outcome, to the entry that received them: as many as are in work."""


def prepare_batches(connection: sqlite3.Connection) -> None:
    """Make ready the connection that writes. Nothing of it is in a file. Raises sqlite3.Error."""
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.executescript(_PREPARATION)


def commit_batch(
    connection: sqlite3.Connection,
    works: Sequence[Work],
    next_index: int,
    epoch: int,
    open_claims: OpenClaims,
) -> list[CommitResult]:
    """Append and change `works` from `next_index` on; when this returns, all of it is on disk and
    synced.

    `open_claims` only spares a search for each settlement: a claim that is not in it is searched.
    Raises sqlite3.Error and Fenced; then nothing of it was done.
    """
    plan = None if all(map(_is_plain, works)) else read_plan(connection, works)
    try:
        batch = _Batch(_read_claims(connection, works), open_claims, plan, next_index)
        batch.take(works)
        _insert(connection, batch, epoch)
    except _Overtaken:
        plan = read_plan(connection, works, is_exact=True)
        batch = _Batch(_read_claims(connection, works), open_claims, plan, next_index)
        batch.take(works)
        _insert(connection, batch, epoch)
    for write, index in batch.appended:
        _note_open(open_claims, write, index)
    return batch.results


def _is_plain(work: Work) -> bool:
    """It concerns no delivery."""
    return isinstance(work, LogWrite) and not (work.deliveries or work.change or work.carried)


def _note_open(open_claims: OpenClaims, write: LogWrite, index: int) -> None:
    if write.claim is not None and write.claim.state is InboxState.OPEN:
        open_claims[write.claim.key] = index
    if write.settlement is not None:
        open_claims.pop(write.settlement.key, None)


class _Batch:
    """Turns works into rows of a view, one after the other."""

    __slots__ = ("_next_index", "_open_claims", "_plan", "_taken", "appended", "results", "rows")

    def __init__(
        self,
        taken: dict[bytes, _Taken],
        open_claims: OpenClaims,
        plan: RowPlan | None,
        next_index: int,
    ) -> None:
        """Without a plan, no work concerns a delivery."""
        self._taken = taken
        self._open_claims = open_claims
        self._plan = plan
        self._next_index = next_index
        self.rows: list[tuple[Any, ...]] = []
        """Their values, in all columns but the last."""
        self.results: list[CommitResult] = []
        self.appended: list[tuple[LogWrite, int]] = []

    @property
    def view(self) -> str:
        """Into which the rows go."""
        return "batch" if self._plan is None else "mixed"

    def take(self, works: Sequence[Work]) -> None:
        """Take every work that is not refused."""
        for work in works:
            if self._plan is None:
                assert isinstance(work, LogWrite)
                self.results.append(self._refusal(work) or self._append(work))
            else:
                self.results.append(self._take_with_rows(work, self._plan))

    def _refusal(self, write: LogWrite) -> AlreadyTaken | None:
        return _claim(write.claim, self._taken, self._next_index) if write.claim else None

    def _append(self, write: LogWrite) -> Appended:
        index = self._next_index
        self._next_index += 1
        self.rows.append(_entry_values(write, index, self._taken, self._open_claims))
        self.appended.append((write, index))
        return Appended(index)

    def _take_with_rows(self, work: Work, plan: RowPlan) -> CommitResult:
        change = work if isinstance(work, DeliveryChange) else work.change
        refusal: CommitResult | None = plan.moved(change) if change else None
        if isinstance(work, LogWrite):
            refusal = refusal or self._refusal(work)
        if refusal is not None:
            return refusal
        steps = plan.apply(change) if change else []
        freed = steps[1].row.key if len(steps) > 1 else None
        if isinstance(work, DeliveryChange):
            self.rows += [_NO_ENTRY + _step_values(step) for step in steps]
            return Changed(None if steps[0].goes else steps[0].row, freed)
        index = self._append(work).index
        new = plan.add(index, work.deliveries)
        self._join(work, [*steps, *new])
        return Appended(index, _blocked(new), freed)

    def _join(self, write: LogWrite, steps: list[RowStep]) -> None:
        """The first step shares the row of the entry that was just appended."""
        entry = self.rows.pop()
        first, *others = map(_step_values, steps) if steps else [_NO_STEP]
        if write.carried is not None and write.deliveries:
            first = (write.carried.ciphertext, write.carried.wrapped_key, *first[2:])
        if write.receipt_for:
            first = (*first[:2], write.receipt_for, *first[3:])
        self.rows.append(entry + first)
        self.rows += [_NO_ENTRY + other for other in others]


def _blocked(steps: Sequence[RowStep]) -> tuple[int, ...]:
    blocked = DeliveryState.BLOCKED
    return tuple(step.row.key.position for step in steps if step.row.delivery.state is blocked)


def _step_values(step: RowStep) -> tuple[Any, ...]:
    return (None, None, None, step.seen_version, step.goes, *values_of(step.row))


def insert_text(connection: sqlite3.Connection, text: bytes) -> bytes:
    """Keep a text under its SHA-256, once; give the digest. Raises sqlite3.Error."""
    digest = hashlib.sha256(text).digest()
    connection.execute("INSERT OR IGNORE INTO texts VALUES (?, ?)", (digest, text))
    return digest


def delete_receipts(connection: sqlite3.Connection, removal: ReceiptRemoval, epoch: int) -> int:
    """Remove receipts in a transaction; give how many lay there. Raises sqlite3.Error, Fenced."""
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        rewrite_epoch(connection, epoch)
        sender = removal.sender
        removed = connection.execute(_RECEIPTS_BELOW, (sender, removal.below)).rowcount
        for entry in removal.entries:
            removed += connection.execute(_RECEIPT_GOES, (sender, entry)).rowcount
        return removed


_RECEIPTS_BELOW = "DELETE FROM mailbox WHERE recipient = ? AND number < ?"
_RECEIPT_GOES = "DELETE FROM mailbox WHERE recipient = ? AND number = ?"


def rewrite_epoch(connection: sqlite3.Connection, epoch: int) -> None:
    """Write the epoch as it stands, synced. Raises sqlite3.Error, Fenced: it is another's."""
    same = "UPDATE meta SET value = value WHERE name = 'epoch' AND value = ?"
    if not connection.execute(same, (epoch,)).rowcount:
        raise Fenced("another hub took over this log")


def _read_claims(connection: sqlite3.Connection, works: Sequence[Work]) -> dict[bytes, _Taken]:
    """The inbox rows that the claims of a batch meet. Nobody writes between this and the insert:
    whoever did would have raised the fence."""
    keys: list[bytes | None] = [
        work.claim.key for work in works if isinstance(work, LogWrite) and work.claim
    ]
    if not keys:
        return {}
    width = _width(len(keys))
    keys += [None] * (width - len(keys))
    return {
        key: _Taken(digest, INBOX_STATE_OF_NUMBER[state], received_index, outcome_index)
        for key, digest, state, received_index, outcome_index in connection.execute(
            _claims_statement(width), keys
        )
    }


def _claim(claim: Claim, taken: dict[bytes, _Taken], index: int) -> AlreadyTaken | None:
    row = taken.get(claim.key)
    if row is not None:
        is_same_digest = row.digest == claim.digest
        if not (is_same_digest and row.state is InboxState.RETRYABLE):
            return AlreadyTaken(is_same_digest, row.state, row.received_index, row.outcome_index)
    taken[claim.key] = _Taken(claim.digest, claim.state, index, None)
    return None


def _entry_values(
    write: LogWrite, index: int, taken: dict[bytes, _Taken], open_claims: OpenClaims
) -> tuple[Any, ...]:
    sealed, claim, settlement = write.sealed, write.claim, write.settlement
    ciphertext, wrapped_key = (sealed.ciphertext, sealed.wrapped_key) if sealed else (None, None)
    claimed_key = claimed_digest = claimed_state = None
    if claim is not None:
        claimed_key, claimed_digest = claim.key, claim.digest
        claimed_state = NUMBER_OF_INBOX_STATE[claim.state]
    settled_key = settled_index = settled_state = None
    if settlement is not None:
        settled_key = settlement.key
        settled_index = open_claims.get(settled_key)
        settled_state = NUMBER_OF_INBOX_STATE[settlement.state]
        row = taken.get(settled_key)
        if row is not None:  # for whoever claims it behind this in the batch
            row.state, row.outcome_index = settlement.state, index
    return (
        index,
        write.leaf,
        ciphertext,
        wrapped_key,
        claimed_key,
        claimed_digest,
        claimed_state,
        settled_key,
        settled_index,
        settled_state,
        write.erases,
    )


def _insert(connection: sqlite3.Connection, batch: _Batch, epoch: int) -> None:
    rows = batch.rows
    if not rows:
        return
    if len(rows) <= _ROWS_MAX:
        _insert_rows(connection, batch.view, rows, epoch)
        return
    # More than one statement takes: the same in a transaction of several.
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        for start in range(0, len(rows), _ROWS_MAX):
            _insert_rows(connection, batch.view, rows[start : start + _ROWS_MAX], epoch)


def _insert_rows(
    connection: sqlite3.Connection, view: str, rows: list[tuple[Any, ...]], epoch: int
) -> None:
    width = _width(len(rows))
    values: list[Any] = []
    fence: int | None = epoch
    for row in rows:
        values += row
        values.append(fence)
        fence = None
    values += [None] * ((width - len(rows)) * len(_VIEWS[view]))
    try:
        connection.execute(_rows_statement(view, width), values)
    except sqlite3.IntegrityError as error:
        if str(error) == _MOVED:
            raise _Overtaken from error
        if str(error) != _FENCED:
            raise
        raise Fenced(f"another hub took over this log (our epoch was {epoch})") from error


def _width(count: int) -> int:
    return 1 << (count - 1).bit_length()


@cache
def _rows_statement(view: str, width: int) -> str:
    row = f"({', '.join('?' * len(_VIEWS[view]))})"
    return f"INSERT INTO {view} VALUES {', '.join([row] * width)}"  # noqa: S608 - only marks


@cache
def _claims_statement(width: int) -> str:
    return (
        "SELECT key, digest, state, received_idx, outcome_idx FROM inbox "  # noqa: S608 - only marks
        f"WHERE key IN ({', '.join('?' * width)})"
    )
