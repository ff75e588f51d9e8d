"""What open deliveries need of a message is kept without what the message itself says."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from bus.core.decision_encoding import DecisionUnreadable, encode_decision
from bus.delivery.carried_messages import carried_form, read_carried
from tests.core.test_decision_encoding import ACCEPTED, REFUSED, SUBMITTED

PAYLOAD = b"<a>" + bytes(range(33, 126)) * 20 + b"</a>"
MESSAGE = replace(SUBMITTED, payload=PAYLOAD)
RAW = b"<Envelope><Body>" + PAYLOAD + b"</Body></Envelope>"


@pytest.mark.parametrize("raw", [RAW, PAYLOAD + RAW, PAYLOAD, b"", RAW[:-30]])
def test_a_decision_comes_back_whole(raw: bytes) -> None:
    assert read_carried(carried_form(MESSAGE, raw), raw) == MESSAGE


def test_a_payload_that_its_message_holds_is_not_kept_twice() -> None:
    assert PAYLOAD not in carried_form(MESSAGE, RAW)
    assert len(carried_form(MESSAGE, RAW)) < len(encode_decision(MESSAGE)) - len(PAYLOAD) + 20


def test_a_payload_that_stands_in_another_form_is_kept() -> None:
    assert PAYLOAD in carried_form(MESSAGE, RAW.replace(b"</a>", b"</a >"))


def test_what_an_earlier_version_kept_is_read() -> None:
    assert read_carried(encode_decision(ACCEPTED), RAW) == ACCEPTED


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"P",
        b"P" + bytes(8),
        encode_decision(REFUSED),
        carried_form(MESSAGE, RAW)[:9] + encode_decision(REFUSED),
        struct.pack(">cII", b"P", len(RAW), 1) + carried_form(MESSAGE, RAW)[9:],
        struct.pack(">cII", b"P", 0, len(RAW) + 1) + carried_form(MESSAGE, RAW)[9:],
    ],
    ids=["nothing", "mark", "place", "refused", "place and refused", "behind", "too long"],
)
def test_what_says_no_decision_is_found(content: bytes) -> None:
    with pytest.raises(DecisionUnreadable):
        read_carried(content, RAW)
