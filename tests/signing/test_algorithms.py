"""Every algorithm signs and checks; nothing outside the policy passes."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from signing import policy as uri
from signing.algorithms import (
    default_algorithm,
    digest,
    digest_pieces,
    require_allowed,
    sign_bytes,
    verify_bytes,
)
from signing.errors import AlgorithmForbiddenError, KeyUnusableError, SignatureValueInvalidError
from signing.policy import SignaturePolicy
from tests.nation import SmallNation

DATA = "Ủy ban nhân dân tỉnh Nghệ An".encode()
POLICY = SignaturePolicy()

RSA_ALGORITHMS = (
    uri.RSA_SHA256,
    uri.RSA_SHA384,
    uri.RSA_SHA512,
    uri.RSA_PSS_SHA256,
    uri.RSA_PSS_SHA384,
    uri.RSA_PSS_SHA512,
)
ECDSA_ALGORITHMS = (uri.ECDSA_SHA256, uri.ECDSA_SHA384, uri.ECDSA_SHA512)
KINDS = {
    **dict.fromkeys(RSA_ALGORITHMS, ("rsa-2048",)),
    **dict.fromkeys(ECDSA_ALGORITHMS, ("p-256", "p-384")),
    uri.ED25519: ("ed25519",),
}
CASES = [(algorithm, kind) for algorithm, kinds in KINDS.items() for kind in kinds]
MISFITS = [
    (algorithm, kind)
    for algorithm, kinds in KINDS.items()
    for kind in ("rsa-2048", "p-256", "ed25519")
    if kind not in kinds
]


def test_every_algorithm_of_the_policy_is_tried_here() -> None:
    assert set(KINDS) == uri.SIGNATURE_ALGORITHMS


@pytest.mark.parametrize(("algorithm", "kind"), CASES)
def test_what_a_key_signs_its_public_half_accepts(
    nation: SmallNation, algorithm: str, kind: str
) -> None:
    key = nation.client_signers[kind].private_key

    value = sign_bytes(key, algorithm, DATA)

    require_allowed(key.public_key(), algorithm, POLICY)
    verify_bytes(key.public_key(), algorithm, value, DATA)
    with pytest.raises(SignatureValueInvalidError):
        verify_bytes(key.public_key(), algorithm, value, DATA + b"!")
    with pytest.raises(SignatureValueInvalidError):
        verify_bytes(key.public_key(), algorithm, value[:-1] + bytes([value[-1] ^ 1]), DATA)


@pytest.mark.parametrize(("kind", "width"), [("p-256", 32), ("p-384", 48)])
def test_an_ecdsa_value_is_r_and_s_as_wide_as_the_curve(
    nation: SmallNation, kind: str, width: int
) -> None:
    key = nation.client_signers[kind].private_key

    lengths = {len(sign_bytes(key, uri.ECDSA_SHA256, bytes([number]))) for number in range(40)}

    assert lengths == {2 * width}


@pytest.mark.parametrize("length", [0, 63, 65, 70, 72])
def test_an_ecdsa_value_of_another_length_is_refused(nation: SmallNation, length: int) -> None:
    key = nation.client_signers["p-256"].private_key.public_key()

    with pytest.raises(SignatureValueInvalidError, match="has 64 bytes"):
        verify_bytes(key, uri.ECDSA_SHA256, bytes(length), DATA)


def test_an_ecdsa_value_of_zeros_is_refused(nation: SmallNation) -> None:
    # CVE-2022-21449: r = s = 0 once passed for a signature of anything.
    key = nation.client_signers["p-256"].private_key.public_key()

    with pytest.raises(SignatureValueInvalidError, match="does not fit"):
        verify_bytes(key, uri.ECDSA_SHA256, bytes(64), DATA)


@pytest.mark.parametrize(("algorithm", "kind"), MISFITS)
def test_a_key_of_another_kind_is_refused_by_signer_policy_and_verifier(
    nation: SmallNation, algorithm: str, kind: str
) -> None:
    key = nation.client_signers[kind].private_key

    with pytest.raises(KeyUnusableError, match="does not sign with"):
        sign_bytes(key, algorithm, DATA)
    with pytest.raises(AlgorithmForbiddenError, match="not of the kind"):
        require_allowed(key.public_key(), algorithm, POLICY)
    with pytest.raises(SignatureValueInvalidError, match="not of the kind"):
        verify_bytes(key.public_key(), algorithm, bytes(64), DATA)


def test_a_policy_forbids_what_it_does_not_name(nation: SmallNation) -> None:
    key = nation.client_signers["rsa-2048"].private_key.public_key()
    narrow = replace(POLICY, signature_algorithms=frozenset({uri.RSA_SHA512}))

    require_allowed(key, uri.RSA_SHA512, narrow)
    with pytest.raises(AlgorithmForbiddenError, match="rsa-sha256 is not allowed"):
        require_allowed(key, uri.RSA_SHA256, narrow)


@pytest.mark.parametrize(
    "algorithm",
    [
        "http://www.w3.org/2000/09/xmldsig#dsa-sha1",
        "http://www.w3.org/2000/09/xmldsig#hmac-sha1",
        "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256",
        "",
    ],
)
def test_no_policy_can_allow_what_is_not_implemented(nation: SmallNation, algorithm: str) -> None:
    key = nation.client_signers["rsa-2048"].private_key.public_key()
    loose = replace(POLICY, signature_algorithms=POLICY.signature_algorithms | {algorithm})

    with pytest.raises(AlgorithmForbiddenError):
        require_allowed(key, algorithm, loose)


@pytest.mark.parametrize("algorithm", [uri.RSA_SHA1, uri.ECDSA_SHA1])
def test_nothing_is_signed_with_sha1(nation: SmallNation, algorithm: str) -> None:
    for signer in nation.client_signers.values():
        with pytest.raises(KeyUnusableError, match="nothing is signed with"):
            signer.sign(algorithm, b"data")


def test_a_digest_in_pieces_is_the_digest_of_the_whole() -> None:
    for algorithm in (*uri.DIGEST_ALGORITHMS, uri.DIGEST_SHA1):
        assert digest(b"abcdef", algorithm) == digest_pieces([b"abc", b"", b"def"], algorithm)


def test_a_policy_names_the_curves_of_keys() -> None:
    key = ec.generate_private_key(ec.SECP521R1())
    wide = replace(POLICY, curves=POLICY.curves | {uri.CURVE_P521})
    value = encoded(key, b"data")

    require_allowed(key.public_key(), uri.ECDSA_SHA512, wide)
    verify_bytes(key.public_key(), uri.ECDSA_SHA512, value, b"data")
    with pytest.raises(AlgorithmForbiddenError, match="curve secp521r1; expected one of secp256r1"):
        require_allowed(key.public_key(), uri.ECDSA_SHA512, POLICY)


def encoded(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA512())))
    return r.to_bytes(66, "big") + s.to_bytes(66, "big")


def test_no_policy_takes_a_weak_rsa_key() -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()

    with pytest.raises(AlgorithmForbiddenError, match="1024 bits; at least 2048"):
        require_allowed(weak, uri.RSA_SHA256, replace(POLICY, rsa_bits_min=512))


def test_a_weak_rsa_key_is_refused() -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()

    with pytest.raises(AlgorithmForbiddenError, match="1024 bits; at least 2048"):
        require_allowed(weak, uri.RSA_SHA256, POLICY)


def test_a_policy_may_ask_for_longer_rsa_keys(nation: SmallNation) -> None:
    key = nation.client_signers["rsa-2048"].private_key.public_key()

    with pytest.raises(AlgorithmForbiddenError, match="at least 3072"):
        require_allowed(key, uri.RSA_SHA256, replace(POLICY, rsa_bits_min=3072))


def test_another_curve_is_refused_for_signing_and_for_checking() -> None:
    key = ec.generate_private_key(ec.SECP256K1())

    with pytest.raises(AlgorithmForbiddenError, match="secp256k1"):
        require_allowed(key.public_key(), uri.ECDSA_SHA256, POLICY)
    with pytest.raises(KeyUnusableError, match="secp256k1"):
        default_algorithm(key.public_key())


def test_each_kind_of_key_has_an_algorithm_of_its_own(nation: SmallNation) -> None:
    chosen = {
        kind: default_algorithm(signer.certificate.public_key())  # type: ignore[arg-type]
        for kind, signer in nation.client_signers.items()
    }

    assert chosen == {
        "rsa-2048": uri.RSA_SHA256,
        "p-256": uri.ECDSA_SHA256,
        "p-384": uri.ECDSA_SHA384,
        "ed25519": uri.ED25519,
    }


def test_ed25519_follows_the_first_vector_of_rfc_8032() -> None:
    key = ed25519.Ed25519PrivateKey.from_private_bytes(
        bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    )

    assert sign_bytes(key, uri.ED25519, b"").hex() == (
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )


def test_digests_are_those_of_their_identifiers() -> None:
    assert hashlib.sha256(DATA).digest() == digest(DATA, uri.DIGEST_SHA256)
    assert hashlib.sha384(DATA).digest() == digest(DATA, uri.DIGEST_SHA384)
    assert hashlib.sha512(DATA).digest() == digest(DATA, uri.DIGEST_SHA512)


def test_a_value_on_the_widest_curve_is_as_wide_as_its_order() -> None:
    key = ec.generate_private_key(ec.SECP521R1())
    policy = SignaturePolicy(curves=frozenset({uri.CURVE_P521}))

    value = sign_bytes(key, uri.ECDSA_SHA512, b"data")

    assert len(value) == 2 * 66
    require_allowed(key.public_key(), uri.ECDSA_SHA512, policy)
    verify_bytes(key.public_key(), uri.ECDSA_SHA512, value, b"data")
