"""Commit a batch of writes in one statement, which is a transaction of its own.

Each step of a statement gives up the interpreter, and getting it back beside a busy event loop
can take milliseconds. Hence one statement for a batch: its rows go into a view of the writing
connection's own, whose trigger puts each into the tables. The widths of its row list are powers of
two, filled up with NULL, so that a handful of prepared statements serves every batch.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from bus.core.ports.entry_store import Fenced
from bus.core.ports.message_log import AlreadyTaken, Appended, Claim, InboxState, LogWrite

_NUMBER_OF_STATE = {InboxState.OPEN: 0, InboxState.ANSWERED: 1, InboxState.RETRYABLE: 2}
_STATE_OF_NUMBER = {number: state for state, number in _NUMBER_OF_STATE.items()}
OPEN_NUMBER = _NUMBER_OF_STATE[InboxState.OPEN]

_FENCED = "fenced"
_COLUMNS = (
    "idx",
    "leaf",
    "ciphertext",
    "wrapped_key",
    "claimed_key",
    "claimed_digest",
    "settled_key",
    "settled_idx",
    "settled_state",
    "erased_idx",
    "epoch",
)
# The fence is looked at with the first row of a batch. A claim that takes over a message which may
# be sent again replaces the row of the first one. What is settled is found by the entry that
# received it, where that is known, or by its key, also if it was claimed in this very batch.
_PREPARATION = f"""
CREATE TEMP VIEW batch AS SELECT {", ".join(f"NULL AS {name}" for name in _COLUMNS)};
CREATE TEMP TRIGGER batch_row INSTEAD OF INSERT ON batch WHEN NEW.idx IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, '{_FENCED}') WHERE NEW.epoch IS NOT NULL
        AND NEW.epoch IS NOT (SELECT value FROM meta WHERE name = 'epoch');
    INSERT INTO entries VALUES (NEW.idx, NEW.leaf);
    INSERT INTO payloads SELECT NEW.idx, NEW.ciphertext, NEW.wrapped_key
        WHERE NEW.ciphertext IS NOT NULL;
    INSERT OR REPLACE INTO inbox
        SELECT NEW.idx, NEW.claimed_key, NEW.claimed_digest, {OPEN_NUMBER}, NULL
        WHERE NEW.claimed_key IS NOT NULL;
    UPDATE inbox SET state = NEW.settled_state, outcome_idx = NEW.idx
        WHERE received_idx = NEW.settled_idx;
    UPDATE inbox SET state = NEW.settled_state, outcome_idx = NEW.idx
        WHERE NEW.settled_idx IS NULL AND key = NEW.settled_key;
    DELETE FROM payloads WHERE idx = NEW.erased_idx;
END;
"""  # noqa: S608 - nothing but names of ours

Result = Appended | AlreadyTaken


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
    writes: Sequence[LogWrite],
    next_index: int,
    epoch: int,
    open_claims: OpenClaims,
) -> list[Result]:
    """Append `writes` from `next_index` on; when this returns, all of it is on disk and synced.

    `open_claims` only spares a search for each settlement: a claim that is not in it is searched.
    Raises sqlite3.Error and Fenced; then nothing of it was done.
    """
    taken = _read_claims(connection, [write.claim for write in writes if write.claim])
    values: list[Any] = []
    results: list[Result] = []
    appended: list[tuple[LogWrite, int]] = []
    for write in writes:
        refusal = _take(write.claim, taken, next_index) if write.claim else None
        if refusal is not None:
            results.append(refusal)
            continue
        values += _row(write, next_index, taken, open_claims)
        values.append(None if appended else epoch)
        results.append(Appended(next_index))
        appended.append((write, next_index))
        next_index += 1
    if appended:
        _insert(connection, values, len(appended), epoch)
    for write, index in appended:
        _note_open(open_claims, write, index)
    return results


def _note_open(open_claims: OpenClaims, write: LogWrite, index: int) -> None:
    if write.claim is not None:
        open_claims[write.claim.key] = index
    if write.settlement is not None:
        open_claims.pop(write.settlement.key, None)


def insert_text(connection: sqlite3.Connection, text: bytes) -> bytes:
    """Keep a text under its SHA-256, once; give the digest. Raises sqlite3.Error."""
    digest = hashlib.sha256(text).digest()
    connection.execute("INSERT OR IGNORE INTO texts VALUES (?, ?)", (digest, text))
    return digest


def rewrite_epoch(connection: sqlite3.Connection, epoch: int) -> None:
    """Write the epoch as it stands, synced. Raises sqlite3.Error, Fenced: it is another's."""
    same = "UPDATE meta SET value = value WHERE name = 'epoch' AND value = ?"
    if not connection.execute(same, (epoch,)).rowcount:
        raise Fenced("another hub took over this log")


def _read_claims(connection: sqlite3.Connection, claims: Sequence[Claim]) -> dict[bytes, _Taken]:
    """The inbox rows that these claims meet. Nobody writes between this and the insert: whoever
    did would have raised the fence."""
    if not claims:
        return {}
    width = _width(len(claims))
    keys = [claim.key for claim in claims] + [None] * (width - len(claims))
    return {
        key: _Taken(digest, _STATE_OF_NUMBER[state], received_index, outcome_index)
        for key, digest, state, received_index, outcome_index in connection.execute(
            _claims_statement(width), keys
        )
    }


def _take(claim: Claim, taken: dict[bytes, _Taken], index: int) -> AlreadyTaken | None:
    row = taken.get(claim.key)
    if row is not None:
        is_same_digest = row.digest == claim.digest
        if not (is_same_digest and row.state is InboxState.RETRYABLE):
            return AlreadyTaken(is_same_digest, row.state, row.received_index, row.outcome_index)
    taken[claim.key] = _Taken(claim.digest, InboxState.OPEN, index, None)
    return None


def _row(
    write: LogWrite, index: int, taken: dict[bytes, _Taken], open_claims: OpenClaims
) -> tuple[Any, ...]:
    """The values of all columns but the last."""
    sealed, claim, settlement = write.sealed, write.claim, write.settlement
    ciphertext, wrapped_key = (sealed.ciphertext, sealed.wrapped_key) if sealed else (None, None)
    claimed_key, claimed_digest = (claim.key, claim.digest) if claim else (None, None)
    settled_key = settled_index = settled_state = None
    if settlement is not None:
        settled_key = settlement.key
        settled_index = open_claims.get(settled_key)
        settled_state = _NUMBER_OF_STATE[settlement.state]
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
        settled_key,
        settled_index,
        settled_state,
        write.erases,
    )


def _insert(connection: sqlite3.Connection, values: list[Any], count: int, epoch: int) -> None:
    width = _width(count)
    values += [None] * ((width - count) * len(_COLUMNS))
    try:
        connection.execute(_rows_statement(width), values)
    except sqlite3.IntegrityError as error:
        if str(error) != _FENCED:
            raise
        raise Fenced(f"another hub took over this log (our epoch was {epoch})") from error


def _width(count: int) -> int:
    return 1 << (count - 1).bit_length()


@cache
def _rows_statement(width: int) -> str:
    row = f"({', '.join('?' * len(_COLUMNS))})"
    return f"INSERT INTO batch VALUES {', '.join([row] * width)}"  # noqa: S608 - only marks


@cache
def _claims_statement(width: int) -> str:
    return (
        "SELECT key, digest, state, received_idx, outcome_idx FROM inbox "  # noqa: S608 - only marks
        f"WHERE key IN ({', '.join('?' * width)})"
    )
