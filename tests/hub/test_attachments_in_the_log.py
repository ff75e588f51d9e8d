"""Attachments lie in the log as its entries say, and every change of them is found."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from bus.log.files import ATTACHMENTS
from bus.log.postgres.connection import connect
from bus.protocols.soap_xroad.verify_answer import VerifiedAnswer
from bus.settings.postgres import PostgresSettings
from tests.hub.running_hub import RunningHub, kept_in, opened
from tests.hub.sending_attachments import audit, nation_with_attachments, pdf, send, signed
from tests.nation import SmallNation


@pytest.fixture(scope="module")
def taking(nation: SmallNation, tmp_path_factory: pytest.TempPathFactory) -> SmallNation:
    return nation_with_attachments(nation, tmp_path_factory.mktemp("routes"))


@pytest.fixture
def written(taking: SmallNation, tmp_path: Path) -> tuple[Path, int]:
    """A log with one exchange of 600 kB beside it, and the index of its received entry."""

    async def story(running: RunningHub) -> int:
        sent = [pdf(bytes(600_000))]
        assert isinstance(await send(running, signed(taking, sent), sent), VerifiedAnswer)
        return len(running.leaves()) - 2

    with opened(taking, tmp_path) as hub:
        index = hub.tell(story)
    return tmp_path / "log", index


@pytest.mark.parametrize("place", [0, 40, 95, 300_000, -1])
def test_a_changed_byte_of_a_stored_file_is_found_and_its_entry_named(
    taking: SmallNation, written: tuple[Path, int], place: int
) -> None:
    folder, index = written
    (file,) = [one for one in (folder / ATTACHMENTS).rglob("*") if one.is_file()]
    raw = bytearray(file.read_bytes())
    raw[place] ^= 1
    file.write_bytes(raw)

    findings = audit(taking, folder)

    assert [one.split(":")[0] for one in findings] == [f"entry {index}"]


def test_a_missing_file_and_a_file_too_many_are_found(
    taking: SmallNation, written: tuple[Path, int]
) -> None:
    folder, index = written
    (file,) = [one for one in (folder / ATTACHMENTS).rglob("*") if one.is_file()]
    file.replace(file.with_name(hashlib.sha256(b"other").hexdigest()))

    findings = audit(taking, folder)

    assert f"entry {index}" in findings[0]
    assert "missing" in findings[0]
    assert "a file that no entry names" in findings[1]


def test_what_a_killed_hub_left_half_done_is_put_in_order_at_the_next_start(
    taking: SmallNation, written: tuple[Path, int], tmp_path: Path
) -> None:
    folder, _ = written
    (file,) = [one for one in (folder / ATTACHMENTS).rglob("*") if one.is_file()]
    # As a hub leaves it that was killed after the commit, ...
    file.replace(file.with_name(file.name + ".open"))
    # ... before it, and while it wrote.
    file.with_name("0" * 64 + ".open").write_bytes(b"no entry")
    (folder / ATTACHMENTS / "half.new").write_bytes(b"half")
    assert audit(taking, folder) == []

    with opened(taking, tmp_path):
        assert [one for one in (folder / ATTACHMENTS).rglob("*") if one.is_file()] == [file]
    assert audit(taking, folder) == []


# --- in a database --------------------------------------------------------------------------------


@pytest.fixture
def in_database(log_database: PostgresSettings) -> Iterator[PostgresSettings]:
    with kept_in(log_database):
        yield log_database


@pytest.fixture
def entry(in_database: PostgresSettings, request: pytest.FixtureRequest) -> int:
    """Of a log in the database, with one exchange of 600 kB beside it: who received it."""
    index: int = request.getfixturevalue("written")[1]
    return index


def change(database: PostgresSettings, statement: str) -> None:
    with connect(database, "test") as connection:
        assert connection.execute(statement.encode()).rowcount == 1


def test_nothing_of_them_lies_in_the_folder(entry: int, tmp_path: Path) -> None:
    assert not (tmp_path / "log" / ATTACHMENTS).exists()


@pytest.mark.parametrize("place", [0, 40, 95, 300_000, 600_000])
def test_a_changed_byte_in_the_database_is_found_and_its_entry_named(
    taking: SmallNation, in_database: PostgresSettings, entry: int, tmp_path: Path, place: int
) -> None:
    changed = f"set_byte(bytes, {place}, get_byte(bytes, {place}) # 1)"
    change(in_database, f"UPDATE attachment_pieces SET bytes = {changed}")
    findings = audit(taking, tmp_path / "log")
    assert [one.split(":")[0] for one in findings] == [f"entry {entry}"]


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("DELETE FROM attachment_pieces", "a piece is missing"),
        ("UPDATE attachment_pieces SET bytes = substring(bytes for 1000)", "a piece is missing"),
        ("UPDATE attachments SET bytes_count = bytes_count - 1", "were changed"),
        ("DELETE FROM attachments", "are missing"),
    ],
)
def test_what_is_missing_in_the_database_is_found(
    taking: SmallNation,
    in_database: PostgresSettings,
    entry: int,
    tmp_path: Path,
    statement: str,
    words: str,
) -> None:
    change(in_database, statement)
    (finding,) = audit(taking, tmp_path / "log")
    assert f"entry {entry}" in finding
    assert words in finding


def test_what_a_killed_hub_left_in_the_database_is_put_in_order_at_the_next_start(
    taking: SmallNation, in_database: PostgresSettings, entry: int, tmp_path: Path
) -> None:
    # As a hub leaves it that was killed after the commit, and before another one.
    change(in_database, "UPDATE attachments SET is_named = false")
    change(
        in_database,
        "INSERT INTO attachments SELECT number, 'no entry', 99, 1, false FROM origins",
    )
    change(in_database, "INSERT INTO attachment_pieces VALUES (99, 0, 'x')")
    assert audit(taking, tmp_path / "log") == []
    with opened(taking, tmp_path), connect(in_database, "test") as connection:
        rows = connection.execute("SELECT content, is_named FROM attachments").fetchall()
        pieces = connection.execute("SELECT DISTINCT content FROM attachment_pieces").fetchall()
    ((content, is_named),) = rows
    assert (is_named, pieces) == (True, [(content,)])
    assert audit(taking, tmp_path / "log") == []
