"""Every source of a log passes one contract: the folder, and the one in memory of the tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from bus.audit.verify import verify_source
from bus.core.log.tiles import Tile
from bus.core.ports.log_source import InboxRow, LogSource, OpenRow, Stranger, UnseenReceipt
from bus.core.ports.message_log import KeptAttachments, LogWrite, SealedPayload, StoredEntry
from bus.log.sealed_attachments import seal_attachments
from tests.audit.folder_place import FolderPlace
from tests.audit.log_source_contract import (
    SIZE,
    LogPlace,
    LogSourceContract,
    SubmissionSourceContract,
    document,
    story,
)
from tests.audit.memory_log_source import MemorySource
from tests.log.log_stories import CONFIGURATION, KEY, SEALER


class _MemoryPlace(LogPlace):
    def __init__(self) -> None:
        self.source = MemorySource()

    def write(self, writes: Sequence[LogWrite], texts: Sequence[bytes]) -> None:
        self.source.write(writes, texts, KEY)

    def keep_attachments(self, content: bytes) -> KeptAttachments:
        sealed = bytearray()
        commitment = seal_attachments(
            document(content), SEALER, sealed.extend, is_content_kept=True
        )
        stored = sha256(sealed).digest()
        self.source.sealed[stored] = bytes(sealed)
        return KeptAttachments(commitment, stored)

    @contextmanager
    def opened(self) -> Iterator[LogSource]:
        yield self.source

    def _entry(self, index: int) -> StoredEntry:
        entry = self.source.table.stored[index]
        assert entry is not None
        return entry

    def set_leaf(self, index: int, leaf: bytes) -> None:
        self.source.table.stored[index] = replace(self._entry(index), leaf=leaf)

    def drop_entries(self, first: int, end: int) -> None:
        del self.source.table.stored[first:end]

    def set_ciphertext(self, index: int, ciphertext: bytes | None) -> None:
        sealed = None if ciphertext is None else SealedPayload(ciphertext, bytes(60))
        self.source.table.stored[index] = replace(self._entry(index), sealed=sealed)

    def add_orphan(self, index: int) -> None:
        self.source.table.orphaned.append(index)

    def set_inbox(self, row: InboxRow) -> None:
        rows = self.source.table.inbox_rows
        (place,) = [at for at, one in enumerate(rows) if one and one.received == row.received]
        rows[place] = row

    def set_delivery(self, row: OpenRow) -> None:
        self.drop_delivery(row.received, row.position)
        self.source.table.delivery_rows.append(row)

    def drop_delivery(self, received: int, position: int) -> None:
        rows = self.source.table.delivery_rows
        gone = (received, position)
        rows[:] = [one for one in rows if one and (one.received, one.position) != gone]

    def set_receipt(self, row: UnseenReceipt) -> None:
        self.source.table.receipt_rows.append(row)

    def set_text(self, digest: bytes, text: bytes | None) -> None:
        if text is None:
            del self.source.table.kept_texts[digest]
        else:
            self.source.table.kept_texts[digest] = text

    def spoil_row(self, index: int) -> None:
        self.source.table.stored[index] = None

    def set_checkpoint(self, note: bytes | None) -> None:
        self.source.signed_head = note

    def set_key(self, line: bytes | None) -> None:
        self.source.key_line = line

    def set_tile(self, tile: Tile, hashes: bytes | None) -> None:
        if hashes is None:
            del self.source.stored_tiles[tile]
        else:
            self.source.stored_tiles[tile] = hashes

    def add_strange_tile(self) -> str:
        self.source.strangers.append(Stranger("tiles: x", "no tile has this name"))
        return "tiles: x"

    def set_attachments(self, stored: bytes, content: bytes | None) -> None:
        if content is None:
            del self.source.sealed[stored]
        else:
            self.source.sealed[stored] = content


class TestMemorySource(LogSourceContract, SubmissionSourceContract):
    """The one that stands in for another storage in tests."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> LogPlace:
        return _MemoryPlace()


@pytest.fixture(scope="module")
def stored_story(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Written once: every test changes a copy."""
    folder = tmp_path_factory.mktemp("story") / "log"
    FolderPlace(folder).write(story(), [CONFIGURATION])
    return folder


class TestFolderSource(LogSourceContract, SubmissionSourceContract):
    """The folder that a hub writes."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> LogPlace:
        return FolderPlace(tmp_path / "log")

    @pytest.fixture
    def written(self, stored_story: Path, tmp_path: Path) -> LogPlace:
        shutil.copytree(stored_story, tmp_path / "log")
        return FolderPlace(tmp_path / "log")


def test_rows_that_are_lost_half_way_are_told_with_the_place_of_the_source() -> None:
    place = _MemoryPlace()
    place.write(story(), [CONFIGURATION])
    place.source.table.lost_at = 100

    report = verify_source(place.source)

    told = [str(one) for one in report.findings]
    assert any("rows: nothing can be read from here on" in one for one in told), told
    assert report.entries < SIZE


def test_findings_name_the_places_of_the_source_and_no_others() -> None:
    place = _MemoryPlace()
    place.write(story(), [CONFIGURATION])
    place.drop_entries(50, 60)
    place.set_checkpoint(b"nonsense")
    place.set_ciphertext(7, b"else")

    findings = verify_source(place.source).findings

    known = {"rows", "head"}
    assert {one.file for one in findings if not one.file.startswith("tile/")} == known
