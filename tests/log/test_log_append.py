"""What the log promises when it takes an entry, and what it does when it cannot keep it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest

from bus.audit.folder import verify_log
from bus.core.deliveries import Moved
from bus.core.errors import ConfigurationError, LogCorrupt, LogUnavailable
from bus.core.limits import Limits
from bus.core.log.checkpoint import read_checkpoint
from bus.core.log.leaf import Event, build_leaf
from bus.core.log.merkle import hash_leaf
from bus.core.log.tiles import TiledTree
from bus.core.ports.entry_store import CommitResult
from bus.core.ports.message_log import AlreadyTaken, Appended, InboxState, LogWrite
from bus.log import files as log_files
from bus.log import publisher as log_publisher
from bus.log.message_log import HubLog
from bus.log.opening import open_log
from bus.log.publisher import Publisher
from bus.log.sqlite import batches, database
from bus.log.sqlite import store as sqlite_entry_store
from signing.signed_note import SigningKey
from tests.hang_limits import HANG_SECONDS_MAX
from tests.log.log_stories import (
    CONFIGURATION,
    CONFIGURATION_DIGEST,
    KEY,
    READ_KEY,
    SEALER,
    START,
    claim_of,
    fill,
    heartbeat,
    outcome,
    received,
    write_log,
)
from tests.log.memory_entry_store import MemoryDisk, MemoryEntryStore
from tests.log.small_database import SmallDisk

Told = TypeVar("Told")
Taken = Appended | AlreadyTaken | Moved


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "log"


def run(story: Coroutine[Any, Any, Told]) -> Told:
    """Run a story with a deadline: a future that nobody resolves must fail, not hang."""
    return asyncio.run(asyncio.wait_for(story, HANG_SECONDS_MAX))


async def opened(
    folder: Path, *, guard: Path | None = None, limits: Limits | None = None
) -> HubLog:
    return open_log(folder, key=KEY, guard=guard, limits=limits)


class Commits:
    """Counts commits; can fail before one or after one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.fail_before = self.fail_after = False
        self._real = batches.commit_batch
        monkeypatch.setattr(sqlite_entry_store, "commit_batch", self)

    def __call__(
        self,
        connection: sqlite3.Connection,
        writes: Sequence[LogWrite],
        next_index: int,
        epoch: int,
        open_claims: batches.OpenClaims,
    ) -> list[CommitResult]:
        if self.fail_before:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO entries VALUES (?, ?)", (next_index, b"{}"))
            raise sqlite3.OperationalError("disk I/O error")
        self.count += 1
        results = self._real(connection, writes, next_index, epoch, open_claims)
        if self.fail_after:
            raise sqlite3.OperationalError("the confirmation was lost")
        return results


def test_entries_are_numbered_without_gaps_and_read_back(folder: Path) -> None:
    async def story() -> None:
        log = await opened(folder)
        first, second = received("m-1", b"<one/>"), heartbeat()
        assert await log.append(first) == Appended(0)
        assert await log.append(second) == Appended(1)
        entry = await log.read(0)
        assert (entry.leaf, entry.sealed) == (first.leaf, first.sealed)
        assert entry.sealed is not None
        assert SEALER.open_sealed(entry.sealed)[1] == b"<one/>"
        assert (await log.read(1)).sealed is None
        with pytest.raises(LogCorrupt):
            await log.read(2)
        await log.close()

    run(story())


def test_what_queued_meanwhile_shares_one_commit(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = Commits(monkeypatch)

    async def story() -> None:
        log = await opened(folder)
        await asyncio.gather(*(log.append(heartbeat(second)) for second in range(500)))
        await log.close()

    run(story())
    assert commits.count <= 10


def test_a_claim_is_settled_as_the_table_says(folder: Path) -> None:
    async def story() -> None:
        log = await opened(folder)
        await log.append_text(CONFIGURATION)
        assert await log.append(received("m", b"a")) == Appended(0)
        assert await log.append(received("m", b"a")) == AlreadyTaken(True, InboxState.OPEN, 0, None)
        assert await log.append(received("m", b"b")) == AlreadyTaken(
            False, InboxState.OPEN, 0, None
        )
        await log.append(outcome("m", 0, InboxState.RETRYABLE))
        assert await log.append(received("m", b"b")) == AlreadyTaken(
            False, InboxState.RETRYABLE, 0, 1
        )
        assert await log.append(received("m", b"a")) == Appended(2)
        await log.append(outcome("m", 2))
        assert await log.append(received("m", b"a")) == AlreadyTaken(
            True, InboxState.ANSWERED, 2, 3
        )
        assert log.size == 4
        await log.close()

    run(story())
    assert verify_log(folder, read_key=READ_KEY).findings == []


def test_two_claims_of_one_id_in_one_batch_give_one_entry(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = Commits(monkeypatch)

    async def story() -> list[Taken]:
        log = await opened(folder)
        results = await asyncio.gather(
            *(log.append(received("same", b"a")) for _ in range(5)), log.append(received("same"))
        )
        await log.close()
        return results

    results = run(story())
    assert commits.count <= 2
    assert results[0] == Appended(0)
    assert results[1:5] == [AlreadyTaken(True, InboxState.OPEN, 0, None)] * 4
    assert results[5] == AlreadyTaken(False, InboxState.OPEN, 0, None)


def test_a_settlement_and_the_next_claim_may_share_a_batch(folder: Path) -> None:
    async def story() -> list[Taken]:
        log = await opened(folder)
        await log.append_text(CONFIGURATION)
        await log.append(received("m", b"a"))
        results = await asyncio.gather(
            log.append(outcome("m", 0, InboxState.RETRYABLE)),
            log.append(received("m", b"a")),
            log.append(received("m", b"a")),
        )
        await log.close()
        return list(results)

    assert run(story()) == [
        Appended(1),
        Appended(2),
        AlreadyTaken(True, InboxState.OPEN, 2, None),
    ]
    assert verify_log(folder).findings == []


def test_a_commit_that_fails_leaves_nothing_and_the_next_one_works(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = Commits(monkeypatch)

    async def story() -> None:
        log = await opened(folder)
        await log.append_text(CONFIGURATION)
        commits.fail_before = True
        results = await asyncio.gather(
            *(log.append(received(f"m-{number}")) for number in range(20)), return_exceptions=True
        )
        assert all(isinstance(result, LogUnavailable) for result in results)
        assert "disk I/O error" in log.trouble
        commits.fail_before = False
        assert await log.append(received("m-0")) == Appended(0)
        assert log.trouble == ""
        await log.close()

    run(story())
    assert verify_log(folder, read_key=READ_KEY).findings == []


def test_a_commit_whose_confirmation_is_lost_is_counted_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = Commits(monkeypatch)

    async def story() -> None:
        log = await opened(folder)
        await log.append_text(CONFIGURATION)
        commits.fail_after = True
        with pytest.raises(LogUnavailable):
            await log.append(received("m", b"a"))
        commits.fail_after = False
        # The entry is on disk although nobody was told; the sender's next try learns of it.
        assert await log.append(received("m", b"a")) == AlreadyTaken(True, InboxState.OPEN, 0, None)
        assert await log.append(heartbeat()) == Appended(1)
        await log.close()

    run(story())
    report = verify_log(folder, read_key=READ_KEY)
    assert report.findings == []
    assert report.pending == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_nobody_waits_for_a_writer_that_broke(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*arguments: object) -> None:
        raise TypeError("a mistake of ours")

    async def story() -> None:
        log = await opened(folder)
        monkeypatch.setattr(sqlite_entry_store, "commit_batch", break_down)
        results = await asyncio.gather(
            *(log.append(heartbeat(second)) for second in range(300)), return_exceptions=True
        )
        assert {LogUnavailable} == {type(result) for result in results}
        with pytest.raises(LogUnavailable, match="stopped"):
            await log.append(heartbeat())
        await log.close()

    run(story())
    assert verify_log(folder).findings == []


def test_a_full_disk_refuses_and_room_lets_it_go_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SmallDisk(monkeypatch)

    async def story() -> None:
        log = await opened(folder)
        await log.append_text(CONFIGURATION)
        disk.leave_pages(20)
        results: list[Taken | BaseException] = []
        for number in range(10):
            append = log.append(received(f"m-{number}", os.urandom(20000)))
            results += await asyncio.gather(append, return_exceptions=True)
        taken = sum(isinstance(one, Appended) for one in results)
        assert 0 < taken < 10
        assert results[:taken] == [Appended(index) for index in range(taken)]
        for refused in results[taken:]:
            assert isinstance(refused, LogUnavailable)
            assert "full" in refused.detail
        assert log.size == taken
        disk.leave_pages(100_000)
        assert await log.append(received("later")) == Appended(taken)
        await log.close()

    run(story())
    assert verify_log(folder, read_key=READ_KEY).findings == []


def test_a_queue_that_is_full_refuses_at_once(folder: Path) -> None:
    async def story() -> None:
        log = await opened(folder, limits=Limits(log_queue_entries_max=0))
        with pytest.raises(LogUnavailable, match="wait"):
            await log.append(heartbeat())
        await log.close()

    run(story())


def test_a_closed_log_takes_nothing(folder: Path) -> None:
    async def story() -> None:
        log = await opened(folder)
        pending = asyncio.gather(*(log.append(heartbeat(second)) for second in range(50)))
        await asyncio.sleep(0)
        await log.close()
        assert len(await pending) == 50
        with pytest.raises(LogUnavailable, match="closed"):
            await log.append(heartbeat())

    run(story())
    assert verify_log(folder).signed_size == 50


def test_a_second_hub_on_the_same_folder_is_stopped(folder: Path) -> None:
    async def story() -> None:
        log = await opened(folder)
        with pytest.raises(LogUnavailable, match="another hub"):
            await opened(folder)
        await log.append(heartbeat())
        await log.close()

    run(story())


def test_a_hub_that_was_fenced_off_writes_no_more(folder: Path) -> None:
    async def story() -> None:
        log = await opened(folder)
        await log.append(heartbeat())
        other = database.open_writing(folder)
        database.take_over(other)
        for _ in range(2):
            with pytest.raises(LogUnavailable, match="took over"):
                await log.append(heartbeat(1))
        assert database.entry_count(other) == 1
        other.close()
        await log.close()

    run(story())


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_bytes(b"")
    with pytest.raises(LogUnavailable, match="file"):
        run(opened(blocked / "log"))


def test_a_log_made_under_another_key_is_refused(folder: Path) -> None:
    write_log(folder, 1)
    other = SigningKey("other.vn/log", KEY.private_key)
    with pytest.raises(ConfigurationError, match=r"other\.vn"):
        open_log(folder, key=other)


def test_what_was_open_is_told_to_the_next_run(folder: Path) -> None:
    async def first() -> None:
        log = await opened(folder)
        await log.append_text(CONFIGURATION)
        await fill(log, 3)
        await log.append(received("lost"))
        await log.close()

    async def second() -> None:
        log = await opened(folder)
        (lost,) = log.interrupted()
        assert (lost.key, lost.received_index) == (claim_of("lost").key, 6)
        await log.append(outcome("lost", 6, InboxState.RETRYABLE))
        await log.close()

    async def third() -> None:
        log = await opened(folder)
        assert log.interrupted() == []
        await log.close()

    run(first())
    run(second())
    run(third())
    assert verify_log(folder, read_key=READ_KEY).findings == []


def test_a_text_is_kept_once(folder: Path) -> None:
    async def story() -> None:
        log = await opened(folder)
        assert await log.append_text(CONFIGURATION) == CONFIGURATION_DIGEST
        assert await log.append_text(CONFIGURATION) == CONFIGURATION_DIGEST
        assert await log.read_text(CONFIGURATION_DIGEST) == CONFIGURATION
        with pytest.raises(LogCorrupt):
            await log.read_text(bytes(32))
        await log.close()

    run(story())


def test_an_erased_payload_leaves_a_tombstone_and_no_byte(folder: Path) -> None:
    entry = received("m", b"secret" * 100)

    async def story() -> None:
        log = await opened(folder)
        await log.append_text(CONFIGURATION)
        await log.append(entry)
        await log.append(outcome("m", 0))
        tombstone = build_leaf(Event.ERASED, START, continues=0)
        assert await log.append(LogWrite(tombstone, erases=0)) == Appended(2)
        assert (await log.read(0)).sealed is None
        await log.close()

    run(story())
    report = verify_log(folder, read_key=READ_KEY)
    assert report.findings == []
    assert report.erased == 1
    stored = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert entry.sealed is not None
    assert entry.sealed.ciphertext[:40] not in stored
    assert entry.sealed.wrapped_key not in stored


@pytest.mark.parametrize("is_done", [False, True])
@pytest.mark.parametrize("name", ["tile/0/000.p/3", "guard", "checkpoint"])
def test_publishing_may_fail_at_any_file_and_catches_up(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, is_done: bool
) -> None:
    is_failing = False
    real = log_files.store_files

    def store(files: Iterable[tuple[Path, bytes]]) -> None:
        for path, content in files:
            hits = is_failing and str(path).endswith(name)
            if not hits or is_done:
                real([(path, content)])
            if hits:
                raise OSError(28, "No space left on device")

    monkeypatch.setattr(log_publisher, "store_files", store)
    guard = tmp_path / "guard"

    async def first() -> None:
        nonlocal is_failing
        log = await opened(folder, guard=guard)
        await log.append_text(CONFIGURATION)
        is_failing = True
        await asyncio.gather(*(log.append(heartbeat(second)) for second in range(3)))
        await log.close()
        assert "No space" in log.trouble
        assert log.published_size == 0

    run(first())
    assert verify_log(folder).findings == []
    is_failing = False

    async def second() -> None:
        log = await opened(folder, guard=guard)
        assert (log.size, log.published_size) == (3, 3)
        await log.close()

    run(second())
    assert verify_log(folder).signed_size == 3


def test_bytes_that_cannot_be_a_leaf_are_refused(folder: Path) -> None:
    async def story() -> None:
        log = await opened(folder)
        with pytest.raises(ValueError, match="newline"):
            await log.append(LogWrite(b"{\n}"))
        await log.close()

    run(story())


def test_a_log_whose_disk_is_gone_is_closed_without_a_word_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*arguments: object, **named: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    async def story() -> None:
        log = open_log(tmp_path / "log", key=KEY)
        await fill(log, 3)
        with monkeypatch.context() as patch:
            patch.setattr(database.Fold, "fold", gone)
            patch.setattr(database, "open_reading", gone)
            await log.close()
        assert "disk I/O error" in log.trouble

    asyncio.run(story())
    assert verify_log(tmp_path / "log", read_key=READ_KEY).findings == []


def test_the_log_needs_a_store_of_entries_and_no_database(folder: Path) -> None:
    folder.mkdir()
    disk = MemoryDisk()

    async def story() -> None:
        store = MemoryEntryStore(disk)
        publisher = Publisher(folder, store, KEY, None)
        log = HubLog(store, publisher, limits=Limits(), resources=contextlib.ExitStack())
        await log.append_text(CONFIGURATION)
        await fill(log, 40)
        await log.close()
        assert log.published_size == log.size

    run(story())
    checkpoint = read_checkpoint((folder / "checkpoint").read_bytes(), KEY.verifying_key)
    tree = TiledTree()
    tree.append(hash_leaf(entry.leaf) for entry in disk.rows.entries)
    assert (checkpoint.size, checkpoint.root) == (len(disk.rows.entries), tree.root())
