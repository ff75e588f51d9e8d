"""Keys and certificates are loaded from bytes, joined, and never shown."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs12,
)
from cryptography.x509.oid import NameOID

from signing.algorithms import sign_bytes, verify_bytes
from signing.errors import KeyUnusableError
from signing.pki import keys
from signing.pki.keys import (
    PrivateKey,
    load_certificate,
    load_certificates,
    load_key_file,
    load_private_key,
    load_signer,
    make_signer,
)

P_256 = ec.generate_private_key(ec.SECP256R1())
P_256_NAME = bytes.fromhex("2a8648ce3d030107")
"""1.2.840.10045.3.1.7, as a certificate names the curve. RFC 5480 §2.1.1.1."""
P_256_POINT = P_256.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
P_521 = ec.generate_private_key(ec.SECP521R1())
DSA_KEY = dsa.generate_private_key(key_size=2048)


def pem(key: PrivateKey | dsa.DSAPrivateKey, passphrase: bytes | None = None) -> bytes:
    protection = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)


def certificate_for(key: object) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())  # type: ignore[attr-defined]
        .serial_number(1)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2027, 1, 1, tzinfo=UTC))
        .sign(P_256, SHA256())
    )
    return certificate.public_bytes(Encoding.PEM)


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(public_exponent=65537, key_size=2048),
        P_256,
        ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=["RSA-2048", "P-256", "P-384", "Ed25519"],
)
def test_every_kind_that_signatures_use_becomes_a_signer(key: PrivateKey) -> None:
    signer = load_signer(pem(key), certificate_for(key))

    assert type(signer.private_key) is type(key)
    verify_bytes(key.public_key(), signer.algorithm, signer.sign(signer.algorithm, b"a"), b"a")
    assert signer.certificate_sha256 == hashlib.sha256(signer.certificate_der).digest()


def test_a_signer_shows_nothing_of_its_key() -> None:
    signer = load_signer(pem(P_256), certificate_for(P_256))

    secret = P_256.private_numbers().private_value

    for shown in (repr(signer), str(signer), f"{signer}"):
        assert "private" not in shown.lower()
        assert "0x" not in shown
        assert str(secret) not in shown


def test_an_encrypted_key_opens_with_its_passphrase_only() -> None:
    encrypted = pem(P_256, b"mat khau")

    assert load_private_key(encrypted, passphrase=b"mat khau").private_numbers() == (  # type: ignore[union-attr]
        P_256.private_numbers()
    )
    with pytest.raises(KeyUnusableError, match="or the passphrase is wrong"):
        load_private_key(encrypted, passphrase=b"khac")
    with pytest.raises(KeyUnusableError, match="is encrypted: a passphrase is needed"):
        load_private_key(encrypted)
    with pytest.raises(KeyUnusableError, match="has no passphrase"):
        load_private_key(pem(P_256), passphrase=b"mat khau")


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (rsa.generate_private_key(public_exponent=65537, key_size=1024), "RSA of 1024 bits"),
        (ec.generate_private_key(ec.SECP521R1()), "curve secp521r1; expected P-256 or P-384"),
        (ec.generate_private_key(ec.SECP256K1()), "curve secp256k1"),
        (dsa.generate_private_key(key_size=2048), "expected an RSA, P-256, P-384 or Ed25519 key"),
        (x25519.X25519PrivateKey.generate(), "expected an RSA, P-256, P-384 or Ed25519 key"),
    ],
    ids=["RSA-1024", "P-521", "secp256k1", "DSA", "X25519"],
)
def test_other_kinds_of_key_are_refused(key: PrivateKey | dsa.DSAPrivateKey, reason: str) -> None:
    with pytest.raises(KeyUnusableError, match=reason):
        load_private_key(pem(key))


def test_a_certificate_for_another_key_does_not_join() -> None:
    other = ec.generate_private_key(ec.SECP256R1())

    with pytest.raises(KeyUnusableError, match="issued for another key"):
        load_signer(pem(P_256), certificate_for(other))


def test_a_certificate_for_a_weak_key_is_refused() -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)

    with pytest.raises(KeyUnusableError, match="RSA of 1024 bits"):
        load_signer(pem(P_256), certificate_for(weak))


def test_a_certificate_for_a_key_that_cannot_sign_is_refused() -> None:
    agreement = x25519.X25519PrivateKey.generate()

    with pytest.raises(KeyUnusableError, match="expected an RSA, P-256, P-384 or Ed25519 key"):
        load_signer(pem(P_256), certificate_for(agreement))


def test_a_certificate_is_read_from_pem_and_from_der() -> None:
    text = certificate_for(P_256)
    certificate = load_certificate(text)

    assert load_certificate(certificate.public_bytes(Encoding.DER)) == certificate
    assert load_certificates(text + text) == (certificate, certificate)
    with pytest.raises(KeyUnusableError, match="2 certificates; expected one"):
        load_certificate(text + text)


@pytest.mark.parametrize("garbage", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n", b"\x30\x03abc"])
def test_garbage_is_neither_key_nor_certificate(garbage: bytes) -> None:
    with pytest.raises(KeyUnusableError, match=r"no private key in PEM$"):
        load_private_key(garbage)
    with pytest.raises(KeyUnusableError, match="no private key in PEM, or the passphrase is wrong"):
        load_private_key(garbage, passphrase=b"mat khau")
    with pytest.raises(KeyUnusableError, match="no certificate in PEM or DER"):
        load_certificate(garbage)


@pytest.mark.parametrize(
    ("part", "other", "cause"),
    [
        (P_256_NAME, P_256_NAME[:-1] + b"\x66", UnsupportedAlgorithm),
        (P_256_POINT, P_256_POINT[:-1] + bytes([P_256_POINT[-1] ^ 1]), ValueError),
    ],
    ids=["a curve that nobody knows", "a point beside the curve"],
)
def test_a_private_key_that_no_library_reads_is_refused(
    part: bytes, other: bytes, cause: type[Exception]
) -> None:
    sound = P_256.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    assert sound.count(part) == 1
    text = base64.encodebytes(sound.replace(part, other))
    damaged = b"-----BEGIN PRIVATE KEY-----\n%b-----END PRIVATE KEY-----\n" % text

    with pytest.raises(KeyUnusableError, match="no private key in PEM") as caught:
        load_private_key(damaged)

    assert isinstance(caught.value.__cause__, cause)


def test_a_huge_file_is_not_looked_at() -> None:
    with pytest.raises(KeyUnusableError, match="too large for a key"):
        load_private_key(b"x" * (1024 * 1024 + 1))
    with pytest.raises(KeyUnusableError, match="too large for certificates"):
        load_certificates(b"x" * (1024 * 1024 + 1))
    with pytest.raises(KeyUnusableError, match="too large for a key"):
        load_key_file(b"x" * (1024 * 1024 + 1))


def test_the_largest_file_is_looked_at() -> None:
    largest = b"x" * (1024 * 1024)

    with pytest.raises(KeyUnusableError, match="no private key in PEM"):
        load_private_key(largest)
    with pytest.raises(KeyUnusableError, match="no certificate in PEM or DER"):
        load_certificates(largest)
    with pytest.raises(KeyUnusableError, match="no PKCS #12 file"):
        load_key_file(largest)


@pytest.mark.parametrize("bits", [2047, 2048, 8192, 8193])
def test_rsa_has_2048_to_8192_bits(bits: int) -> None:
    key = rsa.RSAPublicNumbers(65537, (1 << (bits - 1)) + 1).public_key()

    if 2048 <= bits <= 8192:
        assert keys.check_public_key(key) is key
    else:
        with pytest.raises(KeyUnusableError, match=f"RSA of {bits} bits; expected 2048 to 8192"):
            keys.check_public_key(key)


def test_a_signer_that_is_read_again_is_the_same() -> None:
    certificate = certificate_for(P_256)
    first, second = (load_signer(pem(P_256), certificate) for _ in range(2))
    other = ec.generate_private_key(ec.SECP256R1())

    assert (first, hash(first)) == (second, hash(second))
    assert first != load_signer(pem(other), certificate_for(other))


def test_the_reason_never_quotes_the_key() -> None:
    damaged = pem(P_256)[:-60] + b"\n-----END PRIVATE KEY-----\n"

    with pytest.raises(KeyUnusableError) as caught:
        load_private_key(damaged)

    assert damaged.decode()[30:60] not in str(caught.value)


@pytest.mark.parametrize(
    ("part", "other", "cause"),
    [
        (P_256_NAME, P_256_NAME[:-1] + b"\x66", UnsupportedAlgorithm),  # no curve has this name
        (P_256_POINT, P_256_POINT[:-1] + bytes([P_256_POINT[-1] ^ 1]), ValueError),  # not on it
    ],
    ids=["a curve that nobody knows", "a point beside the curve"],
)
def test_a_certificate_whose_key_no_library_reads_is_refused(
    part: bytes, other: bytes, cause: type[Exception]
) -> None:
    sound = load_certificate(certificate_for(P_256)).public_bytes(Encoding.DER)
    assert sound.count(part) == 1

    with pytest.raises(KeyUnusableError, match="cannot be read") as caught:
        make_signer(P_256, load_certificate(sound.replace(part, other)))

    assert isinstance(caught.value.__cause__, cause)


# --- PKCS #12 --------------------------------------------------------------------------------


def key_file(key: object, certificate: bytes | None, *, chain: tuple[bytes, ...] = ()) -> bytes:
    return pkcs12.serialize_key_and_certificates(
        b"hub",
        key,  # type: ignore[arg-type]
        load_certificate(certificate) if certificate else None,
        [load_certificate(one) for one in chain],
        BestAvailableEncryption(b"mat khau"),
    )


def test_a_pkcs_12_file_holds_key_certificate_and_chain() -> None:
    above = certificate_for(ec.generate_private_key(ec.SECP256R1()))
    certificate = certificate_for(P_256)
    raw = key_file(P_256, certificate, chain=(above,))

    loaded = load_key_file(raw, passphrase=b"mat khau")
    signer = make_signer(loaded.private_key, loaded.certificate, loaded.chain)

    assert signer.certificate == load_certificate(certificate)
    assert signer.chain == (load_certificate(above),)


@pytest.mark.parametrize(
    ("raw", "passphrase", "reason"),
    [
        (key_file(P_256, certificate_for(P_256)), b"khac", "or the passphrase is wrong"),
        (key_file(P_256, certificate_for(P_256)), None, "a passphrase is needed"),
        (key_file(P_256, None), b"mat khau", "expected a private key and its certificate"),
        (
            key_file(None, certificate_for(P_256)),
            b"mat khau",
            "expected a private key and its certificate",
        ),
        (
            key_file(DSA_KEY, certificate_for(DSA_KEY)),
            b"mat khau",
            "expected an RSA, P-256, P-384 or Ed25519 key",
        ),
        (
            key_file(P_521, certificate_for(P_521)),
            b"mat khau",
            "curve secp521r1; expected P-256 or P-384",
        ),
        (b"\x30\x03abc", b"mat khau", "no PKCS #12 file"),
        (b"", None, "no PKCS #12 file"),
        (b"x" * (1024 * 1024 + 1), None, "too large for a key"),
    ],
    ids=["wrong", "missing", "no certificate", "no key", "DSA", "P-521", "DER", "empty", "huge"],
)
def test_another_pkcs_12_file_is_refused(raw: bytes, passphrase: bytes | None, reason: str) -> None:
    with pytest.raises(KeyUnusableError, match=reason):
        load_key_file(raw, passphrase=passphrase)


# --- keys that a device holds ----------------------------------------------------------------


class Device:
    """A key that gives signatures only."""

    def __init__(self, key: object) -> None:
        self._key = key

    def public_key(self) -> object:
        return self._key.public_key()  # type: ignore[attr-defined]

    def sign(self, algorithm: str, data: bytes) -> bytes:
        return sign_bytes(self._key, algorithm, data)


def test_a_key_in_a_device_signs_like_one_in_memory() -> None:
    signer = make_signer(Device(P_256), load_certificate(certificate_for(P_256)))

    value = signer.sign(signer.algorithm, b"data")

    verify_bytes(P_256.public_key(), signer.algorithm, value, b"data")
    assert signer.waits
    assert not load_signer(pem(P_256), certificate_for(P_256)).waits


def test_a_device_with_a_key_that_signatures_do_not_use_is_refused() -> None:
    with pytest.raises(KeyUnusableError, match="secp521r1"):
        make_signer(Device(P_521), load_certificate(certificate_for(P_256)))


def test_one_signer_is_its_own_succession() -> None:
    signer = load_signer(pem(P_256), certificate_for(P_256))

    assert signer.at(datetime(2026, 6, 1, tzinfo=UTC)) is signer


def test_the_public_half_alone_tells_a_kind_that_is_not_used() -> None:
    for key in (x25519.X25519PrivateKey.generate(), dsa.generate_private_key(key_size=2048)):
        with pytest.raises(KeyUnusableError, match="expected an RSA, P-256, P-384 or Ed25519 key"):
            keys.check_public_key(key.public_key())
