"""An operator finds entries in a log's folder without the hub."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from bus.audit.folder import open_log_reader
from bus.core.errors import LogCorrupt, LogUnavailable
from bus.core.log.checkpoint import read_checkpoint
from bus.core.log.leaf import Event, read_leaf
from bus.core.log.merkle import hash_leaf, verify_inclusion
from tests.log.log_stories import (
    CONFIGURATION,
    CONFIGURATION_DIGEST,
    KEY,
    NAMES,
    START,
    write_log,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("log") / "log"
    write_log(folder, 150)
    return folder


def test_entries_are_found_by_index(folder: Path) -> None:
    with open_log_reader(folder) as log:
        assert log.size == 300
        assert [entry.index for entry in log.entries(7, 11)] == [7, 8, 9, 10]
        assert log.entry(299).index == 299
        with pytest.raises(LogCorrupt):
            log.entry(300)


def test_entries_are_found_by_event(folder: Path) -> None:
    with open_log_reader(folder) as log:
        found = list(log.entries_of_event(Event.OUTCOME))
    assert len(found) == 150
    assert {read_leaf(entry.leaf).event for entry in found} == {Event.OUTCOME}


def test_a_message_is_found_with_its_outcome_over_the_months(folder: Path) -> None:
    first, last = datetime(2025, 12, 1, tzinfo=UTC), START
    with open_log_reader(folder) as log:
        found = list(log.entries_of_message(NAMES.over_months("0-0", first, last)))
        nothing = list(log.entries_of_message(NAMES.over_months("0-0", first, first)))
    assert [read_leaf(entry.leaf).event for entry in found] == [Event.RECEIVED, Event.OUTCOME]
    assert read_leaf(found[1].leaf).continues == found[0].index
    assert nothing == []


def test_a_configuration_text_is_found_by_its_digest(folder: Path) -> None:
    with open_log_reader(folder) as log:
        assert log.text(CONFIGURATION_DIGEST) == CONFIGURATION
        with pytest.raises(LogCorrupt):
            log.text(bytes(32))


def test_an_entry_is_proved_under_the_signed_head(folder: Path) -> None:
    with open_log_reader(folder) as log:
        head = read_checkpoint(log.checkpoint(), KEY.verifying_key)
        assert log.root(head.size) == head.root
        for index in (0, 255, 256, 299):
            proof = log.prove(index, head.size)
            leaf_hash = hash_leaf(log.entry(index).leaf)
            verify_inclusion(leaf_hash, index, head.size, proof, head.root)


def test_a_folder_without_a_log_is_named(tmp_path: Path) -> None:
    with pytest.raises(LogUnavailable, match="no message log"), open_log_reader(tmp_path):
        pass
