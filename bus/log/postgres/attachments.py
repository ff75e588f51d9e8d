"""Keep the attachments of entries in a database, sealed, in pieces of a bounded size.

What one hub kept there another one opens that goes on with its log. All pieces of a message's
attachments are written in one transaction, before the entry that names them; stopped in between,
they have no entry, and the next start removes them. What an earlier version kept in files of the
log's folder is found there.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg

from bus.core.errors import LogCorrupt, LogUnavailable
from bus.core.ports.message_log import KeptAttachments
from bus.log.attachment_files import AttachmentFiles, stored_digests
from bus.log.files import ATTACHMENTS
from bus.log.postgres.connection import Connection, ReadingConnection, connect, failures_of
from bus.log.sealed_attachments import FileBytes, open_attachments, seal_attachments
from bus.log.sealing import Sealer
from bus.settings.postgres import PostgresSettings
from signing.attachments import Attachment

PIECE_BYTES = 1024 * 1024
"""Of each piece but the last; so much is in memory at a time."""
_CONNECTIONS_MAX = 4
"""So many messages' attachments are written at a time."""

_ORIGIN = "SELECT 1 FROM origins WHERE name = %s"
_NEW_CONTENT = "SELECT nextval('attachment_contents')"
_PUT_PIECE = "INSERT INTO attachment_pieces VALUES (%s, %s, %s)"
_PUT = """
INSERT INTO attachments SELECT number, %s, %s, %s, %s FROM origins
WHERE name = %s AND hub = %s AND owner IS NOT NULL
"""
_FIND = """
SELECT content, bytes_count FROM attachments
WHERE origin = (SELECT number FROM origins WHERE name = %s) AND stored = %s
"""
_CONFIRM = """
UPDATE attachments SET is_named = true
WHERE origin = (SELECT number FROM origins WHERE name = %s) AND stored = %s
"""
_DROP = """
DELETE FROM attachments WHERE origin = (SELECT number FROM origins WHERE name = %s) AND stored = %s
RETURNING content
"""
_DROP_PIECES = "DELETE FROM attachment_pieces WHERE content = %s"
_BY_NAMING = """
SELECT stored FROM attachments
WHERE origin = (SELECT number FROM origins WHERE name = %s) AND is_named = %s
"""
_PART = """
SELECT substring(bytes FROM %s FOR %s) FROM attachment_pieces WHERE content = %s AND piece = %s
"""
_PUT_BROUGHT = """
INSERT INTO attachments SELECT number, %s, %s, %s, true FROM origins WHERE name = %s
"""


class PostgresAttachments:
    """Implements `bus.core.ports.message_log.AttachmentStore`. Safe to use from several threads."""

    def __init__(
        self,
        settings: PostgresSettings,
        origin: str,
        hub: str,
        sealer: Sealer,
        files: AttachmentFiles,
    ) -> None:
        """Of the log `origin`, which `hub` writes; another hub's may be opened, not added to.

        `files` are those that an earlier version kept.
        """
        self._settings = settings
        self._origin = origin
        self._hub = hub
        self._sealer = sealer
        self._files = files
        self._writing = _WritingConnections(settings)
        self._sealed = SealedInDatabase(settings, origin)

    def keep(self, attachments: Sequence[Attachment], *, is_content_kept: bool) -> KeptAttachments:
        """Seal attachments; when this returns, they are on the server's disk and synced."""
        with self._written() as connection, connection.transaction():
            pieces = _SealedWriter(connection)
            try:
                commitment = seal_attachments(
                    attachments, self._sealer, pieces.write, is_content_kept=is_content_kept
                )
            except OSError as error:  # what is being kept could not be read
                raise LogUnavailable(f"attachments: {error.strerror or error}") from error
            stored = pieces.finish()
            facts = (stored, pieces.content, pieces.bytes_count, False)
            if not connection.execute(_PUT, (*facts, self._origin, self._hub)).rowcount:
                raise LogUnavailable("attachments: another hub took over this log")
        return KeptAttachments(commitment, stored)

    def confirm(self, kept: KeptAttachments) -> None:
        """An entry on disk names them."""
        # If this is lost, the next start does it again.
        with contextlib.suppress(LogUnavailable, LogCorrupt), self._written() as connection:
            connection.execute(_CONFIRM, (self._origin, kept.stored))

    def drop(self, kept: KeptAttachments) -> None:
        """No entry names them: remove them."""
        with contextlib.suppress(LogUnavailable, LogCorrupt):
            self._remove(kept.stored)

    def open(self, stored: bytes) -> tuple[Attachment, ...]:
        """The attachments that were kept under this digest. Raises LogCorrupt, LogUnavailable;
        so does reading them."""
        sealed = self._sealed.find(stored)
        if sealed is None:
            return self._files.open(stored)
        return open_attachments(sealed, self._sealer).attachments

    async def recover(self, is_named: Callable[[bytes], Awaitable[bool]]) -> int:
        """Remove what an earlier run left without an entry; give how many messages'.

        `is_named` says whether an entry names a digest. To be called before the first message,
        while no other hub has the log. Raises LogUnavailable.
        """
        removed = await self._files.recover(is_named)
        for stored in self._sealed.digests(is_named=False):
            if await is_named(stored):
                with self._written() as connection:
                    connection.execute(_CONFIRM, (self._origin, stored))
            else:
                self._remove(stored)
                removed += 1
        return removed

    def close(self) -> None:
        """Let go of the server."""
        self._writing.close()
        self._sealed.close()

    def _remove(self, stored: bytes) -> None:
        with self._written() as connection, connection.transaction():
            for (content,) in connection.execute(_DROP, (self._origin, stored)).fetchall():
                connection.execute(_DROP_PIECES, (content,))

    @contextlib.contextmanager
    def _written(self) -> Iterator[Connection]:
        with failures_of(self._settings), self._writing.one() as connection:
            yield connection


class SealedInDatabase:
    """The sealed attachments of one log, to be read. Safe to use from several threads.

    Its connection is made when the first is asked for: most messages have none.
    """

    def __init__(self, settings: PostgresSettings, origin: str) -> None:
        self._settings = settings
        self._origin = origin
        self._lock = threading.Lock()
        self._opened: ReadingConnection | None = None

    def find(self, stored: bytes) -> SealedPieces | None:
        """What is kept under this digest; None: nothing. Raises LogUnavailable, LogCorrupt."""
        reader = self._reader()
        rows = reader.fetch(_FIND, (self._origin, stored))
        return SealedPieces(reader, *rows[0]) if rows else None

    def digests(self, *, is_named: bool) -> list[bytes]:
        """Of all whose entry is known to be there, or of those whose may not be.

        Raises LogUnavailable.
        """
        rows = self._reader().fetch(_BY_NAMING, (self._origin, is_named))
        return [bytes(stored) for (stored,) in rows]

    def close(self) -> None:
        """Let go of the server."""
        with self._lock:
            if self._opened is not None:
                self._opened.close()

    def _reader(self) -> ReadingConnection:
        with self._lock:
            if self._opened is None:
                self._opened = ReadingConnection(self._settings, "attachments")
            return self._opened


class SealedPieces:
    """Implements `bus.core.ports.log_source.SealedBytes` over pieces in a database."""

    def __init__(self, reader: ReadingConnection, content: int, bytes_count: int) -> None:
        self._reader = reader
        self._content = content
        self.bytes_count = bytes_count

    def read_at(self, offset: int, count: int) -> bytes:
        """Up to so many bytes from there on. Raises LogCorrupt, LogUnavailable."""
        end = min(offset + count, self.bytes_count)
        found = []
        while offset < end:
            piece, place = divmod(offset, PIECE_BYTES)
            wanted = min(end - offset, PIECE_BYTES - place)
            rows = self._reader.fetch(_PART, (place + 1, wanted, self._content, piece))
            if not rows or len(rows[0][0]) != wanted:
                raise LogCorrupt("cannot be read: a piece is missing or cut off")
            found.append(bytes(rows[0][0]))
            offset += wanted
        return b"".join(found)


class _SealedWriter:
    """The sealed form on its way into a database, within a transaction of the caller's."""

    def __init__(self, connection: Connection) -> None:
        row = connection.execute(_NEW_CONTENT).fetchone()
        assert row is not None
        self.content: int = row[0]
        self.bytes_count = 0
        self._connection = connection
        self._digest = hashlib.sha256()
        self._buffer = bytearray()
        self._count = 0

    def write(self, some: bytes) -> None:
        self._digest.update(some)
        self.bytes_count += len(some)
        self._buffer += some
        while len(self._buffer) >= PIECE_BYTES:
            self._put(bytes(self._buffer[:PIECE_BYTES]))
            del self._buffer[:PIECE_BYTES]

    def finish(self) -> bytes:
        """Write what is left; give the SHA-256 of all."""
        if self._buffer:
            self._put(bytes(self._buffer))
        return self._digest.digest()

    def _put(self, piece: bytes) -> None:
        self._connection.execute(_PUT_PIECE, (self.content, self._count, piece))
        self._count += 1


class _WritingConnections:
    """A few connections that are made when they are needed, and kept."""

    def __init__(self, settings: PostgresSettings) -> None:
        self._settings = settings
        self._room = threading.Semaphore(_CONNECTIONS_MAX)
        self._idle: list[Connection] = []
        self._lock = threading.Lock()
        self._is_closed = False

    @contextlib.contextmanager
    def one(self) -> Iterator[Connection]:
        """A connection of the caller's own. Raises psycopg.Error, ConfigurationError."""
        with self._room:
            connection = self._taken()
            try:
                yield connection
            finally:
                self._give_back(connection)

    def close(self) -> None:
        """What is in work is closed when it is done."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _taken(self) -> Connection:
        while True:
            with self._lock:
                found = self._idle.pop() if self._idle else None
            if found is None:
                return connect(self._settings, "attachments")
            # The server may have ended it meanwhile: that is seen when it is asked.
            with contextlib.suppress(psycopg.OperationalError):
                found.execute("SELECT 1")
                return found
            found.close()

    def _give_back(self, connection: Connection) -> None:
        with self._lock:
            if not self._is_closed and not connection.broken:
                self._idle.append(connection)
                return
        connection.close()


def bring_files(folder: Path, settings: PostgresSettings, origin: str) -> int:
    """Put the attachments that lie in files of a log's folder into the database; the files stay.

    Gives how many messages' were brought; what is there already is not brought again, and nothing
    if the database has no such log. No hub needs to be stopped for it.
    Raises LogUnavailable, LogCorrupt: a file is not what its name says.
    """
    with failures_of(settings), connect(settings, "attachments") as connection:
        if connection.execute(_ORIGIN, (origin,)).fetchone() is None:
            return 0
    brought = 0
    sealed = SealedInDatabase(settings, origin)
    try:
        for stored, path in stored_digests(folder / ATTACHMENTS):
            if stored is None or sealed.find(stored) is not None:
                continue
            with failures_of(settings), connect(settings, "attachments") as connection:
                _bring(connection, stored, path, origin)
            brought += 1
    finally:
        sealed.close()
    return brought


def _bring(connection: Connection, stored: bytes, path: Path, origin: str) -> None:
    with connection.transaction():
        pieces = _SealedWriter(connection)
        file, offset = FileBytes(path), 0
        while some := file.read_at(offset, PIECE_BYTES):
            pieces.write(some)
            offset += len(some)
        if pieces.finish() != stored:
            raise LogCorrupt(f"{path}: the sealed attachments were changed")
        facts: tuple[Any, ...] = (stored, pieces.content, pieces.bytes_count, origin)
        connection.execute(_PUT_BROUGHT, facts)
