"""Find the packaged schemas and service descriptions, for adapters."""

from __future__ import annotations

from pathlib import Path

import schemas


def schema_file(path: str) -> Path:
    """The file at this path below schemas/; raise FileNotFoundError."""
    file = schemas.FOLDER / path
    if not file.is_file():
        raise FileNotFoundError(f"schemas/{path} is not packaged")
    return file
