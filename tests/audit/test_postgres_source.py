"""A log with its entries in PostgreSQL passes the contract of every source."""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from bus.audit.audit import AuditKeys
from bus.audit.folder import audit_log, verify_log
from bus.audit.postgres.source import LogDatabase, open_database
from bus.core.errors import LogUnavailable
from bus.core.ports.log_source import InboxRow, LogSource, OpenRow, UnseenReceipt
from bus.core.ports.message_log import KeptAttachments
from bus.log.postgres.connection import connect
from bus.log.sealed_attachments import seal_attachments
from bus.settings.postgres import PostgresSettings
from tests.audit.folder_place import FolderPlace
from tests.audit.log_source_contract import (
    SIZE,
    LogPlace,
    LogSourceContract,
    SubmissionSourceContract,
    document,
    story,
)
from tests.log.log_stories import CONFIGURATION, KEY, READ_KEY, SEALER


class PostgresPlace(FolderPlace):
    def __init__(self, folder: Path, database: PostgresSettings) -> None:
        super().__init__(folder)
        self.database = database
        self.stored = LogDatabase(database, KEY.name)

    def opened(self) -> AbstractContextManager[LogSource]:
        return open_database(self.folder, self.stored)

    def change(self, statement: str, *values: object) -> None:
        with connect(self.stored.settings, "test") as connection:
            connection.execute(statement.encode(), values)

    def keep_attachments(self, content: bytes) -> KeptAttachments:
        self.write([], [])  # there is a log then
        whole = bytearray()
        commitment = seal_attachments(document(content), SEALER, whole.extend, is_content_kept=True)
        stored = hashlib.sha256(whole).digest()
        self.set_attachments(stored, bytes(whole))
        return KeptAttachments(commitment, stored)

    def set_attachments(self, stored: bytes, content: bytes | None) -> None:
        self.change("DELETE FROM attachments WHERE stored = %s", stored)
        if content is not None:
            number = int.from_bytes(hashlib.sha256(content).digest()[:4])
            facts = (stored, number, len(content))
            self.change("DELETE FROM attachment_pieces WHERE content = %s", number)
            self.change("INSERT INTO attachment_pieces VALUES (%s, 0, %s)", number, content)
            self.change(
                "INSERT INTO attachments SELECT number, %s, %s, %s, true FROM origins", *facts
            )

    def set_leaf(self, index: int, leaf: bytes) -> None:
        self.change("UPDATE entries SET leaf = %s WHERE idx = %s", leaf, index)

    def drop_entries(self, first: int, end: int) -> None:
        self.change("DELETE FROM entries WHERE idx >= %s AND idx < %s", first, end)
        self.change("DELETE FROM payloads WHERE idx >= %s AND idx < %s", first, end)

    def set_ciphertext(self, index: int, ciphertext: bytes | None) -> None:
        if ciphertext is None:
            self.change("DELETE FROM payloads WHERE idx = %s", index)
        else:
            self.change("UPDATE payloads SET ciphertext = %s WHERE idx = %s", ciphertext, index)

    def add_orphan(self, index: int) -> None:
        statement = "INSERT INTO payloads SELECT number, %s, %s, %s FROM origins"
        self.change(statement, index, b"x", b"x")

    def set_inbox(self, row: InboxRow) -> None:
        statement = "UPDATE inbox SET outcome_idx = %s, state = %s WHERE received_idx = %s"
        self.change(statement, row.outcome, row.state, row.received)

    def set_delivery(self, row: OpenRow) -> None:
        self.drop_delivery(row.received, row.position)
        self.change(
            "INSERT INTO deliveries SELECT number, %s, %s, %s, 'x', %s, %s, 0, %s, 0, 0, 'x', NULL,"
            " false, NULL, 0, 0, NULL, 0, false FROM origins",
            *(row.received, row.position, row.recipient, row.state, row.attempt, row.doubt),
        )

    def drop_delivery(self, received: int, position: int) -> None:
        statement = "DELETE FROM deliveries WHERE received_idx = %s AND position = %s"
        self.change(statement, received, position)

    def set_receipt(self, row: UnseenReceipt) -> None:
        values = (row.sender, row.entry, row.received, row.position)
        self.change("INSERT INTO receipts SELECT number, %s, %s, %s, %s FROM origins", *values)

    def set_text(self, digest: bytes, text: bytes | None) -> None:
        if text is None:
            self.change("DELETE FROM texts WHERE digest = %s", digest)
        else:
            self.change("UPDATE texts SET text = %s WHERE digest = %s", text, digest)

    def spoil_row(self, index: int) -> None:
        self.change("ALTER TABLE entries ALTER leaf DROP NOT NULL")
        self.change("UPDATE entries SET leaf = NULL WHERE idx = %s", index)


@pytest.fixture
def place(log_database: PostgresSettings, tmp_path: Path) -> PostgresPlace:
    return PostgresPlace(tmp_path / "log", log_database)


class TestPostgresSource(LogSourceContract, SubmissionSourceContract):
    """A server's tables, and the folder that a hub writes beside them."""

    @pytest.fixture
    def place(self, log_database: PostgresSettings, tmp_path: Path) -> LogPlace:
        return PostgresPlace(tmp_path / "log", log_database)


def test_a_database_without_the_log_is_said_to_have_none(place: PostgresPlace) -> None:
    place.write(story(), [CONFIGURATION])
    other = replace(place.stored, origin="log.example/other")
    with pytest.raises(LogUnavailable, match="holds no log"), open_database(place.folder, other):
        pass


def test_entries_that_are_gone_from_the_end_are_missed_without_any_checkpoint(
    place: PostgresPlace,
) -> None:
    place.write(story(), [CONFIGURATION])
    place.drop_entries(SIZE - 1, SIZE)
    report = verify_log(place.folder, database=place.stored)
    assert (SIZE - 1, f"the database counted {SIZE} entries; this one is missing") in [
        (one.index, one.what) for one in report.findings
    ]


def test_another_log_of_the_same_database_is_another_log(
    place: PostgresPlace, tmp_path: Path
) -> None:
    place.write(story(), [CONFIGURATION])
    place.change("INSERT INTO origins (name) VALUES ('log.example/other')")
    place.change(
        "INSERT INTO entries SELECT number, 0, '{}' FROM origins WHERE name = 'log.example/other'"
    )
    audit = audit_log(
        place.folder, AuditKeys(None, READ_KEY, None), database=place.stored, is_quick=True
    )
    assert audit.report.is_sound, audit.report.findings
    assert any("its pages are the server's, by checksums" in one for one in audit.report.levels)
