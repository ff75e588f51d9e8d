"""What every source of a log promises: see `bus.core.ports.log_source.LogSource`.

A source passes when its test class inherits `LogSourceContract` and says where a log lies and how
somebody would change what is stored there.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from bus.audit.checks.conservation import DeliveryClass
from bus.audit.checks.entry_checks import LogReport
from bus.audit.reader import open_reader
from bus.audit.verify import verify_source
from bus.core.errors import LogCorrupt
from bus.core.log.checkpoint import Checkpoint, read_checkpoint
from bus.core.log.leaf import Event, build_leaf
from bus.core.log.merkle import ProofInvalid, hash_leaf, verify_inclusion
from bus.core.log.tiles import TILE_WIDTH, Tile
from bus.core.ports.log_source import (
    InboxRow,
    LogSource,
    NamedAttachments,
    OpenRow,
    PieceMissing,
    Stranger,
    UnseenReceipt,
)
from bus.core.ports.message_log import KeptAttachments, LogWrite
from bus.kit.made_attachments import attachment_of_bytes
from signing.attachments import Attachment
from tests.log.delivery_stories import A, B, C, submissions
from tests.log.log_stories import (
    CLIENT,
    CONFIGURATION,
    CONFIGURATION_DIGEST,
    KEY,
    NAMES,
    READ_KEY,
    START,
    heartbeat,
    outcome,
    received,
)

EXCHANGES = 140
"""More entries than one tile has hashes."""
SIZE = 2 * EXCHANGES + 2
LAST = SIZE - 1
ERASED = 4
FAULT = "f-7"


class LogPlace(ABC):
    """Where one log lies. What it does to stored rows leaves no trace but in the tree."""

    @abstractmethod
    def write(self, writes: Sequence[LogWrite], texts: Sequence[bytes]) -> None:
        """Let a hub write, publish, and stop."""

    @abstractmethod
    def keep_attachments(self, content: bytes) -> KeptAttachments:
        """Seal an attachment for an entry that is still to be written."""

    @abstractmethod
    def opened(self) -> AbstractContextManager[LogSource]:
        """The log as it is now."""

    @abstractmethod
    def set_leaf(self, index: int, leaf: bytes) -> None:
        """Write another leaf into an entry."""

    @abstractmethod
    def drop_entries(self, first: int, end: int) -> None:
        """Remove entries and their payloads."""

    @abstractmethod
    def set_ciphertext(self, index: int, ciphertext: bytes | None) -> None:
        """Write another payload; None: remove it."""

    @abstractmethod
    def add_orphan(self, index: int) -> None:
        """Store a payload for an entry that is not there."""

    @abstractmethod
    def set_inbox(self, row: InboxRow) -> None:
        """Write another outcome and state for a message that was received."""

    @abstractmethod
    def set_delivery(self, row: OpenRow) -> None:
        """Write other facts into the row of a delivery, or another row."""

    @abstractmethod
    def drop_delivery(self, received: int, position: int) -> None:
        """Remove the row of a delivery."""

    @abstractmethod
    def set_receipt(self, row: UnseenReceipt) -> None:
        """Have another receipt lie ready."""

    @abstractmethod
    def set_text(self, digest: bytes, text: bytes | None) -> None:
        """Write another text under a digest; None: remove it."""

    @abstractmethod
    def spoil_row(self, index: int) -> None:
        """Put something into an entry's row that is no leaf at all."""

    @abstractmethod
    def set_checkpoint(self, note: bytes | None) -> None:
        """Write another signed head; None: remove it."""

    @abstractmethod
    def set_key(self, line: bytes | None) -> None:
        """Write another verifier key; None: remove it."""

    @abstractmethod
    def set_tile(self, tile: Tile, hashes: bytes | None) -> None:
        """Write another tile; None: remove it."""

    @abstractmethod
    def add_strange_tile(self) -> str:
        """Put something among the tiles that is none; give the place that findings name."""

    @abstractmethod
    def set_attachments(self, stored: bytes, content: bytes | None) -> None:
        """Write other sealed attachments under a digest; None: remove them."""


def story() -> list[LogWrite]:
    """A start, messages with their outcomes, one erased payload, one fault with an id."""
    writes = [LogWrite(build_leaf(Event.STARTED, START, program="lienthong 0.1.0"))]
    for number in range(EXCHANGES):
        writes.append(received(f"m-{number}", b"<x>%d</x>" % number, seconds=number))
        writes.append(outcome(f"m-{number}", 2 * number + 1))
    writes[ERASED] = LogWrite(
        build_leaf(Event.OUTCOME, START, continues=ERASED - 1, verdict="x", fault=FAULT),
        settlement=writes[ERASED].settlement,
    )
    return [*writes, heartbeat(EXCHANGES)]


def leaf_at(place: LogPlace, index: int) -> bytes:
    with place.opened() as source, source.rows() as rows:
        (entry,) = rows.entries(index, index + 1)
        return entry.leaf


def found_in(place: LogPlace) -> LogReport:
    with place.opened() as source:
        return verify_source(source, read_key=READ_KEY)


def swap(place: LogPlace) -> None:
    first, second = leaf_at(place, 0), leaf_at(place, LAST)
    place.set_leaf(0, second)
    place.set_leaf(LAST, first)


def sign_other_root(place: LogPlace) -> None:
    place.set_checkpoint(Checkpoint(KEY.name, SIZE, bytes(32)).sign(KEY))


def flip_tile(place: LogPlace) -> None:
    tile = Tile(0, 0)
    with place.opened() as source:
        hashes = bytearray(source.tile(tile))
    hashes[32 * 9] ^= 1
    place.set_tile(tile, bytes(hashes))


def settle_twice(place: LogPlace) -> None:
    place.set_leaf(6, leaf_at(place, 2))


def change_verdict(place: LogPlace) -> None:
    place.set_leaf(10, leaf_at(place, 10).replace(b"delivered", b"delivereD"))


Change = Callable[[LogPlace], None]
CHANGES: dict[str, tuple[Change, int, str]] = {
    "an entry is dropped": (lambda p: p.drop_entries(57, 58), 57, "the entry is missing"),
    "the end is cut off": (
        lambda p: p.drop_entries(200, SIZE),
        200,
        f"{SIZE} entries were signed, 200 can be read; this is the first one",
    ),
    "two entries are swapped": (swap, LAST, "the signed root of the first"),
    "a leaf is changed": (change_verdict, 10, "the stored hash is not that of the row"),
    "a leaf is none": (lambda p: p.set_leaf(10, b"{}"), 10, "version, event or time is missing"),
    "a row is none": (lambda p: p.spoil_row(10), 10, "a row does not hold what it should"),
    "a second outcome": (settle_twice, 6, "is a second outcome of entry 1"),
    "a payload is changed": (
        lambda p: p.set_ciphertext(7, b"else"),
        7,
        "the sealed payload was changed",
    ),
    "a payload is dropped": (
        lambda p: p.set_ciphertext(7, None),
        7,
        "the payload is missing and no entry says that it was erased",
    ),
    "a payload of nothing": (lambda p: p.add_orphan(900), SIZE, "a payload without an entry"),
    "an inbox row names the outcome of another message": (
        lambda place: place.set_inbox(InboxRow(1, 6, 1)),
        6,
        "an inbox row names it as an outcome of entry 1",
    ),
    "an inbox row lies": (
        lambda p: p.set_inbox(InboxRow(1, 3, 1)),
        3,
        "an inbox row names it as an outcome",
    ),
    "an inbox row has no such state": (
        lambda p: p.set_inbox(InboxRow(1, 2, 7)),
        1,
        "its inbox row has the state 7",
    ),
    "a text is dropped": (
        lambda p: p.set_text(CONFIGURATION_DIGEST, None),
        1,
        "judged by a configuration that is not kept",
    ),
    "a text is changed": (
        lambda p: p.set_text(CONFIGURATION_DIGEST, b"instance: XX\n"),
        1,
        "the configuration text was changed",
    ),
    "the head is dropped": (lambda p: p.set_checkpoint(None), LAST, "the checkpoint is missing"),
    "the head is another": (sign_other_root, LAST, "the signed root of the first"),
    "the head is nonsense": (lambda p: p.set_checkpoint(b"x\n"), LAST, ""),
    "the key is dropped": (lambda p: p.set_key(None), LAST, "the verifier key: "),
    "a tile is changed": (flip_tile, 9, "the stored hash is not that of the row"),
    "a tile is dropped": (lambda p: p.set_tile(Tile(0, 0), None), 0, "the tile is missing"),
    "a tile is cut short": (
        lambda p: p.set_tile(Tile(0, 0), bytes(32)),
        0,
        "the tile has 32 bytes, expected 8192",
    ),
    "a tile of entries that are not there": (
        lambda p: p.set_tile(Tile(0, 9), bytes(32 * TILE_WIDTH)),
        SIZE,
        f"the tile speaks of entries from {SIZE} on, which are not there",
    ),
}
"""What somebody does, the entry that a finding names for it, and the words that it begins with."""


class LogSourceContract:
    """The suite. `place` is the fixture that a source's own test class overrides."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> LogPlace:
        """A place without a log."""
        raise NotImplementedError

    @pytest.fixture
    def written(self, place: LogPlace) -> LogPlace:
        place.write(story(), [CONFIGURATION])
        return place

    def test_a_sound_log_is_sound(self, written: LogPlace) -> None:
        report = found_in(written)
        assert [str(one) for one in report.findings] == []
        assert (report.entries, report.signed_size) == (SIZE, SIZE)
        assert (report.received, report.settled) == (EXCHANGES, EXCHANGES)
        assert report.payloads_opened == EXCHANGES
        assert report.tiles > 0

    def test_rows_are_what_was_written(self, written: LogPlace) -> None:
        writes = story()
        with written.opened() as source, source.rows() as rows:
            assert (rows.size, rows.count()) == (SIZE, SIZE)
            scanned = list(rows.scan())
            assert [one.index for one in scanned if one is not None] == list(range(SIZE))
            # The salt of a seal is another one each time: leaves are told apart by what they say.
            assert [
                one.leaf for one, write in zip(scanned, writes, strict=True)
                if one is not None and write.sealed is None
            ] == [write.leaf for write in writes if write.sealed is None]  # fmt: skip
            assert list(rows.entries(3, 6)) == scanned[3:6]
            assert list(rows.entries(SIZE, SIZE + 5)) == []
            (first,) = rows.entries(1, 2)
            assert first.sealed is not None
            assert rows.text(CONFIGURATION_DIGEST) == CONFIGURATION
            assert rows.text(bytes(32)) is None
            assert list(rows.texts()) == [(CONFIGURATION_DIGEST, CONFIGURATION)]
            assert list(rows.orphans()) == []
            inbox = {one.received: one for one in rows.inbox() if one is not None}
            assert len(inbox) == EXCHANGES
            assert inbox[1] == InboxRow(1, 2, 1)

    def test_entries_are_found_by_what_their_leaf_says(self, written: LogPlace) -> None:
        with written.opened() as source, open_reader(source) as reader:
            (started,) = reader.entries_of_event(Event.STARTED)
            assert started.index == 0
            assert b'"program":"lienthong 0.1.0"' in started.leaf
            (faulty,) = reader.entries_of_fault(FAULT)
            assert faulty.index == ERASED
            assert list(reader.entries_of_fault("nothing")) == []
            months = NAMES.over_months("m-3", START, START)
            assert [one.index for one in reader.entries_of_message(months)] == [7, 8]
            assert reader.entry(LAST).leaf == heartbeat(EXCHANGES).leaf
            assert reader.text(CONFIGURATION_DIGEST) == CONFIGURATION
            for absent in (lambda: reader.entry(SIZE), lambda: reader.text(bytes(32))):
                with pytest.raises(LogCorrupt):
                    absent()

    def test_every_entry_is_proved_to_the_signed_root(self, written: LogPlace) -> None:
        with written.opened() as source, open_reader(source) as reader:
            head = read_checkpoint(reader.checkpoint(), KEY.verifying_key)
            assert (head.size, head.root) == (SIZE, reader.root(SIZE))
            for index in (0, 100, 255, 256, LAST):
                leaf_hash, path = hash_leaf(reader.entry(index).leaf), reader.prove(index, SIZE)
                verify_inclusion(leaf_hash, index, SIZE, path, head.root)
                with pytest.raises(ProofInvalid):
                    verify_inclusion(bytes(32), index, SIZE, path, head.root)

    def test_what_is_signed_is_there_and_said_to_be_missing_when_it_is_not(
        self, written: LogPlace
    ) -> None:
        with written.opened() as source:
            assert source.verifier_key() == f"{KEY.verifying_key}\n".encode()
            assert Tile(0, 0) in set(source.tiles())
            assert source.tile(Tile(0, 0)) == source.hashes(Tile(0, 0))
            assert len(source.hashes(Tile(0, 1, 3))) >= 3 * 32
            with pytest.raises(PieceMissing):
                source.tile(Tile(3, 0))
            with pytest.raises(LogCorrupt):
                source.hashes(Tile(3, 0))
            with pytest.raises(PieceMissing):
                source.sealed_attachments(bytes(32))
        written.set_checkpoint(None)
        written.set_key(None)
        with written.opened() as source:
            for piece in (source.checkpoint, source.verifier_key):
                with pytest.raises(PieceMissing):
                    piece()

    def test_rows_may_be_opened_while_others_are_read(self, written: LogPlace) -> None:
        with written.opened() as source, source.rows() as rows:
            entries = rows.scan()
            assert next(entries) is not None
            with source.rows() as others:
                assert others.text(CONFIGURATION_DIGEST) == CONFIGURATION
            assert len(list(entries)) == SIZE - 1

    @pytest.mark.parametrize("what", CHANGES)
    def test_what_somebody_changes_is_found(self, what: str, written: LogPlace) -> None:
        change, index, words = CHANGES[what]
        change(written)

        findings = found_in(written).findings

        told = [(one.index, one.what) for one in findings]
        assert any(one.index == index and one.what.startswith(words) for one in findings), told
        assert all(0 <= one.index <= SIZE for one in findings)

    def test_what_does_not_belong_among_tiles_is_named(self, written: LogPlace) -> None:
        name = written.add_strange_tile()
        with written.opened() as source:
            assert [one.place for one in source.tiles() if isinstance(one, Stranger)] == [name]
        assert [one.file for one in found_in(written).findings] == [name]

    def test_a_row_that_is_none_is_told_to_whoever_looks_it_up(self, written: LogPlace) -> None:
        written.spoil_row(10)
        with written.opened() as source, source.rows() as rows:
            assert list(rows.scan())[10] is None
            with pytest.raises(LogCorrupt):
                list(rows.entries(0, SIZE))

    def test_attachments_are_those_that_an_entry_names(self, place: LogPlace) -> None:
        kept = place.keep_attachments(b"a document")
        leaf = build_leaf(
            Event.RECEIVED, START, attachments=kept.commitment, stored=kept.stored, verdict="x"
        )
        place.write([LogWrite(leaf)], [])

        report = found_in(place)
        assert [str(one) for one in report.findings] == []
        assert report.attachments == 1
        with place.opened() as source:
            (named,) = source.attachments()
            assert isinstance(named, NamedAttachments)
            assert named.digest == kept.stored
            assert named.place == source.attachment_place(kept.stored)
            sealed = source.sealed_attachments(kept.stored)
            whole = sealed.read_at(0, sealed.bytes_count + 1)
            assert hashlib.sha256(whole).digest() == kept.stored
            assert sealed.read_at(3, 5) == whole[3:8]
            assert sealed.read_at(len(whole), 5) == b""

        place.set_attachments(kept.stored, whole[:-1] + bytes([whole[-1] ^ 1]))
        assert [one.what for one in found_in(place).findings] == [
            "the sealed attachments were changed"
        ]
        place.set_attachments(kept.stored, None)
        assert [one.what for one in found_in(place).findings] == [
            "the attachments are missing and were not erased"
        ]
        place.set_attachments(kept.stored, whole)
        place.set_attachments(bytes(32), b"of nobody")
        assert [one.what for one in found_in(place).findings] == ["a file that no entry names"]


def document(content: bytes) -> list[Attachment]:
    return [attachment_of_bytes(content, content_id="document", media_type="application/pdf")]


# --- submissions ----------------------------------------------------------------------------------

OF_A = OpenRow(1, 0, A, 0, 1, True)
"""What is open of the second submission."""
ENDED = "ended with it, and it is not so, or the sender is another"
ROW_CHANGES: dict[str, tuple[Callable[[LogPlace], None], int, str]] = {
    "a row is gone": (
        lambda place: place.drop_delivery(8, 0),
        8,
        "1 of its deliveries are open and no row carries them: 0",
    ),
    "a dead letter is gone": (
        lambda place: place.drop_delivery(0, 2),
        0,
        "1 of its deliveries are open and no row carries them: 2",
    ),
    "a row is of what is closed": (
        lambda place: place.set_delivery(OpenRow(0, 1, B, 0, 1, doubt=False)),
        0,
        "a row says that delivery 1 of it is open, and it is not",
    ),
    "a row is of a query": (
        lambda place: place.set_delivery(OpenRow(9, 0, B, 0, 1, doubt=False)),
        9,
        "a row says that delivery 0 of it is open, and it is not",
    ),
    "a row is of a position too many": (
        lambda place: place.set_delivery(OpenRow(1, 2, B, 0, 0, doubt=False)),
        1,
        "a row says that delivery 2 of it is open, and it is not",
    ),
    "a dead letter waits": (
        lambda place: place.set_delivery(OpenRow(0, 2, C, 0, 1, doubt=False)),
        0,
        "the row of delivery 2 of it has the state 0, where the log says dead-lettered",
    ),
    "what waits is dead": (
        lambda place: place.set_delivery(replace(OF_A, state=5)),
        1,
        "the row of delivery 0 of it has the state 5, where the log says pending",
    ),
    "a state that there is not": (
        lambda place: place.set_delivery(replace(OF_A, state=6)),
        1,
        "the row of delivery 0 of it has the state 6, where the log says pending",
    ),
    "a doubt is gone": (
        lambda place: place.set_delivery(replace(OF_A, doubt=False)),
        1,
        "the row of delivery 0 of it says nothing of a doubt that the log tells",
    ),
    "attempts are gone": (
        lambda place: place.set_delivery(replace(OF_A, attempt=0)),
        1,
        "the row of delivery 0 of it says 0 attempts, where the log says 1",
    ),
    "attempts of what is blocked": (
        lambda place: place.set_delivery(OpenRow(8, 0, A, 1, 1, doubt=False)),
        8,
        "the row of delivery 0 of it says 1 attempts, where the log says 0",
    ),
    "another recipient": (
        lambda place: place.set_delivery(replace(OF_A, recipient=B)),
        1,
        f"the row of delivery 0 of it is of '{B}', where the log says '{A}'",
    ),
    "a receipt of an attempt": (
        lambda place: place.set_receipt(UnseenReceipt(CLIENT, 2, 0, 0)),
        2,
        f"a receipt says that delivery 0 of entry 0 {ENDED}",
    ),
    "a receipt for another sender": (
        lambda place: place.set_receipt(UnseenReceipt("VN/GOV/H27/khac", 5, 0, 0)),
        5,
        f"a receipt says that delivery 0 of entry 0 {ENDED}",
    ),
    "a receipt of another delivery": (
        lambda place: place.set_receipt(UnseenReceipt("VN/GOV/H27/khac", 7, 0, 1)),
        7,
        f"a receipt says that delivery 1 of entry 0 {ENDED}",
    ),
    "an accepted one was answered": (
        lambda place: place.set_inbox(InboxRow(8, None, 0)),
        8,
        "its inbox row says that it is a query, of state 0",
    ),
    "a query was accepted": (
        lambda place: place.set_inbox(InboxRow(9, None, 3)),
        9,
        "its inbox row says that it is accepted for delivery",
    ),
}


class SubmissionSourceContract:
    """The suite of what is owed."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> LogPlace:
        raise NotImplementedError

    @pytest.fixture
    def submitted(self, place: LogPlace) -> LogPlace:
        """Submissions, then a message with its outcome."""
        writes = [*submissions(), received("q", b"<q/>"), outcome("q", 9)]
        place.write(writes, [CONFIGURATION])
        return place

    def test_what_was_accepted_is_accounted_for(self, submitted: LogPlace) -> None:
        report = found_in(submitted)
        assert report.findings == []
        accounts = report.deliveries
        kinds = DeliveryClass
        assert accounts.submissions == 3
        assert +accounts.totals == dict.fromkeys(kinds, 1) | {kinds.PENDING: 2}
        assert {name: +found for name, found in accounts.by_recipient.items() if +found} == {
            A: {kinds.DELIVERED: 1, kinds.PENDING: 2},
            B: {kinds.REFUSED: 1, kinds.EXPIRED: 1},
            C: {kinds.DEAD: 1},
        }
        assert (report.received, report.settled, report.pending) == (4, 1, 0)

    @pytest.mark.parametrize("what", list(ROW_CHANGES))
    def test_a_row_that_the_log_does_not_explain_is_found(
        self, what: str, submitted: LogPlace
    ) -> None:
        change, index, words = ROW_CHANGES[what]
        change(submitted)
        assert [(one.index, one.what) for one in found_in(submitted).findings] == [(index, words)]
