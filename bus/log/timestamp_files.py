"""Keep timestamps in a log's folder: each token beside the checkpoint that it was made for.

    timestamp/2026-03-01/1234.checkpoint                  the signed note, byte for byte
    timestamp/2026-03-01/1234-3fa9c1d2e4b5a697.tsr        the authority's response (RFC 3161, DER)
    timestamp/anchors-77ab01c2d3e4f506.pem                whom the hub believed

The digits in a name begin the SHA-256 of the file: they find damage where no signature reaches.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from bus.log.files import NEW, store_files
from bus.runtime.found_files import list_folder

TIMESTAMPS = "timestamp"

_DIGITS = 16
_TOKEN = re.compile(r"(0|[1-9]\d{0,18})-([0-9a-f]{16})\.tsr\Z")
_NOTE = re.compile(r"(0|[1-9]\d{0,18})\.checkpoint\Z")
_ANCHORS = re.compile(r"anchors-([0-9a-f]{16})\.pem\Z")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}\Z")


@dataclass(frozen=True, slots=True)
class TimestampFile:
    """A file below `timestamp/` that is named as it should be."""

    path: Path
    size: int
    """Of the checkpoint: how many entries it covers."""
    digits: str
    """What its name says of its digest; empty for a checkpoint."""

    @property
    def day(self) -> str:
        """The folder's name: the day of the token, UTC."""
        return self.path.parent.name

    @property
    def note_path(self) -> Path:
        """The checkpoint that belongs to it."""
        return self.path.with_name(f"{self.size}.checkpoint")


def store_timestamp(folder: Path, size: int, note: bytes, response: bytes, time: datetime) -> None:
    """Keep a token and its checkpoint; both are on disk then. Raises OSError.

    If we stop in between, a checkpoint stands there without a token, which promises nothing.
    """
    day = folder / TIMESTAMPS / time.astimezone(UTC).strftime("%Y-%m-%d")
    token = day / f"{size}-{_digits(response)}.tsr"
    store_files([(day / f"{size}.checkpoint", note), (token, response)])


def store_anchors(folder: Path, anchors: Sequence[bytes]) -> None:
    """Keep the anchors (DER) that tokens are believed by, once. Raises OSError."""
    pem = b"".join(
        x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM) for der in anchors
    )
    path = folder / TIMESTAMPS / f"anchors-{_digits(pem)}.pem"
    if not path.exists():
        store_files([(path, pem)])


def find_tokens(folder: Path) -> list[TimestampFile]:
    """Every token, by the size of its checkpoint."""
    return sorted(
        (TimestampFile(path, int(found[1]), found[2]) for path, found in _named(folder, _TOKEN)),
        key=lambda file: (file.size, file.path),
    )


def find_notes(folder: Path) -> list[TimestampFile]:
    """Every checkpoint that is kept for a token."""
    return sorted(
        (TimestampFile(path, int(found[1]), "") for path, found in _named(folder, _NOTE)),
        key=lambda file: (file.size, file.path),
    )


def find_last_token(folder: Path) -> TimestampFile | None:
    """The newest token, without looking at all of them."""
    for day in sorted(_days(folder), reverse=True):
        tokens = [
            TimestampFile(path, int(found[1]), found[2])
            for path in _children(day)
            if (found := _TOKEN.match(path.name))
        ]
        if tokens:
            return max(tokens, key=lambda file: file.size)
    return None


def find_anchors(folder: Path) -> list[tuple[Path, str]]:
    """The files of anchors, each with the digits in its name."""
    base = folder / TIMESTAMPS
    found = [(path, _ANCHORS.match(path.name)) for path in _children(base)]
    return sorted((path, match[1]) for path, match in found if match)


def find_strange(folder: Path) -> list[Path]:
    """What lies below `timestamp/` and should not: its name is none of those above."""
    base = folder / TIMESTAMPS
    if _is_no_folder(base):
        return [base]
    known = {path for path, _ in find_anchors(folder)}
    strange = [path for path in _children(base) if path not in known and path not in _days(folder)]
    for day in _days(folder):
        strange += [
            path
            for path in _children(day)
            if not _TOKEN.match(path.name) and not _NOTE.match(path.name)
        ]
    return sorted(path for path in strange if not path.name.endswith(NEW))


def _is_no_folder(base: Path) -> bool:
    """Whether something stands in the place of the folder."""
    return os.path.lexists(base) and not (base.is_dir() and not base.is_symlink())


def _named(folder: Path, pattern: re.Pattern[str]) -> Iterator[tuple[Path, re.Match[str]]]:
    for day in _days(folder):
        for path in _children(day):
            found = pattern.match(path.name)
            if found is not None:
                yield path, found


def _days(folder: Path) -> list[Path]:
    base = folder / TIMESTAMPS
    return [path for path, is_folder in list_folder(base) if is_folder and _DAY.match(path.name)]


def _children(folder: Path) -> list[Path]:
    return [path for path, _ in list_folder(folder)]


def _digits(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_DIGITS]
