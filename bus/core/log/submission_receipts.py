"""Say what the receipts of a submission promise: that it was accepted, and how each delivery ended.

Both are signed notes as bus.core.log.receipts has them, of version 2: nothing in them is more than
the leaves and the message say, so that each may be made again at any time.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bus.core.log.merkle import hash_leaf
from bus.core.log.receipts import Receipt, ReceiptInvalid, parse_receipt
from signing.attachments import Attachment
from signing.policy import DIGEST_SHA256
from signing.signed_note import SigningKey, sign_note
from signing.utc_text import text_in_microseconds

_ACCEPTED = "receipt v2 accepted"
_CLOSED = "receipt v2 closed"
_HASH = r"[A-Za-z0-9+/]{43}="
_HEAD = (
    r"(?P<origin>[^\n]{1,255})\nreceipt v2 %s\n"
    r"time (?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)\n"
    rf"received (?P<received>\d{{1,18}}) (?P<received_hash>{_HASH})\n"
)
_ACCEPTED_TEXT = re.compile(
    _HEAD % "accepted"
    + rf"request sha256:(?P<request>{_HASH})\n"
    + rf"(?P<parts>(?:part \d{{1,4}} sha256:{_HASH}\n)*)"
    + r"recipients (?P<recipients>[1-9]\d{0,8})\n\Z"
)
_CLOSED_TEXT = re.compile(
    _HEAD % "closed"
    + r"position (?P<position>\d{1,9})\n"
    + r"recipient (?P<recipient>[^\n]{1,300})\n"
    + r"verdict (?P<verdict>[a-z.-]{1,64})\n"
    + rf"outcome (?P<outcome>\d{{1,18}}) (?P<outcome_hash>{_HASH})\n"
    + rf"answer (?:none|sha256:(?P<answer>{_HASH}))\n\Z"
)


@dataclass(frozen=True, slots=True)
class AcceptanceReceipt:
    """What the hub promises when it accepts a submission: to deliver it to so many recipients."""

    origin: str
    """The log's origin, with `/receipt` behind it: the name of the key that signs."""
    time: datetime
    """When it was accepted; UTC."""
    received_index: int
    received_hash: bytes
    """Leaf hash (RFC 6962 §2.1) of the entry that holds the message."""
    request_digest: bytes
    """SHA-256 of the envelope as the hub received it."""
    part_digests: tuple[bytes, ...]
    """SHA-256 of each attachment, in the order in which they came."""
    recipients_count: int

    def text(self) -> str:
        """The note's text."""
        parts = "".join(
            f"part {number} sha256:{_text(digest)}\n"
            for number, digest in enumerate(self.part_digests, start=1)
        )
        return (
            f"{_head(self.origin, _ACCEPTED, self.time, self.received_index, self.received_hash)}"
            f"request sha256:{_text(self.request_digest)}\n{parts}"
            f"recipients {self.recipients_count}\n"
        )


@dataclass(frozen=True, slots=True)
class ClosingReceipt:
    """What the hub says of the end of one delivery."""

    origin: str
    time: datetime
    """When the closing entry was made; UTC."""
    received_index: int
    received_hash: bytes
    position: int
    """Among the message's recipients, from 0."""
    recipient: str
    """`VN/GOV/H41/motcua`."""
    verdict: str
    """`delivered`, or an error code."""
    outcome_index: int
    outcome_hash: bytes
    """Leaf hash of the closing entry."""
    answer_digest: bytes | None
    """SHA-256 of the agency's signed answer, as the closing entry keeps it; None: there is none."""

    def text(self) -> str:
        """The note's text."""
        answer = "none" if self.answer_digest is None else f"sha256:{_text(self.answer_digest)}"
        return (
            f"{_head(self.origin, _CLOSED, self.time, self.received_index, self.received_hash)}"
            f"position {self.position}\n"
            f"recipient {self.recipient}\n"
            f"verdict {self.verdict}\n"
            f"outcome {self.outcome_index} {_text(self.outcome_hash)}\n"
            f"answer {answer}\n"
        )


def acceptance_note(
    key: SigningKey,
    received: tuple[int, bytes],
    time: datetime,
    raw: bytes,
    attachments: Sequence[Attachment],
    recipients_count: int,
) -> bytes:
    """The signed receipt of a submission whose entry, of this index and leaf, was made at `time`.

    It digests `raw`, the envelope, which may be large.
    """
    index, leaf = received
    receipt = AcceptanceReceipt(
        origin=key.name,
        time=time,
        received_index=index,
        received_hash=hash_leaf(leaf),
        request_digest=hashlib.sha256(raw).digest(),
        part_digests=part_digests(attachments),
        recipients_count=recipients_count,
    )
    return sign_note(receipt.text(), [key])


AnyReceipt = Receipt | AcceptanceReceipt | ClosingReceipt


def part_digests(attachments: Sequence[Attachment]) -> tuple[bytes, ...]:
    """What a receipt names the attachments of a message by."""
    return tuple(one.digests[DIGEST_SHA256] for one in attachments)


def parse_any_receipt(text: str) -> AnyReceipt:
    """Read a receipt of any kind, whose signature was verified. Raises ReceiptInvalid."""
    accepted = _ACCEPTED_TEXT.match(text)
    if accepted is not None:
        return _acceptance(accepted)
    closed = _CLOSED_TEXT.match(text)
    return parse_receipt(text) if closed is None else _closing(closed)


def _acceptance(match: re.Match[str]) -> AcceptanceReceipt:
    parts = [line.split() for line in match["parts"].splitlines()]
    if [number for _, number, _ in parts] != [str(place + 1) for place in range(len(parts))]:
        raise ReceiptInvalid("its parts are not numbered from 1")
    return AcceptanceReceipt(
        match["origin"],
        _moment(match["time"]),
        int(match["received"]),
        base64.b64decode(match["received_hash"]),
        base64.b64decode(match["request"]),
        tuple(base64.b64decode(digest.removeprefix("sha256:")) for _, _, digest in parts),
        int(match["recipients"]),
    )


def _closing(match: re.Match[str]) -> ClosingReceipt:
    return ClosingReceipt(
        match["origin"],
        _moment(match["time"]),
        int(match["received"]),
        base64.b64decode(match["received_hash"]),
        int(match["position"]),
        match["recipient"],
        match["verdict"],
        int(match["outcome"]),
        base64.b64decode(match["outcome_hash"]),
        base64.b64decode(match["answer"]) if match["answer"] else None,
    )


def _head(origin: str, form: str, time: datetime, index: int, leaf_hash: bytes) -> str:
    moment = text_in_microseconds(time)
    return f"{origin}\n{form}\ntime {moment}\nreceived {index} {_text(leaf_hash)}\n"


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise ReceiptInvalid("there is no such time") from error


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")
