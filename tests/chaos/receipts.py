"""Read the receipt out of an acceptance, and prove it."""

from __future__ import annotations

import base64
import re

from bus.core.log.submission_receipts import AcceptanceReceipt, parse_any_receipt
from signing.signed_note import SigningKey, verify_note

_RECEIPT = re.compile(rb"receipt[^>]*>([A-Za-z0-9+/=]{100,})<")


def accepted_receipt(body: bytes, key: SigningKey) -> AcceptanceReceipt:
    """The receipt of an acceptance. Raises NoteInvalid, ReceiptInvalid."""
    found = _RECEIPT.search(body)
    assert found is not None, body
    note = verify_note(base64.b64decode(found[1]), [key.verifying_key])
    receipt = parse_any_receipt(note.text.decode())
    assert isinstance(receipt, AcceptanceReceipt)
    return receipt
