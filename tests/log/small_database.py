"""Let a log's database run out of pages, as it would on a full disk."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from bus.log.sqlite import database, store


class SmallDisk:
    """Of the databases that are opened from here on, the last one may grow so much only."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._writing: sqlite3.Connection | None = None
        monkeypatch.setattr(store, "open_writing", self._open)

    def _open(self, folder: Path) -> sqlite3.Connection:
        self._writing = database.open_writing(folder)
        return self._writing

    def leave_pages(self, count: int) -> None:
        """From now on the database may take so many pages more."""
        assert self._writing is not None
        (pages,) = self._writing.execute("PRAGMA page_count").fetchone()
        self._writing.execute(f"PRAGMA max_page_count = {pages + count}")
