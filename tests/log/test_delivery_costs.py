"""Looking at deliveries costs no more when ever so many others are open."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import pytest

from bus.core.deliveries import DeliveryKey, DeliveryState
from bus.core.ports.delivery_rows import DeliveryRows
from bus.log.sqlite import delivery_rows
from bus.log.sqlite.database import make_database, open_reading
from bus.log.sqlite.store import SqliteEntryStore
from tests.log.delivery_stories import A, B, accepted, at, closing, new

FEW, MANY = 40, 4000
"""Rows of each state that nobody asks for."""
LIMIT = 5

LOOKS: dict[str, Callable[[DeliveryRows], object]] = {
    "one": lambda rows: rows.delivery(DeliveryKey(0, 0)),
    "due": lambda rows: rows.due(A, at(0), LIMIT),
    "due recipients": lambda rows: rows.due_recipients(at(0)),
    "next due": lambda rows: rows.next_due(),
    "lapsed": lambda rows: rows.lapsed(at(60), LIMIT),
    "expired": lambda rows: rows.expired(at(1000), LIMIT),
    "out": lambda rows: rows.out(LIMIT),
    "offered": lambda rows: rows.offered(A, None, LIMIT),
    "dead": lambda rows: rows.dead(None, None, LIMIT),
    "dead of": lambda rows: rows.dead(A, DeliveryKey(0, 1), LIMIT),
    "of a message": lambda rows: rows.open_of(0),
    "carried": lambda rows: rows.carried(0),
    "related": lambda rows: rows.related(0, -1, LIMIT),
}


class Counted:
    """Counts the steps of SQLite's machine on the connections that look at deliveries."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps = 0
        monkeypatch.setattr(delivery_rows, "open_reading", self._open)

    def _open(self, folder: Path) -> sqlite3.Connection:
        connection = open_reading(folder)
        connection.set_progress_handler(self._step, 1)
        return connection

    def _step(self) -> int:
        self.steps += 1
        return 0


@contextmanager
def store_of(folder: Path, others: int) -> Iterator[SqliteEntryStore]:
    """A store with some rows of A, and so many of every state of B, whose time has not come."""
    folder.mkdir()
    make_database(folder)
    store = SqliteEntryStore(folder)
    states = list(DeliveryState)
    store.commit([accepted("a", *(new(A, state) for _, state in product(range(LIMIT), states)))])
    for start in range(0, others, 100):
        owed = (
            new(B, state, due=9e5, expires=9e6, deadline=9e5)
            for _, state in product(range(100), states)
        )
        store.commit([accepted(f"b-{start}", *owed)])
    yield store
    store.close()


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, int]]:
    """Of each look, with few others and with many."""
    folder = tmp_path_factory.mktemp("costs")
    found: dict[int, list[int]] = {}
    with pytest.MonkeyPatch.context() as monkeypatch:
        counted = Counted(monkeypatch)
        for others in (FEW, MANY):
            with store_of(folder / str(others), others) as store:
                for look in LOOKS.values():
                    before = counted.steps
                    look(store.deliveries)
                    found.setdefault(others, []).append(counted.steps - before)
    return dict(zip(LOOKS, zip(found[FEW], found[MANY], strict=True), strict=True))


# What is out is gone through in the order of deadlines, to be given in that of entries.
@pytest.mark.parametrize("look", sorted(LOOKS.keys() - {"out"}))
def test_a_look_takes_the_same_steps_whatever_else_is_open(
    look: str, steps: dict[str, tuple[int, int]]
) -> None:
    few, many = steps[look]
    assert 0 < many <= few + 10


def test_what_is_out_is_found_behind_ever_so_many_that_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted(monkeypatch)
    found = []
    for others in (FEW, MANY):
        with store_of(tmp_path / str(others), 0) as store:
            (*rows,) = store.deliveries.open_of(0)
            store.commit([closing(row) for row in rows])
            store.commit([accepted("w", *(new(B, DeliveryState.WAITING) for _ in range(others)))])
            store.commit([accepted("o", new(A))])
            before = counted.steps
            assert [row.recipient for row in store.deliveries.out(LIMIT)] == [A]
            found.append(counted.steps - before)
    few, many = found
    assert 0 < many <= few + 10
