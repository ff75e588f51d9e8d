"""The default policy is strict, and names only what can be done."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from signing import names
from signing import policy as uri
from signing.algorithms import DIGESTS
from signing.policy import (
    DIGEST_ALGORITHMS,
    DIGEST_SHA1,
    SIGNATURE_ALGORITHMS,
    Allowance,
    MemberPolicy,
    PolicyException,
    SignaturePolicy,
)


def test_the_default_policy_knows_nothing_weaker_than_sha_256() -> None:
    policy = SignaturePolicy()

    named = policy.signature_algorithms | policy.digest_algorithms
    assert not [one for one in named if "sha1" in one or "md5" in one or "hmac" in one]
    assert policy.rsa_bits_min == 2048
    assert policy.signature_algorithms == SIGNATURE_ALGORITHMS


MORE = "http://www.w3.org/2001/04/xmldsig-more#"
MORE_2007 = "http://www.w3.org/2007/05/xmldsig-more#"


def test_the_default_policy_takes_what_rfc_9231_names_of_sha_2_and_nothing_else() -> None:
    policy = SignaturePolicy()

    assert policy.signature_algorithms == {
        *(f"{MORE}rsa-sha{bits}" for bits in (256, 384, 512)),
        *(f"{MORE_2007}sha{bits}-rsa-MGF1" for bits in (256, 384, 512)),
        *(f"{MORE}ecdsa-sha{bits}" for bits in (256, 384, 512)),
        "http://www.w3.org/2021/04/xmldsig-more#eddsa-ed25519",
    }
    assert policy.digest_algorithms == {
        "http://www.w3.org/2001/04/xmlenc#sha256",
        f"{MORE}sha384",
        "http://www.w3.org/2001/04/xmlenc#sha512",
    }
    assert policy.canonicalisations == {"http://www.w3.org/2001/10/xml-exc-c14n#"}
    assert policy.curves == {"secp256r1", "secp384r1"}
    assert (policy.rsa_bits_min, policy.references_max) == (2048, 32)
    assert (policy.clock_skew_seconds_max, policy.message_age_seconds_max) == (60, 300)
    assert (policy.is_expires_required, policy.are_attachment_headers_required) == (False, False)


def test_every_digest_of_the_policy_can_be_made() -> None:
    assert DIGESTS.keys() == DIGEST_ALGORITHMS | {DIGEST_SHA1}


UNTIL = date(2027, 6, 30)
LAST_MOMENT = datetime(2027, 6, 30, 23, 59, 59, 999999, UTC)
AFTER = datetime(2027, 7, 1, tzinfo=UTC)
STRICT = SignaturePolicy(rsa_bits_min=3072)


def excepted(*allowances: Allowance) -> MemberPolicy:
    return MemberPolicy(STRICT, tuple(PolicyException(one, "old", UNTIL) for one in allowances))


def test_a_member_without_exceptions_has_its_policy_itself() -> None:
    assert excepted().at(AFTER) is STRICT


@pytest.mark.parametrize(
    ("allowance", "expected"),
    [
        (
            Allowance.SHA1,
            replace(
                STRICT,
                signature_algorithms=SIGNATURE_ALGORITHMS | {uri.RSA_SHA1, uri.ECDSA_SHA1},
                digest_algorithms=DIGEST_ALGORITHMS | {DIGEST_SHA1},
            ),
        ),
        (
            Allowance.INCLUSIVE_C14N,
            replace(
                STRICT, canonicalisations=frozenset({names.EXCLUSIVE_C14N, names.INCLUSIVE_C14N})
            ),
        ),
    ],
)
def test_an_exception_opens_what_it_names_until_its_last_moment(
    allowance: Allowance, expected: SignaturePolicy
) -> None:
    policy = excepted(allowance)

    assert policy.at(LAST_MOMENT) == expected
    assert policy.at(AFTER) is STRICT


def test_exceptions_add_up() -> None:
    policy = excepted(*Allowance).at(LAST_MOMENT)

    assert uri.RSA_SHA1 in policy.signature_algorithms
    assert names.INCLUSIVE_C14N in policy.canonicalisations
    assert policy.rsa_bits_min == 3072


def test_no_exception_opens_hmac_or_small_keys() -> None:
    policy = excepted(*Allowance).at(LAST_MOMENT)

    assert not [one for one in policy.signature_algorithms if "hmac" in one or "md5" in one]
    assert policy.rsa_bits_min >= uri.RSA_BITS_MIN
