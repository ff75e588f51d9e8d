"""Attachments in a database open as they were kept, and whoever goes on with their log has them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from bus.core.errors import LogCorrupt, LogUnavailable
from bus.core.ports.message_log import KeptAttachments
from bus.log.attachment_files import AttachmentFiles, file_of
from bus.log.files import ATTACHMENTS
from bus.log.postgres import attachments as module
from bus.log.postgres.attachments import PostgresAttachments, SealedInDatabase, bring_files
from bus.log.postgres.connection import connect
from bus.log.postgres.kept_files import PAUSED, KeptFiles
from bus.log.postgres.store import PostgresEntryStore
from bus.settings.postgres import PostgresSettings
from signing.attachments import Attachment
from tests.attachments import attachment
from tests.log.test_sealed_attachments import SEALER, contents, some

A, HUB, OTHER = "log.example/a", "hub-a", "hub-b"


@pytest.fixture
def owned(log_database: PostgresSettings) -> Iterator[PostgresSettings]:
    with closing(PostgresEntryStore(log_database, A, HUB)):
        yield log_database


@pytest.fixture
def store(owned: PostgresSettings, tmp_path: Path) -> Iterator[PostgresAttachments]:
    with closing(attachments_of(owned, tmp_path)) as opened:
        yield opened


def attachments_of(database: PostgresSettings, folder: Path, hub: str = HUB) -> PostgresAttachments:
    return PostgresAttachments(database, A, hub, SEALER, AttachmentFiles(folder, SEALER))


def rows(database: PostgresSettings, statement: str) -> list[tuple[object, ...]]:
    with connect(database, "test") as connection:
        return connection.execute(statement.encode()).fetchall()


def test_what_was_kept_opens_wherever_its_pieces_end(
    store: PostgresAttachments,
    owned: PostgresSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "PIECE_BYTES", 100_003)
    given = some()
    kept = store.keep(given, is_content_kept=True)
    store.confirm(kept)
    # Another hub, which has no folder of the first.
    with closing(attachments_of(owned, tmp_path / "b", OTHER)) as elsewhere:
        opened = elsewhere.open(kept.stored)
        assert list(opened) == given
        assert contents(opened[::-1]) == contents(given[::-1])
    assert not (tmp_path / ATTACHMENTS).exists()
    (longest,) = rows(owned, "SELECT max(length(bytes)) FROM attachment_pieces")
    assert longest == (100_003,)


def test_many_are_kept_at_once(store: PostgresAttachments) -> None:
    def keep(number: int) -> tuple[KeptAttachments, Attachment]:
        one = attachment(os.urandom(300_000), f"{number}@x")
        return store.keep([one], is_content_kept=True), one

    with ThreadPoolExecutor(8) as pool:
        for kept, one in pool.map(keep, range(16)):
            assert contents(store.open(kept.stored)) == contents([one])


def test_what_no_entry_names_goes_away(store: PostgresAttachments, owned: PostgresSettings) -> None:
    named, orphan, dropped = (store.keep(some(), is_content_kept=True) for _ in range(3))
    store.drop(dropped)
    with pytest.raises(LogCorrupt, match="missing"):
        store.open(dropped.stored)

    async def is_named(stored: bytes) -> bool:
        return stored == named.stored

    assert asyncio.run(store.recover(is_named)) == 1
    assert rows(owned, "SELECT stored, is_named FROM attachments") == [(named.stored, True)]
    ((contents_kept,),) = rows(owned, "SELECT count(DISTINCT content) FROM attachment_pieces")
    assert contents_kept == 1
    with pytest.raises(LogCorrupt):
        store.open(orphan.stored)


def test_whoever_lost_the_log_keeps_nothing(
    store: PostgresAttachments, log_database: PostgresSettings
) -> None:
    with connect(log_database, "test") as connection:
        connection.execute("UPDATE origins SET hub = 'hub-b'")
    with pytest.raises(LogUnavailable, match="another hub"):
        store.keep(some(), is_content_kept=True)
    assert rows(log_database, "SELECT 1 FROM attachments") == []
    assert rows(log_database, "SELECT 1 FROM attachment_pieces") == []


def test_what_cannot_be_read_is_not_kept(
    store: PostgresAttachments, owned: PostgresSettings
) -> None:
    def broken() -> Iterator[bytes]:
        yield b"x" * 300_000
        raise OSError(5, "Input/output error")

    one = replace(attachment(b"x" * 300_000, "a@x"), chunks=broken)
    with pytest.raises(LogUnavailable, match="Input/output error"):
        store.keep([one], is_content_kept=True)
    assert rows(owned, "SELECT 1 FROM attachment_pieces") == []
    # The connection is whole again.
    assert store.keep(some(), is_content_kept=True)


def test_connections_that_the_server_ended_are_made_anew(
    store: PostgresAttachments, owned: PostgresSettings
) -> None:
    kept = store.keep(some(), is_content_kept=True)
    store.open(kept.stored)
    ended = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'lienthong attachments' AND datname = current_database()"
    )
    assert len(rows(owned, ended)) == 2
    store.confirm(kept)
    assert contents(store.open(kept.stored))
    assert rows(owned, "SELECT is_named FROM attachments") == [(True,)]


# --- of an earlier version -----------------------------------------------------------------------


def test_files_of_the_folder_are_found_and_brought(
    store: PostgresAttachments, owned: PostgresSettings, tmp_path: Path
) -> None:
    files, given = AttachmentFiles(tmp_path, SEALER), some()
    kept = files.keep(given, is_content_kept=True)
    files.confirm(kept)
    assert contents(store.open(kept.stored)) == contents(given)
    assert [bring_files(tmp_path, owned, A) for _ in range(2)] == [1, 0]
    file_of(tmp_path / ATTACHMENTS, kept.stored).unlink()
    assert contents(store.open(kept.stored)) == contents(given)
    with closing(SealedInDatabase(owned, A)) as sealed:
        assert sealed.digests(is_named=True) == [kept.stored]


def test_a_changed_file_is_not_brought(owned: PostgresSettings, tmp_path: Path) -> None:
    files = AttachmentFiles(tmp_path, SEALER)
    kept = files.keep(some(), is_content_kept=True)
    files.confirm(kept)
    file_of(tmp_path / ATTACHMENTS, kept.stored).write_bytes(b"x")
    with pytest.raises(LogCorrupt, match="changed"):
        bring_files(tmp_path, owned, A)
    assert rows(owned, "SELECT 1 FROM attachment_pieces") == []
    assert bring_files(tmp_path, owned, "log.example/none") == 0


# --- small files ---------------------------------------------------------------------------------

TOKEN = "timestamp/2026-03-01/12-3fa9c1d2e4b5a697.tsr"


def test_small_files_of_a_folder_come_to_whoever_goes_on(
    owned: PostgresSettings, tmp_path: Path
) -> None:
    here, there = tmp_path / "a", tmp_path / "b"
    put(here, TOKEN, b"token")
    put(here, "timestamp/anchors-77ab01c2d3e4f506.pem", b"anchors")
    put(here, PAUSED, b"[]")
    put(here, "timestamp/strange", b"x")
    own = KeptFiles(owned, A, HUB, here)
    own.keep()
    put(here, PAUSED, b'["VN/GOV/G01"]')
    put(here, "timestamp/2026-03-01/12.checkpoint", b"note")
    own.keep()

    put(there, PAUSED, b"[]")
    put(there, TOKEN, b"another")
    KeptFiles(owned, A, OTHER, there).restore()
    assert files_below(there) == {
        PAUSED: b'["VN/GOV/G01"]',
        TOKEN: b"another",  # what lies there is not written over
        "timestamp/2026-03-01/12.checkpoint": b"note",
        "timestamp/anchors-77ab01c2d3e4f506.pem": b"anchors",
    }


def test_no_other_name_of_the_database_becomes_a_file(
    owned: PostgresSettings, tmp_path: Path
) -> None:
    for name in ("../x", "timestamp/../x", "checkpoint", f"{TOKEN}/x", "/tmp/x", f"{PAUSED}\n"):
        with connect(owned, "test") as connection:
            statement = "INSERT INTO kept_files SELECT number, %s, 'x' FROM origins"
            connection.execute(statement, (name,))
    KeptFiles(owned, A, HUB, tmp_path / "a").restore()
    assert files_below(tmp_path) == {}


def test_whoever_lost_the_log_keeps_no_file(owned: PostgresSettings, tmp_path: Path) -> None:
    put(tmp_path, PAUSED, b"[]")
    with pytest.raises(LogUnavailable, match="another hub"):
        KeptFiles(owned, A, OTHER, tmp_path).keep()
    assert rows(owned, "SELECT 1 FROM kept_files") == []


def put(folder: Path, name: str, content: bytes) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def files_below(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
