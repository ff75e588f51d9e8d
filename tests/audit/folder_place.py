"""A log in a folder, as a place for the contract of sources."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from bus.audit.sqlite.source import open_folder
from bus.core.log.tiles import Tile
from bus.core.ports.log_source import InboxRow, LogSource, OpenRow, UnseenReceipt
from bus.core.ports.message_log import KeptAttachments, LogWrite
from bus.log.attachment_files import AttachmentFiles, file_of
from bus.log.files import ATTACHMENTS, CHECKPOINT, DATABASE, PAGES, VERIFIER_KEY
from bus.log.opening import open_log
from bus.log.sqlite.pages import digest_database
from bus.settings.postgres import PostgresSettings
from tests.audit.log_source_contract import LogPlace, document
from tests.log.log_stories import KEY, SEALER


class FolderPlace(LogPlace):
    """The folder that a hub writes, and whoever changes something there."""

    database: PostgresSettings | None = None
    """Where the entries lie, if not in the folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, writes: Sequence[LogWrite], texts: Sequence[bytes]) -> None:
        async def written() -> None:
            log = open_log(self.folder, key=KEY, database=self.database)
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

    def set_delivery(self, row: OpenRow) -> None:
        self.drop_delivery(row.received, row.position)
        values = {"received_idx": row.received, "position": row.position, "state": row.state}
        values |= {"attempt": row.attempt, "doubt": row.doubt}
        values |= dict.fromkeys(("attempt_max", "due", "expires", "urgent", "place"), 0)
        values |= dict.fromkeys(("generation", "version", "lets_pass"), 0)
        texts = {"recipient": row.recipient, "service": "x", "key": b"x"}
        names = [*values, *texts]
        marks = ", ".join("?" * len(names))
        statement = f"INSERT INTO deliveries ({', '.join(names)}) VALUES ({marks})"
        self._change(statement, *values.values(), *texts.values())

    def drop_delivery(self, received: int, position: int) -> None:
        statement = "DELETE FROM deliveries WHERE received_idx = ? AND position = ?"
        self._change(statement, received, position)

    def set_receipt(self, row: UnseenReceipt) -> None:
        values = (row.sender, row.entry, row.received, row.position)
        self._change("INSERT INTO mailbox VALUES (?1, ?2, 0, ?3, ?4, ?2)", *values)

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
