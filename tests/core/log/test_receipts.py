"""A receipt says which entries hold an exchange, and is read back as it was written."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.core.log.receipts import Receipt, ReceiptInvalid, parse_receipt, receipt_key_of
from signing.signed_note import VerifyingKey

HASH = st.binary(min_size=32, max_size=32)
INDEX = st.integers(0, 10**18 - 1)
RECEIPT = Receipt(
    "lienthong.vn/log/receipt",
    datetime(2026, 3, 1, 8, 0, 0, 7, tzinfo=UTC),
    41,
    b"r" * 32,
    42,
    b"o" * 32,
    b"q" * 32,
    b"a" * 32,
)


@given(
    receipt=st.builds(
        Receipt,
        origin=st.text("abc./-", min_size=1, max_size=40),
        time=st.datetimes(datetime(1900, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
        received_index=INDEX,
        received_hash=HASH,
        outcome_index=INDEX,
        outcome_hash=HASH,
        request_digest=HASH,
        answer_digest=HASH,
    )
)
def test_a_receipt_reads_what_it_writes(receipt: Receipt) -> None:
    assert parse_receipt(receipt.text()) == receipt


def test_a_receipt_has_seven_lines_that_people_can_read() -> None:
    lines = RECEIPT.text().splitlines()

    assert lines[:3] == [
        "lienthong.vn/log/receipt",
        "receipt v1",
        "time 2026-03-01T08:00:00.000007Z",
    ]
    assert lines[3].startswith("received 41 ")
    assert lines[4].startswith("outcome 42 ")
    assert len(lines) == 7


@pytest.mark.parametrize(
    "text",
    [
        "",
        RECEIPT.text()[:-1],
        RECEIPT.text() + "\n",
        RECEIPT.text().replace("v1", "v2"),
        RECEIPT.text().replace("received 41", "received -41"),
        RECEIPT.text().replace("Z\n", "\n"),
        RECEIPT.text().replace("sha256", "sha1"),
        RECEIPT.text().replace("2026-03", "2026-13"),
        RECEIPT.text().replace("receipt v1", "receipt v1\nmore"),
    ],
)
def test_any_other_text_is_no_receipt(text: str) -> None:
    with pytest.raises(ReceiptInvalid):
        parse_receipt(text)


def test_receipts_are_signed_under_the_logs_own_key_and_another_name() -> None:
    key = VerifyingKey("lienthong.vn/log", bytes(32))

    receipt_key = receipt_key_of(key)

    assert (receipt_key.name, receipt_key.public_bytes) == ("lienthong.vn/log/receipt", bytes(32))
    assert receipt_key.key_id != key.key_id
