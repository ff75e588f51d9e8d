"""Programs are told what each kind of receipt says."""

from __future__ import annotations

from datetime import UTC, datetime

from bus.cli.receipt_values import receipt_values
from bus.core.log.receipts import Receipt
from bus.core.log.submission_receipts import AcceptanceReceipt, ClosingReceipt

MOMENT = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
HEAD = {"origin": "o/receipt", "time": "2026-03-01T08:00:00+00:00", "received": 1}


def test_an_answer_an_acceptance_and_an_end_say_different_things() -> None:
    answer = Receipt("o/receipt", MOMENT, 1, b"", 2, b"", b"\x01", b"\x02")
    accepted = AcceptanceReceipt("o/receipt", MOMENT, 1, b"", b"\x01", (b"\x03",), 34)
    closed = ClosingReceipt(
        "o/receipt", MOMENT, 1, b"", 3, "VN/GOV/H41/motcua", "delivered", 9, b"", None
    )

    assert receipt_values(answer) == {
        **HEAD,
        "outcome": 2,
        "request_sha256": "01",
        "answer_sha256": "02",
    }
    assert receipt_values(accepted) == {
        **HEAD,
        "recipients": 34,
        "request_sha256": "01",
        "attachments_sha256": ["03"],
    }
    assert receipt_values(closed) == {
        **HEAD,
        "position": 3,
        "recipient": "VN/GOV/H41/motcua",
        "verdict": "delivered",
        "outcome": 9,
        "answer_sha256": None,
    }
