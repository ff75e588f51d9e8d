"""Commit a batch of writes in one transaction with as few statements as there are tables.

Each step of a statement gives up the interpreter, and getting it back beside a busy event loop
can take milliseconds. Hence one statement for each table and batch; the widths of its row list are
powers of two, filled up with NULL, so that a handful of prepared statements serves every batch.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from bus.core.errors import LogUnavailable
from bus.core.ports import AlreadyTaken, Appended, Claim, InboxState, LogWrite

_NUMBER_OF_STATE = {InboxState.OPEN: 0, InboxState.ANSWERED: 1, InboxState.RETRYABLE: 2}
_STATE_OF_NUMBER = {number: state for state, number in _NUMBER_OF_STATE.items()}
OPEN_NUMBER = _NUMBER_OF_STATE[InboxState.OPEN]

Result = Appended | AlreadyTaken


@dataclass(slots=True)
class _Taken:
    """An inbox row as it is while the batch is worked through."""

    digest: bytes
    state: InboxState
    received_index: int
    outcome_index: int | None


@dataclass(slots=True)
class _Rows:
    """What one batch adds to each table."""

    entries: list[tuple[int, bytes]] = field(default_factory=list)
    payloads: list[tuple[int, bytes, bytes]] = field(default_factory=list)
    settled: dict[int, tuple[InboxState, int]] = field(default_factory=dict)
    settled_by_key: dict[bytes, tuple[InboxState, int]] = field(default_factory=dict)
    changed: dict[bytes, _Taken] = field(default_factory=dict)
    erased: list[tuple[int]] = field(default_factory=list)


class Fenced(LogUnavailable):
    """Another hub has taken this log over; this one must not write again."""


OpenClaims = dict[bytes, int]
"""Keys of claims without an outcome, to the entry that received them: as many as are in work."""


def commit_batch(
    connection: sqlite3.Connection,
    writes: Sequence[LogWrite],
    next_index: int,
    epoch: int,
    open_claims: OpenClaims,
) -> list[Result]:
    """Append `writes` from `next_index` on; when this returns, all of it is on disk and synced.

    `open_claims` only spares a search for each settlement: a claim that is not in it is searched.
    Raises sqlite3.Error and Fenced; then the caller rolls back, and nothing of it was done.
    """
    connection.execute("BEGIN IMMEDIATE")
    taken = _read_claims(connection, [write.claim for write in writes if write.claim], epoch)
    rows = _Rows()
    results: list[Result] = []
    for write in writes:
        refusal = _take(write.claim, taken, rows, next_index) if write.claim else None
        if refusal is None:
            _add(write, taken, rows, next_index, open_claims)
            results.append(Appended(next_index))
            next_index += 1
        else:
            results.append(refusal)
    _insert(connection, rows)
    connection.execute("COMMIT")
    _note_open(open_claims, writes, rows)
    return results


def _note_open(open_claims: OpenClaims, writes: Sequence[LogWrite], rows: _Rows) -> None:
    for write in writes:
        if write.settlement is not None:
            open_claims.pop(write.settlement.key, None)
    for key, row in rows.changed.items():
        if row.state is InboxState.OPEN:
            open_claims[key] = row.received_index


def insert_text(connection: sqlite3.Connection, text: bytes) -> bytes:
    """Keep a text under its SHA-256, once; give the digest. Raises sqlite3.Error."""
    digest = hashlib.sha256(text).digest()
    connection.execute("INSERT OR IGNORE INTO texts VALUES (?, ?)", (digest, text))
    return digest


def _read_claims(
    connection: sqlite3.Connection, claims: Sequence[Claim], epoch: int
) -> dict[bytes, _Taken]:
    """The rows that these claims meet; the fence is looked at in the same statement."""
    width = _width(len(claims))
    keys = [claim.key for claim in claims] + [None] * (width - len(claims))
    taken = {}
    current_epoch = None
    for key, digest, state, received_index, outcome_index in connection.execute(
        _claims_statement(width), keys
    ):
        if key is None:
            current_epoch = received_index
            continue
        taken[key] = _Taken(digest, _STATE_OF_NUMBER[state], received_index, outcome_index)
    if current_epoch != epoch:
        raise Fenced(f"another hub took over this log (epoch {current_epoch}, ours is {epoch})")
    return taken


def _take(claim: Claim, taken: dict[bytes, _Taken], rows: _Rows, index: int) -> AlreadyTaken | None:
    row = taken.get(claim.key)
    if row is not None:
        is_same_digest = row.digest == claim.digest
        if not (is_same_digest and row.state is InboxState.RETRYABLE):
            return AlreadyTaken(is_same_digest, row.state, row.received_index, row.outcome_index)
    taken[claim.key] = rows.changed[claim.key] = _Taken(claim.digest, InboxState.OPEN, index, None)
    return None


def _add(
    write: LogWrite,
    taken: dict[bytes, _Taken],
    rows: _Rows,
    index: int,
    open_claims: OpenClaims,
) -> None:
    rows.entries.append((index, write.leaf))
    if write.sealed is not None:
        rows.payloads.append((index, write.sealed.ciphertext, write.sealed.wrapped_key))
    if write.erases is not None:
        rows.erased.append((write.erases,))
    if write.settlement is None:
        return
    key, state = write.settlement.key, write.settlement.state
    row = taken.get(key)
    if row is not None:
        row.state, row.outcome_index = state, index
        rows.changed[key] = row
    elif key in open_claims:
        rows.settled[open_claims[key]] = (state, index)
    else:
        rows.settled_by_key[key] = (state, index)


def _insert(connection: sqlite3.Connection, rows: _Rows) -> None:
    _run(connection, _ENTRIES, rows.entries)
    _run(connection, _PAYLOADS, rows.payloads)
    changed = [
        (row.received_index, key, row.digest, _NUMBER_OF_STATE[row.state], row.outcome_index)
        for key, row in rows.changed.items()
    ]
    _run(connection, _INBOX, changed)
    for statement, settled in (
        (_SETTLED, list(rows.settled.items())),
        (_SETTLED_BY_KEY, list(rows.settled_by_key.items())),
    ):
        numbers = [(_NUMBER_OF_STATE[state], index, which) for which, (state, index) in settled]
        _run(connection, statement, numbers)
    _run(connection, _ERASED, rows.erased)


_ENTRIES = "INSERT INTO entries SELECT * FROM ({values}) WHERE column1 IS NOT NULL"
_PAYLOADS = "INSERT INTO payloads SELECT * FROM ({values}) WHERE column1 IS NOT NULL"
# A claim that takes over a message which may be sent again replaces the row of the first one.
_INBOX = "INSERT OR REPLACE INTO inbox SELECT * FROM ({values}) WHERE column1 IS NOT NULL"
_SETTLED = (
    "UPDATE inbox SET state = new.column1, outcome_idx = new.column2 "
    "FROM ({values}) AS new WHERE inbox.received_idx = new.column3"
)
_SETTLED_BY_KEY = (
    "UPDATE inbox SET state = new.column1, outcome_idx = new.column2 "
    "FROM ({values}) AS new WHERE inbox.key = new.column3"
)
_ERASED = "DELETE FROM payloads WHERE idx IN (SELECT column1 FROM ({values}))"


def _run(connection: sqlite3.Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    if not rows:
        return
    width, columns = _width(len(rows)), len(rows[0])
    values: list[Any] = [value for row in rows for value in row]
    values += [None] * ((width - len(rows)) * columns)
    connection.execute(_row_statement(statement, width, columns), values)


def _width(count: int) -> int:
    return 1 << (count - 1).bit_length() if count else 0


@cache
def _row_statement(statement: str, width: int, columns: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return statement.format(values=f"VALUES {', '.join([row] * width)}")


@cache
def _claims_statement(width: int) -> str:
    return (
        "SELECT NULL, NULL, NULL, value, NULL FROM meta WHERE name = 'epoch' UNION ALL "  # noqa: S608 - only the count of marks varies
        "SELECT key, digest, state, received_idx, outcome_idx FROM inbox "
        f"WHERE key IN ({', '.join('?' * width)})"
    )
