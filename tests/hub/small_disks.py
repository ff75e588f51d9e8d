"""Small disks for tests: mounted for one story, full or gone when it says so. Only root may."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest

from tests.hang_limits import HANG_SECONDS_MAX

DISK_BYTES = 40 * 1024 * 1024
_EXT4_IOC_SHUTDOWN = 0x8004587D
_GOING_AFTER_WRITING = 0
"""EXT4_GOING_FLAGS_DEFAULT (linux/fs/ext4/ext4.h)."""


def made_image(path: Path) -> Path:
    """A file that holds an empty ext4; a skip where no such thing can be made."""
    with path.open("wb") as file:
        file.truncate(DISK_BYTES)
    try:
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(path)], check=True)
    except FileNotFoundError:
        pytest.skip("mkfs.ext4 is not installed")
    return path


@contextlib.contextmanager
def mounted(folder: Path, *options: str) -> Iterator[Path]:
    """A disk at `folder` while the block lasts; a skip that says why there is none."""
    if os.geteuid():
        pytest.skip("only root may mount a disk")
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", *options, str(folder)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        _unmount(folder)


def _unmount(folder: Path) -> None:
    """The kernel lets go of a file without a name a moment after its last user did."""
    deadline = monotonic() + HANG_SECONDS_MAX
    while subprocess.run(["umount", str(folder)], capture_output=True).returncode:
        assert monotonic() < deadline, f"{folder} is still busy"
        sleep(0.02)


def take_away(folder: Path) -> None:
    """Let an ext4 go away: it holds what was written until now, and every call fails with EIO."""
    # Not `mount -o remount,abort`: a sync under way at that moment succeeds without its bytes.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.ioctl(descriptor, _EXT4_IOC_SHUTDOWN, _GOING_AFTER_WRITING.to_bytes(4, "little"))
    finally:
        os.close(descriptor)
