"""A leaf says what happened, in canonical form, and names nobody."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from bus.core.log import leaf as log_entries
from bus.core.log.leaf import (
    COMMITMENT_TAG,
    Event,
    LeafInvalid,
    build_leaf,
    commit_attachments,
    commit_payload,
    read_leaf,
    read_leaf_facts,
)
from bus.core.log.pseudonyms import Pseudonyms

TIME = datetime(2026, 3, 31, 23, 59, 59, 7, tzinfo=UTC)
FULL: dict[str, Any] = {
    "client": "VN/GOV/H41/motcua",
    "service": "VN/GOV/G01/dancu/TraCuuThongTinCongDan/v1",
    "message": "AAAAAAAAAAAAAAAAAAAAAA",
    "case": "BBBBBBBBBBBBBBBBBBBBBB",
    "signer": bytes(range(32)),
    "signature": bytes(32),
    "config": b"\xff" * 32,
    "verdict": "accepted",
    "fault": "f-1",
    "continues": 0,
    "payload": b"\x01" * 32,
    "sealed": b"\x02" * 32,
    "raw_bytes": 2400,
    "attachments": b"\x03" * 32,
    "stored": b"\x04" * 32,
    "program": "lienthong 0.1.0",
    "recipients": 34,
    "position": 0,
    "recipient": "VN/GOV/H41/motcua",
    "attempt": 1,
    "doubt": True,
}

digests = st.binary(min_size=32, max_size=32)
facts = st.fixed_dictionaries(
    {},
    optional={
        "client": st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
        "verdict": st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
        "program": st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
        "signer": digests,
        "payload": digests,
        "continues": st.integers(0, 2**53 - 1),
        "raw_bytes": st.integers(0, 2**53 - 1),
        "recipients": st.integers(0, 2**53 - 1),
        "position": st.integers(0, 2**53 - 1),
        "recipient": st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
        "attempt": st.integers(0, 2**53 - 1),
        "doubt": st.just(True),
    },
)


def test_a_leaf_has_one_known_form() -> None:
    leaf = build_leaf(Event.OUTCOME, TIME, continues=7, verdict="delivered")
    expected = (
        b'{"continues":7,"event":"outcome","time":"2026-03-31T23:59:59.000007Z",'
        b'"v":1,"verdict":"delivered"}'
    )
    assert expected == leaf


@given(st.sampled_from(Event), st.datetimes(timezones=st.just(UTC)), facts)
def test_a_leaf_is_canonical_and_reads_back(
    event: Event, time: datetime, given_facts: dict[str, Any]
) -> None:
    raw = build_leaf(event, time, **given_facts)
    assert rfc8785.dumps(json.loads(raw)) == raw
    leaf = read_leaf(raw)
    assert (event, time) == (leaf.event, leaf.time)
    for name, fact in given_facts.items():
        assert fact == getattr(leaf, name)


def test_a_full_leaf_stays_small() -> None:
    assert len(build_leaf(Event.RECEIVED, TIME, **FULL)) < 880


def test_no_doubt_is_no_fact() -> None:
    assert build_leaf(Event.ATTEMPT, TIME, doubt=False) == build_leaf(Event.ATTEMPT, TIME)


def test_a_start_from_before_programs_were_named_is_read_as_it_stands() -> None:
    raw = b'{"event":"started","time":"2026-03-31T23:59:59.000007Z","v":1}'
    assert read_leaf(raw).program is None
    assert build_leaf(Event.STARTED, TIME) == raw


def test_absent_facts_are_absent_keys() -> None:
    assert {"event", "time", "v"} == set(json.loads(build_leaf(Event.HEARTBEAT, TIME)))


def test_a_time_outside_utc_is_refused() -> None:
    with pytest.raises(LeafInvalid):
        build_leaf(Event.HEARTBEAT, TIME.astimezone(timezone(timedelta(hours=7))))


def test_a_leaf_that_is_too_large_is_refused() -> None:
    with pytest.raises(LeafInvalid):
        build_leaf(Event.REFUSED, TIME, verdict="x" * 5000)


GOOD = json.loads(build_leaf(Event.RECEIVED, TIME, **FULL))


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"v": True},
        {"event": "lunch"},
        {"time": "2026-03-31"},
        {"time": "2026-02-30T00:00:00.000000Z"},
        {"payload": "short"},
        {"continues": -1},
        {"bytes": "1"},
        {"stranger": "x"},
        {"client": ["x"]},
        {"doubt": False},
        {"doubt": "true"},
        {"doubt": 1},
        {"attempt": True},
        {"position": "0"},
    ],
)
def test_a_leaf_with_a_wrong_fact_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(LeafInvalid):
        read_leaf(rfc8785.dumps(GOOD | change))


@given(st.binary(max_size=60))
def test_any_bytes_are_a_leaf_or_refused(raw: bytes) -> None:
    with pytest.raises(LeafInvalid):
        read_leaf(raw)


def test_a_pseudonym_holds_for_a_month_and_a_claim_key_for_ever() -> None:
    names = Pseudonyms(bytes(32))
    later = TIME + timedelta(days=1)
    assert names.of("id-1", TIME) == names.of("id-1", TIME.replace(day=1))
    assert names.of("id-1", TIME) != names.of("id-1", later)
    assert names.of("id-1", TIME) != names.of("id-2", TIME)
    assert names.of("id-1", TIME) != Pseudonyms(bytes(31) + b"\x01").of("id-1", TIME)
    assert names.claim_key("A", "1") == Pseudonyms(bytes(32)).claim_key("A", "1")
    assert names.claim_key("A", "1") != names.claim_key("B", "1")
    assert len(names.claim_key("A", "1")) == 16


def test_a_search_tries_every_month() -> None:
    names = Pseudonyms(bytes(32))
    first = datetime(2025, 11, 30, tzinfo=UTC)
    found = list(names.over_months("id-1", first, TIME))
    assert len(found) == 5
    assert names.of("id-1", TIME) == found[-1]
    assert names.of("id-1", first) == found[0]


def test_a_commitment_is_the_digest_that_anyone_can_make() -> None:
    import hashlib

    salt, raw = bytes(32), b"<x/>"
    assert hashlib.sha256(COMMITMENT_TAG + salt + raw).digest() == commit_payload(salt, raw)


@given(st.integers(0, 600), st.integers(0, 255))
def test_the_short_way_to_read_a_leaf_takes_nothing_that_the_long_way_refuses(
    place: int, byte: int
) -> None:
    raw = bytearray(build_leaf(Event.RECEIVED, TIME, **FULL))
    raw[place % len(raw)] = byte
    try:
        quick = read_leaf_facts(bytes(raw))
    except LeafInvalid:
        quick = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_entries, "_read_plain", lambda raw: None)
        try:
            thorough = read_leaf_facts(bytes(raw))
        except LeafInvalid:
            thorough = None
    assert thorough == quick


def test_a_text_without_utf8_form_and_a_leaf_too_large_are_refused() -> None:
    with pytest.raises(LeafInvalid, match="surrogate"):
        build_leaf(Event.REFUSED, datetime(2026, 3, 1, tzinfo=UTC), client="\ud800")
    with pytest.raises(LeafInvalid, match="at most"):
        build_leaf(Event.REFUSED, datetime(2026, 3, 1, tzinfo=UTC), client="x" * 5000)


def test_the_same_facts_in_another_spelling_are_no_leaf() -> None:
    leaf = build_leaf(Event.HEARTBEAT, datetime(2026, 3, 1, tzinfo=UTC))
    with pytest.raises(LeafInvalid, match="canonical"):
        read_leaf(leaf.replace(b":", b": ", 1))


def test_a_pseudonym_key_has_32_bytes() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Pseudonyms(b"short")


def test_json_that_is_no_object_is_no_leaf() -> None:
    with pytest.raises(LeafInvalid, match="no object"):
        read_leaf(b"[]")


def test_a_commitment_to_attachments_is_none_to_a_payload() -> None:
    assert commit_attachments(b"s" * 32, b"[]") != commit_payload(b"s" * 32, b"[]")
    assert commit_attachments(b"s" * 32, b"[]") != commit_attachments(b"t" * 32, b"[]")


def test_what_goes_one_after_the_other_has_one_key_and_no_claim_has_it() -> None:
    names = Pseudonyms(bytes(32))
    key = names.conversation_key("VN/GOV/H41/motcua", "VN/GOV/H26/motcua", "case-1")
    assert len(key) == 16
    assert key == names.conversation_key("VN/GOV/H41/motcua", "VN/GOV/H26/motcua", "case-1")
    others = [
        names.conversation_key("VN/GOV/H26/motcua", "VN/GOV/H41/motcua", "case-1"),
        names.conversation_key("VN/GOV/H41/motcua", "VN/GOV/H26/motcua", "case-2"),
        names.claim_key("VN/GOV/H41/motcua", "VN/GOV/H26/motcua\ncase-1"),
    ]
    assert key not in others
