"""Several hubs write their logs into one database: claims are unique, and a lost lease is lost."""

from __future__ import annotations

import random
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from bus.core.deliveries import Changed, DeliveryKey, DeliveryState
from bus.core.errors import LogUnavailable
from bus.core.ports.entry_store import Fenced
from bus.core.ports.message_log import AlreadyTaken, Appended, InboxState
from bus.log.postgres.arrays import take_arrays
from bus.log.postgres.batches import commit_batch
from bus.log.postgres.connection import connect
from bus.log.postgres.origins import OriginHeld, held_by
from bus.log.postgres.store import PostgresEntryStore
from bus.sandbox.servers.postgresql import PostgresServer
from bus.settings.postgres import PostgresSettings
from tests.log.delivery_stories import CASE, accepted, closing, new, row_at
from tests.log.log_stories import heartbeat, outcome, received
from tests.log.postgres_database import prepared
from tests.servers.fixtures import PostgresAccess


@pytest.fixture
def a(log_database: PostgresSettings) -> Iterator[PostgresEntryStore]:
    store = PostgresEntryStore(log_database, "log.example/a", "hub-a")
    yield store
    store.close()


@pytest.fixture
def b(log_database: PostgresSettings) -> Iterator[PostgresEntryStore]:
    store = PostgresEntryStore(log_database, "log.example/b", "hub-b")
    yield store
    store.close()


def asked(settings: PostgresSettings, statement: str) -> list[tuple[object, ...]]:
    with connect(settings, "test") as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


# --- one inbox ------------------------------------------------------------------------------------


def test_an_id_is_taken_once_by_all_hubs(a: PostgresEntryStore, b: PostgresEntryStore) -> None:
    a.commit([heartbeat(), received("m", b"x")])
    taken = AlreadyTaken(True, InboxState.OPEN, 1, None, "log.example/a")
    assert b.commit([received("m", b"x"), heartbeat()]) == [taken, Appended(0)]
    a.commit([outcome("m", 1)])
    assert b.commit([received("m", b"y")]) == [
        AlreadyTaken(False, InboxState.ANSWERED, 1, 2, "log.example/a")
    ]
    assert a.commit([received("m", b"x")]) == [AlreadyTaken(True, InboxState.ANSWERED, 1, 2)]


def test_what_may_be_sent_again_may_be_sent_to_another_hub(
    a: PostgresEntryStore, b: PostgresEntryStore
) -> None:
    a.commit([received("m", b"x"), outcome("m", 0, InboxState.RETRYABLE)])
    assert b.commit([received("m", b"x")]) == [Appended(0)]
    assert a.commit([received("m", b"x")]) == [
        AlreadyTaken(True, InboxState.OPEN, 0, None, "log.example/b")
    ]
    # A settlement that comes late does not settle what another has in work.
    assert a.commit([outcome("m", 0)]) == [Appended(2)]
    assert b.commit([received("m", b"x")]) == [AlreadyTaken(True, InboxState.OPEN, 0, None)]


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_hubs_that_are_offered_the_same_at_once_take_each_once(
    log_database: PostgresSettings, seed: int
) -> None:
    """Each takes the same messages in an order of its own, in batches; conversations are shared."""
    names = [f"m-{number}" for number in range(240)]
    stores = [
        PostgresEntryStore(log_database, f"log.example/{hub}", f"hub-{hub}") for hub in range(4)
    ]
    start = threading.Barrier(len(stores))

    def take(store: PostgresEntryStore, hub: int) -> int:
        mine = random.Random(seed * 10 + hub).sample(names, len(names))
        start.wait()
        count = 0
        for first in range(0, len(mine), 24):
            works = [
                accepted(name, new(conversation=bytes([int(name[2:]) % 7]) * 16))
                for name in mine[first : first + 24]
            ]
            count += sum(isinstance(one, Appended) for one in store.commit(works))
        return count

    with ThreadPoolExecutor(len(stores)) as pool:
        counts = list(pool.map(take, stores, range(len(stores))))
    for store, count in zip(stores, counts, strict=True):
        assert store.size == count
        assert len(list(store.leaves(0, count))) == count
        store.close()
    assert sum(counts) == len(names)
    assert asked(
        log_database,
        "SELECT count(*) FROM inbox i JOIN entries e "
        "ON (e.origin, e.idx) = (i.origin, i.received_idx)",
    ) == [(len(names),)]
    # Places of a conversation have neither gaps nor twins, and one delivery of each goes first.
    assert asked(
        log_database,
        "SELECT bool_and(places = count AND last = count AND free = 1) FROM (SELECT "
        "count(DISTINCT place) AS places, count(*) AS count, max(place) AS last, "
        "count(*) FILTER (WHERE state <> 1) AS free FROM deliveries GROUP BY conversation) AS c",
    ) == [(True,)]


def test_a_conversation_goes_on_at_another_hub(
    a: PostgresEntryStore, b: PostgresEntryStore
) -> None:
    case = new(conversation=CASE)
    assert a.commit([accepted("1", case)]) == [Appended(0)]
    assert b.commit([heartbeat(), accepted("2", case)]) == [
        Appended(0),
        Appended(1, blocked=(0,)),
    ]
    assert a.commit([accepted("3", case)]) == [Appended(1, blocked=(0,))]
    assert [row_at(a, 0).place, row_at(b, 1).place, row_at(a, 1).place] == [1, 2, 3]

    # Whose turn it is now its own hub finds among what is due.
    assert a.commit([closing(row_at(a, 0))]) == [Changed(None)]
    assert row_at(b, 1).delivery.state is DeliveryState.WAITING
    assert row_at(a, 1).delivery.state is DeliveryState.BLOCKED
    assert a.deliveries.next_due() is None
    assert b.deliveries.next_due() == row_at(b, 1).delivery.due
    b.commit([closing(row_at(b, 1))])
    assert a.commit([closing(row_at(a, 1))]) == [Changed(None)]
    assert a.deliveries.delivery(DeliveryKey(1, 0)) is None


def test_rows_of_one_log_are_not_those_of_another(
    a: PostgresEntryStore, b: PostgresEntryStore
) -> None:
    a.commit([accepted("1", new())])
    b.commit([accepted("2", new(state=DeliveryState.WAITING))])
    row = row_at(b, 0)
    b.commit([closing(row)])
    assert row_at(a, 0).delivery.state is DeliveryState.OUT
    assert a.deliveries.carried(0) is not None
    assert b.deliveries.carried(0) is None
    assert not b.deliveries.counts()


# --- leases ---------------------------------------------------------------------------------------


def test_a_log_with_a_living_hub_is_left_alone(
    log_database: PostgresSettings, a: PostgresEntryStore
) -> None:
    with pytest.raises(OriginHeld, match="hub-a") as held:
        PostgresEntryStore(log_database, "log.example/a", "hub-b")
    assert 0 < held.value.seconds <= 10
    assert a.commit([heartbeat()]) == [Appended(0)]


def test_who_comes_while_a_log_is_given_back_need_not_wait_for_it(
    log_database: PostgresSettings, a: PostgresEntryStore
) -> None:
    """A lease that was given back, or is over, when it is asked for: its time left is none."""
    a.close()
    with connect(log_database, "test") as connection:
        assert held_by(connection, "log.example/a").seconds == 0
    asked(log_database, "UPDATE origins SET lease = now() - interval '1 second'")
    with connect(log_database, "test") as connection:
        assert held_by(connection, "log.example/a").seconds == 0


def test_a_hub_whose_lease_is_over_is_fenced_off_by_whoever_takes_its_log(
    log_database: PostgresSettings, a: PostgresEntryStore
) -> None:
    a.commit([received("m")])
    asked(log_database, "UPDATE origins SET lease = now() - interval '1 second'")
    # Late, but nobody took it: it goes on, and has a lease again.
    assert a.commit([heartbeat()]) == [Appended(1)]
    with pytest.raises(OriginHeld):
        PostgresEntryStore(log_database, "log.example/a", "hub-b")

    asked(log_database, "UPDATE origins SET lease = now() - interval '1 second'")
    heir = PostgresEntryStore(log_database, "log.example/a", "hub-b")
    assert [claim.received_index for claim in heir.open_claims()] == [0]
    for act in (lambda: a.commit([heartbeat(1)]), a.prove, lambda: a.keep_text(b"x")):
        with pytest.raises(Fenced):
            act()
    assert a.is_fenced
    assert a.text(b"x" * 32) is None
    assert heir.commit([heartbeat(2)]) == [Appended(2)]
    a.close()
    assert heir.commit([heartbeat(3)]) == [Appended(3)]
    heir.close()


def test_a_log_that_was_given_back_may_be_taken_at_once(
    log_database: PostgresSettings, a: PostgresEntryStore
) -> None:
    a.commit([heartbeat()])
    a.close()
    heir = PostgresEntryStore(log_database, "log.example/a", "hub-b")
    assert heir.size == 1
    heir.close()


# --- what goes wrong ------------------------------------------------------------------------------


def test_what_a_broken_connection_still_brings_is_fenced_off(
    log_database: PostgresSettings, a: PostgresEntryStore
) -> None:
    a.commit([heartbeat()])
    before = a.ownership
    with connect(log_database, "test") as late:
        take_arrays(late)
        late.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'lienthong writer' AND datname = current_database()"
        )
        with pytest.raises(LogUnavailable):
            a.commit([heartbeat(1)])
        assert a.commit([heartbeat(2)]) == [Appended(1)]
        with pytest.raises(psycopg.Error) as fenced:
            commit_batch(late, [heartbeat(3)], before, 2, str)
    assert fenced.value.sqlstate == "LT001"
    assert a.commit([heartbeat(4)]) == [Appended(2)]


def test_a_batch_for_a_log_of_another_size_does_nothing(
    log_database: PostgresSettings, a: PostgresEntryStore
) -> None:
    with connect(log_database, "test") as other:
        take_arrays(other)
        commit_batch(other, [heartbeat()], a.ownership, 0, str)
    with pytest.raises(LogUnavailable):
        a.commit([heartbeat(1)])
    assert a.commit([heartbeat(2)]) == [Appended(1)]
    assert list(a.leaves(0, 2)) == [heartbeat().leaf, heartbeat(2).leaf]


def test_a_server_that_was_killed_has_what_was_promised(postgres: PostgresAccess) -> None:
    with tempfile.TemporaryDirectory(prefix="lienthong-postgres-") as folder:
        Path(folder).chmod(0o711)
        server = PostgresServer(Path(folder) / "server")
        try:
            store = PostgresEntryStore(prepared(server.dsn()), "log.example/a", "hub-a")
            store.commit([received("m"), accepted("n", new())])
            server.restart_after_crash()
            with pytest.raises(LogUnavailable):
                store.commit([heartbeat()])
            # Readers notice by themselves.
            assert store.entry(1) is not None
            assert row_at(store, 1).delivery.state is DeliveryState.OUT
            assert store.commit([heartbeat(1), received("m")]) == [
                Appended(2),
                AlreadyTaken(True, InboxState.OPEN, 0, None),
            ]
            store.close()
        finally:
            server.end()


def test_a_server_that_is_gone_is_trouble_and_no_more(postgres: PostgresAccess) -> None:
    with tempfile.TemporaryDirectory(prefix="lienthong-postgres-") as folder:
        Path(folder).chmod(0o711)
        server = PostgresServer(Path(folder) / "server")
        store = PostgresEntryStore(prepared(server.dsn()), "log.example/a", "hub-a")
        server.end()
        for act in (
            lambda: store.commit([heartbeat()]),
            store.prove,
            lambda: store.entry(0),
            lambda: list(store.leaves(0, 1)),
            store.deliveries.counts,
        ):
            with pytest.raises(LogUnavailable):
                act()
        assert store.trouble
        store.close()


def test_a_server_whose_disk_promises_nothing_is_refused(postgres: PostgresAccess) -> None:
    with tempfile.TemporaryDirectory(prefix="lienthong-postgres-") as folder:
        Path(folder).chmod(0o711)
        server = PostgresServer(Path(folder) / "server", settings={"fsync": "off"})
        try:
            with pytest.raises(LogUnavailable, match="fsync off"):
                PostgresEntryStore(prepared(server.dsn()), "log.example/a", "hub-a")
        finally:
            server.end()
