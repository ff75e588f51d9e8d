"""What every store of entries promises: see `bus.core.ports.entry_store.EntryStore`.

A store passes when its test class inherits `EntryStoreContract` and says what its disk is.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bus.core.errors import LogCorrupt, LogUnavailable
from bus.core.log.leaf import Event, build_leaf
from bus.core.ports.entry_store import Fenced, LogStore, OpenClaim
from bus.core.ports.message_log import AlreadyTaken, Appended, InboxState, LogWrite
from tests.log.log_stories import START, claim_of, heartbeat, outcome, received


class StoreDisk(ABC):
    """Where stores of one log lie; outlives each of them."""

    @abstractmethod
    def open(self) -> LogStore:
        """A store on this disk, beside those that are open; they are fenced off by it."""

    @abstractmethod
    def fail(self, *, is_done: bool) -> None:
        """Let commits fail: before anything is done, or so that only the confirmation is lost."""

    @abstractmethod
    def recover(self) -> None:
        """Let commits succeed again."""


def with_attachments(stored: bytes) -> LogWrite:
    leaf = build_leaf(Event.RECEIVED, START, attachments=bytes(32), stored=stored)
    return LogWrite(leaf)


class EntryStoreContract:
    """The suite. `disk` is the fixture that a store's own test class overrides."""

    @pytest.fixture
    def disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoreDisk:
        raise NotImplementedError

    @pytest.fixture
    def store(self, disk: StoreDisk) -> Iterator[LogStore]:
        with opened(disk) as store:
            yield store

    def test_a_new_store_is_empty(self, store: LogStore) -> None:
        assert store.size == 0
        assert store.open_claims() == []
        assert store.entry(0) is None
        assert list(store.leaves(0, 0)) == []
        assert store.trouble == ""
        assert not store.is_fenced

    def test_a_batch_is_numbered_without_gaps_and_read_back(self, store: LogStore) -> None:
        writes = [received("m-1", b"<one/>"), heartbeat(), received("m-2", b"<two/>")]

        assert store.commit(writes) == [Appended(0), Appended(1), Appended(2)]
        assert store.commit([heartbeat(1)]) == [Appended(3)]

        assert store.size == 4
        assert list(store.leaves(0, 3)) == [write.leaf for write in writes]
        assert list(store.leaves(3, 4)) == [heartbeat(1).leaf]
        for index, write in enumerate(writes):
            entry = store.entry(index)
            assert entry is not None
            assert (entry.index, entry.leaf, entry.sealed) == (index, write.leaf, write.sealed)
        assert store.entry(4) is None
        assert store.stored_bytes > 0

    def test_leaves_that_are_not_there_are_missing(self, store: LogStore) -> None:
        store.commit([heartbeat()])
        with pytest.raises(LogCorrupt):
            list(store.leaves(0, 2))

    def test_an_id_is_kept_by_the_first_bytes_under_it(self, store: LogStore) -> None:
        assert store.commit([received("m", b"a")]) == [Appended(0)]
        assert store.commit([received("m", b"a")]) == [AlreadyTaken(True, InboxState.OPEN, 0, None)]
        assert store.commit([received("m", b"b")]) == [
            AlreadyTaken(False, InboxState.OPEN, 0, None)
        ]
        assert store.size == 1

    def test_an_answered_id_stays_answered(self, store: LogStore) -> None:
        store.commit([received("m", b"a")])
        store.commit([outcome("m", 0)])
        for raw, is_same in ((b"a", True), (b"b", False)):
            assert store.commit([received("m", raw)]) == [
                AlreadyTaken(is_same, InboxState.ANSWERED, 0, 1)
            ]

    def test_a_retryable_id_is_taken_over_by_the_same_bytes_alone(self, store: LogStore) -> None:
        store.commit([received("m", b"a")])
        store.commit([outcome("m", 0, InboxState.RETRYABLE)])
        assert store.commit([received("m", b"b")]) == [
            AlreadyTaken(False, InboxState.RETRYABLE, 0, 1)
        ]
        assert store.commit([received("m", b"a")]) == [Appended(2)]
        assert store.commit([received("m", b"a")]) == [AlreadyTaken(True, InboxState.OPEN, 2, None)]
        store.commit([outcome("m", 2)])
        assert store.commit([received("m", b"a")]) == [
            AlreadyTaken(True, InboxState.ANSWERED, 2, 3)
        ]

    def test_what_a_claim_would_meet_is_told_without_taking_it(self, store: LogStore) -> None:
        first, other = received("m", b"a").claim, received("m", b"b").claim
        assert first is not None
        assert other is not None
        assert store.claimed(first) is None
        store.commit([received("m", b"a")])
        assert store.claimed(first) == AlreadyTaken(True, InboxState.OPEN, 0, None)
        assert store.claimed(other) == AlreadyTaken(False, InboxState.OPEN, 0, None)
        store.commit([outcome("m", 0, InboxState.RETRYABLE)])
        assert store.claimed(first) is None
        assert store.claimed(other) == AlreadyTaken(False, InboxState.RETRYABLE, 0, 1)
        assert store.commit([received("m", b"a")]) == [Appended(2)]

    def test_claims_of_one_batch_meet_each_other_and_the_others_stand(
        self, store: LogStore
    ) -> None:
        assert store.commit(
            [received("m", b"a"), received("m", b"a"), received("m", b"b"), heartbeat()]
        ) == [
            Appended(0),
            AlreadyTaken(True, InboxState.OPEN, 0, None),
            AlreadyTaken(False, InboxState.OPEN, 0, None),
            Appended(1),
        ]
        assert store.commit(
            [
                outcome("m", 0, InboxState.RETRYABLE),
                received("m", b"a"),
                received("m", b"a"),
                outcome("m", 3),
                received("m", b"a"),
            ]
        ) == [
            Appended(2),
            Appended(3),
            AlreadyTaken(True, InboxState.OPEN, 3, None),
            Appended(4),
            AlreadyTaken(True, InboxState.ANSWERED, 3, 4),
        ]

    @pytest.mark.parametrize("count", [1, 2, 3, 17, 256, 300])
    def test_batches_of_any_size_are_one(self, store: LogStore, count: int) -> None:
        writes = [received(f"m-{number}", b"%d" % number) for number in range(count)]
        assert store.commit(writes) == [Appended(index) for index in range(count)]
        assert all(
            isinstance(one, AlreadyTaken) and one.received_index == index
            for index, one in enumerate(store.commit(writes))
        )

    def test_what_is_erased_loses_its_payload_and_nothing_else(self, store: LogStore) -> None:
        secret = received("m", b"secret")
        store.commit([secret, received("n", b"other")])
        leaf = build_leaf(Event.ERASED, START, continues=0)
        assert store.commit([LogWrite(leaf, erases=0)]) == [Appended(2)]
        erased, other = store.entry(0), store.entry(1)
        assert erased is not None
        assert erased.leaf == secret.leaf
        assert erased.sealed is None
        assert other is not None
        assert other.sealed is not None

    def test_a_text_is_kept_once(self, store: LogStore) -> None:
        digest = hashlib.sha256(b"rules").digest()
        assert store.text(digest) is None
        assert store.keep_text(b"rules") == digest
        assert store.keep_text(b"rules") == digest
        assert store.text(digest) == b"rules"
        assert store.size == 0

    def test_attachments_are_known_by_the_entry_that_names_them(self, store: LogStore) -> None:
        stored = hashlib.sha256(b"file").digest()
        assert not store.names_attachments(stored)
        store.commit([with_attachments(stored)])
        assert store.names_attachments(stored)
        assert not store.names_attachments(bytes(32))

    def test_all_of_it_is_there_when_it_is_opened_again(self, disk: StoreDisk) -> None:
        with opened(disk) as store:
            digest = store.keep_text(b"rules")
            store.commit([received("m", b"a"), received("n", b"b"), outcome("n", 1)])
            store.commit([received("o", b"c")])
        with opened(disk) as store:
            assert store.size == 4
            assert store.open_claims() == [
                OpenClaim(claim_of("m").key, 0),
                OpenClaim(claim_of("o").key, 3),
            ]
            assert store.text(digest) == b"rules"
            assert store.commit([outcome("m", 0), received("n", b"b")]) == [
                Appended(4),
                AlreadyTaken(True, InboxState.ANSWERED, 1, 2),
            ]
        with opened(disk) as store:
            assert store.open_claims() == [OpenClaim(claim_of("o").key, 3)]

    def test_whoever_opens_it_fences_the_others_off(self, disk: StoreDisk) -> None:
        with opened(disk) as first:
            first.commit([heartbeat()])
            with opened(disk) as second:
                for _ in range(2):
                    with pytest.raises(Fenced):
                        first.commit([heartbeat(1)])
                assert first.is_fenced
                assert first.trouble
                assert second.size == 1
                assert second.commit([heartbeat(2)]) == [Appended(1)]
                assert list(second.leaves(0, 2)) == [heartbeat().leaf, heartbeat(2).leaf]

    def test_a_commit_that_fails_leaves_nothing_and_the_next_one_works(
        self, disk: StoreDisk, store: LogStore
    ) -> None:
        disk.fail(is_done=False)
        for _ in range(2):
            with pytest.raises(LogUnavailable):
                store.commit([received("m", b"a"), heartbeat()])
        assert store.trouble
        assert not store.is_fenced
        disk.recover()
        assert store.commit([received("m", b"a")]) == [Appended(0)]
        assert store.trouble == ""
        assert store.size == 1

    def test_a_commit_whose_confirmation_is_lost_is_counted_once(
        self, disk: StoreDisk, store: LogStore
    ) -> None:
        disk.fail(is_done=True)
        with pytest.raises(LogUnavailable):
            store.commit([received("m", b"a")])
        disk.recover()
        assert store.commit([received("m", b"a"), heartbeat()]) == [
            AlreadyTaken(True, InboxState.OPEN, 0, None),
            Appended(1),
        ]
        assert store.size == 2
        assert store.commit([outcome("m", 0)]) == [Appended(2)]

    def test_a_proof_changes_nothing_and_fails_as_a_commit_does(self, disk: StoreDisk) -> None:
        with opened(disk) as store:
            store.commit([heartbeat()])
            store.prove()
            assert (store.size, store.trouble) == (1, "")
            disk.fail(is_done=False)
            with pytest.raises(LogUnavailable):
                store.prove()
            assert store.trouble
            disk.recover()
            store.prove()
            assert (store.size, store.trouble) == (1, "")

    def test_a_store_that_was_fenced_off_proves_nothing(self, disk: StoreDisk) -> None:
        with opened(disk) as first, opened(disk):
            with pytest.raises(Fenced):
                first.prove()
            assert first.is_fenced

    def test_tending_changes_nothing_that_was_promised(self, store: LogStore) -> None:
        for number in range(20):
            store.commit([received(f"m-{number}", b"x" * 1000)])
            store.tend()
        assert store.size == 20
        assert len(list(store.leaves(0, 20))) == 20


@contextmanager
def opened(disk: StoreDisk) -> Iterator[LogStore]:
    store = disk.open()
    try:
        yield store
    finally:
        store.close()
