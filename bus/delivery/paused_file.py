"""Keep who is paused in a file beside the log, so that a hub that starts anew still knows it.

The entries say who paused whom, and why; which of them holds now would be found by reading all.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from bus.core.errors import LogCorrupt
from bus.log.files import store_files
from bus.runtime.found_files import FileUnfit, open_stream

PAUSED = "paused.json"
_BYTES_MAX = 1024 * 1024


class PausedFile:
    """The file in a log's folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / PAUSED

    def read(self) -> frozenset[str]:
        """Who is paused: members and subsystems. Raises LogCorrupt: it is not as we wrote it."""
        try:
            with open_stream(self._path) as stream:
                content = stream.read(_BYTES_MAX)
        except FileNotFoundError:
            return frozenset()
        except (OSError, FileUnfit) as error:
            raise LogCorrupt(f"{self._path}: {error}") from error
        try:
            names = json.loads(content)
        except (ValueError, RecursionError):
            names = None
        if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
            raise LogCorrupt(f"{self._path}: expected a list of agencies")
        return frozenset(names)

    def write(self, agencies: Sequence[str]) -> None:
        """Write who is paused; it is on disk then. Raises OSError."""
        store_files([(self._path, (json.dumps(list(agencies)) + "\n").encode())])
