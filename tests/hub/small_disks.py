"""Small disks for tests: mounted for one story, full or gone when it says so. Only root may."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

DISK_BYTES = 40 * 1024 * 1024


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
        subprocess.run(["umount", str(folder)], check=True)


def take_away(folder: Path) -> None:
    """Let an ext4 fail as a broken disk does: what was not synced is lost, nothing is taken."""
    # ext4(5), "abort": simulates the effects of calling ext4_abort() for debugging purposes.
    subprocess.run(["mount", "-o", "remount,abort", str(folder)], check=True)
