"""Say what a receipt promises: which entries hold the exchange, and which bytes they are about.

A receipt is a signed note (C2SP signed-note) in the hub's name: the promise that these leaves are
in the log. Whoever keeps receipts can prove an omission: the log at a later checkpoint must hold
a leaf of this hash at this index.
"""

from __future__ import annotations

import base64
import re
from binascii import b2a_base64
from dataclasses import dataclass
from datetime import datetime

from signing.quick_init import quick_init
from signing.signed_note import VerifyingKey
from signing.utc_text import text_in_microseconds

RECEIPT_NAME = "/receipt"
"""Behind the log's origin: the name under which receipts are signed."""
_FORMAT = "receipt v1"


class ReceiptInvalid(ValueError):
    """This text is no receipt."""


@quick_init
@dataclass(frozen=True, slots=True)
class Receipt:
    """What the hub promises about one exchange."""

    origin: str
    """The log's origin, with `/receipt` behind it: the name of the key that signs."""
    time: datetime
    """When the last of these entries was made; UTC."""
    received_index: int
    received_hash: bytes
    """Leaf hash (RFC 6962 §2.1) of the entry that holds the request."""
    outcome_index: int
    outcome_hash: bytes
    """Leaf hash of the entry that holds the answer; that of the request if it was refused."""
    request_digest: bytes
    """SHA-256 of the request as the hub received it."""
    answer_digest: bytes
    """SHA-256 of the answer as it was signed, without this receipt."""

    def text(self) -> str:
        """The note's text."""
        return (
            f"{self.origin}\n{_FORMAT}\n"
            f"time {text_in_microseconds(self.time)}\n"
            f"received {self.received_index} {_text(self.received_hash)}\n"
            f"outcome {self.outcome_index} {_text(self.outcome_hash)}\n"
            f"request sha256:{_text(self.request_digest)}\n"
            f"answer sha256:{_text(self.answer_digest)}\n"
        )


_TEXT = re.compile(
    r"(?P<origin>[^\n]{1,255})\nreceipt v1\n"
    r"time (?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)\n"
    r"received (?P<received>\d{1,18}) (?P<received_hash>[A-Za-z0-9+/]{43}=)\n"
    r"outcome (?P<outcome>\d{1,18}) (?P<outcome_hash>[A-Za-z0-9+/]{43}=)\n"
    r"request sha256:(?P<request>[A-Za-z0-9+/]{43}=)\n"
    r"answer sha256:(?P<answer>[A-Za-z0-9+/]{43}=)\n\Z"
)


def parse_receipt(text: str) -> Receipt:
    """Read a receipt's text, whose signature was verified. Raises ReceiptInvalid."""
    match = _TEXT.match(text)
    if match is None:
        raise ReceiptInvalid(f"expected a {_FORMAT} of seven lines")
    try:
        time = datetime.fromisoformat(match["time"])
    except ValueError as error:
        raise ReceiptInvalid("there is no such time") from error
    return Receipt(
        origin=match["origin"],
        time=time,
        received_index=int(match["received"]),
        received_hash=base64.b64decode(match["received_hash"]),
        outcome_index=int(match["outcome"]),
        outcome_hash=base64.b64decode(match["outcome_hash"]),
        request_digest=base64.b64decode(match["request"]),
        answer_digest=base64.b64decode(match["answer"]),
    )


def receipt_key_of(checkpoint_key: VerifyingKey) -> VerifyingKey:
    """The key that receipts are verified with: the log's own, under another name."""
    return VerifyingKey(checkpoint_key.name + RECEIPT_NAME, checkpoint_key.public_bytes)


def _text(value: bytes) -> str:
    return b2a_base64(value, newline=False).decode("ascii")
