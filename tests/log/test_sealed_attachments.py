"""The sealed form of attachments opens at any place, and only as it was written."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path

import pytest

from bus.core.errors import LogCorrupt, LogUnavailable
from bus.log import sealed_attachments
from bus.log.attachment_files import AttachmentFiles, existing_file, stored_digests
from bus.log.sealed_attachments import (
    FRAME_BYTES,
    MAGIC,
    FileBytes,
    open_attachments,
    seal_attachments,
)
from bus.log.sealing import Sealer
from signing.attachments import Attachment
from tests.attachments import attachment

SEALER = Sealer(bytes(range(32)))
SIZES = (0, 1, FRAME_BYTES - 1, FRAME_BYTES, 3 * FRAME_BYTES + 5)


def sealed(path: Path, attachments: list[Attachment], *, is_content_kept: bool = True) -> bytes:
    """Seal into a file; give the commitment."""
    with path.open("wb") as file:

        def write(piece: bytes) -> None:
            file.write(piece)

        return seal_attachments(attachments, SEALER, write, is_content_kept=is_content_kept)


def some() -> list[Attachment]:
    return [attachment(os.urandom(size), f"{size}@x") for size in SIZES]


def contents(attachments: tuple[Attachment, ...] | list[Attachment]) -> list[bytes]:
    return [b"".join(one.chunks()) for one in attachments]


def test_what_was_sealed_opens_again_in_any_order(tmp_path: Path) -> None:
    given = some()
    commitment = sealed(tmp_path / "f", given)

    opened = open_attachments(FileBytes(tmp_path / "f"), SEALER)

    assert (opened.commitment, opened.is_content_kept) == (commitment, True)
    assert list(opened.attachments) == given
    assert contents(opened.attachments[::-1]) == contents(given[::-1])


def test_the_same_attachments_are_sealed_and_committed_to_anew(tmp_path: Path) -> None:
    given = some()

    assert sealed(tmp_path / "f", given) != sealed(tmp_path / "g", given)
    assert (tmp_path / "f").read_bytes() != (tmp_path / "g").read_bytes()


def test_without_content_only_the_facts_are_kept(tmp_path: Path) -> None:
    given = some()
    sealed(tmp_path / "f", given, is_content_kept=False)

    opened = open_attachments(FileBytes(tmp_path / "f"), SEALER)

    assert list(opened.attachments) == given
    assert not opened.is_content_kept
    with pytest.raises(LogCorrupt, match="not kept"):
        contents(opened.attachments[-1:])


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw[:10],
        lambda raw: b"x" + raw[1:],
        lambda raw: raw[:-1],
        lambda raw: raw + b"\0",
        lambda raw: raw[: len(MAGIC) + 60 + FRAME_BYTES + 16],
        lambda raw: raw[: len(MAGIC)] + bytes(60) + raw[len(MAGIC) + 60 :],
        lambda raw: _frames_swapped(raw),
        lambda raw: raw[:-40] + bytes([raw[-40] ^ 1]) + raw[-39:],
    ],
    ids=["short", "magic", "cut", "longer", "a frame fewer", "key", "frames swapped", "a bit"],
)
def test_changed_bytes_do_not_open(tmp_path: Path, change: object) -> None:
    path = tmp_path / "f"
    sealed(path, some())
    path.write_bytes(change(path.read_bytes()))  # type: ignore[operator]

    with pytest.raises(LogCorrupt):
        contents(open_attachments(FileBytes(path), SEALER).attachments)


def _frames_swapped(raw: bytes) -> bytes:
    start, whole = len(MAGIC) + 60, FRAME_BYTES + 16
    first, second = raw[start : start + whole], raw[start + whole : start + 2 * whole]
    return raw[:start] + second + first + raw[start + 2 * whole :]


def test_another_read_key_opens_nothing(tmp_path: Path) -> None:
    sealed(tmp_path / "f", some())

    with pytest.raises(LogCorrupt, match="read key"):
        open_attachments(FileBytes(tmp_path / "f"), Sealer(bytes(32)))


@pytest.mark.parametrize("manifest", [b"{", b"[1]", b"x" * 100])
def test_a_manifest_that_is_none_is_corrupt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manifest: bytes
) -> None:
    monkeypatch.setattr(sealed_attachments, "write_manifest", lambda _: manifest)
    monkeypatch.setattr(sealed_attachments, "MANIFEST_BYTES_MAX", 50)
    sealed(tmp_path / "f", some())

    with pytest.raises(LogCorrupt, match="manifest"):
        open_attachments(FileBytes(tmp_path / "f"), SEALER)


# --- the files -----------------------------------------------------------------------------------


def test_a_file_is_named_by_its_bytes_once_an_entry_names_it(tmp_path: Path) -> None:
    store, folder = AttachmentFiles(tmp_path, SEALER), tmp_path / "attachments"
    kept, dropped = (store.keep(some(), is_content_kept=True) for _ in range(2))
    assert list(stored_digests(folder)) == []
    assert existing_file(folder, kept.stored) is not None

    store.confirm(kept)
    store.drop(dropped)

    ((digest, path),) = stored_digests(folder)
    assert digest == kept.stored == hashlib.sha256(path.read_bytes()).digest()
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.bytes_count for one in store.open(kept.stored)] == list(SIZES)
    with pytest.raises(LogCorrupt, match="missing"):
        store.open(dropped.stored)


def test_the_next_start_keeps_what_an_entry_names_and_nothing_else(tmp_path: Path) -> None:
    store = AttachmentFiles(tmp_path, SEALER)
    named, orphan = (store.keep(some(), is_content_kept=True) for _ in range(2))
    (tmp_path / "attachments" / "half.new").write_bytes(b"half")
    (tmp_path / "attachments" / "stray.open").write_bytes(b"no digest")

    async def is_named(stored: bytes) -> bool:
        return stored == named.stored

    assert asyncio.run(store.recover(is_named)) == 3
    assert [digest for digest, _ in stored_digests(tmp_path / "attachments")] == [named.stored]
    assert asyncio.run(AttachmentFiles(tmp_path / "none", SEALER).recover(is_named)) == 0
    assert orphan.stored != named.stored


def test_a_disk_that_takes_nothing_makes_the_log_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    (tmp_path / "attachments").mkdir()

    with pytest.raises(LogUnavailable, match="No space left"):
        AttachmentFiles(tmp_path, SEALER).keep(some(), is_content_kept=True)

    assert list((tmp_path / "attachments").rglob("*")) == []
