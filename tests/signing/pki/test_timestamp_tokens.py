"""A timestamp token is believed in its form only, and for what its authority signed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from asn1crypto import cms, core, tsp
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from signing.pki.timestamps import (
    TimestampInvalid,
    verify_timestamp,
)
from tests.certificates import make_root
from tests.signing.pki.timestamp_tokens import (
    AUTHORITY,
    DATA,
    NOW,
    TIME,
    TRUST,
    beside,
    certified,
    changed,
    resigned,
    response,
    signed,
    signer_of,
    stamping,
)


@pytest.mark.parametrize(
    ("said", "accuracy"),
    [
        (None, timedelta()),
        ({}, timedelta()),
        ({"seconds": 3}, timedelta(seconds=3)),
        ({"millis": 4}, timedelta(milliseconds=4)),
        ({"micros": 5}, timedelta(microseconds=5)),
        ({"seconds": 3, "millis": 4, "micros": 5}, timedelta(seconds=3, microseconds=4005)),
    ],
)
def test_a_token_may_say_how_far_its_clock_is_off(
    said: dict[str, int] | None, accuracy: timedelta
) -> None:
    """RFC 3161 §2.4.2: what is missing of an accuracy is zero."""

    def say(info: Any) -> None:
        # The library leaves a sequence of nothing out: a token may hold one.
        info["accuracy"] = tsp.Accuracy.load(b"\x30\x00") if said == {} else said

    assert verify_timestamp(resigned(say), DATA, TRUST).accuracy == accuracy


def test_the_signer_is_known_by_issuer_and_number_among_others() -> None:
    own = x509.load_der_x509_certificate(AUTHORITY.certificate_der)
    stranger = make_root("stranger", NOW)
    others = [
        certified(TIME).certificate_der,  # of the issuer, with another number
        stamping(
            stranger.certificate, stranger.key, number=own.serial_number
        ).certificate_der,  # of the number, from another issuer
    ]

    for decoys in (others[:1], others[1:], others):
        raw = changed(beside(*decoys))
        held = signed(tsp.TimeStampResp.load(raw))["certificates"]
        assert held[0].dump() in decoys  # it is looked at first
        assert verify_timestamp(raw, DATA, TRUST).time == NOW


def _another_token(read: Any) -> None:
    read["time_stamp_token"] = cms.ContentInfo(
        {"content_type": "data", "content": core.OctetString(b"x")}
    )


def _another_content(read: Any) -> None:
    content = {"content_type": "data", "content": b"x"}
    signed(read)["encap_content_info"] = cms.EncapsulatedContentInfo(content)


def _two_signers(read: Any) -> None:
    signed(read)["signer_infos"] = [signer_of(read), signer_of(read).copy()]


def _named_by_key(read: Any) -> None:
    signer_of(read)["sid"] = cms.SignerIdentifier("subject_key_identifier", b"12345678")


def _no_certificate(read: Any) -> None:
    signed(read)["certificates"] = []


def _other_certificate(read: Any) -> None:
    other = cms.Certificate.load(certified(TIME).certificate_der)
    signed(read)["certificates"] = [other]
    signer_of(read)["sid"] = cms.SignerIdentifier(
        "issuer_and_serial_number",
        {"issuer": other.issuer, "serial_number": other.serial_number},
    )


def _other_value(read: Any) -> None:
    value = bytearray(signer_of(read)["signature"].native)
    value[-1] ^= 1
    signer_of(read)["signature"] = bytes(value)


def _later_time(read: Any) -> None:
    content = signed(read)["encap_content_info"]
    info = content["content"].parsed.copy()
    info["gen_time"] = NOW + timedelta(days=30)
    content["content"] = cms.ParsableOctetString(info.dump(force=True))


def _no_content(read: Any) -> None:
    signed(read)["encap_content_info"]["content"] = None


def _no_signer(read: Any) -> None:
    signed(read)["signer_infos"] = []


def _no_signed_attributes(read: Any) -> None:
    signer_of(read)["signed_attrs"] = None


def _certificate_of_another_kind(read: Any) -> None:
    signed(read)["certificates"] = [
        cms.CertificateChoices("other", {"other_cert_format": "1.2.3", "other_cert": core.Null()})
    ]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_another_token, "not CMS signed data"),
        (_another_content, "not one signer's TSTInfo"),
        (_two_signers, "not one signer's TSTInfo"),
        (_no_signer, "not one signer's TSTInfo"),
        (_no_content, "no timestamp response in its form"),
        (_no_signed_attributes, "does not name the authority's certificate"),
        (_named_by_key, "not named by issuer and serial number"),
        (_no_certificate, "certificate is not in the token"),
        (_certificate_of_another_kind, "certificate is not in the token"),
        (_other_certificate, "does not name the authority's certificate"),
        (_other_value, "the token's signature"),
        (_later_time, "the token's signature"),
    ],
)
def test_a_token_that_was_put_together_is_refused(
    change: Callable[[Any], None], reason: str
) -> None:
    with pytest.raises(TimestampInvalid, match=reason):
        verify_timestamp(changed(change), DATA, TRUST)


def test_an_imprint_by_a_weak_digest_is_refused() -> None:
    def weaken(read: Any) -> None:
        content = signed(read)["encap_content_info"]
        info = content["content"].parsed.copy()
        info["message_imprint"] = {
            "hash_algorithm": {"algorithm": "sha1"},
            "hashed_message": hashlib.sha1(DATA).digest(),
        }
        content["content"] = cms.ParsableOctetString(info.dump(force=True))

    with pytest.raises(TimestampInvalid, match="an imprint by sha1"):
        verify_timestamp(changed(weaken), DATA, TRUST)


def named_by(name: str, certificate: tsp.SigningCertificate | tsp.SigningCertificateV2) -> Any:
    return {"type": name, "values": [certificate]}


def by_sha_1(der: bytes) -> tsp.SigningCertificate:
    named = tsp.ESSCertID({"cert_hash": hashlib.sha1(der).digest()})
    return tsp.SigningCertificate({"certs": [named]})


def by(algorithm: str, der: bytes) -> tsp.SigningCertificateV2:
    named = {
        "hash_algorithm": {"algorithm": algorithm},
        "cert_hash": hashlib.new(algorithm, der).digest(),
    }
    return tsp.SigningCertificateV2({"certs": [named]})


OTHER_DER = certified(TIME).certificate_der


def test_an_older_name_of_the_certificate_is_understood() -> None:
    """RFC 2634: many authorities still sign the SHA-1 of their certificate, and no more."""
    named = named_by("signing_certificate", by_sha_1(AUTHORITY.certificate_der))

    assert verify_timestamp(resigned(named=named), DATA, TRUST).time == NOW


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_the_certificate_is_named_by_a_digest_of_any_length(algorithm: str) -> None:
    named = named_by("signing_certificate_v2", by(algorithm, AUTHORITY.certificate_der))

    assert verify_timestamp(resigned(named=named), DATA, TRUST).time == NOW


@pytest.mark.parametrize(
    ("named", "reason"),
    [
        (named_by("signing_certificate", by_sha_1(OTHER_DER)), "does not name"),
        (named_by("signing_certificate_v2", by("sha256", OTHER_DER)), "does not name"),
        (named_by("signing_certificate_v2", by("sha1", AUTHORITY.certificate_der)), "in its form"),
        (named_by("signing_certificate_v2", by("md5", AUTHORITY.certificate_der)), "in its form"),
        (
            named_by("signing_certificate_v2", tsp.SigningCertificateV2({"certs": []})),
            "in its form",
        ),
        ({"type": "signing_time", "values": [cms.Time({"utc_time": NOW})]}, "does not name"),
    ],
    ids=["another by SHA-1", "another", "SHA-1 as if new", "MD5", "none", "no attribute"],
)
def test_a_signature_that_does_not_name_its_certificate_is_refused(
    named: dict[str, Any], reason: str
) -> None:
    with pytest.raises(TimestampInvalid, match=reason):
        verify_timestamp(resigned(named=named), DATA, TRUST)


def test_a_response_that_was_granted_holds_a_token() -> None:
    status = tsp.PKIStatusInfo({"status": "granted"}).dump()

    with pytest.raises(TimestampInvalid, match="no timestamp response in its form"):
        verify_timestamp(bytes([0x30, len(status)]) + status, DATA, TRUST)


def test_nothing_may_stand_behind_a_response() -> None:
    for behind in (b"\x00", response()):
        with pytest.raises(TimestampInvalid, match="no timestamp response in its form"):
            verify_timestamp(response() + behind, DATA, TRUST)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_with_a_reason(raw: bytes) -> None:
    with pytest.raises(TimestampInvalid):
        verify_timestamp(raw, DATA, TRUST)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(response()) - 1), st.integers(1, 255))
def test_any_changed_byte_leaves_the_same_time_or_is_refused(place: int, bits: int) -> None:
    raw = bytearray(response())
    raw[place % len(raw)] ^= bits

    try:
        proved = verify_timestamp(bytes(raw), DATA, TRUST)
    except TimestampInvalid:
        return
    assert proved.time == NOW
