"""Say which algorithms, key sizes and ages a signature may have."""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class SignaturePolicy:
    """What a signature may look like. The default is strict: SHA-256 or better.

    Identifiers of algorithms: XML Signature 1.1 §6, RFC 9231 §2.
    """

    signature_algorithms: frozenset[str] = SIGNATURE_ALGORITHMS
    digest_algorithms: frozenset[str] = DIGEST_ALGORITHMS
    rsa_bits_min: int = 2048
    references_max: int = 32
