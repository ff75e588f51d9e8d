"""Keys are read from files that nobody else may read, and every refusal names its file."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    pkcs12,
)

from bus.core.errors import ConfigurationError
from bus.sandbox.authority import Authority, Holder
from bus.settings.signer import Pkcs12File, SignerFiles
from bus.trust import key_store
from bus.trust.key_store import (
    read_certificates,
    read_ed25519_key,
    read_secret,
    read_signer,
    read_succession,
    read_symmetric_key,
)
from signing.pki.keys import load_certificate

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ISSUED = Authority.create("Test Root", NOW).issue(
    Holder("Nghệ An", "VN/GOV/H41", "VN/GOV/H41/motcua"), NOW
)
ED25519_PEM = Ed25519PrivateKey.generate().private_bytes(
    Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
)


def written(path: Path, content: bytes, *, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def refusal(path: Path, read: object) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read(path)  # type: ignore[operator]
    (problem,) = caught.value.problems
    assert problem.file == str(path)
    return problem.message


def test_a_signer_is_read_from_its_two_files(tmp_path: Path) -> None:
    key = written(tmp_path / "a.key", ISSUED.key_pem)
    certificate = written(tmp_path / "a.crt", ISSUED.certificate_pem, mode=0o644)

    signer = read_signer(SignerFiles(key, certificate))

    assert signer.certificate.public_bytes(Encoding.PEM) == ISSUED.certificate_pem


def test_an_encrypted_key_is_opened_by_its_passphrase_file(tmp_path: Path) -> None:
    key = load_pem_private_key(ISSUED.key_pem, None)
    encrypted = key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption("mật khẩu".encode())
    )
    files = SignerFiles(
        written(tmp_path / "a.key", encrypted),
        written(tmp_path / "a.crt", ISSUED.certificate_pem),
        written(tmp_path / "a.secret", "mật khẩu\n".encode()),
    )

    assert read_signer(files).certificate_der


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_private_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    key = written(tmp_path / "log.key", ED25519_PEM, mode=mode)

    assert refusal(key, read_ed25519_key) == (
        f"others than its owner may use it (mode {mode:04o}); set mode 0600"
    )


def test_the_file_at_fault_is_named(tmp_path: Path) -> None:
    key = written(tmp_path / "a.key", ISSUED.key_pem)
    other = written(tmp_path / "b.key", ED25519_PEM)
    certificate = written(tmp_path / "a.crt", ISSUED.certificate_pem)

    def with_key(path: Path) -> object:
        return read_signer(SignerFiles(path, certificate))

    def with_certificate(path: Path) -> object:
        return read_signer(SignerFiles(key, path))

    assert refusal(certificate, lambda _: with_key(other)).endswith("issued for another key")
    text = written(tmp_path / "text", b"abc")
    assert refusal(text, with_key) == "no private key in PEM"
    assert refusal(text, with_certificate) == "no certificate in PEM or DER"
    assert refusal(tmp_path / "none", with_key) == "cannot be read: No such file or directory"


def test_the_log_is_signed_with_ed25519_and_nothing_else(tmp_path: Path) -> None:
    assert refusal(written(tmp_path / "a.key", ISSUED.key_pem), read_ed25519_key) == (
        "expected an Ed25519 key"
    )
    assert read_ed25519_key(written(tmp_path / "b.key", ED25519_PEM)).public_key()


def test_a_symmetric_key_is_32_bytes_in_base64(tmp_path: Path) -> None:
    good = written(tmp_path / "good", base64.b64encode(bytes(32)) + b"\n")
    short = written(tmp_path / "short", base64.b64encode(bytes(16)))
    bare = written(tmp_path / "bare", b"\xff" * 32)

    assert read_symmetric_key(good) == bytes(32)
    assert refusal(short, read_symmetric_key) == "a key of 16 bytes; expected 32"
    assert refusal(bare, read_symmetric_key) == "expected a key in base64"


def test_a_secret_is_the_first_line(tmp_path: Path) -> None:
    assert read_secret(written(tmp_path / "a", b"bi mat\nghi chu\n")) == "bi mat"
    assert refusal(written(tmp_path / "b", b"\n"), read_secret).startswith("expected a secret")
    assert refusal(written(tmp_path / "c", b"\xff"), read_secret) == "expected UTF-8"


def test_every_certificate_file_at_fault_is_named_at_once(tmp_path: Path) -> None:
    good = written(tmp_path / "good.crt", ISSUED.certificate_pem * 2, mode=0o644)
    bad = written(tmp_path / "bad.crt", b"x")

    with pytest.raises(ConfigurationError) as caught:
        read_certificates([bad, good, tmp_path / "none.crt"])

    assert [problem.file for problem in caught.value.problems] == [
        str(bad),
        str(tmp_path / "none.crt"),
    ]
    assert len(read_certificates([good])) == 2


def test_a_huge_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_store, "KEY_FILE_BYTES_MAX", 10)

    assert refusal(written(tmp_path / "a", b"x" * 11), read_secret) == "larger than 10 bytes"


# --- PKCS #12 ---------------------------------------------------------------------------------


def pkcs12_file(path: Path, passphrase: bytes, *, chain: tuple[x509.Certificate, ...] = ()) -> Path:
    key = load_pem_private_key(ISSUED.key_pem, None)
    raw = pkcs12.serialize_key_and_certificates(
        b"hub",
        key,  # type: ignore[arg-type]
        load_certificate(ISSUED.certificate_pem),
        chain,
        BestAvailableEncryption(passphrase),
    )
    return written(path, raw)


def test_a_signer_is_read_from_a_pkcs_12_file(tmp_path: Path) -> None:
    above = Authority.create("Above", NOW).certificate
    file = Pkcs12File(
        pkcs12_file(tmp_path / "a.p12", b"mat khau", chain=(above,)),
        written(tmp_path / "a.secret", b"mat khau\n"),
    )

    signer = read_signer(file)

    assert signer.certificate.public_bytes(Encoding.PEM) == ISSUED.certificate_pem
    assert signer.chain == (above,)


def test_a_pkcs_12_file_at_fault_is_named(tmp_path: Path) -> None:
    path = pkcs12_file(tmp_path / "a.p12", b"mat khau")
    wrong = written(tmp_path / "wrong", b"khac\n")

    assert refusal(path, lambda _: read_signer(Pkcs12File(path, wrong))) == (
        "no PKCS #12 file, or the passphrase is wrong"
    )
    assert refusal(path, lambda _: read_signer(Pkcs12File(path))) == (
        "no PKCS #12 file, or a passphrase is needed"
    )
    path.chmod(0o644)
    assert refusal(path, lambda _: read_signer(Pkcs12File(path, wrong))).startswith(
        "others than its owner may use it"
    )


def test_every_key_of_a_succession_that_is_at_fault_is_named(tmp_path: Path) -> None:
    after = SignerFiles(tmp_path / "b.key", tmp_path / "b.crt")
    first = SignerFiles(tmp_path / "a.key", tmp_path / "a.crt", next=after)

    with pytest.raises(ConfigurationError) as caught:
        read_succession(first)

    assert [problem.file for problem in caught.value.problems] == [
        str(tmp_path / "a.key"),
        str(tmp_path / "b.key"),
    ]


# --- another file in the place -----------------------------------------------------------------

PUBLIC_PEM = (
    load_certificate(ISSUED.certificate_pem)
    .public_key()
    .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
)
CERTIFICATE_DER = load_certificate(ISSUED.certificate_pem).public_bytes(Encoding.DER)
REQUEST_PEM = (
    x509.CertificateSigningRequestBuilder()
    .subject_name(x509.Name([]))
    .sign(load_pem_private_key(ISSUED.key_pem, None), SHA256())  # type: ignore[arg-type]
    .public_bytes(Encoding.PEM)
)
BASE64_KEY = base64.b64encode(bytes(range(32))) + b"\n"
PKCS12_RAW = pkcs12.serialize_key_and_certificates(
    b"hub",
    load_pem_private_key(ISSUED.key_pem, None),  # type: ignore[arg-type]
    load_certificate(ISSUED.certificate_pem),
    None,
    BestAvailableEncryption(b"x"),
)
OTHERS_FOR_A_KEY = {
    "a certificate": ISSUED.certificate_pem,
    "a certificate request": REQUEST_PEM,
    "a public key": PUBLIC_PEM,
    "a PKCS #12 file": PKCS12_RAW,
    "a key of 32 bytes in base64": BASE64_KEY,
    "a key of OpenSSH": load_pem_private_key(ED25519_PEM, None).private_bytes(
        Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()
    ),
    "a verifier key": b"lienthong.example/vn+1a2b3c4d+" + base64.b64encode(bytes(33)) + b"\n",
}


@pytest.mark.parametrize("mode", [0o600, 0o644])
@pytest.mark.parametrize("kind", [*OTHERS_FOR_A_KEY, "a certificate in DER"])
def test_what_stands_in_the_place_of_a_private_key_is_named_whatever_its_mode(
    tmp_path: Path, kind: str, mode: int
) -> None:
    raw = OTHERS_FOR_A_KEY.get(kind, CERTIFICATE_DER)
    path = written(tmp_path / "a.key", raw, mode=mode)
    certificate = written(tmp_path / "a.crt", ISSUED.certificate_pem)
    told = f"expected a private key in PEM; this is {kind.removesuffix(' in DER')}"

    assert refusal(path, lambda _: read_signer(SignerFiles(path, certificate))) == told
    assert refusal(path, read_ed25519_key) == told


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (ISSUED.key_pem, "a private key"),
        (ED25519_PEM, "a private key"),
        (REQUEST_PEM, "a certificate request"),
        (PUBLIC_PEM, "a public key"),
        (PKCS12_RAW, "a PKCS #12 file"),
    ],
)
def test_what_stands_in_the_place_of_a_certificate_is_named(
    tmp_path: Path, raw: bytes, kind: str
) -> None:
    key = written(tmp_path / "a.key", ISSUED.key_pem)
    path = written(tmp_path / "a.crt", raw)
    told = f"expected a certificate; this is {kind}"

    assert refusal(path, lambda _: read_signer(SignerFiles(key, path))) == told
    assert refusal(path, lambda _: read_certificates([path])) == told


@pytest.mark.parametrize("raw", [ISSUED.certificate_pem, ED25519_PEM, PUBLIC_PEM])
def test_what_stands_in_the_place_of_a_secret_is_named(tmp_path: Path, raw: bytes) -> None:
    path = written(tmp_path / "a", raw, mode=0o644)

    assert refusal(path, read_secret).startswith("expected a secret; this is a ")
    assert refusal(path, read_symmetric_key).startswith("expected a key in base64; this is a ")


def test_a_key_and_its_certificate_may_stand_in_one_file_and_a_secret_may_be_43_letters(
    tmp_path: Path,
) -> None:
    both = written(tmp_path / "both.pem", ISSUED.certificate_pem + ISSUED.key_pem)

    assert read_signer(SignerFiles(both, both)).certificate_der
    assert read_secret(written(tmp_path / "secret", BASE64_KEY)) == BASE64_KEY.decode().strip()
