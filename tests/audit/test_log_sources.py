"""Every source of a log passes one contract: the folder, and the one in memory of the tests."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from bus.audit.sqlite.source import open_folder
from bus.audit.verify import verify_source
from bus.core.log.tiles import Tile
from bus.core.ports.log_source import InboxRow, LogSource, Stranger
from bus.core.ports.message_log import KeptAttachments, LogWrite, SealedPayload, StoredEntry
from bus.log.attachment_files import AttachmentFiles, file_of
from bus.log.files import ATTACHMENTS, CHECKPOINT, DATABASE, PAGES, VERIFIER_KEY
from bus.log.opening import open_log
from bus.log.sealed_attachments import seal_attachments
from bus.log.sqlite.pages import digest_database
from tests.audit.log_source_contract import SIZE, LogPlace, LogSourceContract, document, story
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


class TestMemorySource(LogSourceContract):
    """The one that stands in for another storage in tests."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> LogPlace:
        return _MemoryPlace()


class _FolderPlace(LogPlace):
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, writes: Sequence[LogWrite], texts: Sequence[bytes]) -> None:
        async def written() -> None:
            log = open_log(self.folder, key=KEY)
            for text in texts:
                await log.append_text(text)
            await asyncio.gather(*(log.append(write) for write in writes))
            await log.close()

        asyncio.run(written())

    def keep_attachments(self, content: bytes) -> KeptAttachments:
        files = AttachmentFiles(self.folder, SEALER)
        kept = files.keep(document(content), is_content_kept=True)
        files.confirm(kept)
        return kept

    def opened(self) -> AbstractContextManager[LogSource]:
        return open_folder(self.folder)

    def _change(self, statement: str, *values: object) -> None:
        connection = sqlite3.connect(self.folder / DATABASE, isolation_level=None)
        connection.execute(statement, values)
        connection.close()
        # He makes the page digests anew: what finds him is the tree.
        (self.folder / PAGES).write_bytes(digest_database(self.folder / DATABASE))

    def set_leaf(self, index: int, leaf: bytes) -> None:
        self._change("UPDATE entries SET leaf = ? WHERE idx = ?", leaf, index)

    def drop_entries(self, first: int, end: int) -> None:
        self._change("DELETE FROM entries WHERE idx >= ? AND idx < ?", first, end)
        self._change("DELETE FROM payloads WHERE idx >= ? AND idx < ?", first, end)

    def set_ciphertext(self, index: int, ciphertext: bytes | None) -> None:
        if ciphertext is None:
            self._change("DELETE FROM payloads WHERE idx = ?", index)
        else:
            self._change("UPDATE payloads SET ciphertext = ? WHERE idx = ?", ciphertext, index)

    def add_orphan(self, index: int) -> None:
        self._change("INSERT INTO payloads VALUES (?, x'00', x'00')", index)

    def set_inbox(self, row: InboxRow) -> None:
        statement = "UPDATE inbox SET outcome_idx = ?, state = ? WHERE received_idx = ?"
        self._change(statement, row.outcome, row.state, row.received)

    def set_text(self, digest: bytes, text: bytes | None) -> None:
        if text is None:
            self._change("DELETE FROM texts WHERE digest = ?", digest)
        else:
            self._change("UPDATE texts SET text = ? WHERE digest = ?", text, digest)

    def spoil_row(self, index: int) -> None:
        self._change("UPDATE entries SET leaf = 'a text' WHERE idx = ?", index)

    def set_checkpoint(self, note: bytes | None) -> None:
        _set(self.folder / CHECKPOINT, note)

    def set_key(self, line: bytes | None) -> None:
        _set(self.folder / VERIFIER_KEY, line)

    def set_tile(self, tile: Tile, hashes: bytes | None) -> None:
        _set(self.folder / tile.path, hashes)

    def add_strange_tile(self) -> str:
        (self.folder / "tile" / "x").touch()
        return "tile/x"

    def set_attachments(self, stored: bytes, content: bytes | None) -> None:
        _set(file_of(self.folder / ATTACHMENTS, stored), content)


def _set(path: Path, content: bytes | None) -> None:
    if content is None:
        path.unlink()
    else:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)


@pytest.fixture(scope="module")
def stored_story(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Written once: every test changes a copy."""
    folder = tmp_path_factory.mktemp("story") / "log"
    _FolderPlace(folder).write(story(), [CONFIGURATION])
    return folder


class TestFolderSource(LogSourceContract):
    """The folder that a hub writes."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> LogPlace:
        return _FolderPlace(tmp_path / "log")

    @pytest.fixture
    def written(self, stored_story: Path, tmp_path: Path) -> LogPlace:
        shutil.copytree(stored_story, tmp_path / "log")
        return _FolderPlace(tmp_path / "log")


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
