"""Say what a signature may look like: algorithms, keys, ages; and exceptions, with their end.

An exception is made for one member, for a reason, until a day. After that day it is as if it had
never been there. Nothing here allows HMAC, RSA keys below 2048 bits or a bare key.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum

from signing.names import EXCLUSIVE_C14N, INCLUSIVE_C14N

RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
RSA_SHA384 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384"
RSA_SHA512 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512"
RSA_PSS_SHA256 = "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1"
RSA_PSS_SHA384 = "http://www.w3.org/2007/05/xmldsig-more#sha384-rsa-MGF1"
RSA_PSS_SHA512 = "http://www.w3.org/2007/05/xmldsig-more#sha512-rsa-MGF1"
ECDSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
ECDSA_SHA384 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384"
ECDSA_SHA512 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512"
ED25519 = "http://www.w3.org/2021/04/xmldsig-more#eddsa-ed25519"

RSA_SHA1 = "http://www.w3.org/2000/09/xmldsig#rsa-sha1"
ECDSA_SHA1 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1"

DIGEST_SHA1 = "http://www.w3.org/2000/09/xmldsig#sha1"
DIGEST_SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
DIGEST_SHA384 = "http://www.w3.org/2001/04/xmldsig-more#sha384"
DIGEST_SHA512 = "http://www.w3.org/2001/04/xmlenc#sha512"

SIGNATURE_ALGORITHMS = frozenset(
    {
        RSA_SHA256,
        RSA_SHA384,
        RSA_SHA512,
        RSA_PSS_SHA256,
        RSA_PSS_SHA384,
        RSA_PSS_SHA512,
        ECDSA_SHA256,
        ECDSA_SHA384,
        ECDSA_SHA512,
        ED25519,
    }
)
DIGEST_ALGORITHMS = frozenset({DIGEST_SHA256, DIGEST_SHA384, DIGEST_SHA512})


CANONICALISATIONS = frozenset({EXCLUSIVE_C14N})

CURVE_P256 = "secp256r1"
CURVE_P384 = "secp384r1"
CURVE_P521 = "secp521r1"
CURVES = frozenset({CURVE_P256, CURVE_P384})

RSA_BITS_MIN = 2048
"""No policy takes a smaller RSA key."""


@dataclass(frozen=True, slots=True)
class SignaturePolicy:
    """What a signature may look like. The default is strict: SHA-256 or better.

    Identifiers of algorithms: XML Signature 1.1 §6, RFC 9231 §2.
    """

    signature_algorithms: frozenset[str] = SIGNATURE_ALGORITHMS
    digest_algorithms: frozenset[str] = DIGEST_ALGORITHMS
    rsa_bits_min: int = RSA_BITS_MIN
    references_max: int = 32
    canonicalisations: frozenset[str] = CANONICALISATIONS
    curves: frozenset[str] = CURVES
    """Names of elliptic curves, as RFC 4492 spells them."""
    clock_skew_seconds_max: int = 60
    """How far a sender's clock may be ahead of ours."""
    message_age_seconds_max: int = 300
    """Oldest wsu:Created that is taken."""
    is_expires_required: bool = False
    """The message timestamp must say when it expires."""
    are_attachment_headers_required: bool = False
    """Every attachment must be signed with its MIME headers."""


class Allowance(StrEnum):
    """What an exception can allow."""

    SHA1 = "sha1"
    """rsa-sha1, ecdsa-sha1 and digests by SHA-1."""
    INCLUSIVE_C14N = "inclusive-c14n"
    """Canonical XML 1.0, which takes every namespace around a part into its signature."""


@dataclass(frozen=True, slots=True)
class PolicyException:
    """Something weaker that one member may use for a while."""

    allow: Allowance
    reason: str
    until: date
    """Its last day, in UTC."""

    def holds(self, now: datetime) -> bool:
        """Its end has not come."""
        return now.date() <= self.until


@dataclass(frozen=True, slots=True)
class MemberPolicy:
    """The policy of one member, with the exceptions made for it."""

    policy: SignaturePolicy = SignaturePolicy()
    exceptions: tuple[PolicyException, ...] = ()

    def at(self, now: datetime) -> SignaturePolicy:
        """What holds at `now` (aware, UTC)."""
        policy = self.policy
        for exception in self.exceptions:
            if exception.holds(now):
                policy = _loosened(policy, exception.allow)
        return policy


def _loosened(policy: SignaturePolicy, allowance: Allowance) -> SignaturePolicy:
    if allowance is Allowance.SHA1:
        return replace(
            policy,
            signature_algorithms=policy.signature_algorithms | {RSA_SHA1, ECDSA_SHA1},
            digest_algorithms=policy.digest_algorithms | {DIGEST_SHA1},
        )
    return replace(policy, canonicalisations=policy.canonicalisations | {INCLUSIVE_C14N})
