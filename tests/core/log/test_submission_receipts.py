"""What is promised at acceptance, and said at the end of a delivery, is read as it was written."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from bus.core.log.merkle import hash_leaf
from bus.core.log.receipts import Receipt, ReceiptInvalid, parse_receipt
from bus.core.log.submission_receipts import (
    AcceptanceReceipt,
    AnyReceipt,
    ClosingReceipt,
    acceptance_note,
    parse_any_receipt,
    part_digests,
)
from signing.signed_note import SigningKey, verify_note
from tests.attachments import attachment

MOMENT = datetime(2026, 3, 1, 8, 0, 0, 7, tzinfo=UTC)
ACCEPTED = AcceptanceReceipt(
    "lienthong.vn/log/receipt", MOMENT, 41, b"r" * 32, b"q" * 32, (b"1" * 32, b"2" * 32), 34
)
CLOSED = ClosingReceipt(
    "lienthong.vn/log/receipt",
    MOMENT,
    41,
    b"r" * 32,
    3,
    "VN/GOV/H41/motcua",
    "delivered",
    77,
    b"o" * 32,
    b"a" * 32,
)
HASH = st.binary(min_size=32, max_size=32)
INDEX = st.integers(0, 10**18 - 1)
HEAD = {
    "origin": st.text("abc./-", min_size=1, max_size=40),
    "time": st.datetimes(datetime(1900, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    "received_index": INDEX,
    "received_hash": HASH,
}


@given(
    st.builds(
        AcceptanceReceipt,
        **HEAD,
        request_digest=HASH,
        part_digests=st.lists(HASH, max_size=12).map(tuple),
        recipients_count=st.integers(1, 1000),
    )
    | st.builds(
        ClosingReceipt,
        **HEAD,
        position=st.integers(0, 999),
        recipient=st.just("VN/GOV/H41/motcua"),
        verdict=st.sampled_from(["delivered", "delivery.in-doubt"]),
        outcome_index=INDEX,
        outcome_hash=HASH,
        answer_digest=st.none() | HASH,
    )
)
def test_a_receipt_reads_what_it_writes(receipt: AcceptanceReceipt | ClosingReceipt) -> None:
    assert parse_any_receipt(receipt.text()) == receipt
    with pytest.raises(ReceiptInvalid):
        parse_receipt(receipt.text())


def test_a_receipt_of_an_answer_is_one_of_them() -> None:
    receipt = Receipt("o/receipt", MOMENT, 1, bytes(32), 2, bytes(32), bytes(32), bytes(32))

    assert parse_any_receipt(receipt.text()) == receipt


def test_people_can_read_what_was_accepted() -> None:
    lines = ACCEPTED.text().splitlines()

    assert lines[:3] == [
        "lienthong.vn/log/receipt",
        "receipt v2 accepted",
        "time 2026-03-01T08:00:00.000007Z",
    ]
    assert [line.split()[0] for line in lines[3:]] == [
        "received",
        "request",
        "part",
        "part",
        "recipients",
    ]
    assert lines[-1] == "recipients 34"


def test_people_can_read_how_a_delivery_ended() -> None:
    lines = CLOSED.text().splitlines()

    assert lines[1] == "receipt v2 closed"
    assert lines[4:7] == ["position 3", "recipient VN/GOV/H41/motcua", "verdict delivered"]
    assert lines[-1].startswith("answer sha256:")


@pytest.mark.parametrize("receipt", [ACCEPTED, CLOSED])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("v2", "v3"),
        ("accepted", "closed"),
        ("closed", "accepted"),
        ("received 41", "received -41"),
        ("Z\n", "\n"),
        ("sha256", "sha1"),
        ("2026-03", "2026-13"),
        ("part 2", "part 3"),
        ("recipients 34", "recipients 0"),
        ("position 3", "position x"),
        ("verdict delivered", "verdict <b>"),
        ("receipt v2", "receipt v2\nmore"),
    ],
)
def test_any_other_text_is_no_receipt(receipt: AnyReceipt, old: str, new: str) -> None:
    text = receipt.text()
    changed = text.replace(old, new)

    for one in {changed, text[:-1], text + "\n"} - {text}:
        with pytest.raises(ReceiptInvalid):
            parse_any_receipt(one)


def test_attachments_are_named_by_their_content() -> None:
    one = attachment()

    (digest,) = part_digests([one])

    assert len(digest) == 32
    assert part_digests([]) == ()


def test_an_acceptance_is_signed_and_names_the_entry_the_message_and_its_parts() -> None:
    key = SigningKey(ACCEPTED.origin, Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
    one = attachment()

    note = acceptance_note(key, (41, b"a leaf"), MOMENT, b"<envelope/>", [one], 34)

    assert parse_any_receipt(
        verify_note(note, [key.verifying_key]).text.decode()
    ) == AcceptanceReceipt(
        ACCEPTED.origin,
        MOMENT,
        41,
        hash_leaf(b"a leaf"),
        hashlib.sha256(b"<envelope/>").digest(),
        part_digests([one]),
        34,
    )
