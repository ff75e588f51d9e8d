"""Keep small files of a log's folder in its database, too, for whoever goes on with the log.

They say who is paused, and hold tokens of time authorities. The folder is where they are used; what
the database has and the folder lacks is written there when the log is opened.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from bus.core.errors import LogUnavailable
from bus.log.files import store_files
from bus.log.postgres.connection import ReadingConnection, connect, failures_of
from bus.log.timestamp_files import TIMESTAMPS
from bus.runtime.found_files import list_files, read_file
from bus.settings.postgres import PostgresSettings

PAUSED = "paused.json"
FILE_BYTES_MAX = 1024 * 1024
FILES_MAX = 1_000_000
"""Two for each timestamp: half a century of one in an hour."""
_ROWS_AT_ONCE = 256
_NAME = re.compile(
    rf"{re.escape(PAUSED)}|{TIMESTAMPS}/(anchors-[0-9a-f]{{16}}\.pem"
    r"|\d{4}-\d{2}-\d{2}/(0|[1-9]\d{0,18})(\.checkpoint|-[0-9a-f]{16}\.tsr))"
)
"""Whoever may write to the database must not name any other file of this machine."""
_NAMES = """
SELECT name FROM kept_files WHERE origin = (SELECT number FROM origins WHERE name = %s)
ORDER BY name LIMIT %s
"""
_CONTENTS = """
SELECT name, content FROM kept_files WHERE origin = (SELECT number FROM origins WHERE name = %s)
AND name = ANY(%s) AND octet_length(content) <= %s
"""
_PUT = """
INSERT INTO kept_files SELECT number, %s, %s FROM origins
WHERE name = %s AND hub = %s AND owner IS NOT NULL
ON CONFLICT (origin, name) DO UPDATE SET content = excluded.content
"""


class KeptFiles:
    """The files of one log's folder that are kept in the database, too."""

    def __init__(self, settings: PostgresSettings, origin: str, hub: str, folder: Path) -> None:
        """Of the log `origin`, which `hub` writes in `folder`."""
        self._settings = settings
        self._origin = origin
        self._hub = hub
        self._folder = folder
        self._known: set[str] | None = None
        """Names of what the database has and what never changes; None: not asked yet."""

    def restore(self) -> None:
        """Write into the folder what the database has, and the folder lacks or has otherwise.

        Raises LogUnavailable.
        """
        reader = ReadingConnection(self._settings, "files")
        try:
            rows = reader.fetch(_NAMES, (self._origin, FILES_MAX))
            names = [name for (name,) in rows if _NAME.fullmatch(name)]
            wanted = [one for one in names if one == PAUSED or not (self._folder / one).exists()]
            for start in range(0, len(wanted), _ROWS_AT_ONCE):
                some = wanted[start : start + _ROWS_AT_ONCE]
                found = reader.fetch(_CONTENTS, (self._origin, some, FILE_BYTES_MAX))
                store_files([(self._folder / name, bytes(content)) for name, content in found])
        except OSError as error:
            raise LogUnavailable(f"{error.filename}: {error.strerror}") from error
        finally:
            reader.close()
        self._known = set(names) - {PAUSED}

    def keep(self) -> None:
        """Put into the database what is new in the folder. Raises LogUnavailable."""
        if self._known is None:
            self.restore()
        assert self._known is not None
        try:
            new = [(name, read_file(self._folder / name, FILE_BYTES_MAX)) for name in self._new()]
        except OSError as error:
            raise LogUnavailable(f"a file beside the log cannot be read: {error}") from error
        with failures_of(self._settings), connect(self._settings, "files") as connection:
            for name, content in new:
                facts = (name, content, self._origin, self._hub)
                if not connection.execute(_PUT, facts).rowcount:
                    raise LogUnavailable("another hub took over this log")
        self._known |= {name for name, _ in new} - {PAUSED}

    def _new(self) -> Iterator[str]:
        assert self._known is not None
        if (self._folder / PAUSED).exists():
            yield PAUSED
        for found in list_files(self._folder, TIMESTAMPS):
            if found.is_regular and _NAME.fullmatch(found.name) and found.name not in self._known:
                yield found.name
