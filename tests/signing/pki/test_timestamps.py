"""A timestamp is believed for its data, its authority and its time, and for nothing else."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import pytest
from asn1crypto import tsp
from cryptography.hazmat.primitives.asymmetric import ec
from pyhanko_certvalidator import CertificateValidator

from bus.sandbox.authority import Authority
from bus.sandbox.timestamp_authority import answer_timestamp_request
from signing.pki.keys import Signer
from signing.pki.timestamps import (
    TimestampInvalid,
    TimestampTrust,
    timestamp_request,
    verify_timestamp,
)
from tests.certificates import AUTHORITY as AUTHORITY_USAGE
from tests.certificates import make_certificate, make_root
from tests.revocation import sources
from tests.signing.pki.timestamp_tokens import (
    AUTHORITY,
    DATA,
    DAY,
    MAIL,
    NOW,
    ROOT,
    TIME,
    TRUST,
    beside,
    certified,
    changed,
    der,
    response,
    stamping,
)


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


def test_a_path_leads_through_what_the_token_holds() -> None:
    root = make_root("root", NOW)
    key = ec.generate_private_key(ec.SECP256R1())
    between = make_certificate(root, key.public_key(), NOW, name="between", usage=AUTHORITY_USAGE)
    raw = changed(beside(der(between)), response(authority=stamping(between, key)))

    assert verify_timestamp(raw, DATA, TimestampTrust([der(root.certificate)])).time == NOW


def test_nothing_is_fetched_that_a_certificate_names() -> None:
    root = make_root("root", NOW)
    authority = stamping(root.certificate, root.key, extensions=sources())
    raw = response(authority=authority)

    assert verify_timestamp(raw, DATA, TimestampTrust([der(root.certificate)])).time == NOW


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


def test_anchors_that_are_no_certificates_are_refused() -> None:
    with pytest.raises(TimestampInvalid, match="509 certificate in DER"):
        TimestampTrust([b"\x30\x00"])
    with pytest.raises(TimestampInvalid, match="509 certificate in DER"):
        TimestampTrust([der(ROOT.certificate)], [b"x"])
    with pytest.raises(TimestampInvalid, match="509 certificate in DER"):
        TimestampTrust([der(ROOT.certificate) + b"x"])


def test_a_huge_response_is_not_looked_at() -> None:
    with pytest.raises(TimestampInvalid, match="at most 65536 are read"):
        verify_timestamp(bytes(65537), DATA, TRUST)
    with pytest.raises(TimestampInvalid, match="no timestamp response in its form"):
        verify_timestamp(bytes(65536), DATA, TRUST)


def test_validation_that_would_wait_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Waiting:
        def __await__(self) -> Any:
            yield

    ended = []

    async def wait(_: object) -> Any:
        try:
            await Waiting()
        finally:
            ended.append(True)

    monkeypatch.setattr(CertificateValidator, "async_validate_path", wait)

    with pytest.raises(TimestampInvalid, match="asked for material") as caught:
        verify_timestamp(response(), DATA, TimestampTrust([der(ROOT.certificate)]))
    assert ended, caught  # at once, and not when the error is forgotten
