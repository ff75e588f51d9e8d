"""What every store promises of deliveries: see `bus.core.deliveries` and the ports beside it.

A store passes when its test class inherits `DeliveryRowsContract` and says what its disk is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bus.core.deliveries import (
    Changed,
    DeliveryChange,
    DeliveryKey,
    DeliveryRow,
    Moved,
    ReceiptRemoval,
    ReceiptRow,
    RecipientCounts,
)
from bus.core.errors import LogUnavailable
from bus.core.ports.entry_store import Fenced, LogStore
from bus.core.ports.message_log import (
    AlreadyTaken,
    Appended,
    InboxState,
    LogWrite,
    SealedPayload,
)
from tests.log.delivery_stories import (
    BLOCKED,
    CARRIED,
    CASE,
    DEAD,
    HELD,
    OFFERED,
    OTHER_CASE,
    OUT,
    SERVICE,
    WAITING,
    A,
    B,
    C,
    accepted,
    at,
    becoming,
    closing,
    entry,
    new,
    row_at,
    to,
)
from tests.log.entry_store_contract import StoreDisk, opened
from tests.log.log_stories import CLIENT, claim_of, heartbeat, outcome, received


def keys(rows: object) -> list[tuple[int, int]]:
    assert isinstance(rows, list | tuple)
    return [(row.key.received_index, row.key.position) for row in rows]


class DeliveryRowsContract:
    """The suite. `disk` is the fixture that a store's own test class overrides."""

    @pytest.fixture
    def disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoreDisk:
        raise NotImplementedError

    @pytest.fixture
    def store(self, disk: StoreDisk) -> Iterator[LogStore]:
        with opened(disk) as store:
            yield store

    # --- rows come, change and go -----------------------------------------------------------------

    def test_a_new_store_owes_nothing(self, store: LogStore) -> None:
        rows = store.deliveries
        assert rows.delivery(DeliveryKey(0, 0)) is None
        assert not rows.due_recipients(at(0))
        assert rows.next_due() is None
        assert not any([rows.lapsed(at(9e6), 9), rows.expired(at(9e6), 9), rows.out(9)])
        assert not any([rows.offered(A, None, 9), rows.dead(None, None, 9), rows.open_of(0)])
        assert rows.counts() == {}
        assert rows.carried(0) is None
        assert not rows.related(0, -1, 9)

    def test_deliveries_come_with_the_entry_that_received_their_message(
        self, store: LogStore
    ) -> None:
        owed = [
            new(A, due=1.5, expires=2.000001, deadline=3.25),
            new(B, WAITING, is_urgent=True, conversation=CASE),
            new(C, OFFERED),
        ]
        assert store.commit([heartbeat(), accepted("m", *owed)]) == [Appended(0), Appended(1)]
        rows = list(store.deliveries.open_of(1))
        assert rows == [
            DeliveryRow(DeliveryKey(1, 0), A, SERVICE, owed[0].delivery),
            DeliveryRow(DeliveryKey(1, 1), B, SERVICE, owed[1].delivery, True, CASE, place=1),
            DeliveryRow(DeliveryKey(1, 2), C, SERVICE, owed[2].delivery),
        ]
        assert [store.deliveries.delivery(row.key) for row in rows] == rows
        assert not store.deliveries.open_of(0)

    def test_every_fact_of_a_row_is_kept(self, store: LogStore) -> None:
        store.commit([accepted("m", new())])
        row = row_at(store, 0)
        becomes = replace(
            becoming(row, HELD, attempt=5, doubt=True, due=at(7), expires=at(8), attempt_max=9),
            generation=3,
            holder=hashlib.sha256(b"token").digest(),
        )
        becomes = replace(becomes, delivery=replace(becomes.delivery, key=bytes(32)))
        (changed,) = store.commit([DeliveryChange(row, becomes)])
        expected = replace(becomes, version=row.version + 1)
        assert changed == Changed(expected)
        assert row_at(store, 0) == expected

    def test_a_change_needs_the_row_as_it_was_seen(self, store: LogStore) -> None:
        store.commit([accepted("m", new())])
        first = row_at(store, 0)
        (changed,) = store.commit([to(first, WAITING)])
        assert isinstance(changed, Changed)
        assert changed.row is not None
        assert changed.row.version > first.version
        for late in (to(first, DEAD), closing(first)):
            assert store.commit([late, entry(late), heartbeat()]) == [
                Moved(changed.row),
                Moved(changed.row),
                Appended(store.size - 1),
            ]
        assert row_at(store, 0) == changed.row
        assert store.commit([closing(changed.row)]) == [Changed(None)]
        assert store.commit([closing(changed.row), entry(to(first, DEAD))]) == [Moved(None)] * 2
        assert store.size == 3

    def test_an_entry_and_its_change_are_one(self, store: LogStore) -> None:
        store.commit([accepted("m", new(), new(B))])
        assert store.commit([entry(to(row_at(store, 0), WAITING, due=at(9)))]) == [Appended(1)]
        assert row_at(store, 0).delivery.due == at(9)
        assert store.commit([entry(closing(row_at(store, 0, 1)))]) == [Appended(2)]
        assert keys(store.deliveries.open_of(0)) == [(0, 0)]

    def test_changes_of_one_row_in_one_batch_meet_each_other(self, store: LogStore) -> None:
        store.commit([accepted("m", new()), accepted("n", new())])
        row, other = row_at(store, 0), row_at(store, 1)
        results = store.commit(
            [
                entry(to(row, WAITING)),
                to(row, DEAD),
                entry(closing(row)),
                closing(other),
                entry(to(other, DEAD)),
                heartbeat(),
            ]
        )
        now = row_at(store, 0)
        assert now.delivery.state is WAITING
        moved, gone = Moved(now), Moved(None)
        assert results == [Appended(2), moved, moved, Changed(None), gone, Appended(3)]

    def test_a_row_that_is_gone_in_the_middle_of_a_batch_harms_no_other(
        self, store: LogStore
    ) -> None:
        store.commit([accepted("m", new()), accepted("n", new(B))])
        gone, row = row_at(store, 0), row_at(store, 1)
        store.commit([closing(gone)])
        results = store.commit(
            [
                heartbeat(),
                entry(closing(gone)),
                entry(to(row, WAITING)),
                received("o"),
                to(row, OUT),
            ]
        )
        now = row_at(store, 1)
        assert results == [Appended(2), Moved(None), Appended(3), Appended(4), Moved(now)]
        assert now.delivery.state is WAITING

    def test_new_rows_changes_and_entries_share_a_batch(self, store: LogStore) -> None:
        store.commit([accepted("m", new())])
        works = [
            accepted("n", new(), new(B)),
            entry(closing(row_at(store, 0))),
            received("q"),
            accepted("o", new(C)),
            outcome("q", 3),
        ]
        assert store.commit(works) == [Appended(index) for index in range(1, 6)]
        assert keys(store.deliveries.out(9)) == [(1, 0), (1, 1), (4, 0)]
        assert store.commit([received("q")]) == [AlreadyTaken(True, InboxState.ANSWERED, 3, 5)]

    @pytest.mark.parametrize("count", [1, 2, 3, 40, 700])
    def test_a_message_may_have_many_recipients(self, store: LogStore, count: int) -> None:
        names = [f"VN/GOV/H{number:04}/motcua" for number in range(count)]
        works = [accepted("m", *map(new, names)), heartbeat(), accepted("n", *map(new, names))]
        assert store.commit(works) == [Appended(0), Appended(1), Appended(2)]
        assert [row.recipient for row in store.deliveries.open_of(2)] == names
        rows = store.deliveries.open_of(0)
        late = to(rows[-1], DEAD)
        store.commit([closing(rows[-1])])
        closed = store.commit([heartbeat(), *map(closing, rows), late])
        gone = Moved(None)
        assert closed == [Appended(3), *[Changed(None)] * (count - 1), gone, gone]
        assert len(store.deliveries.out(9999)) == count

    # --- conversations ----------------------------------------------------------------------------

    def test_what_stands_behind_an_open_delivery_is_blocked(self, store: LogStore) -> None:
        case = new(conversation=CASE)
        results = store.commit(
            [
                accepted("1", new(B), case),
                accepted("2", case, new(B), new(conversation=OTHER_CASE)),
                accepted("3", new(B, conversation=CASE)),
            ]
        )
        assert results == [Appended(0), Appended(1, blocked=(0,)), Appended(2, blocked=(0,))]
        assert store.commit([accepted("4", case, case)]) == [Appended(3, blocked=(0, 1))]
        blocked = row_at(store, 1).delivery
        assert (blocked.state, blocked.attempt, blocked.deadline) == (BLOCKED, 0, None)
        places = [row_at(store, *key).place for key in ((0, 1), (1, 0), (2, 0), (3, 0), (3, 1))]
        assert places == [1, 2, 3, 4, 5]
        assert row_at(store, 1, 2).delivery.state is OUT

    def test_what_is_blocked_by_nothing_is_found(self, store: LogStore) -> None:
        case, other = new(conversation=CASE), new(B, conversation=OTHER_CASE)
        store.commit([accepted("1", case, other), accepted("2", case, other), accepted("3", new())])
        stuck = store.deliveries.stuck
        assert stuck(b"", 9) == ([], None)
        # Whoever stood before is gone, and nobody was freed.
        store.commit([to(row_at(store, 0), BLOCKED), to(row_at(store, 0, 1), BLOCKED)])
        first, second = min(CASE, OTHER_CASE), max(CASE, OTHER_CASE)
        found, last = stuck(b"", 9)
        assert (sorted(keys(found)), last) == ([(0, 0), (0, 1)], None)
        found, last = stuck(b"", 1)
        assert ([one.conversation for one in found], last) == ([first], first)
        found, last = stuck(first, 1)
        assert ([one.conversation for one in found], last) == ([second], second)
        assert stuck(second, 1) == ([], None)
        assert stuck(b"", 9)[0][0] == row_at(store, *keys(stuck(b"", 9)[0])[0])
        waiting = to(row_at(store, 0), WAITING)
        store.commit([waiting, to(row_at(store, 0, 1), WAITING)])
        assert stuck(b"", 9) == ([], None)

    def test_what_lets_pass_blocks_nothing(self, store: LogStore) -> None:
        case = new(conversation=CASE)
        store.commit([accepted("1", case), accepted("2", case), accepted("3", case)])
        dead = replace(row_at(store, 0), delivery=replace(row_at(store, 0).delivery, state=DEAD))
        store.commit([DeliveryChange(row_at(store, 0), dead, frees_next=True)])
        assert store.deliveries.stuck(b"", 9) == ([], None)
        store.commit([to(row_at(store, 1), BLOCKED)])
        assert keys(store.deliveries.stuck(b"", 9)[0]) == [(1, 0)]

    def test_closing_frees_the_next_alone(self, store: LogStore) -> None:
        for name in "123":
            store.commit([accepted(name, new(conversation=CASE, due=5))])
        second = DeliveryKey(1, 0)
        before = row_at(store, 1)
        assert store.commit([entry(closing(row_at(store, 0)))]) == [Appended(3, freed=second)]
        freed = row_at(store, 1)
        assert freed.delivery == replace(before.delivery, state=WAITING, due=at(5))
        assert freed.version > before.version
        assert row_at(store, 2).delivery.state is BLOCKED
        assert store.commit([to(before, OUT)]) == [Moved(freed)]
        third = DeliveryKey(2, 0)
        assert store.commit([DeliveryChange(freed, None)]) == [Changed(None, freed=third)]
        assert store.commit([closing(row_at(store, 2))]) == [Changed(None)]
        assert store.commit([accepted("4", new(conversation=CASE))]) == [Appended(4)]
        assert row_at(store, 4).delivery.state is OUT

    def test_a_blocked_one_that_goes_frees_nobody_before_its_turn(self, store: LogStore) -> None:
        for name in "123":
            store.commit([accepted(name, new(conversation=CASE))])
        assert store.commit([entry(closing(row_at(store, 1)))]) == [Appended(3)]
        assert row_at(store, 2).delivery.state is BLOCKED
        assert store.commit([entry(closing(row_at(store, 0)))]) == [
            Appended(4, freed=DeliveryKey(2, 0))
        ]

    def test_a_dead_letter_blocks_its_conversation_unless_it_lets_pass(
        self, store: LogStore
    ) -> None:
        for name in "12":
            store.commit([accepted(name, new(conversation=CASE))])
        assert store.commit([entry(to(row_at(store, 0), DEAD))]) == [Appended(2)]
        assert store.commit([accepted("3", new(conversation=CASE))]) == [Appended(3, blocked=(0,))]
        dead = row_at(store, 0)
        assert not dead.lets_pass
        skipped = DeliveryChange(dead, dead, frees_next=True)
        assert store.commit([skipped]) == [
            Changed(replace(dead, version=dead.version + 1, lets_pass=True), DeliveryKey(1, 0))
        ]
        assert store.commit([entry(closing(row_at(store, 1)))]) == [
            Appended(4, freed=DeliveryKey(3, 0))
        ]
        store.commit([closing(row_at(store, 3))])
        # Nothing but the dead letter stands before it now, and that lets it pass.
        assert store.commit([accepted("4", new(conversation=CASE))]) == [Appended(5)]
        assert row_at(store, 5).place > row_at(store, 0).place

    def test_a_dead_letter_alone_blocks_what_comes_later(self, store: LogStore) -> None:
        store.commit([accepted("1", new(conversation=CASE))])
        store.commit([entry(to(row_at(store, 0), DEAD))])
        assert store.commit([accepted("2", new(conversation=CASE))]) == [Appended(2, blocked=(0,))]

    def test_a_dead_letter_that_is_sent_again_is_waited_for_again(self, store: LogStore) -> None:
        for name in "12":
            store.commit([accepted(name, new(conversation=CASE))])
        row = row_at(store, 0)
        store.commit([DeliveryChange(row, becoming(row, DEAD), frees_next=True)])
        (changed,) = store.commit([to(row_at(store, 0), WAITING)])
        assert isinstance(changed, Changed)
        assert changed.row is not None
        assert not changed.row.lets_pass
        store.commit([accepted("3", new(conversation=CASE))])
        assert store.commit([closing(row_at(store, 1))]) == [Changed(None)]
        assert store.commit([closing(row_at(store, 0))]) == [Changed(None, DeliveryKey(2, 0))]

    def test_a_conversation_keeps_its_order_within_a_batch(self, store: LogStore) -> None:
        case = new(conversation=CASE)
        store.commit([accepted("1", case), accepted("2", case)])
        first, second = row_at(store, 0), row_at(store, 1)
        results = store.commit(
            [accepted("3", case), entry(closing(first)), closing(second), accepted("4", case)]
        )
        freed = replace(
            second, delivery=replace(second.delivery, state=WAITING), version=second.version + 1
        )
        assert results == [
            Appended(2, blocked=(0,)),
            Appended(3, freed=second.key),
            Moved(freed),
            Appended(4, blocked=(0,)),
        ]
        assert store.commit([closing(freed), accepted("5", case)]) == [
            Changed(None, DeliveryKey(2, 0)),
            Appended(5, blocked=(0,)),
        ]

    def test_many_that_go_at_once_free_whoever_is_next(self, store: LogStore) -> None:
        case = new(conversation=CASE)
        store.commit([accepted("m", *[case] * 30)])
        rows = list(store.deliveries.open_of(0))
        results = store.commit([*map(closing, rows[1:20]), closing(rows[0])])
        assert results == [*[Changed(None)] * 19, Changed(None, DeliveryKey(0, 20))]
        assert [row.delivery.state for row in store.deliveries.open_of(0)] == [
            WAITING,
            *[BLOCKED] * 9,
        ]

    # --- what is carried, claimed, related --------------------------------------------------------

    def test_what_is_carried_is_kept_as_long_as_a_row_of_the_message(self, store: LogStore) -> None:
        other = SealedPayload(b"other", b"its key")
        store.commit([accepted("m", new(), new(B)), accepted("n", new(C), carried=other)])
        store.commit([entry(closing(row_at(store, 0)))])
        assert store.deliveries.carried(0) == CARRIED
        assert store.deliveries.carried(1) == other
        store.commit([entry(to(row_at(store, 0, 1), DEAD))])
        assert store.deliveries.carried(0) == CARRIED
        store.commit([entry(closing(row_at(store, 0, 1)))])
        assert store.deliveries.carried(0) is None
        assert store.deliveries.carried(1) == other

    def test_what_is_carried_goes_with_the_last_of_one_batch(self, store: LogStore) -> None:
        store.commit([accepted("m", new(), new(B)), accepted("n", new())])
        store.commit([closing(row_at(store, 0, position)) for position in (1, 0)])
        assert store.deliveries.carried(0) is None
        assert store.deliveries.carried(1) == CARRIED

    def test_a_submission_is_answered_by_having_been_received(self, store: LogStore) -> None:
        first = accepted("m", new())
        copy = AlreadyTaken(True, InboxState.ACCEPTED, 0, None)
        other = replace(first, claim=replace(claim_of("m", b"<y/>"), state=InboxState.ACCEPTED))
        assert store.commit([first, first, other, received("m")]) == [
            Appended(0),
            copy,
            replace(copy, is_same_digest=False),
            replace(copy, is_same_digest=True),
        ]
        assert store.commit([first]) == [copy]
        assert keys(store.deliveries.open_of(0)) == [(0, 0)]
        store.commit([entry(closing(row_at(store, 0)))])
        assert store.commit([first]) == [copy]

    def test_nothing_owed_is_accepted_too(self, store: LogStore) -> None:
        write = accepted("m")
        assert store.commit([write]) == [Appended(0)]
        assert store.deliveries.carried(0) is None
        assert store.commit([write]) == [AlreadyTaken(True, InboxState.ACCEPTED, 0, None)]

    def test_entries_are_found_by_the_message_whose_deliveries_they_changed(
        self, store: LogStore
    ) -> None:
        store.commit([accepted("m", new(), new(B)), accepted("n", new())])
        store.commit([entry(to(row_at(store, 0), WAITING)), entry(closing(row_at(store, 1)))])
        store.commit([to(row_at(store, 0), OUT), heartbeat()])
        store.commit([entry(closing(row_at(store, 0))), entry(closing(row_at(store, 0, 1)))])
        assert list(store.deliveries.related(0, -1, 9)) == [2, 5, 6]
        assert list(store.deliveries.related(0, 2, 1)) == [5]
        assert list(store.deliveries.related(1, -1, 9)) == [3]

    # --- looking ----------------------------------------------------------------------------------

    def test_what_is_due_comes_urgent_first_then_by_time(self, store: LogStore) -> None:
        store.commit(
            [
                accepted(
                    "0", new(A, WAITING, due=3), new(A, WAITING, due=1), new(B, WAITING, due=2)
                ),
                accepted("1", new(A, WAITING, due=2, is_urgent=True), new(A, WAITING, due=9)),
                accepted("2", new(A, WAITING, due=1, is_urgent=True), new(A, WAITING, due=1)),
                accepted("3", new(A, OUT, due=0), new(C, OFFERED, due=0)),
            ]
        )
        rows = store.deliveries
        assert keys(rows.due(A, at(3), 9)) == [(2, 0), (1, 0), (0, 1), (2, 1), (0, 0)]
        assert keys(rows.due(A, at(3), 3)) == [(2, 0), (1, 0), (0, 1)]
        assert keys(rows.due(A, at(3), 1)) == [(2, 0)]
        assert not rows.due(A, at(0.5), 9)
        assert not rows.due(C, at(9), 9)
        assert list(rows.due_recipients(at(1))) == [A]
        assert list(rows.due_recipients(at(2))) == [A, B]
        assert not rows.due_recipients(at(0.999999))
        assert rows.next_due() == at(1)

    def test_the_next_that_comes_due_may_be_urgent_or_not(self, store: LogStore) -> None:
        store.commit([accepted("0", new(B, WAITING, due=5, is_urgent=True))])
        assert store.deliveries.next_due() == at(5)
        store.commit([accepted("1", new(A, WAITING, due=4))])
        assert store.deliveries.next_due() == at(4)

    def test_what_has_lapsed_was_begun(self, store: LogStore) -> None:
        store.commit(
            [
                accepted("0", new(A, OUT, deadline=5), new(B, OUT, deadline=9)),
                accepted("1", new(A, HELD, deadline=4), new(A, WAITING), new(A, OFFERED)),
                accepted("2", new(A, OUT, deadline=4)),
            ]
        )
        rows = store.deliveries
        assert not rows.lapsed(at(3.999999), 9)
        assert keys(rows.lapsed(at(4), 9)) == [(1, 0), (2, 0)]
        assert keys(rows.lapsed(at(10), 3)) == [(1, 0), (2, 0), (0, 0)]
        assert keys(rows.out(9)) == [(0, 0), (0, 1), (2, 0)]
        assert keys(rows.out(2)) == [(0, 0), (0, 1)]
        assert keys(rows.out(2, DeliveryKey(0, 0))) == [(0, 1), (2, 0)]
        assert not rows.out(2, DeliveryKey(2, 0))

    def test_what_has_expired_is_not_out_and_not_dead(self, store: LogStore) -> None:
        case = [new(A, state, expires=1, conversation=CASE) for state in (OUT, WAITING)]
        store.commit(
            [
                accepted("0", *case),
                accepted("1", new(B, WAITING, expires=3), new(B, OFFERED, expires=2)),
                accepted("2", new(B, HELD, expires=1), new(B, DEAD, expires=1)),
            ]
        )
        rows = store.deliveries
        assert row_at(store, 0, 1).delivery.state is BLOCKED
        assert keys(rows.expired(at(3), 9)) == [(0, 1), (1, 1), (1, 0)]
        assert keys(rows.expired(at(2), 9)) == [(0, 1), (1, 1)]
        assert keys(rows.expired(at(3), 1)) == [(0, 1)]
        assert not rows.expired(at(0.5), 9)

    def test_mailboxes_and_dead_letters_are_gone_through_in_order(self, store: LogStore) -> None:
        store.commit(
            [
                accepted("0", new(A, OFFERED), new(B, OFFERED), new(A, DEAD)),
                accepted("1", new(A, HELD), new(A, WAITING), new(B, DEAD)),
                accepted("2", new(A, OFFERED), new(A, OUT), new(A, DEAD)),
            ]
        )
        rows = store.deliveries
        assert keys(rows.offered(A, None, 9)) == [(0, 0), (1, 0), (2, 0)]
        assert keys(rows.offered(A, None, 2)) == [(0, 0), (1, 0)]
        assert keys(rows.offered(A, DeliveryKey(1, 0), 9)) == [(2, 0)]
        assert keys(rows.offered(A, DeliveryKey(0, 1), 9)) == [(1, 0), (2, 0)]
        assert not rows.offered(C, None, 9)
        assert keys(rows.dead(None, None, 9)) == [(0, 2), (1, 2), (2, 2)]
        assert keys(rows.dead(None, DeliveryKey(0, 2), 1)) == [(1, 2)]
        assert keys(rows.dead(A, None, 9)) == [(0, 2), (2, 2)]
        assert keys(rows.dead(A, DeliveryKey(0, 2), 9)) == [(2, 2)]

    def test_what_is_open_is_counted_by_recipient(self, store: LogStore) -> None:
        store.commit(
            [
                accepted("0", new(A, WAITING, due=5), new(A, WAITING, due=3), new(A, OUT)),
                accepted("1", new(A, DEAD), new(B, OFFERED, due=1)),
            ]
        )
        counts = store.deliveries.counts()
        assert counts == {
            A: RecipientCounts({WAITING: 2, OUT: 1, DEAD: 1}, at(3)),
            B: RecipientCounts({OFFERED: 1}),
        }
        assert counts[A].pending == 3

    # --- failures ---------------------------------------------------------------------------------

    def test_all_of_it_is_there_when_it_is_opened_again(self, disk: StoreDisk) -> None:
        with opened(disk) as store:
            store.commit([accepted("m", new(conversation=CASE), new(B, WAITING, due=2))])
            store.commit([entry(to(row_at(store, 0, 1), DEAD))])
            rows = list(store.deliveries.open_of(0))
        with opened(disk) as store:
            assert list(store.deliveries.open_of(0)) == rows
            assert store.deliveries.carried(0) == CARRIED
            assert store.open_claims() == []
            assert store.commit([accepted("n", new(conversation=CASE))]) == [
                Appended(2, blocked=(0,))
            ]
            assert store.commit([accepted("m", new()), entry(closing(rows[0]))]) == [
                AlreadyTaken(True, InboxState.ACCEPTED, 0, None),
                Appended(3, freed=DeliveryKey(2, 0)),
            ]

    def test_whoever_is_fenced_off_changes_nothing(self, disk: StoreDisk) -> None:
        with opened(disk) as first:
            first.commit([accepted("m", new())])
            row = row_at(first, 0)
            with opened(disk) as second:
                for work in (closing(row), entry(closing(row)), accepted("n", new())):
                    with pytest.raises(Fenced):
                        first.commit([work])
                assert list(second.deliveries.open_of(0)) == [row]
                assert second.commit([closing(row)]) == [Changed(None)]

    def test_a_commit_that_fails_changes_no_row(self, disk: StoreDisk, store: LogStore) -> None:
        store.commit([accepted("m", new())])
        row = row_at(store, 0)
        disk.fail(is_done=False)
        for works in ([closing(row)], [entry(closing(row)), accepted("n", new())]):
            with pytest.raises(LogUnavailable):
                store.commit(works)
        disk.recover()
        assert list(store.deliveries.out(9)) == [row]
        assert store.commit([entry(closing(row))]) == [Appended(1)]
        assert store.deliveries.carried(0) is None

    def test_a_change_whose_confirmation_is_lost_was_overtaken_by_itself(
        self, disk: StoreDisk, store: LogStore
    ) -> None:
        store.commit([accepted("m", new(), new(B))])
        first, second = store.deliveries.open_of(0)
        disk.fail(is_done=True)
        with pytest.raises(LogUnavailable):
            store.commit([entry(closing(first)), to(second, WAITING)])
        disk.recover()
        assert store.commit([entry(closing(first)), to(second, WAITING), heartbeat()]) == [
            Moved(None),
            Moved(row_at(store, 0, 1)),
            Appended(2),
        ]
        assert row_at(store, 0, 1).delivery.state is WAITING

    # --- receipts ---------------------------------------------------------------------------------

    def test_an_end_is_told_to_its_sender_in_the_transaction_of_its_entry(
        self, store: LogStore
    ) -> None:
        store.commit([accepted("m-1", new(A), new(B)), accepted("m-2", new(A))])
        rows = store.deliveries
        assert (rows.receipts(SENDER, -1, 9), rows.receipt_senders()) == ([], [])
        failed = entry(to(row_at(store, 0), WAITING, attempt=1))
        closed = ending(row_at(store, 0, 1))
        store.commit([failed, closed, ending(row_at(store, 1), for_=OTHER_SENDER)])
        assert rows.receipts(SENDER, -1, 9) == [ReceiptRow(3, DeliveryKey(0, 1))]
        assert rows.receipts(OTHER_SENDER, -1, 9) == [ReceiptRow(4, DeliveryKey(1, 0))]
        assert rows.receipt_senders() == sorted([SENDER, OTHER_SENDER])
        # A dead letter is told, too; a change that comes too late tells nobody.
        dead = entry(to(row_at(store, 0), DEAD))
        assert isinstance(store.commit([dead, ending(row_at(store, 0))])[1], Moved)
        assert [one.entry for one in rows.receipts(SENDER, -1, 9)] == [3, 5]

    def test_receipts_are_given_in_pages_and_go_when_they_are_acknowledged(
        self, store: LogStore
    ) -> None:
        store.commit([accepted("m-1", *(new(A) for _ in range(6)))])
        store.commit([ending(row_at(store, 0, position)) for position in range(6)])
        rows = store.deliveries
        assert [one.entry for one in rows.receipts(SENDER, -1, 2)] == [1, 2]
        assert [one.entry for one in rows.receipts(SENDER, 2, 2)] == [3, 4]
        assert (rows.receipts_beyond(SENDER, 6), rows.receipts_beyond(SENDER, 4)) == (0, 3)
        assert rows.receipts_beyond(OTHER_SENDER, 0) == 0
        assert store.remove_receipts(ReceiptRemoval(OTHER_SENDER, (1, 2), below=9)) == 0
        assert store.remove_receipts(ReceiptRemoval(SENDER, (2, 5, 99))) == 2
        assert store.remove_receipts(ReceiptRemoval(SENDER, (2, 5, 99))) == 0
        assert [one.entry for one in rows.receipts(SENDER, -1, 9)] == [1, 3, 4, 6]
        assert store.remove_receipts(ReceiptRemoval(SENDER, (6,), below=4)) == 3
        assert [one.entry for one in rows.receipts(SENDER, -1, 9)] == [4]
        assert store.size == 7

    def test_receipts_outlive_their_store_and_a_fenced_one_removes_none(
        self, disk: StoreDisk
    ) -> None:
        with opened(disk) as first:
            first.commit([accepted("m-1", new(A))])
            first.commit([ending(row_at(first, 0))])
        with opened(disk) as second, opened(disk) as third:
            with pytest.raises(Fenced):
                second.remove_receipts(ReceiptRemoval(SENDER, (1,)))
            assert [one.entry for one in third.deliveries.receipts(SENDER, -1, 9)] == [1]


SENDER, OTHER_SENDER = CLIENT, "VN/GOV/H27/khac"


def ending(row: DeliveryRow, *, for_: str = SENDER) -> LogWrite:
    return replace(entry(closing(row)), receipt_for=for_)
