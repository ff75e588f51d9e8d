"""Commit a batch of works by one call of a function of the database: one round trip, one sync."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, LiteralString

from bus.core.deliveries import (
    Changed,
    DeliveryChange,
    DeliveryKey,
    DeliveryRow,
    Moved,
    NewDelivery,
)
from bus.core.ports.entry_store import CommitResult
from bus.core.ports.message_log import AlreadyTaken, Appended, LogWrite
from bus.log.postgres.arrays import Blobs, Column, Numbers, Texts
from bus.log.postgres.connection import Connection
from bus.log.postgres.origins import LEASE_SECONDS, Ownership
from bus.log.row_values import (
    INBOX_STATE_OF_NUMBER,
    NUMBER_OF_INBOX_STATE,
    row_of,
    values_of,
)

Work = LogWrite | DeliveryChange

# The parameters of append_batch behind the locks, in their order: of works, then of rows.
_WORK_KINDS: tuple[type[Column], ...] = (
    *(Blobs, Blobs, Blobs),  # leaf, ciphertext, wrapped_key
    *(Blobs, Blobs, Numbers),  # claim: key, digest, state
    *(Blobs, Numbers, Numbers),  # settled: key, state; erased
    *(Blobs, Blobs),  # carried: ciphertext, key
    *(Numbers, Numbers, Numbers),  # seen: idx, position, version
    *(Numbers, Numbers, Blobs),  # goes, frees, conversation
    Texts,  # receipt_for
)
_ROW_KINDS: tuple[type[Column], ...] = (
    *(Numbers, Numbers, Texts, Texts),  # work, position, recipient, service
    *(Numbers, Numbers, Numbers, Numbers),  # state, attempt, attempt_max, doubt
    *(Numbers, Numbers, Blobs, Numbers),  # due, expires, key, deadline
    *(Numbers, Blobs, Numbers, Blobs),  # urgent, conversation, generation, holder
)
_NO_CHANGE = (None,) * 6
_MARKS = ", ".join(["%s"] * (5 + len(_WORK_KINDS) + len(_ROW_KINDS)))
_APPEND: LiteralString = f"""
SELECT kind, at_idx, is_same, at_state, at_origin, at_received_idx, at_outcome_idx, blocked,
    freed_origin, freed_idx, freed_position, (stands).* FROM append_batch({_MARKS})
"""  # noqa: S608 - nothing but marks
_RESULT_COLUMNS = 12
"""Before the columns of a row, the row's origin among them."""
_APPENDED, _TAKEN, _CHANGED, _MOVED = 1, 2, 3, 4


def commit_batch(
    connection: Connection,
    works: Sequence[Work],
    owned: Ownership,
    size: int,
    name_of: Callable[[int], str],
) -> list[CommitResult]:
    """Append and change `works` from index `size` on; when this returns, all of it is on disk and
    synced.

    `name_of` gives the name of an origin. Raises psycopg.Error, then nothing was done or only the
    confirmation was lost: with the state LT001 another hub has the log, with LT002 it has another
    size.
    """
    columns = _columns(works)
    head = (owned.number, owned.epoch, size, LEASE_SECONDS, Numbers(_locks(works)))
    rows = connection.execute(_APPEND, (*head, *columns), binary=True).fetchall()
    return [
        _result(work, values, owned.number, name_of)
        for work, values in zip(works, rows, strict=True)
    ]


def _locks(works: Sequence[Work]) -> list[int]:
    """What must be held alone meanwhile, across all hubs: in one order for everybody."""
    keys: set[bytes | None] = set()
    for work in works:
        if isinstance(work, LogWrite):
            keys.update(new.conversation for new in work.deliveries)
            keys.update(one.key for one in (work.claim, work.settlement) if one is not None)
        change = work if isinstance(work, DeliveryChange) else work.change
        if change is not None:
            keys.add(change.seen.conversation)
    keys.discard(None)
    # Keys are pseudonyms: any part of them is as good as a hash.
    return sorted({int.from_bytes(key[:8], "big", signed=True) for key in keys if key})


def _columns(works: Sequence[Work]) -> list[Column]:
    work_values: list[tuple[Any, ...]] = []
    row_values: list[tuple[Any, ...]] = []
    for number, work in enumerate(works, 1):
        change = work if isinstance(work, DeliveryChange) else work.change
        if isinstance(work, LogWrite):
            told = (work.receipt_for or None,)
            work_values.append(_entry_values(work) + _change_values(change) + told)
        else:
            work_values.append((None,) * 11 + _change_values(change) + (None,))
        if change is not None and change.becomes is not None:
            row_values.append((number, None, *_row_values(change.becomes)))
        if isinstance(work, LogWrite):
            row_values += [
                (number, position, *_row_values(_new_row(new)))
                for position, new in enumerate(work.deliveries)
            ]
    return [*_made(_WORK_KINDS, work_values), *_made(_ROW_KINDS, row_values)]


def _made(kinds: tuple[type[Column], ...], values: list[tuple[Any, ...]]) -> list[Column]:
    columns = list(zip(*values, strict=True)) if values else [()] * len(kinds)
    return [kind(column) for kind, column in zip(kinds, columns, strict=True)]


def _entry_values(write: LogWrite) -> tuple[Any, ...]:
    sealed, claim, settlement, carried = write.sealed, write.claim, write.settlement, write.carried
    return (
        write.leaf,
        *((sealed.ciphertext, sealed.wrapped_key) if sealed else (None, None)),
        *(
            (claim.key, claim.digest, NUMBER_OF_INBOX_STATE[claim.state])
            if claim
            else (None, None, None)
        ),
        *(
            (settlement.key, NUMBER_OF_INBOX_STATE[settlement.state])
            if settlement
            else (None, None)
        ),
        write.erases,
        *((carried.ciphertext, carried.wrapped_key) if carried else (None, None)),
    )


def _change_values(change: DeliveryChange | None) -> tuple[Any, ...]:
    if change is None:
        return _NO_CHANGE
    seen = change.seen
    return (
        seen.key.received_index,
        seen.key.position,
        seen.version,
        int(change.becomes is None),
        int(change.frees_next),
        seen.conversation,
    )


def _new_row(new: NewDelivery) -> DeliveryRow:
    key = DeliveryKey(0, 0)  # the database knows it
    return DeliveryRow(
        key, new.recipient, new.service, new.delivery, new.is_urgent, new.conversation
    )


def _row_values(row: DeliveryRow) -> tuple[Any, ...]:
    """From the recipient on, without what the database sets: place, version, whether it passes."""
    values = values_of(row)
    return (*values[2:14], *values[15:17])


def _result(
    work: Work, values: tuple[Any, ...], origin: int, name_of: Callable[[int], str]
) -> CommitResult:
    kind, index, is_same, state, at_origin, received, outcome, blocked, *freed = values[:11]
    if kind == _TAKEN:
        elsewhere = None if at_origin == origin else name_of(at_origin)
        return AlreadyTaken(is_same, INBOX_STATE_OF_NUMBER[state], received, outcome, elsewhere)
    if kind == _MOVED:
        row = values[_RESULT_COLUMNS:]
        return Moved(None if row[0] is None else row_of(row))
    # What was freed in another log is for its own hub to find.
    freed_key = DeliveryKey(freed[1], freed[2]) if freed[0] == origin else None
    if kind == _CHANGED:
        assert isinstance(work, DeliveryChange)
        return Changed(_changed_row(work), freed_key)
    return Appended(index, tuple(blocked or ()), freed_key)


def _changed_row(change: DeliveryChange) -> DeliveryRow | None:
    if change.becomes is None:
        return None
    version = change.seen.version + 1
    return replace(change.becomes, version=version, lets_pass=change.frees_next)
