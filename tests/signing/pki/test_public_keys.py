"""A certified key is refused if anybody can sign with it, or if it is no key."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

from signing.errors import CertificateRejectedError
from signing.pki.public_keys import signing_key
from tests.certificates import make_certificate, make_root
from tests.nation import NOW

ROOT = make_root("root", NOW)
POINTS_OF_SMALL_ORDER = {
    "1": "01" + "00" * 31,
    "1, another spelling": "ee" + "ff" * 30 + "7f",
    "1, with the sign set": "01" + "00" * 30 + "80",
    "2": "ec" + "ff" * 30 + "7f",
    "4": "00" * 32,
    "4, with the sign set": "00" * 31 + "80",
    "4, another spelling": "ed" + "ff" * 30 + "7f",
    "8": "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "8, another one": "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
}


def certificate(public_key: Any) -> x509.Certificate:
    return make_certificate(ROOT, public_key, NOW)


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP256R1()),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=["RSA", "P-256", "Ed25519"],
)
def test_a_sound_key_is_taken(key: Any) -> None:
    assert signing_key(certificate(key.public_key())) == key.public_key()


@pytest.mark.parametrize("order", POINTS_OF_SMALL_ORDER)
def test_a_point_of_small_order_is_nobodys_key(order: str) -> None:
    point = Ed25519PublicKey.from_public_bytes(bytes.fromhex(POINTS_OF_SMALL_ORDER[order]))

    with pytest.raises(CertificateRejectedError, match="small order"):
        signing_key(certificate(point))


@pytest.mark.parametrize(
    ("modulus", "exponent", "words"),
    [
        ((1 << 8192) + 1, 65537, "8193 bits"),
        ((1 << 2047) + 1, (1 << 256) + 1, "exponent of 257 bits"),
    ],
)
def test_a_key_that_is_a_burden_is_not_verified_with(
    modulus: int, exponent: int, words: str
) -> None:
    key = RSAPublicNumbers(exponent, modulus).public_key()

    with pytest.raises(CertificateRejectedError, match=words):
        signing_key(certificate(key))


@pytest.mark.parametrize(
    ("modulus", "exponent"), [((1 << 8191) + 1, 65537), ((1 << 2047) + 1, (1 << 255) + 1)]
)
def test_the_longest_key_is_taken(modulus: int, exponent: int) -> None:
    key = RSAPublicNumbers(exponent, modulus).public_key()

    assert signing_key(certificate(key)) == key


def test_a_key_of_another_kind_is_not_verified_with() -> None:
    with pytest.raises(CertificateRejectedError, match="must be RSA"):
        signing_key(certificate(dsa.generate_private_key(1024).public_key()))


def test_a_key_that_cannot_be_read_is_a_reason_to_reject() -> None:
    class Unreadable:
        def public_key(self) -> None:
            raise ValueError("e must be odd.")

    with pytest.raises(CertificateRejectedError, match="no key that can be read"):
        signing_key(Unreadable())  # type: ignore[arg-type]
