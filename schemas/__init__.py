"""XML schemas and service descriptions, by standard and version."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
"""Where the schema files lie; catalogue.yaml beside them says whose they are."""
