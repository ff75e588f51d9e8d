"""Keep the attachments of entries in sealed files beside the log's database.

A file is named by its SHA-256, which stands in the leaf of its entry. Three names, one after the
other: `*.new` while it is written; `<digest>.open` when it is on disk and no entry is known to
name it; `<digest>` when one does. Stopped between the last two, the next start looks whether the
entry was committed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

from bus.core.errors import LogCorrupt, LogUnavailable
from bus.core.ports.message_log import KeptAttachments
from bus.log.files import ATTACHMENTS, NEW, make_folder, sync_folder
from bus.log.sealed_attachments import (
    FileBytes,
    OpenedAttachments,
    open_attachments,
    seal_attachments,
)
from bus.log.sealing import Sealer
from bus.runtime.found_files import is_file, list_files
from signing.attachments import Attachment

OPEN = ".open"
"""Ends the name of a file that is whole and whose entry may not be committed."""
_NAME = re.compile(r"[0-9a-f]{64}\Z")


class AttachmentFiles:
    """Implements `bus.core.ports.message_log.AttachmentStore`. Safe to use from several threads."""

    def __init__(self, log_folder: Path, sealer: Sealer) -> None:
        self._folder = log_folder.absolute() / ATTACHMENTS
        self._sealer = sealer

    def keep(self, attachments: Sequence[Attachment], *, is_content_kept: bool) -> KeptAttachments:
        """Seal attachments; when this returns, they are on disk and synced."""
        new = self._folder / f"{uuid.uuid4().hex}{NEW}"
        try:
            make_folder(self._folder)
            commitment, stored = self._write(new, attachments, is_content_kept=is_content_kept)
            folder = self._folder / stored.hex()[:2]
            make_folder(folder)
            new.replace(folder / f"{stored.hex()}{OPEN}")
            sync_folder(folder)
        except OSError as error:
            with contextlib.suppress(OSError):
                new.unlink(missing_ok=True)
            raise LogUnavailable(f"attachments: {error.strerror or error}") from error
        return KeptAttachments(commitment, stored)

    def confirm(self, kept: KeptAttachments) -> None:
        """An entry on disk names them."""
        path = file_of(self._folder, kept.stored)
        # If this is lost, the next start does it again.
        with contextlib.suppress(OSError):
            _open_name(path).replace(path)

    def drop(self, kept: KeptAttachments) -> None:
        """No entry names them: remove them."""
        with contextlib.suppress(OSError):
            _open_name(file_of(self._folder, kept.stored)).unlink(missing_ok=True)

    def open(self, stored: bytes) -> tuple[Attachment, ...]:
        """The attachments that were kept under this digest. Raises LogCorrupt."""
        return open_stored(self._folder, stored, self._sealer).attachments

    async def recover(self, is_named: Callable[[bytes], Awaitable[bool]]) -> int:
        """Remove what an earlier run left without an entry; give how many files.

        `is_named` says whether an entry names a digest. To be called before the first message,
        while no other hub has the log. Raises LogUnavailable.
        """
        removed = 0
        try:
            for path in list(self._folder.rglob(f"*{OPEN}")):
                final = path.with_suffix("")
                if _NAME.match(final.name) and await is_named(bytes.fromhex(final.name)):
                    path.replace(final)
            for path in (*self._folder.rglob(f"*{NEW}"), *self._folder.rglob(f"*{OPEN}")):
                path.unlink()
                removed += 1
        except OSError as error:
            raise LogUnavailable(f"attachments: {error.strerror}") from error
        return removed

    def close(self) -> None:
        """Files are open only while they are read."""

    def _write(
        self, new: Path, attachments: Sequence[Attachment], *, is_content_kept: bool
    ) -> tuple[bytes, bytes]:
        digest = hashlib.sha256()
        with open(new, "xb", buffering=0, opener=_private) as file:

            def write(piece: bytes) -> None:
                digest.update(piece)
                rest = memoryview(piece)
                while rest:
                    rest = rest[file.write(rest) :]

            commitment = seal_attachments(
                attachments, self._sealer, write, is_content_kept=is_content_kept
            )
            os.fsync(file.fileno())
        return commitment, digest.digest()


def file_of(folder: Path, stored: bytes) -> Path:
    """Where the file with this digest lies below the folder of attachments."""
    name = stored.hex()
    return folder / name[:2] / name


def existing_file(folder: Path, stored: bytes) -> Path | None:
    """The file with this digest, whichever of its names it has; None: there is none."""
    path = file_of(folder, stored)
    # A hub at work may give it its name for good while we look.
    within = folder.parent
    candidates = (path, _open_name(path), path)
    return next((one for one in candidates if is_file(one, within=within)), None)


def open_stored(folder: Path, stored: bytes, sealer: Sealer) -> OpenedAttachments:
    """Open the file with this digest. Raises LogCorrupt."""
    path = existing_file(folder, stored)
    if path is None:
        raise LogCorrupt("a file of attachments is missing")
    try:
        return open_attachments(FileBytes(path), sealer)
    except OSError as error:
        raise LogCorrupt(f"{path.name}: {error.strerror}") from error


def stored_digests(folder: Path) -> Iterator[tuple[bytes | None, Path]]:
    """Every file below the folder of attachments with the digest that it is named by.

    None: its name is no digest, or it is no file. One that is still `.new` or `.open` is left out.
    """
    for found in list_files(folder.parent, folder.name):
        path = folder.parent / found.name
        if found.is_regular and path.name.endswith((NEW, OPEN)):
            continue
        is_named = found.is_regular and _NAME.match(path.name)
        yield (bytes.fromhex(path.name) if is_named else None), path


def _open_name(path: Path) -> Path:
    return path.with_name(path.name + OPEN)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)
