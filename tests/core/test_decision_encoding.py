"""A decision as bytes is that decision, and no other bytes are one."""

from __future__ import annotations

import struct
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.core import errors
from bus.core.decision import Accepted, Decision, MessageFacts, Refused, SenderProof
from bus.core.decision_encoding import (
    VERSION,
    DecisionUnreadable,
    decode_decision,
    encode_decision,
    encode_without_payload,
)
from bus.core.errors import BusError, ServiceFault, all_errors
from bus.core.identifiers import MemberId, ServiceId, SubsystemId
from bus.core.routing import Recipient
from signing.names import SOAP11, SOAP12
from signing.wss.sign import CanonicalParts

CLIENT = SubsystemId.parse("VN/GOV/H41/motcua")
SERVICE = ServiceId.parse("VN/GOV/G01/dancu/TraCuu/v1")
MOMENT = datetime(2026, 9, 3, 8, 30, 0, 123456, tzinfo=UTC)
FACTS = MessageFacts(
    client=CLIENT,
    service=replace(SERVICE, service_version=""),
    message_id="m-1",
    user_id="VN0117",
    issue="H41-2026-1",
    version=SOAP11,
    digest=bytes(32),
)
PROOF = SenderProof(b"\x01" * 32, b"a certificate", b"\x02" * 32, MOMENT - timedelta(seconds=3))
ACCEPTED = Accepted(
    facts=FACTS,
    proof=PROOF,
    service=SERVICE,
    purpose="thủ tục",
    legal_basis="NĐ 47/2020",
    adapter="an-agency",
    timeout_seconds=2.5,
    idempotency_key="k" * 43,
    payload=b"<p/>",
    answer_blocks=CanonicalParts(b"<h/>", b"<ds:Reference/>"),
    rules_digest=b"\x03" * 32,
    decided_at=MOMENT,
    signed_attachments=(0, 2),
    action="urn:tra-cuu",
)
SUBMITTED = replace(
    ACCEPTED,
    adapter="",
    recipients=(
        Recipient(SubsystemId.parse("VN/GOV/H26/motcua"), "provinces"),
        Recipient(SubsystemId.parse("VN/GOV/H41/motcua"), ""),
    ),
)
REFUSED = Refused(errors.AccessDenied("no grant", subject="{urn:x}y"), FACTS, PROOF)
GOLDEN = {
    "accepted": (
        "020100065a8ff4fa2d8000065a8ff527f440400400000000000000000011000000180000000300000006"
        "0000000a0000002900000020000000200000000d000000200000001a0000000b0000000b000000090000"
        "002b00000004000000040000000f00000020000000040000000b00000000564e2f474f562f4834312f6d"
        "6f74637561564e2f474f562f4730312f64616e63752f5472614375752f6d2d31564e303131374834312d"
        "323032362d31687474703a2f2f736368656d61732e786d6c736f61702e6f72672f736f61702f656e7665"
        "6c6f70652f00000000000000000000000000000000000000000000000000000000000000000101010101"
        "010101010101010101010101010101010101010101010101010101612063657274696669636174650202"
        "020202020202020202020202020202020202020202020202020202020202564e2f474f562f4730312f64"
        "616e63752f5472614375752f76317468e1bba72074e1bba5634ec4902034372f32303230616e2d616765"
        "6e63796b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b"
        "6b6b6b6b3c702f3e3c682f3e3c64733a5265666572656e63652f3e030303030303030303030303030303"
        "03030303030303030303030303030303030000000275726e3a7472612d637575b8b250d3"
    ),
    "submitted": (
        "020100065a8ff4fa2d8000065a8ff527f440400400000000000000000011000000180000000300000006"
        "0000000a0000002900000020000000200000000d000000200000001a0000000b0000000b000000000000"
        "002b00000004000000040000000f00000020000000040000000b0000002e564e2f474f562f4834312f6d"
        "6f74637561564e2f474f562f4730312f64616e63752f5472614375752f6d2d31564e303131374834312d"
        "323032362d31687474703a2f2f736368656d61732e786d6c736f61702e6f72672f736f61702f656e7665"
        "6c6f70652f00000000000000000000000000000000000000000000000000000000000000000101010101"
        "010101010101010101010101010101010101010101010101010101612063657274696669636174650202"
        "020202020202020202020202020202020202020202020202020202020202564e2f474f562f4730312f64"
        "616e63752f5472614375752f76317468e1bba72074e1bba5634ec4902034372f323032306b6b6b6b6b6b"
        "6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b3c702f3e3c"
        "682f3e3c64733a5265666572656e63652f3e030303030303030303030303030303030303030303030303"
        "03030303030303030000000275726e3a7472612d637575564e2f474f562f4832362f6d6f746375612f70"
        "726f76696e6365730a564e2f474f562f4834312f6d6f746375612f5138d088"
    ),
    "refused": (
        "020200065a8ff4fa2d80030000000d000000080000000000000008000000110000001800000003000000"
        "060000000a0000002900000020000000200000000d000000206163636573732e64656e6965646e6f2067"
        "72616e747b75726e3a787d79564e2f474f562f4834312f6d6f74637561564e2f474f562f4730312f6461"
        "6e63752f5472614375752f6d2d31564e303131374834312d323032362d31687474703a2f2f736368656d"
        "61732e786d6c736f61702e6f72672f736f61702f656e76656c6f70652f00000000000000000000000000"
        "000000000000000000000000000000000000000101010101010101010101010101010101010101010101"
        "010101010101010101612063657274696669636174650202020202020202020202020202020202020202"
        "0202020202020202020202022adfc65f"
    ),
    "unread": (
        "020200000000000000000000000018000000060000000000000000000000000000000000000000000000"
        "00000000000000000000000000000000000000000000000000656e76656c6f70652e6e6f742d77656c6c"
        "2d666f726d65646c696e65203188834f58"
    ),
}
OF_CONTENT = [error for error in all_errors() if not issubclass(error, ServiceFault)]

codes = st.text("ABCxyz019'()+,-.=?", min_size=1, max_size=8)
members = st.builds(MemberId, codes, codes, codes)
subsystems = st.builds(SubsystemId, members, codes | st.just(""))
services = st.builds(ServiceId, subsystems, codes, codes | st.just(""))
texts = st.text(st.characters(), max_size=20)
"""Surrogates, too: a text may quote what somebody else sent."""
moments = st.datetimes(
    datetime(1, 1, 2),  # noqa: DTZ001
    datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=st.just(UTC),
)
blobs = st.binary(max_size=60)
facts = st.builds(MessageFacts, subsystems, services, texts, texts, texts, texts, blobs)
proofs = st.builds(SenderProof, blobs, blobs, blobs, moments)
accepted = st.builds(
    Accepted,
    facts,
    proofs,
    services,
    texts,
    texts,
    texts,
    st.floats(0, 3600),
    texts,
    blobs,
    st.builds(CanonicalParts, blobs, blobs),
    blobs,
    moments,
    st.lists(st.integers(0, 65535), max_size=3).map(tuple),
    texts,
    st.lists(
        st.builds(
            Recipient,
            subsystems,
            st.from_regex(r"[a-z][a-z0-9_]{0,63}", fullmatch=True) | st.just(""),
        ),
        max_size=3,
    ).map(tuple),
)


def error_of(of: type[BusError], detail: str, public_detail: str, subject: str) -> BusError:
    return of(detail, public_detail=public_detail, subject=subject)


refused = st.builds(
    Refused,
    st.builds(error_of, st.sampled_from(OF_CONTENT), texts, texts, texts),
    st.none() | facts,
    st.none() | proofs,
)
decisions: st.SearchStrategy[Decision] = accepted | refused


def summed(content: bytes) -> bytes:
    """Content with the right sum behind it: what somebody wrote, and no disk changed."""
    return content + struct.pack(">I", crc32(content))


@pytest.mark.parametrize("is_summed", [True, False])
@given(decisions)
def test_a_decision_that_was_written_is_read_again(is_summed: bool, decision: Decision) -> None:
    encoded = encode_decision(decision, is_summed=is_summed)

    read = decode_decision(encoded, is_summed=is_summed)

    assert read == decision
    assert type(read) is type(decision)
    assert encode_decision(read, is_summed=is_summed) == encoded
    if isinstance(decision, Refused):
        assert isinstance(read, Refused)
        assert type(read.error) is type(decision.error)


@given(accepted)
def test_a_decision_without_its_payload_is_read_as_one_with_none(decision: Accepted) -> None:
    read = decode_decision(encode_without_payload(decision))

    assert read == replace(decision, payload=b"")


@given(decisions, st.data())
def test_no_other_bytes_are_a_decision(decision: Decision, data: st.DataObject) -> None:
    encoded = encode_decision(decision)
    place = data.draw(st.integers(0, len(encoded) - 1))
    bits = data.draw(st.integers(1, 255))
    changed = bytearray(encoded)
    changed[place] ^= bits

    for other in (encoded[:place], encoded + b"\0", bytes(changed)):
        with pytest.raises(DecisionUnreadable):
            decode_decision(other)


@given(st.sampled_from([ACCEPTED, REFUSED, Refused(errors.AccessDenied())]), st.data())
def test_what_somebody_forged_reads_as_a_decision_or_as_none(
    decision: Decision, data: st.DataObject
) -> None:
    content = bytearray(encode_decision(decision)[:-4])
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))

    for forged in (bytes(content), bytes(content[:cut])):
        for given_bytes, is_summed in ((summed(forged), True), (forged, False)):
            try:
                read = decode_decision(given_bytes, is_summed=is_summed)
            except DecisionUnreadable:
                continue
            assert decode_decision(encode_decision(read)) == read


@given(st.binary(max_size=300))
def test_any_bytes_are_a_decision_or_none(content: bytes) -> None:
    for start in (b"", bytes((VERSION, 1)), bytes((VERSION, 2))):
        for given_bytes in (start + content, summed(start + content)):
            with pytest.raises(DecisionUnreadable):
                decode_decision(given_bytes)
            with pytest.raises(DecisionUnreadable):
                decode_decision(given_bytes, is_summed=False)


def test_what_is_not_stored_has_no_sum() -> None:
    content = encode_decision(ACCEPTED, is_summed=False)

    assert summed(content) == encode_decision(ACCEPTED)
    for other, is_summed in ((content, True), (summed(content), False)):
        with pytest.raises(DecisionUnreadable):
            decode_decision(other, is_summed=is_summed)


@pytest.mark.parametrize("version", [VERSION - 1, VERSION + 1])
def test_a_version_that_is_not_known_is_named(version: int) -> None:
    other = summed(bytes((version,)) + encode_decision(ACCEPTED)[1:-4])

    with pytest.raises(DecisionUnreadable, match=f"version {version}"):
        decode_decision(other)


def test_a_kind_that_is_not_known_is_none() -> None:
    with pytest.raises(DecisionUnreadable, match="kind 3"):
        decode_decision(summed(bytes((VERSION, 3)) + encode_decision(ACCEPTED)[2:-4]))


@pytest.mark.parametrize("error", OF_CONTENT)
def test_every_error_of_a_message_comes_back(error: type[BusError]) -> None:
    made = Refused(error("detail", public_detail="public", subject="subject"))

    assert decode_decision(encode_decision(made)) == made


def test_a_code_that_nobody_refuses_by_is_no_decision() -> None:
    encoded = encode_decision(Refused(errors.AccessDenied()))
    code = errors.AccessDenied.code.encode()
    service_fault = ServiceFault.code.encode()

    for other in (b"x" * len(code), service_fault):
        changed = encoded[:-4].replace(code, other)
        length = changed.index(other)
        assert length
        content = changed
        if len(other) != len(code):
            head = struct.calcsize(">BBqB")
            content = changed[:head] + struct.pack(">I", len(other)) + changed[head + 4 :]
        with pytest.raises(DecisionUnreadable, match="code"):
            decode_decision(summed(content))


def test_a_services_own_fault_is_no_decision_about_a_message() -> None:
    with pytest.raises(TypeError):
        encode_decision(Refused(ServiceFault("soap:Server", "no")))


def test_a_time_beyond_the_calendar_is_no_decision() -> None:
    content = bytearray(encode_decision(ACCEPTED)[:-4])
    struct.pack_into(">q", content, 2, 2**62)

    with pytest.raises(DecisionUnreadable, match="OverflowError"):
        decode_decision(summed(bytes(content)))


def test_an_identifier_of_another_number_of_parts_is_no_decision() -> None:
    content = encode_decision(ACCEPTED)[:-4]
    for parts, fewer in (
        (b"VN/GOV/H41/motcua", b"VN/GOV/H41-motcua"),
        (b"VN/GOV/G01/dancu/TraCuu/v1", b"VN/GOV/G01/dancu/TraCuu-v1"),
        (b"VN/GOV/G01/dancu/TraCuu/v1", b"VN/GOV/G01/dancu/TraCuu///"),
    ):
        assert parts in content
        with pytest.raises(DecisionUnreadable):
            decode_decision(summed(content.replace(parts, fewer)))


def test_the_bytes_of_a_decision_stay_what_they_are() -> None:
    """Rows and queues outlive programs: another form is another version."""
    soap12 = replace(FACTS, version=SOAP12)

    assert encode_decision(ACCEPTED).hex() == GOLDEN["accepted"]
    assert encode_decision(SUBMITTED).hex() == GOLDEN["submitted"]
    assert encode_decision(REFUSED).hex() == GOLDEN["refused"]
    assert encode_decision(Refused(errors.NotWellFormed("line 1"))).hex() == GOLDEN["unread"]
    assert decode_decision(encode_decision(replace(ACCEPTED, facts=soap12))) != ACCEPTED
    for name, decision in (("accepted", ACCEPTED), ("refused", REFUSED)):
        assert decode_decision(bytes.fromhex(GOLDEN[name])) == decision
