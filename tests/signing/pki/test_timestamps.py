"""A timestamp is believed for its data, its authority and its time, and for nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asn1crypto import cms, core, tsp
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.sandbox.authority import Authority
from bus.sandbox.timestamp_authority import answer_timestamp_request
from signing.pki import timestamps
from signing.pki.keys import Signer, load_signer, make_signer
from signing.pki.timestamps import (
    TimestampInvalid,
    TimestampTrust,
    timestamp_request,
    verify_timestamp,
)
from tests.certificates import AUTHORITY as AUTHORITY_USAGE
from tests.certificates import make_certificate, make_root

NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
DATA = b"lienthong.example/vn\n17\nroot\n"
ROOT = Authority.create("Time Root", NOW)
ISSUED = ROOT.issue_for_time("Time", NOW)
AUTHORITY = load_signer(ISSUED.key_pem, ISSUED.certificate_pem)


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


TRUST = TimestampTrust([der(ROOT.certificate)])


def response(
    data: bytes = DATA, *, authority: Signer = AUTHORITY, at: datetime = NOW, nonce: int = 7
) -> bytes:
    return answer_timestamp_request(timestamp_request(data, nonce), authority, at)


def changed(change: Callable[[Any], None], raw: bytes | None = None) -> bytes:
    """The response after a change of its structure, encoded again."""
    read = tsp.TimeStampResp.load(raw or response())
    change(read)
    encoded: bytes = read.dump(force=True)
    return encoded


def certified(*usages: x509.ObjectIdentifier, is_critical: bool = True) -> Signer:
    """An authority whose certificate is for other things."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "other")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(ROOT.certificate.subject)
        .public_key(key.public_key())
        .serial_number(99)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
    )
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=is_critical)
    return make_signer(key, builder.sign(ROOT._key, hashes.SHA256()))


TIME, MAIL = ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.EMAIL_PROTECTION


def test_a_token_tells_when_its_authority_saw_the_data() -> None:
    proved = verify_timestamp(response(), DATA, TRUST, nonce=7)

    assert proved.time == NOW
    assert proved.accuracy == timedelta(seconds=1)
    assert proved.policy == "2.999.3161"
    assert proved.serial_number > 0


def test_certificates_are_judged_as_of_the_time_of_the_token() -> None:
    years_later = NOW + timedelta(days=8 * 365)

    assert verify_timestamp(response(at=years_later), DATA, TRUST).time == years_later
    with pytest.raises(TimestampInvalid, match="the authority's certificate"):
        verify_timestamp(response(at=NOW + timedelta(days=11 * 365)), DATA, TRUST)
    with pytest.raises(TimestampInvalid, match="the authority's certificate"):
        verify_timestamp(response(at=NOW - timedelta(days=1)), DATA, TRUST)


def test_a_token_proves_nothing_about_other_data() -> None:
    with pytest.raises(TimestampInvalid, match="made for other data"):
        verify_timestamp(response(), DATA + b"x", TRUST)


def test_a_token_for_another_request_is_refused() -> None:
    with pytest.raises(TimestampInvalid, match="answers another request"):
        verify_timestamp(response(nonce=8), DATA, TRUST, nonce=7)


def stamping(
    issuer: x509.Certificate, key: Any, *, at: datetime = NOW, name: str = "time"
) -> Signer:
    """An authority for timestamps, valid for a day around `at`, issued under this certificate."""
    own = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer.subject)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - DAY)
        .not_valid_after(at + DAY)
        .add_extension(x509.ExtendedKeyUsage([TIME]), critical=True)
    )
    return make_signer(own, builder.sign(key, hashes.SHA256()))


DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


def test_what_was_proved_of_one_authority_is_not_believed_of_another() -> None:
    trust = TimestampTrust([der(ROOT.certificate)])
    other = make_root("other", NOW)
    stranger = stamping(other.certificate, other.key)

    for _ in range(2):
        assert verify_timestamp(response(), DATA, trust).time == NOW
        with pytest.raises(TimestampInvalid, match="the authority's certificate: "):
            verify_timestamp(response(authority=stranger), DATA, trust)


def test_what_was_proved_holds_for_the_time_of_the_whole_path() -> None:
    root = make_root("root", NOW)
    authority = stamping(root.certificate, root.key)
    trust = TimestampTrust([der(root.certificate)])

    for inside in (NOW, NOW - DAY, NOW + DAY - SECOND, NOW):
        assert verify_timestamp(response(authority=authority, at=inside), DATA, trust).time
    for outside in (NOW - DAY - 2 * SECOND, NOW + DAY + 2 * SECOND):
        with pytest.raises(TimestampInvalid, match="the authority's certificate: "):
            verify_timestamp(response(authority=authority, at=outside), DATA, trust)


def test_a_path_leads_through_what_the_operator_gave() -> None:
    root = make_root("root", NOW)
    key = ec.generate_private_key(ec.SECP256R1())
    between = make_certificate(root, key.public_key(), NOW, name="between", usage=AUTHORITY_USAGE)
    raw = response(authority=stamping(between, key))
    anchor = der(root.certificate)

    trust = TimestampTrust([anchor], [der(between)])

    assert verify_timestamp(raw, DATA, trust).time == NOW
    assert (trust.anchors, trust.intermediates) == ((anchor,), (der(between),))
    with pytest.raises(TimestampInvalid, match="the authority's certificate: "):
        verify_timestamp(raw, DATA, TimestampTrust([anchor]))


def test_an_authority_that_nobody_trusts_is_refused() -> None:
    stranger = TimestampTrust([der(Authority.create("Stranger", NOW).certificate)])

    with pytest.raises(TimestampInvalid, match="the authority's certificate"):
        verify_timestamp(response(), DATA, stranger)


@pytest.mark.parametrize(
    "authority",
    [
        certified(),
        certified(MAIL),
        certified(TIME, MAIL),
        certified(TIME, is_critical=False),
    ],
    ids=["no usage", "mail", "mail besides", "not critical"],
)
def test_a_certificate_for_other_things_does_not_stamp(authority: Signer) -> None:
    with pytest.raises(TimestampInvalid, match="is not for timestamps alone"):
        verify_timestamp(response(authority=authority), DATA, TRUST)


def test_a_refusal_is_told_as_one() -> None:
    with pytest.raises(TimestampInvalid, match="did not grant it: rejection"):
        verify_timestamp(answer_timestamp_request(b"?", AUTHORITY, NOW), DATA, TRUST)


def test_the_sandbox_authority_stamps_sha_2_only() -> None:
    request = tsp.TimeStampReq.load(timestamp_request(DATA, 1))
    request["message_imprint"]["hash_algorithm"]["algorithm"] = "sha1"

    raw = answer_timestamp_request(request.dump(force=True), AUTHORITY, NOW)

    with pytest.raises(TimestampInvalid, match="did not grant it"):
        verify_timestamp(raw, DATA, TRUST)


@pytest.mark.parametrize("name", ["sha384", "sha512"])
def test_a_better_digest_is_taken(name: str) -> None:
    request = tsp.TimeStampReq.load(timestamp_request(DATA, 1))
    request["message_imprint"] = {
        "hash_algorithm": {"algorithm": name},
        "hashed_message": hashlib.new(name, DATA).digest(),
    }

    raw = answer_timestamp_request(request.dump(force=True), AUTHORITY, NOW)

    assert verify_timestamp(raw, DATA, TRUST).time == NOW


def signed(read: Any) -> Any:
    return read["time_stamp_token"]["content"]


def signer_of(read: Any) -> Any:
    return signed(read)["signer_infos"][0]


def info_of(read: Any) -> Any:
    return signed(read)["encap_content_info"]["content"].parsed


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


def test_an_older_name_of_the_certificate_is_understood() -> None:
    """RFC 2634: many authorities still sign the SHA-1 of their certificate, and no more."""
    named = tsp.ESSCertID({"cert_hash": hashlib.sha1(AUTHORITY.certificate_der).digest()})
    attribute = cms.CMSAttribute(
        {"type": "signing_certificate", "values": [tsp.SigningCertificate({"certs": [named]})]}
    )
    certificate = cms.Certificate.load(AUTHORITY.certificate_der)
    other = cms.Certificate.load(certified(TIME).certificate_der)

    timestamps._require_named(certificate, cms.SignerInfo({"signed_attrs": [attribute]}))
    with pytest.raises(TimestampInvalid, match="does not name"):
        timestamps._require_named(other, cms.SignerInfo({"signed_attrs": [attribute]}))


def test_anchors_that_are_no_certificates_are_refused() -> None:
    with pytest.raises(TimestampInvalid, match="509 certificate in DER"):
        TimestampTrust([b"\x30\x00"])
    with pytest.raises(TimestampInvalid, match="509 certificate in DER"):
        TimestampTrust([der(ROOT.certificate)], [b"x"])


def test_a_huge_response_is_not_looked_at() -> None:
    with pytest.raises(TimestampInvalid, match="at most 65536 are read"):
        verify_timestamp(bytes(65537), DATA, TRUST)


def test_validation_that_would_wait_is_refused() -> None:
    class Waiting:
        def __await__(self) -> Any:
            yield

    async def wait() -> Any:
        await Waiting()

    with pytest.raises(TimestampInvalid, match="asked for material"):
        timestamps._run_without_waiting(wait())


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
