"""What receipts of each kind say, for programs."""

from __future__ import annotations

from typing import Any

from bus.core.log.receipts import Receipt
from bus.core.log.submission_receipts import AcceptanceReceipt, AnyReceipt


def receipt_values(receipt: AnyReceipt) -> dict[str, Any]:
    """The facts of a receipt by name; digests in hex."""
    values: dict[str, Any] = {
        "origin": receipt.origin,
        "time": receipt.time.isoformat(),
        "received": receipt.received_index,
    }
    if isinstance(receipt, Receipt):
        return {
            **values,
            "outcome": receipt.outcome_index,
            "request_sha256": receipt.request_digest.hex(),
            "answer_sha256": receipt.answer_digest.hex(),
        }
    if isinstance(receipt, AcceptanceReceipt):
        return {
            **values,
            "recipients": receipt.recipients_count,
            "request_sha256": receipt.request_digest.hex(),
            "attachments_sha256": [digest.hex() for digest in receipt.part_digests],
        }
    answer = receipt.answer_digest
    return {
        **values,
        "position": receipt.position,
        "recipient": receipt.recipient,
        "verdict": receipt.verdict,
        "outcome": receipt.outcome_index,
        "answer_sha256": answer.hex() if answer is not None else None,
    }
