"""Write an order as bytes, sign it in the hub's name, and prove it: what a worker acts upon.

An order's note says every fact of it, and the digests of what travels with it: the hub's decision,
the message as its sender signed it, and what its attachments are. A signed order is a signed note
(C2SP signed-note, Ed25519) under the key `<origin>/order`. In the hub's own process an order is not
signed, and one form is never read as the other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from bus.core.decision import Accepted
from bus.core.decision_encoding import DecisionUnreadable, decode_decision, encode_decision
from bus.core.deliveries import DeliveryKey
from bus.protocols.note_fields import (
    DIGEST,
    NAME,
    NUMBER,
    TIME,
    FieldInvalid,
    digest_text,
    order_kind,
    read_time,
    require_digest,
    time_text,
)
from bus.protocols.order_frames import (
    INLINE_BYTES_MAX,
    Beside,
    FrameInvalid,
    FrameKind,
    HeldContent,
    pack_attachments,
    read_frame,
    unpack_attachments,
    write_frame,
)
from bus.protocols.orders import Order, OrderInvalid
from signing.signed_note import NoteInvalid, SigningKey, VerifyingKey, sign_note, verify_note

ORDER_NAME = "/order"
"""Behind the log's origin: the name under which orders are signed."""
_PARTS_MIN = 4
_TEXT = re.compile(
    rf"(?P<origin>[^\n]{{1,255}}){ORDER_NAME}\norder v1\n"
    rf"(?P<kind>delivery|query) (?P<index>{NUMBER}) (?P<position>{NUMBER})\n"
    rf"attempt (?P<attempt>{NUMBER})\n"
    rf"recipient (?P<recipient>{NAME})\n"
    rf"service (?P<service>{NAME})\n"
    r"key (?P<key>[A-Za-z0-9_-]{43})\n"
    rf"sent (?P<sent>{TIME})\n"
    rf"before (?P<before>{TIME})\n"
    rf"decision sha256:(?P<decision>{DIGEST})\n"
    rf"message sha256:(?P<message>{DIGEST})\n"
    rf"attachments sha256:(?P<attachments>{DIGEST})\n\Z"
)


def order_key_of(checkpoint_key: VerifyingKey) -> VerifyingKey:
    """The key that orders are verified with: the log's own, under another name."""
    return VerifyingKey(checkpoint_key.name + ORDER_NAME, checkpoint_key.public_bytes)


def order_signing_key(log_key: SigningKey) -> SigningKey:
    """The key that orders are signed with: the log's own, under another name."""
    return SigningKey(log_key.name + ORDER_NAME, log_key.private_key)


def write_order(order: Order, *, inline_bytes_max: int = INLINE_BYTES_MAX) -> bytes:
    """An order as bytes for workers in the same process: unsigned.

    Attachments beyond `inline_bytes_max` are named only. Raises OrderInvalid: it is too large.
    """
    return _write(FrameKind.ORDER, order, [], inline_bytes_max)


def sign_order(
    order: Order, keys: Sequence[SigningKey], *, inline_bytes_max: int = INLINE_BYTES_MAX
) -> bytes:
    """An order as bytes for workers elsewhere, signed with each key of the name `<origin>/order`.

    Raises OrderInvalid: it is too large.
    """
    return _write(FrameKind.SIGNED_ORDER, order, list(keys), inline_bytes_max)


def read_order(content: bytes, held: HeldContent | None = None) -> Order:
    """What `write_order` wrote, in the same process. Raises OrderInvalid."""
    try:
        note, *parts = read_frame(content, FrameKind.ORDER, _PARTS_MIN)
        return _order(note, parts, held)
    except (FrameInvalid, FieldInvalid) as error:
        raise OrderInvalid(str(error)) from error


def prove_order(
    content: bytes, keys: Sequence[VerifyingKey], held: HeldContent | None = None
) -> Order:
    """An order of a hub whose key is known.

     (1) Its note is signed with one of `keys`, whose name is the order's origin with `/order`.
     (2) The note says every fact, each in its one spelling.
     (3) Decision, message and attachments are those whose digests it says.

    When it may be begun is not asked here, nor whose worker asks. Raises OrderInvalid.
    """
    try:
        raw, *parts = read_frame(content, FrameKind.SIGNED_ORDER, _PARTS_MIN)
        # (1)
        note = verify_note(raw, list(keys))
        # (2) (3)
        order = _order(note.text, parts, held)
    except (FrameInvalid, FieldInvalid, NoteInvalid) as error:
        raise OrderInvalid(str(error)) from error
    if order.origin + ORDER_NAME not in {one.name for one in note.signatures}:
        raise OrderInvalid("it is signed by another hub than it names")
    return order


def _write(kind: FrameKind, order: Order, keys: list[SigningKey], inline_bytes_max: int) -> bytes:
    decision = encode_decision(order.accepted)
    beside = pack_attachments(order.attachments, inline_bytes_max)
    text = _text(order, decision, beside.manifest)
    assert _TEXT.match(text), "an order whose fields were bounded where they came in"
    note = sign_note(text, keys) if kind is FrameKind.SIGNED_ORDER else text.encode()
    try:
        return write_frame(kind, (note, decision, order.raw, beside.manifest, *beside.contents))
    except FrameInvalid as error:
        raise OrderInvalid(str(error)) from error


def _text(order: Order, decision: bytes, manifest: bytes) -> str:
    return (
        f"{order.origin}{ORDER_NAME}\norder v1\n"
        f"{order_kind(is_query=order.is_query)} {order.key.received_index} {order.key.position}\n"
        f"attempt {order.attempt}\n"
        f"recipient {order.recipient}\n"
        f"service {order.service}\n"
        f"key {order.idempotency_key}\n"
        f"sent {time_text(order.sent_at)}\n"
        f"before {time_text(order.begin_before)}\n"
        f"decision sha256:{digest_text(decision)}\n"
        f"message sha256:{digest_text(order.raw)}\n"
        f"attachments sha256:{digest_text(manifest)}\n"
    )


def _order(text: bytes, parts: list[bytes], held: HeldContent | None) -> Order:
    try:
        said = _TEXT.match(text.decode())
    except UnicodeDecodeError as error:
        raise FieldInvalid("not UTF-8") from error
    if said is None:
        raise FieldInvalid("expected an order v1 of twelve lines")
    decision, raw, manifest, *contents = parts
    require_digest(said["decision"], decision, "decision")
    require_digest(said["message"], raw, "message")
    require_digest(said["attachments"], manifest, "list of attachments")
    accepted = _accepted(decision)
    order = Order(
        origin=said["origin"],
        key=DeliveryKey(int(said["index"]), int(said["position"])),
        attempt=int(said["attempt"]),
        recipient=said["recipient"],
        service=said["service"],
        idempotency_key=said["key"],
        sent_at=read_time(said["sent"]),
        begin_before=read_time(said["before"]),
        accepted=accepted,
        raw=raw,
        attachments=unpack_attachments(Beside(manifest, tuple(contents)), held),
    )
    if said["kind"] != order_kind(is_query=order.is_query):
        raise FieldInvalid("it says another kind than its decision")
    return order


def _accepted(content: bytes) -> Accepted:
    try:
        decision = decode_decision(content)
    except DecisionUnreadable as error:
        raise FieldInvalid(str(error)) from error
    if not isinstance(decision, Accepted):
        raise FieldInvalid("it holds a message that was refused")
    return decision
