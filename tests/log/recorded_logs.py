"""Logs that older programs wrote, as they were recorded then."""

from __future__ import annotations

import tarfile
from pathlib import Path

_RECORDED = Path(__file__).parent / "recorded"


def format_1_log(folder: Path) -> Path:
    """A closed log of format 1, below `folder`: of eight entries, 0 was erased, 7 is pending."""
    with tarfile.open(_RECORDED / "format-1.tar.gz") as recorded:
        recorded.extractall(folder, filter="data")
    return folder / "log"
