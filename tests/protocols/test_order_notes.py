"""An order as bytes is that order; what anybody changed of it, or another hub signed, is none."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from bus.core.attachment_manifest import ListedAttachment
from bus.core.decision_encoding import encode_decision
from bus.core.deliveries import DeliveryKey
from bus.kit.made_attachments import attachment_of_bytes
from bus.protocols.order_frames import FRAME_BYTES_MAX, FrameKind, read_frame, write_frame
from bus.protocols.order_notes import (
    order_key_of,
    order_signing_key,
    prove_order,
    read_order,
    sign_order,
    write_order,
)
from bus.protocols.orders import Order, OrderInvalid
from signing.signed_note import SigningKey, sign_note
from tests.core.test_decision_encoding import ACCEPTED, REFUSED

ORIGIN = "axis.example.vn/log"
NOW = datetime(2026, 9, 3, 8, 30, 0, 123456, tzinfo=UTC)
LOG_KEY = SigningKey(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(32)))
KEY = order_signing_key(LOG_KEY)
KNOWN = [order_key_of(LOG_KEY.verifying_key)]
OTHER_KEY = order_signing_key(
    SigningKey("other.example.vn/log", Ed25519PrivateKey.from_private_bytes(b"\x01" * 32))
)
SMALL = attachment_of_bytes(b"abc", content_id="small@h41", media_type="text/plain")
EMPTY = attachment_of_bytes(b"", content_id="empty@h41", media_type="text/plain")
LARGE = attachment_of_bytes(bytes(5000), content_id="large@h41", media_type="application/pdf")
ORDER = Order(
    origin=ORIGIN,
    key=DeliveryKey(17, 3),
    attempt=2,
    recipient="VN/GOV/G01/dancu",
    service="VN/GOV/G01/dancu/GuiVanBan/v1",
    idempotency_key="k" * 43,
    sent_at=NOW,
    begin_before=NOW + timedelta(minutes=1),
    accepted=ACCEPTED,
    raw=b"<soap:Envelope/>",
    attachments=(SMALL, EMPTY),
)


def test_a_signed_order_is_proved_as_what_it_was() -> None:
    content = sign_order(ORDER, [KEY])
    proved = prove_order(content, KNOWN)
    assert proved == ORDER
    assert [b"".join(one.chunks()) for one in proved.attachments] == [b"abc", b""]
    assert b"".join(proved.attachments[0].chunks()) == b"abc", "content comes more than once"


def test_an_order_within_the_process_is_read_as_what_it_was() -> None:
    assert read_order(write_order(ORDER)) == ORDER
    bare = replace(ORDER, attachments=())
    assert read_order(write_order(bare)) == bare


def test_one_form_is_never_read_as_the_other() -> None:
    with pytest.raises(OrderInvalid, match="kind 2"):
        read_order(sign_order(ORDER, [KEY]))
    with pytest.raises(OrderInvalid, match="kind 1"):
        prove_order(write_order(ORDER), KNOWN)
    for made, kind, read in (
        (sign_order(ORDER, [KEY]), FrameKind.ORDER, read_order),
        (write_order(ORDER), FrameKind.SIGNED_ORDER, lambda raw: prove_order(raw, KNOWN)),
    ):
        relabelled = bytearray(made)
        relabelled[4] = kind
        with pytest.raises(OrderInvalid):
            read(bytes(relabelled))


def test_times_are_those_of_any_zone() -> None:
    elsewhere = timezone(timedelta(hours=7))
    order = replace(ORDER, sent_at=NOW.astimezone(elsewhere))
    assert prove_order(sign_order(order, [KEY]), KNOWN) == order


def test_an_attachment_that_stays_where_it_lies_is_asked_for() -> None:
    order = replace(ORDER, attachments=(LARGE, SMALL))
    content = sign_order(order, [KEY], inline_bytes_max=10)
    assert len(content) < 5000
    asked: list[ListedAttachment] = []

    def held(listed: ListedAttachment) -> Callable[[], Iterator[bytes]]:
        asked.append(listed)
        return LARGE.chunks

    proved = prove_order(content, KNOWN, held)
    assert proved == order
    assert [b"".join(one.chunks()) for one in proved.attachments] == [bytes(5000), b"abc"]
    assert [one.content_id for one in asked] == ["large@h41"]
    with pytest.raises(OrderInvalid, match="attachment 1 did not travel"):
        prove_order(content, KNOWN)

    def nowhere(listed: ListedAttachment) -> Callable[[], Iterator[bytes]]:
        raise LookupError(listed.content_id)

    with pytest.raises(OrderInvalid, match="attachment 1 is nowhere"):
        prove_order(content, KNOWN, nowhere)


def test_every_bit_counts() -> None:
    content = sign_order(ORDER, [KEY])
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        with pytest.raises(OrderInvalid):
            prove_order(bytes(changed), KNOWN)


def test_every_length_counts() -> None:
    content = sign_order(ORDER, [KEY])
    for length in range(len(content)):
        with pytest.raises(OrderInvalid):
            prove_order(content[:length], KNOWN)
    with pytest.raises(OrderInvalid):
        prove_order(content + b"\n", KNOWN)


@pytest.mark.parametrize(
    "change",
    [
        {"origin": "other.example.vn/log"},
        {"key": DeliveryKey(18, 3)},
        {"key": DeliveryKey(17, 4)},
        {"attempt": 3},
        {"recipient": "VN/GOV/G02/dancu"},
        {"service": "VN/GOV/G01/dancu/Khac/v1"},
        {"idempotency_key": "l" * 43},
        {"sent_at": NOW + timedelta(microseconds=1)},
        {"begin_before": NOW + timedelta(hours=1)},
        {"accepted": replace(ACCEPTED, adapter="another")},
        {"raw": b"<soap:Envelope></soap:Envelope>"},
        {"attachments": (SMALL,)},
        {"attachments": (EMPTY, SMALL)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_no_fact_is_taken_from_another_order(change: dict[str, object]) -> None:
    other = replace(ORDER, **change)  # type: ignore[arg-type]
    ours = read_frame(sign_order(ORDER, [KEY]), FrameKind.SIGNED_ORDER, 4)
    theirs = read_frame(sign_order(other, [OTHER_KEY]), FrameKind.SIGNED_ORDER, 4)
    assert ours[0] != theirs[0]
    # Their note with our parts, ours with theirs, and our signature below their text.
    text, _, _ = theirs[0].partition(b"\n\n")
    _, _, signature = ours[0].partition(b"\n\n")
    for parts in (
        [theirs[0], *ours[1:]],
        [text + b"\n\n" + signature, *theirs[1:]],
        *([[ours[0], *theirs[1:]]] if ours[1:] != theirs[1:] else []),
    ):
        with pytest.raises(OrderInvalid):
            prove_order(write_frame(FrameKind.SIGNED_ORDER, parts), KNOWN)


def test_a_hub_orders_in_its_own_name_only() -> None:
    known = [*KNOWN, OTHER_KEY.verifying_key]
    with pytest.raises(OrderInvalid, match="another hub"):
        prove_order(sign_order(ORDER, [OTHER_KEY]), known)
    with pytest.raises(OrderInvalid, match="none of the known keys"):
        prove_order(sign_order(ORDER, [OTHER_KEY]), KNOWN)
    with pytest.raises(OrderInvalid, match="none of the known keys"):
        prove_order(sign_order(ORDER, [LOG_KEY]), KNOWN)
    assert prove_order(sign_order(ORDER, [OTHER_KEY, KEY]), known) == ORDER


def test_a_known_hub_cannot_say_what_is_out_of_form() -> None:
    note, *parts = read_frame(write_order(ORDER), FrameKind.ORDER, 4)
    text = note.decode()
    for found, instead in (
        ("order v1", "order v2"),
        ("query 17 3", "query 017 3"),
        ("query 17 3", "query 17 -3"),
        ("query 17 3", "delivery 17 3"),
        ("attempt 2", "attempt 2 "),
        ("attempt 2", "attempt ٢"),
        ("recipient VN/GOV/G01/dancu", "recipient VN/GOV/G01/dan cu"),
        ("recipient VN/GOV/G01/dancu", f"recipient {'x' * 401}"),
        ("2026-09-03T08:30:00.123456Z", "2026-02-31T08:30:00.123456Z"),
        ("2026-09-03T08:30:00.123456Z", "2026-09-03T08:30:00Z"),
        (f"key {'k' * 43}", f"key {'k' * 42}"),
        ("attempt 2\n", "attempt 2\nattempt 2\n"),
    ):
        assert found in text
        signed = sign_note(text.replace(found, instead, 1), [KEY])
        with pytest.raises(OrderInvalid):
            prove_order(write_frame(FrameKind.SIGNED_ORDER, [signed, *parts]), KNOWN)
    whole = sign_note(text, [KEY])
    assert prove_order(write_frame(FrameKind.SIGNED_ORDER, [whole, *parts]), KNOWN) == ORDER


def test_what_was_refused_or_is_no_decision_is_not_ordered() -> None:
    for decision, why in (
        (encode_decision(REFUSED), "refused"),
        (b"", "no decision"),
        (encode_decision(ACCEPTED)[:-1], "sum"),
    ):
        note, *parts = read_frame(write_order(ORDER), FrameKind.ORDER, 4)
        parts[0] = decision
        text = note.replace(_digest(encode_decision(ACCEPTED)), _digest(decision))
        with pytest.raises(OrderInvalid, match=why):
            read_order(write_frame(FrameKind.ORDER, [text, *parts]))


@pytest.mark.parametrize(
    "manifest",
    [
        b"[]",
        b"{",
        b"[" * 100_000,
        b'[{"bytes":Infinity}]',
        b'[{"bytes":1e999,"headers":[],"id":"a","type":"t","sha256":"","sha512":""}]',
        b'[{"bytes":0,"headers":[],"id":"\\ud800","type":"t","sha256":"","sha512":""}]',
        b'[{"bytes":0,"headers":[[]],"id":"a","type":"t","sha256":"","sha512":""}]',
        b" " * 2_000_000,
    ],
    ids=range(8),
)
def test_a_list_of_attachments_has_one_spelling(manifest: bytes) -> None:
    order = replace(ORDER, attachments=(SMALL,))
    note, decision, raw, real, content = read_frame(write_order(order), FrameKind.ORDER, 4)
    text = note.replace(_digest(real), _digest(manifest))
    for contents in ([content], [b""], [b"\x01"], []):
        parts = [text, decision, raw, manifest, *contents]
        if manifest == b"[]" and not contents:
            continue  # this one says truly that there are none
        with pytest.raises(OrderInvalid):
            read_order(write_frame(FrameKind.ORDER, parts), lambda _: SMALL.chunks)


def test_content_must_be_what_the_list_says() -> None:
    order = replace(ORDER, attachments=(SMALL,))
    *parts, content = read_frame(write_order(order), FrameKind.ORDER, 4)
    assert content == b"\x01abc"
    for other in (b"\x01abd", b"\x01abcd", b"\x00abc", b"\x01"):
        with pytest.raises(OrderInvalid, match="attachment 1"):
            read_order(write_frame(FrameKind.ORDER, [*parts, other]))


def test_a_frame_is_bounded() -> None:
    with pytest.raises(OrderInvalid, match="too many"):
        write_order(replace(ORDER, raw=bytes(FRAME_BYTES_MAX)))
    with pytest.raises(OrderInvalid, match="too many"):
        write_order(replace(ORDER, attachments=(EMPTY,) * 600))
    with pytest.raises(OrderInvalid, match="no frame"):
        read_order(bytes(FRAME_BYTES_MAX + 1))


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_as_no_order(content: bytes) -> None:
    for raw in (content, b"LTO\x01\x02" + content, b"LTO\x01\x01" + content):
        with pytest.raises(OrderInvalid):
            prove_order(raw, KNOWN)
        with pytest.raises(OrderInvalid):
            read_order(raw)


@given(st.lists(st.binary(max_size=20), max_size=6))
def test_any_parts_are_refused_as_no_order(parts: list[bytes]) -> None:
    with pytest.raises(OrderInvalid):
        prove_order(write_frame(FrameKind.SIGNED_ORDER, parts), KNOWN)
    with pytest.raises(OrderInvalid):
        read_order(write_frame(FrameKind.ORDER, parts))


def _digest(content: bytes) -> bytes:
    return base64.b64encode(hashlib.sha256(content).digest())
