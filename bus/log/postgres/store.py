"""Keep entries and what stands beside them in a PostgreSQL database: implements `LogStore`."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg

from bus.core.deliveries import DeliveryChange, ReceiptRemoval
from bus.core.errors import LogCorrupt, LogUnavailable
from bus.core.log.leaf import text_of_digest
from bus.core.ports.delivery_rows import DeliveryRows
from bus.core.ports.entry_store import CommitResult, Fenced, OpenClaim
from bus.core.ports.message_log import (
    AlreadyTaken,
    Appended,
    Claim,
    LogWrite,
    SealedPayload,
    StoredEntry,
)
from bus.log.postgres.arrays import take_arrays
from bus.log.postgres.batches import commit_batch
from bus.log.postgres.connection import (
    Connection,
    ReadingConnection,
    connect,
    failures_of,
    words_of,
)
from bus.log.postgres.delivery_rows import PostgresDeliveryRows
from bus.log.postgres.origins import LEASE_SECONDS, Ownership, own, release, renew, resume
from bus.log.postgres.upgrade import require_durability, require_version
from bus.log.row_values import met_claim
from bus.settings.postgres import PostgresSettings

_TAKEN_OVER = "another hub took over this log"
_FENCED = "LT001"
_ROWS_AT_ONCE = 4096
_MEASURE_SECONDS = 60.0
"""Least time between two looks at how much the database takes."""

_ENTRY = (
    "SELECT leaf, ciphertext, wrapped_key FROM entries LEFT JOIN payloads USING (origin, idx) "
    "WHERE origin = %s AND idx = %s"
)
_ENTRY_OF = (
    "SELECT leaf, ciphertext, wrapped_key FROM entries LEFT JOIN payloads USING (origin, idx) "
    "WHERE origin = (SELECT number FROM origins WHERE name = %s) AND idx = %s"
)
_CLAIMED = (
    "SELECT i.digest, i.origin, i.state, i.received_idx, i.outcome_idx, o.name "
    "FROM inbox i JOIN origins o ON o.number = i.origin WHERE i.key = %s"
)
_NAMING = "SELECT 1 FROM entries WHERE origin = %s AND position(%s IN leaf) > 0 LIMIT 1"
_TEXT = "SELECT text FROM texts WHERE digest = %s"
_OPEN_CLAIMS = (
    "SELECT key, received_idx FROM inbox WHERE origin = %s AND state = 0 ORDER BY received_idx"
)
# One row for thousands of leaves. A leaf is canonical JSON and holds no raw newline.
_LEAVES = (
    "SELECT count(*), string_agg(leaf, '\\x0a'::bytea ORDER BY idx) FROM entries "
    "WHERE origin = %s AND idx >= %s AND idx < %s"
)
_KEEP_TEXT = """
WITH fence AS (
    UPDATE origins SET lease = clock_timestamp() + make_interval(secs => %s)
    WHERE number = %s AND epoch = %s RETURNING number
), kept AS (
    INSERT INTO texts SELECT %s, %s FROM fence ON CONFLICT DO NOTHING
)
SELECT count(*) FROM fence
"""
_REMOVE_RECEIPTS = """
WITH fence AS (
    UPDATE origins SET lease = clock_timestamp() + make_interval(secs => %s)
    WHERE number = %s AND epoch = %s RETURNING number
), gone AS (
    DELETE FROM receipts r USING fence WHERE r.origin = fence.number AND r.sender = %s
    AND (r.idx < %s OR r.idx = ANY(%s::bigint[])) RETURNING 1
)
SELECT (SELECT count(*) FROM fence), (SELECT count(*) FROM gone)
"""
_BYTES = """
SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class
WHERE relnamespace = 'lienthong'::regnamespace AND relkind = 'r'
"""
_NAME = "SELECT name FROM origins WHERE number = %s"


class PostgresEntryStore:
    """Owns one log of a database, and the connections to it.

    The writing connection serves the thread that commits; the reading ones serve whoever reads
    entries, whoever reads leaves, and whoever looks at deliveries, one call at a time each.
    """

    def __init__(
        self, settings: PostgresSettings, origin: str, hub: str, *, adopts: bool = False
    ) -> None:
        """Take the log `origin`, or make it; whoever wrote it is fenced off.

        `hub` names who takes it, the same in each of its runs; if it `adopts`, the log stays that
        of another hub. Raises OriginHeld: another hub
        writes it; LogUnavailable, LogCorrupt, ConfigurationError.
        """
        self._settings = settings
        self._trouble = ""
        self._is_fenced = False
        self._is_doubtful = False
        """The last commit failed: nobody knows whether it was done, or is still on its way."""
        self._names: dict[int, str] = {}
        self._measured_at = time.monotonic()
        with contextlib.ExitStack() as resources, failures_of(settings):
            self._writing = self._connect_writing()
            resources.callback(self._let_go)
            require_version(settings, self._writing)
            require_durability(self._writing)
            self._owned, self._size = own(self._writing, origin, hub, adopts=adopts)
            rows = self._writing.execute(_OPEN_CLAIMS, (self._owned.number,))
            self._left_open = [OpenClaim(bytes(key), index) for key, index in rows]
            self._stored_bytes = self._measure()
            self._reader = ReadingConnection(settings, "entries")
            resources.callback(self._reader.close)
            self._leaf_reader = ReadingConnection(settings, "leaves")
            resources.callback(self._leaf_reader.close)
            self._deliveries = PostgresDeliveryRows(settings, self._owned.number)
            resources.callback(self._deliveries.close)
            self._resources = resources.pop_all()

    @property
    def size(self) -> int:
        """Committed entries."""
        return self._size

    @property
    def stored_bytes(self) -> int:
        """Of all tables and indexes of the database, as they were a minute ago."""
        return self._stored_bytes

    @property
    def trouble(self) -> str:
        """Why the last commit failed; empty since the last one that did not."""
        return self._trouble

    @property
    def is_fenced(self) -> bool:
        """Another hub has the log."""
        return self._is_fenced

    @property
    def deliveries(self) -> DeliveryRows:
        """What is open, to be looked at, from any thread."""
        return self._deliveries

    @property
    def ownership(self) -> Ownership:
        """What proves that the log is ours."""
        return self._owned

    def fence_off(self) -> None:
        """Commit nothing any more: another hub was found to have the log."""
        self._trouble = _TAKEN_OVER
        self._is_fenced = True

    def open_claims(self) -> list[OpenClaim]:
        """What was left without an outcome when the store was opened, oldest first."""
        return list(self._left_open)

    def commit(self, works: Sequence[LogWrite | DeliveryChange]) -> list[CommitResult]:
        """Append a batch; see `EntryStore.commit`. Raises LogUnavailable, Fenced."""
        with self._committing():
            results = commit_batch(self._writing, works, self._owned, self._size, self._name_of)
        self._size += sum(isinstance(result, Appended) for result in results)
        return results

    def keep_text(self, text: bytes) -> bytes:
        """Keep a text, once; see `EntryStore.keep_text`. Raises LogUnavailable, Fenced."""
        digest = hashlib.sha256(text).digest()
        with self._committing():
            fence = (LEASE_SECONDS, self._owned.number, self._owned.epoch)
            row = self._writing.execute(_KEEP_TEXT, (*fence, digest, text)).fetchone()
            if row != (1,):
                raise Fenced(_TAKEN_OVER)
        return digest

    def remove_receipts(self, removal: ReceiptRemoval) -> int:
        """Remove receipts; see `EntryStore.remove_receipts`. Raises LogUnavailable, Fenced."""
        fence = (LEASE_SECONDS, self._owned.number, self._owned.epoch)
        which = (removal.sender, removal.below, list(removal.entries))
        with self._committing():
            row = self._writing.execute(_REMOVE_RECEIPTS, (*fence, *which)).fetchone()
            if row is None or row[0] != 1:
                raise Fenced(_TAKEN_OVER)
        return int(row[1])

    def prove(self) -> None:
        """Renew the lease; see `EntryStore.prove`. Raises LogUnavailable, Fenced."""
        with self._committing():
            renew(self._writing, self._owned)

    def tend(self) -> None:
        """Look from time to time how much the database takes."""
        if self._is_fenced or self._is_doubtful:
            return
        if time.monotonic() - self._measured_at < _MEASURE_SECONDS:
            return
        self._measured_at = time.monotonic()
        try:
            self._stored_bytes = self._measure()
        except psycopg.Error as error:
            self._trouble = words_of(error)
            self._is_doubtful = True

    def entry(self, index: int) -> StoredEntry | None:
        """The entry at `index`; None: there is none. Raises LogCorrupt, LogUnavailable."""
        return _entry(index, self._reader.fetch(_ENTRY, (self._owned.number, index)))

    def claimed(self, claim: Claim) -> AlreadyTaken | None:
        """What would meet a claim; see `EntryStore.claimed`. Raises LogUnavailable."""
        rows = self._reader.fetch(_CLAIMED, (claim.key,))
        if not rows:
            return None
        digest, number, *met, name = rows[0]
        state, received, outcome = met
        origin = None if number == self._owned.number else name
        return met_claim(claim, digest, state, received, outcome, origin)

    def entry_elsewhere(self, origin: str, index: int) -> StoredEntry | None:
        """An entry of another log of the database; None: there is none. Raises LogUnavailable."""
        return _entry(index, self._reader.fetch(_ENTRY_OF, (origin, index)))

    def leaves(self, first: int, end: int) -> Iterator[bytes]:
        """The leaves of entries [first, end). Raises LogCorrupt, LogUnavailable."""
        for start in range(first, end, _ROWS_AT_ONCE):
            stop = min(start + _ROWS_AT_ONCE, end)
            rows = self._leaf_reader.fetch(_LEAVES, (self._owned.number, start, stop))
            count, joined = rows[0]
            leaves = (joined or b"").split(b"\n")
            if count != stop - start or len(leaves) != count:
                raise LogCorrupt(f"entries {start} to {stop - 1}: a row is missing or is no leaf")
            yield from leaves

    def text(self, digest: bytes) -> bytes | None:
        """The text with this SHA-256; None: there is none. Raises LogCorrupt, LogUnavailable."""
        rows = self._reader.fetch(_TEXT, (digest,))
        return bytes(rows[0][0]) if rows else None

    def names_attachments(self, stored: bytes) -> bool:
        """Whether an entry names this digest. Raises LogCorrupt, LogUnavailable."""
        mark = f'"stored":"{text_of_digest(stored)}"'.encode()
        return bool(self._reader.fetch(_NAMING, (self._owned.number, mark)))

    def close(self) -> None:
        """Let others have the log, and release everything."""
        try:
            if not self._is_fenced:
                if self._writing.broken:
                    self._writing = self._connect_writing()
                release(self._writing, self._owned)
        except psycopg.Error as error:
            self._trouble = words_of(error)  # the lease ends by itself
        self._resources.close()

    def _connect_writing(self) -> Connection:
        connection = connect(self._settings, "writer")
        take_arrays(connection)
        return connection

    def _let_go(self) -> None:
        self._writing.close()

    @contextlib.contextmanager
    def _committing(self) -> Iterator[None]:
        """One transaction: whatever fails in it is ours to tell, and leaves no half of it."""
        if self._is_fenced:
            raise Fenced(_TAKEN_OVER)
        try:
            if self._is_doubtful:
                self._resume()
            yield
        except psycopg.Error as error:
            self._trouble = words_of(error)
            if error.sqlstate == _FENCED:
                self._is_fenced = True
                raise Fenced(self._trouble) from error
            self._is_doubtful = True
            raise LogUnavailable(f"{self._settings.shown}: {self._trouble}") from error
        except Fenced as error:
            self._trouble = error.detail
            self._is_fenced = True
            raise
        self._trouble = ""

    def _resume(self) -> None:
        """After a failed commit: whatever it still may bring is fenced off, then all is known."""
        if self._writing.broken or self._writing.closed:
            self._writing.close()
            self._writing = self._connect_writing()
        self._owned, self._size = resume(self._writing, self._owned)
        self._is_doubtful = False

    def _measure(self) -> int:
        row = self._writing.execute(_BYTES).fetchone()
        assert row is not None
        return int(row[0] or 0)

    def _name_of(self, number: int) -> str:
        if number not in self._names:
            row = self._writing.execute(_NAME, (number,)).fetchone()
            assert row is not None  # origins are not removed
            self._names[number] = row[0]
        return self._names[number]


def _entry(index: int, rows: list[tuple[Any, ...]]) -> StoredEntry | None:
    if not rows:
        return None
    leaf, ciphertext, wrapped_key = rows[0]
    sealed = None if ciphertext is None else SealedPayload(ciphertext, wrapped_key)
    return StoredEntry(index, leaf, sealed)
