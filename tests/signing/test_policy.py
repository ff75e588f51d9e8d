"""The default policy is strict, and names only what can be done."""

from __future__ import annotations

from signing.algorithms import DIGESTS
from signing.policy import DIGEST_ALGORITHMS, DIGEST_SHA1, SIGNATURE_ALGORITHMS, SignaturePolicy


def test_the_default_policy_knows_nothing_weaker_than_sha_256() -> None:
    policy = SignaturePolicy()

    named = policy.signature_algorithms | policy.digest_algorithms
    assert not [one for one in named if "sha1" in one or "md5" in one or "hmac" in one]
    assert policy.rsa_bits_min == 2048
    assert policy.signature_algorithms == SIGNATURE_ALGORITHMS


def test_every_digest_of_the_policy_can_be_made() -> None:
    assert DIGESTS.keys() == DIGEST_ALGORITHMS | {DIGEST_SHA1}
