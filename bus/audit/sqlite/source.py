"""A log's folder as a source of the log: its database, its signed files, its attachments."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bus.audit.published_files import PublishedFiles, listing, unavailable
from bus.audit.sqlite.byte_checks import Damage, StoredPages, check_pages, check_wal
from bus.audit.sqlite.damage import entries_of_pages
from bus.audit.sqlite.folder import ReadableFolder, connect_reading, hold_folder
from bus.audit.sqlite.rows import DAMAGED, SqliteRows
from bus.core.log.findings import Finding
from bus.core.ports.log_source import LogPlaces, LogRows, RowsLost
from bus.log.files import CHECKPOINT, DATABASE, PAGES, TILES, VERIFIER_KEY
from bus.log.timestamp_files import TIMESTAMPS
from bus.runtime.found_files import FileUnfit

_PLACES = LogPlaces(DATABASE, CHECKPOINT, VERIFIER_KEY, TILES, TIMESTAMPS)


@contextlib.contextmanager
def open_folder(folder: Path) -> Iterator[FolderSource]:
    """The log in `folder`: live, closed, killed, or a copy; nothing is written into it.

    While it is open, the hub that writes there cannot fold: do not keep it open for hours.
    Raises LogUnavailable.
    """
    with hold_folder(folder) as readable:
        yield FolderSource(readable)


class FolderSource(PublishedFiles):
    """Implements `bus.core.ports.log_source.LogSource`."""

    places = _PLACES

    def __init__(self, readable: ReadableFolder) -> None:
        """Use `open_folder`."""
        super().__init__(readable.folder)
        self._readable = readable

    @property
    def is_live(self) -> bool:
        """A hub holds it."""
        return self._readable.is_live

    def check_storage(self) -> FolderStorage:
        """Compare every byte of the database with its digests. Raises LogUnavailable."""
        with listing():
            wal, damages = check_wal(self._readable)
            pages, more = self._check_pages()
        return FolderStorage(StoredPages(self._folder, wal), pages, [*damages, *more])

    def _check_pages(self) -> tuple[int, list[Damage]]:
        try:
            return check_pages(self._folder)
        except FileNotFoundError:
            return 0, [Damage(PAGES, (0, 0), "the digests of the pages are missing")]
        except FileUnfit as error:
            return 0, [Damage(PAGES, (0, 0), f"cannot be read: {error.strerror}")]

    @contextlib.contextmanager
    def rows(self) -> Iterator[LogRows]:
        """The rows of the database as they are now. Raises LogUnavailable, RowsLost."""
        with contextlib.ExitStack() as resources:
            try:
                connection = resources.enter_context(connect_reading(self._readable))
                rows = SqliteRows(self._folder, connection)
            except DAMAGED as error:
                raise RowsLost(f"the database cannot be read from here on: {error}") from error
            except OSError as error:
                raise unavailable(error) from error
            yield rows


@dataclass(frozen=True, slots=True)
class FolderStorage:
    """What was found out about the bytes of the database."""

    stored: StoredPages
    checked: int
    """Pages that were compared."""
    damages: list[Damage]
    level: str = "every byte of the database and of the attachments"

    def findings(self, entries: int, first_citing: int | None) -> Iterator[Finding]:
        """Each damage with the entry that it touches, as exactly as its page tells."""
        pages = [damage.page for damage in self.damages if damage.page is not None]
        owners = entries_of_pages(pages, self.stored.read, entries) if pages else {}
        for damage in self.damages:
            if damage.page is None:
                index, what = entries, damage.what
            elif damage.page in owners:
                table, index = owners[damage.page]
                if table == "texts" and first_citing is not None:
                    index = first_citing
                what = f"{damage.what}; it holds rows of {table} from entry {index} on"
            else:
                index, what = 0, f"{damage.what}; it holds no row, but what all rows hang on"
            yield Finding(index, damage.file, what, byte_range=damage.byte_range)
