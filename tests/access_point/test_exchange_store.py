"""What an access point keeps: signed requests while they hold, receipts for years, bad answers."""

from __future__ import annotations

import os
import sqlite3
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from bus.access_point.store import FILE, ExchangeName, ExchangeStore, StoreBounds
from bus.core.errors import ConfigurationError, EvidenceUnavailable
from bus.core.log.receipts import Receipt
from tests.nation import NOW

NAME = ExchangeName("VN/GOV/H41/motcua", "m-1", b"d" * 32)
LATER = NOW + timedelta(minutes=5)


@pytest.fixture
def store(tmp_path: Path) -> ExchangeStore:
    return open_store(tmp_path)


def open_store(folder: Path) -> ExchangeStore:
    return ExchangeStore.open(folder, StoreBounds(receipts_max=3, rejected_answers_max=2))


def keep(store: ExchangeStore, signed: bytes, name: ExchangeName = NAME) -> bytes:
    return store.keep_request(name, signed, now=NOW, expires=LATER)


def receipt(index: int) -> Receipt:
    return Receipt("hub/receipt", NOW, index, b"r" * 32, index + 1, b"o" * 32, b"q" * 32, b"a" * 32)


def test_signed_bytes_are_found_while_they_hold(store: ExchangeStore) -> None:
    keep(store, b"first")

    assert store.find_request(NAME, NOW) == b"first"
    assert store.find_request(NAME, LATER) is None
    assert store.find_request(ExchangeName(NAME.client, "m-1", b"e" * 32), NOW) is None
    assert store.find_request(ExchangeName("VN/GOV/H41/thue", "m-1", b"d" * 32), NOW) is None


def test_the_first_of_two_is_the_one_that_is_sent(store: ExchangeStore) -> None:
    assert (keep(store, b"first"), keep(store, b"second")) == (b"first", b"first")


def test_they_outlive_the_process(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    keep(store, b"first")
    store.close()

    assert open_store(tmp_path).find_request(NAME, NOW) == b"first"


def test_what_holds_no_longer_is_erased_from_the_file(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    keep(store, b"somebody-asked-about-somebody")
    other = ExchangeName(NAME.client, "m-2", b"e" * 32)

    store.keep_request(other, b"x", now=LATER, expires=LATER + timedelta(minutes=5))
    store.close()

    left = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert b"somebody-asked" not in left


def test_a_receipt_is_kept_once_and_the_oldest_go_first(store: ExchangeStore) -> None:
    for index in (1, 1, 2, 3, 4):
        store.keep_receipt(ExchangeName("c", f"m-{index}", b""), receipt(index), b"note\n")

    assert [one.message_id for one in store.receipts()] == ["m-2", "m-3", "m-4"]
    assert [(one.client, one.time, one.note) for one in store.receipts("m-3")] == [
        ("c", NOW, b"note\n")
    ]


def test_bad_answers_are_kept_within_a_bound(store: ExchangeStore) -> None:
    for _ in range(5):
        store.keep_rejected(NAME, b"request", b"answer", "why", NOW)

    assert store.rejected_count() == 2


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "evidence"
    keep(open_store(folder), b"first")

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [folder, *folder.iterdir()]}
    assert modes.pop("evidence") == 0o700
    assert set(modes.values()) == {0o600}


def test_a_folder_that_cannot_be_used_is_bad_configuration(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigurationError, match="cannot keep evidence"):
        open_store(tmp_path / "file")


def test_a_file_that_fails_is_a_fault_to_try_again(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    other = sqlite3.connect(tmp_path / FILE)
    other.execute("DROP TABLE requests")
    other.commit()

    with pytest.raises(EvidenceUnavailable):
        keep(store, b"first")
    store.keep_rejected(NAME, b"", b"", "still works", NOW)

    assert store.rejected_count() == 1


@pytest.mark.parametrize("suffix", ["", "-wal", "-journal"])
def test_something_else_in_the_place_of_its_files_is_not_waited_for(
    suffix: str, tmp_path: Path
) -> None:
    open_store(tmp_path).close()
    path = tmp_path / f"{FILE}{suffix}"
    path.unlink(missing_ok=True)
    os.mkfifo(path)

    with pytest.raises(ConfigurationError, match="a pipe stands in its place"):
        ExchangeStore.open_to_read(tmp_path)


@pytest.mark.parametrize("values", ["x'00', 'c', 'm'", "1, x'00', 2", "9e18, 'c', 'm'"])
def test_a_row_that_does_not_hold_what_it_should_is_told(values: str, tmp_path: Path) -> None:
    open_store(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute(
            "INSERT INTO receipts (time, client, message_id, request_digest, outcome_index, note)"
            f" VALUES ({values}, x'00', 1, x'ff')"
        )
    connection.close()
    store = ExchangeStore.open_to_read(tmp_path)

    with pytest.raises(EvidenceUnavailable):
        store.receipts()
    store.close()
