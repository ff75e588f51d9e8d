"""Open and list files of a folder that somebody else made, without waiting and without end.

Whoever hands over a log's folder may have put anything in the place of a file: a pipe that never
ends, a device, a link out of the folder, a file as large as a disk, folders without end. Everything
that is read from such a folder is opened here.

(1) No link is followed, neither in the place of the file nor of a folder on the way to it.
(2) Opening does not wait, as it would for the other end of a pipe. open(2), O_NONBLOCK.
(3) What was opened is a regular file: looked at after opening, so that it cannot be exchanged.
(4) No more is read than was said to be enough, also if the file grows while it is read.
"""

from __future__ import annotations

import errno
import mmap
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

FILES_MAX = 20_000_000
"""Names that are listed below one folder."""
DEPTH_MAX = 16
"""How deep folders may lie in folders; ours lie at most six deep."""
COPY_BYTES_MAX = 1 << 40
"""Largest file that is copied to be read."""
_ROOM_LEFT_BYTES = 64 * 1024 * 1024
"""What a copy leaves free of the disk that it goes to."""
_COPY_AT_ONCE = 1024 * 1024
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a link",
}


class FileUnfit(OSError):
    """Something else stands in the place of a file, or more than there should be."""


def open_file(path: Path, *, within: Path | None = None) -> int:
    """A descriptor of a regular file; `within` is the folder that was handed over.

    Without `within` only the file itself is no link. Raises FileUnfit, OSError.
    """
    base, name = (path.parent, path.name) if within is None else (within, "")
    parts = [name] if within is None else list(path.relative_to(within).parts)
    folder = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            deeper = _open_in(folder, part, _FOLDER_FLAGS, path)
            os.close(folder)
            folder = deeper
        descriptor = _open_in(folder, parts[-1], _FLAGS, path)
    finally:
        os.close(folder)
    try:
        _must_be_regular(os.fstat(descriptor).st_mode, path)
    except FileUnfit:
        os.close(descriptor)
        raise
    return descriptor


def open_stream(path: Path, *, within: Path | None = None) -> BinaryIO:
    """A regular file, unbuffered where it is read in large pieces. Raises FileUnfit, OSError."""
    return os.fdopen(open_file(path, within=within), "rb")


def read_file(path: Path, bytes_max: int, *, within: Path | None = None) -> bytes:
    """The whole of a small file. Raises FileUnfit (it is more than `bytes_max`), OSError."""
    with open_stream(path, within=within) as stream:
        content = stream.read(bytes_max + 1)
    if len(content) > bytes_max:
        raise FileUnfit(errno.EFBIG, f"it has more than {bytes_max} bytes", str(path))
    return content


def why_unfit(path: Path) -> str:
    """Why a library must not open this name: it is there, and no regular file. Empty: it may."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return ""
    except OSError as error:
        return error.strerror or "cannot be read"
    return "" if stat.S_ISREG(mode) else _unlike(mode)


def is_file(path: Path, *, within: Path | None = None) -> bool:
    """Whether a regular file can be opened here."""
    try:
        os.close(open_file(path, within=within))
    except OSError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Found:
    """A name below a folder."""

    name: str
    """From the folder on, with slashes."""
    why_unfit: str = ""
    """What it is instead of a file: a link, a pipe, a folder that cannot be looked into."""

    @property
    def is_regular(self) -> bool:
        """It may be opened as a file."""
        return not self.why_unfit


def list_files(folder: Path, below: str) -> Iterator[Found]:
    """Everything below `folder/below` but folders, in order of names within each.

    Nothing if there is no such folder. What cannot be listed is told as no regular file.
    """
    count = 0
    waiting = [(below, 0)]
    while waiting:
        place, depth = waiting.pop()
        try:
            _must_be_folder(folder / place)
            with os.scandir(folder / place) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except FileNotFoundError:
            continue
        except OSError as error:
            yield Found(place, error.strerror or "cannot be listed")
            continue
        deeper = []
        for entry in listed:
            count += 1
            if count > FILES_MAX:
                raise FileUnfit(errno.EFBIG, f"more than {FILES_MAX:,} files", str(folder / below))
            name = f"{place}/{entry.name}"
            if entry.is_file(follow_symlinks=False):
                yield Found(name)
            elif not entry.is_dir(follow_symlinks=False):
                yield Found(name, why_unfit(folder / name))
            elif depth < DEPTH_MAX:
                deeper.append((name, depth + 1))
            else:
                yield Found(name, f"more than {DEPTH_MAX} folders lie in each other")
        waiting += reversed(deeper)


def list_folder(folder: Path) -> list[tuple[Path, bool]]:
    """What lies in a folder, each with whether it is a folder; nothing if it is none or a link."""
    try:
        _must_be_folder(folder)
        with os.scandir(folder) as entries:
            return [(folder / one.name, one.is_dir(follow_symlinks=False)) for one in entries]
    except OSError:
        return []


def copy_file(path: Path, target: IO[bytes], *, within: Path | None = None) -> None:
    """Copy as much as there was when it was opened. Raises FileUnfit (no room), OSError."""
    with open_stream(path, within=within) as source:
        rest = os.fstat(source.fileno()).st_size
        room = os.fstatvfs(target.fileno())
        if rest > min(COPY_BYTES_MAX, room.f_bavail * room.f_frsize - _ROOM_LEFT_BYTES):
            what = f"there is no room to copy its {rest:,} bytes"
            raise FileUnfit(errno.ENOSPC, what, str(path))
        while rest and (piece := source.read(min(_COPY_AT_ONCE, rest))):
            target.write(piece)
            rest -= len(piece)
    target.flush()


@contextmanager
def copied(path: Path, *, within: Path | None = None) -> Iterator[bytes | mmap.mmap]:
    """The bytes of a file as they are now, mapped from a copy of our own.

    Mapped where it lies, a file that is cut short meanwhile would end this process (SIGBUS).
    Raises FileUnfit, OSError.
    """
    with tempfile.TemporaryFile() as copy:
        copy_file(path, copy, within=within)
        if os.fstat(copy.fileno()).st_size == 0:
            yield b""
            return
        with mmap.mmap(copy.fileno(), 0, prot=mmap.PROT_READ) as content:
            yield content


def allocated_bytes(path: Path) -> int:
    """How much a file holds, without its holes; 0: there is none."""
    try:
        return path.lstat().st_blocks * 512
    except OSError:
        return 0


def copy_to(path: Path, target: Path) -> None:
    """Copy into a new file. Raises FileUnfit, OSError."""
    with target.open("xb") as file:
        copy_file(path, file)


def _open_in(folder: int, name: str, flags: int, path: Path) -> int:
    try:
        return os.open(name, flags, dir_fd=folder)
    except OSError as error:
        # (1) ELOOP of O_NOFOLLOW; ENOTDIR where O_DIRECTORY meets a link; ENXIO of a socket.
        if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENXIO):
            mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
            raise FileUnfit(error.errno, _unlike(mode), str(path)) from error
        raise OSError(error.errno, error.strerror, str(path)) from error


def _must_be_regular(mode: int, path: Path) -> None:
    if not stat.S_ISREG(mode):
        raise FileUnfit(errno.EINVAL, _unlike(mode), str(path))


def _must_be_folder(path: Path) -> None:
    mode = path.lstat().st_mode
    if not stat.S_ISDIR(mode):
        raise FileUnfit(errno.ENOTDIR, _unlike(mode), str(path))


def _unlike(mode: int) -> str:
    return f"{_KINDS.get(stat.S_IFMT(mode), 'a file')} stands in its place"
