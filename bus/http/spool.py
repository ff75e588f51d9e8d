"""Keep attachments in work out of memory: small ones in it, larger ones in files without a name.

A file without a name is gone with the process that made it: nothing is left behind by a crash.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from bus.core.errors import AttachmentNotAllowed, ConfigurationError, Problem, SpoolUnavailable
from bus.protocols.mime.read import PartHead
from signing.attachments import Attachment
from signing.policy import DIGEST_SHA256, DIGEST_SHA512

MEMORY_BYTES_MAX = 64 * 1024
"""An attachment up to this size is not written to a file."""
READ_BYTES = 256 * 1024
"""How much of an attachment is in memory while it is read."""


class Spool:
    """Room for the attachments of all messages in work. Safe to use from several threads."""

    def __init__(self, folder: Path | None, *, bytes_max: int) -> None:
        """`folder` is made, for us alone, when it is missing; None is the system's own one.

        Raises OSError.
        """
        if folder is not None:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._bytes_max = bytes_max
        self._bytes = 0  # guarded by _lock
        self._lock = threading.Lock()

    @property
    def bytes_in_use(self) -> int:
        """Of attachments that somebody still holds."""
        return self._bytes

    def open(self, head: PartHead, *, kept_bytes_max: int | None = None) -> SpooledPart:
        """A place for the content of one part; see `SpooledPart`."""
        return SpooledPart(self, head, kept_bytes_max=kept_bytes_max)

    def take(self, count: int) -> None:
        """Count bytes in. Raises SpoolUnavailable: there is no room for them."""
        with self._lock:
            if self._bytes + count > self._bytes_max:
                raise SpoolUnavailable(f"more than {self._bytes_max} bytes of attachments in work")
            self._bytes += count

    def give_back(self, count: int) -> None:
        """Count bytes out."""
        with self._lock:
            self._bytes -= count

    def make_file(self) -> IO[bytes]:
        """A file without a name. Raises OSError."""
        return tempfile.TemporaryFile(dir=self._folder, buffering=0)


def open_spool(folder: Path, *, bytes_max: int) -> Spool:
    """The spool of a hub. Raises ConfigurationError: the folder cannot be used."""
    try:
        return Spool(folder, bytes_max=bytes_max)
    except OSError as error:
        problem = Problem(str(folder), "", f"no folder for attachments: {error.strerror}")
        raise ConfigurationError([problem]) from error


class _Content:
    """The bytes of one part; the file closes, and its room is free, when nobody holds it."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._memory = bytearray()
        self._file: IO[bytes] | None = None
        self.count = 0
        self._taken = [0]  # shared with the finalizer, which must not hold this object
        weakref.finalize(self, _give_back, spool, self._taken)

    def write(self, chunk: bytes) -> None:
        self._spool.take(len(chunk))
        self._taken[0] += len(chunk)
        self.count += len(chunk)
        self._memory += chunk
        if self._file is not None or self.count > MEMORY_BYTES_MAX:
            try:
                self._flush()
            except OSError as error:
                raise SpoolUnavailable(f"the spool: {error.strerror}") from error

    def _flush(self) -> None:
        if self._file is None:
            self._file = self._spool.make_file()
        rest = memoryview(self._memory)
        while rest:
            rest = rest[self._file.write(rest) :]
        rest.release()
        self._memory = bytearray()

    @property
    def memory_bytes(self) -> int:
        """How much of it is in memory."""
        return len(self._memory)

    def chunks(self) -> Iterator[bytes]:
        """From the start, whoever else reads; raises OSError."""
        if self._file is None:
            yield bytes(self._memory)
            return
        position = 0
        while position < self.count:
            chunk = os.pread(self._file.fileno(), READ_BYTES, position)
            if not chunk:
                raise OSError("the spool was cut short")
            position += len(chunk)
            yield chunk


class SpooledPart:
    """Takes the content of one part, and makes an attachment of it.

    Content of more than `kept_bytes_max` is measured and not kept: nobody will be given it. So is
    what finds no room: the message can still be named whole when it is refused.
    """

    def __init__(self, spool: Spool, head: PartHead, *, kept_bytes_max: int | None = None) -> None:
        self._head = head
        self._count = 0
        self._kept_bytes_max = kept_bytes_max
        self._content: _Content | None = _Content(spool)
        self.failure: SpoolUnavailable | None = None
        """Why the content is not kept, where it should have been."""
        self._sha256 = hashlib.sha256()
        self._sha512 = hashlib.sha512()

    @property
    def memory_bytes(self) -> int:
        """How much of it is in memory."""
        return self._content.memory_bytes if self._content is not None else 0

    def keep_at_most(self, bytes_max: int) -> None:
        """Let go of what is larger, and do not keep what becomes larger."""
        self._kept_bytes_max = bytes_max
        if self._count > bytes_max:
            self._content, self.failure = None, None

    def write(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self._sha256.update(chunk)
        self._sha512.update(chunk)
        self._count += len(chunk)
        if self._kept_bytes_max is not None and self._count > self._kept_bytes_max:
            self._content = None
        if self._content is None:
            return
        try:
            self._content.write(chunk)
        except SpoolUnavailable as error:
            # A new one: the traceback of the first would hold the content, and its room.
            self._content, self.failure = None, SpoolUnavailable(error.detail)

    def finish(self) -> None:
        """No more bytes follow."""

    def attachment(self) -> Attachment:
        """The part, whole."""
        return Attachment(
            content_id=self._head.content_id,
            media_type=self._head.header("content-type"),
            headers=self._head.headers,
            bytes_count=self._count,
            digests={
                DIGEST_SHA256: self._sha256.digest(),
                DIGEST_SHA512: self._sha512.digest(),
            },
            chunks=self._content.chunks if self._content is not None else _not_kept,
        )


def _not_kept() -> Iterator[bytes]:
    raise AttachmentNotAllowed("the content was not kept: the service does not take it")


def _give_back(spool: Spool, taken: list[int]) -> None:
    spool.give_back(taken[0])
