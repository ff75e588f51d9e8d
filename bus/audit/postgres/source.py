"""A log with its entries in PostgreSQL as a source: rows there, signed files in a folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bus.audit.postgres.rows import PostgresRows
from bus.audit.published_files import PublishedFiles
from bus.core.errors import LogCorrupt, LogUnavailable
from bus.core.log.findings import Finding
from bus.core.ports.log_source import (
    LogPlaces,
    LogRows,
    NamedAttachments,
    PieceUnreadable,
    SealedBytes,
    Stranger,
)
from bus.log.files import CHECKPOINT, TILES, VERIFIER_KEY
from bus.log.postgres.attachments import SealedInDatabase
from bus.log.postgres.connection import connect, failures_of
from bus.log.postgres.upgrade import require_version
from bus.log.timestamp_files import TIMESTAMPS
from bus.settings.postgres import PostgresSettings

ROWS = "database"
_PLACES = LogPlaces(ROWS, CHECKPOINT, VERIFIER_KEY, TILES, TIMESTAMPS)
_ORIGIN = (
    "SELECT number, size, owner IS NOT NULL AND lease > clock_timestamp() "
    "FROM origins WHERE name = %s"
)


@dataclass(frozen=True, slots=True)
class LogDatabase:
    """Where the entries of one log lie that are not in its folder."""

    settings: PostgresSettings
    origin: str


@contextlib.contextmanager
def open_database(folder: Path, database: LogDatabase) -> Iterator[PostgresSource]:
    """The log with its entries in a database and its signed files in `folder`; nothing is written.

    Raises LogUnavailable: no such log, or no server; ConfigurationError.
    """
    settings = database.settings
    with failures_of(settings), connect(settings, "audit") as connection:
        require_version(settings, connection)
        row = connection.execute(_ORIGIN, (database.origin,)).fetchone()
    if row is None:
        raise LogUnavailable(f"{settings.shown}: it holds no log {database.origin}")
    number, size, is_live = row
    sealed = SealedInDatabase(settings, database.origin)
    with contextlib.closing(sealed):
        yield PostgresSource(folder, settings, number, size, sealed, is_live=is_live)


class PostgresSource(PublishedFiles):
    """Implements `bus.core.ports.log_source.LogSource`."""

    places = _PLACES

    def __init__(
        self,
        folder: Path,
        settings: PostgresSettings,
        number: int,
        size: int,
        sealed: SealedInDatabase,
        *,
        is_live: bool,
    ) -> None:
        """Use `open_database`."""
        super().__init__(folder)
        self._settings = settings
        self._number = number
        self._size = size
        self._sealed = sealed
        self.is_live = is_live
        """A hub writes it meanwhile."""

    def check_storage(self) -> ServerStorage:
        """Ask whether the server proves its pages. Raises LogUnavailable."""
        with failures_of(self._settings), connect(self._settings, "audit") as connection:
            row = connection.execute("SELECT current_setting('data_checksums')").fetchone()
        return ServerStorage(self._size, are_pages_proved=row == ("on",))

    # --- attachments: in the database; of an earlier version, in the folder -----------------------

    def attachments(self) -> Iterator[NamedAttachments | Stranger]:
        """Those that an entry is said to name, then the files of the folder. Raises
        LogUnavailable."""
        for digest in self._sealed.digests(is_named=True):
            yield NamedAttachments(digest, _place_of(digest))
        yield from super().attachments()

    def attachment_place(self, stored: bytes) -> str:
        """Where attachments lie, or should."""
        file = super().attachment_place(stored)
        return file if (self._folder / file).exists() else _place_of(stored)

    def sealed_attachments(self, stored: bytes) -> SealedBytes:
        """The sealed form of attachments. Raises PieceUnreadable."""
        try:
            return self._sealed.find(stored) or super().sealed_attachments(stored)
        except (LogUnavailable, LogCorrupt) as error:
            raise PieceUnreadable(error.detail) from error

    @contextlib.contextmanager
    def rows(self) -> Iterator[LogRows]:
        """The rows of the database as they are now. Raises LogUnavailable."""
        with contextlib.ExitStack() as resources:
            with failures_of(self._settings):
                connection = connect(self._settings, "audit")
                resources.callback(connection.close)
                rows = PostgresRows(connection, self._number)
            yield rows


def _place_of(stored: bytes) -> str:
    return f"{ROWS}: attachments {stored.hex()}"


@dataclass(frozen=True, slots=True)
class ServerStorage:
    """What is known of bytes that a server keeps."""

    size: int
    """Entries by what the database counts of the log, when it was opened."""
    are_pages_proved: bool
    checked: int = 0
    """No page: they are the server's."""

    @property
    def level(self) -> str:
        """Not every byte: the server alone sees its pages."""
        told = "by checksums" if self.are_pages_proved else "without checksums"
        return f"every row of the database, as one snapshot; its pages are the server's, {told}"

    def findings(self, entries: int, first_citing: int | None) -> Iterator[Finding]:
        """Rows that are gone from the end, though the database counted them."""
        if entries < self.size:
            what = f"the database counted {self.size} entries; this one is missing"
            yield Finding(entries, ROWS, what)
