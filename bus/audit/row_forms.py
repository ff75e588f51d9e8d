"""Take rows of a log's database as what they should be; whoever may write there may have changed
values, types and tables."""

from __future__ import annotations

from typing import Any

from bus.core.ports.log_source import InboxRow, OpenRow, UnseenReceipt
from bus.core.ports.message_log import SealedPayload, StoredEntry

Row = tuple[Any, ...]
_Types = tuple[tuple[type, ...], ...]

_ENTRY: _Types = ((int,), (bytes,), (bytes, type(None)), (bytes, type(None)))
_INBOX: _Types = ((int,), (int, type(None)), (int,))
_DELIVERY: _Types = ((int,), (int,), (str,), (int,), (int,), (int, bool))
"""SQLite knows no truth but numbers."""
_RECEIPT: _Types = ((str,), (int,), (int,), (int,))
_TEXT: _Types = ((bytes,), (bytes,))


def entry_of(row: Row) -> StoredEntry | None:
    """Index, leaf, ciphertext, wrapped key; None: it holds something else, or half a payload."""
    if not _has_types(row, _ENTRY) or (row[2] is None) != (row[3] is None):
        return None
    index, leaf, ciphertext, wrapped_key = row
    sealed = None if ciphertext is None else SealedPayload(ciphertext, wrapped_key)
    return StoredEntry(index, leaf, sealed)


def inbox_row_of(row: Row) -> InboxRow | None:
    """Entries of message and outcome, state; None: it holds something else."""
    return InboxRow(*row) if _has_types(row, _INBOX) else None


def open_row_of(row: Row) -> OpenRow | None:
    """Entry, position, recipient, state, attempt, doubt; None: it holds something else."""
    if not _has_types(row, _DELIVERY):
        return None
    received, position, recipient, state, attempt, doubt = row
    return OpenRow(received, position, recipient, state, attempt, bool(doubt))


def receipt_of(row: Row) -> UnseenReceipt | None:
    """Sender, number, entry, position; None: it holds something else."""
    return UnseenReceipt(*row) if _has_types(row, _RECEIPT) else None


def text_of(row: Row) -> tuple[bytes, bytes] | None:
    """Digest and text; None: it holds something else."""
    return (row[0], row[1]) if _has_types(row, _TEXT) else None


def _has_types(row: Row, types: _Types) -> bool:
    return all(type(value) in allowed for value, allowed in zip(row, types, strict=True))
