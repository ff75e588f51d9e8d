"""Keys in a PKCS #11 token sign; a lost session is opened again, and a PIN is tried once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from bus.core.errors import ConfigurationError
from bus.sandbox.authority import Authority
from bus.settings.signer import TokenKeyPlace
from bus.trust import token_keys
from bus.trust.key_store import read_signer
from bus.trust.token_keys import Pkcs11Token, TokenKey, close_tokens
from signing import policy as uri
from signing.algorithms import verify_bytes
from signing.errors import KeyUnavailableError, KeyUnusableError
from signing.pki.keys import Signer
from tests.certificates import Issuer, make_certificate
from tests.hang_limits import HANG_SECONDS_MAX
from tests.trust.soft_token import PIN, SoftToken, soft_tokens

NOW = datetime(2026, 6, 1, tzinfo=UTC)
KEYS: dict[str, Any] = {
    "rsa": rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "p256": ec.generate_private_key(ec.SECP256R1()),
    "p384": ec.generate_private_key(ec.SECP384R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
}
ALGORITHMS = [
    ("rsa", uri.RSA_SHA256),
    ("rsa", uri.RSA_SHA384),
    ("rsa", uri.RSA_SHA512),
    ("rsa", uri.RSA_PSS_SHA256),
    ("rsa", uri.RSA_PSS_SHA384),
    ("rsa", uri.RSA_PSS_SHA512),
    ("p256", uri.ECDSA_SHA256),
    ("p256", uri.ECDSA_SHA384),
    ("p256", uri.ECDSA_SHA512),
    ("p384", uri.ECDSA_SHA384),
    ("ed25519", uri.ED25519),
]
DATA = "Dữ liệu dân cư".encode()


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftToken]:
    """One token with a key of each kind: a process has one driver, and it lives as long."""
    for token in soft_tokens(tmp_path_factory.mktemp("token")):
        issuer = Issuer(
            ec.generate_private_key(ec.SECP256R1()), Authority.create("Root", NOW).certificate
        )
        for place, (name, key) in enumerate(KEYS.items()):
            token.hold(key, label=name, key_id=f"a{place}")
            certificate = make_certificate(issuer, key.public_key(), NOW)
            path = token.folder / f"{name}.crt"
            path.write_bytes(certificate.public_bytes(Encoding.PEM))
        yield token


@pytest.fixture(autouse=True)
def _no_hold_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_keys, "HOLD_OFF_SECONDS", 0.0)


def place_of(token: SoftToken, name: str, *, label: str | None = None) -> TokenKeyPlace:
    certificate = token.folder / f"{name}.crt"
    label = name if label is None else label
    return TokenKeyPlace(token.driver, token.label, label, b"", token.pin_file, certificate)


def signer_of(token: SoftToken, name: str) -> Signer:
    return read_signer(place_of(token, name))


def must_sign(signer: Signer, key: Any) -> None:
    value = signer.sign(signer.algorithm, DATA)
    verify_bytes(key.public_key(), signer.algorithm, value, DATA)


@pytest.mark.parametrize(("name", "algorithm"), ALGORITHMS)
def test_a_token_signs_with_every_algorithm(token: SoftToken, name: str, algorithm: str) -> None:
    value = signer_of(token, name).sign(algorithm, DATA)

    verify_bytes(KEYS[name].public_key(), algorithm, value, DATA)


def test_a_key_is_found_by_its_id_alone(token: SoftToken) -> None:
    signer = read_signer(replace(place_of(token, "p256", label=""), id=b"\xa1"))

    must_sign(signer, KEYS["p256"])


def test_a_key_does_not_sign_with_the_algorithm_of_another_kind(token: SoftToken) -> None:
    signer = signer_of(token, "p256")

    with pytest.raises(KeyUnusableError, match="a key of this kind does not sign with"):
        signer.sign(uri.RSA_SHA256, DATA)
    must_sign(signer, KEYS["p256"])


def test_a_lost_session_is_opened_again(token: SoftToken) -> None:
    signer = signer_of(token, "p256")
    must_sign(signer, KEYS["p256"])

    token.lose_sessions()

    must_sign(signer, KEYS["p256"])


def test_a_token_that_is_away_is_told_and_signs_when_it_is_back(token: SoftToken) -> None:
    signer = signer_of(token, "p256")
    token.lose_sessions()
    token.unplug()
    try:
        with pytest.raises(KeyUnavailableError, match="there is no token of this label"):
            signer.sign(signer.algorithm, DATA)
        with pytest.raises(KeyUnavailableError, match="cannot be used"):
            signer.sign(signer.algorithm, DATA)
    finally:
        token.plug_in()

    must_sign(signer, KEYS["p256"])


def test_a_token_that_failed_is_left_alone_for_a_while(
    token: SoftToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_keys, "HOLD_OFF_SECONDS", 2.0)
    seconds = [1000.0]
    place = place_of(token, "p256")
    opened = Pkcs11Token(place, lambda file: file.read_text().strip(), monotonic=lambda: seconds[0])
    key = TokenKey(opened, place.label, place.id, KEYS["p256"].public_key())

    def must_sign() -> None:
        value = key.sign(uri.ECDSA_SHA256, DATA)
        verify_bytes(key.public_key(), uri.ECDSA_SHA256, value, DATA)

    must_sign()
    token.lose_sessions()
    token.unplug()
    try:
        with pytest.raises(KeyUnavailableError, match="there is no token"):
            key.sign(uri.ECDSA_SHA256, DATA)
    finally:
        token.plug_in()

    for now in (1000.0, 1001.9):
        seconds[0] = now
        with pytest.raises(KeyUnavailableError, match="is left alone: it failed a moment ago"):
            key.sign(uri.ECDSA_SHA256, DATA)
    seconds[0] = 1002.0
    must_sign()


def test_keys_of_one_token_sign_side_by_side(token: SoftToken) -> None:
    signers = {name: signer_of(token, name) for name in KEYS}
    failures: list[BaseException] = []

    def sign_often(name: str) -> None:
        try:
            for _ in range(20):
                must_sign(signers[name], KEYS[name])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=sign_often, args=(name,)) for name in signers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG_SECONDS_MAX)

    assert failures == []


# --- what is refused at the start ---------------------------------------------------------------


def refusal(place: TokenKeyPlace) -> tuple[str, str]:
    with pytest.raises(ConfigurationError) as caught:
        read_signer(place)
    (problem,) = caught.value.problems
    return problem.file, problem.message


def test_what_cannot_be_found_is_named(token: SoftToken, tmp_path: Path) -> None:
    place = place_of(token, "p256")
    driver = str(token.driver)

    assert refusal(replace(place, label="khong-co")) == (
        driver,
        f"the token '{token.label}' cannot be used: it has no such private key",
    )
    assert refusal(replace(place, token="khong-co")) == (
        driver,
        "the token 'khong-co' cannot be used: there is no token of this label",
    )
    assert refusal(replace(place, module=tmp_path / "no.so"))[1].startswith(
        "cannot be used as a PKCS #11 driver"
    )
    assert refusal(replace(place, certificate=tmp_path / "no.crt"))[1] == (
        "cannot be read: No such file or directory"
    )


def test_a_certificate_for_another_key_is_refused(token: SoftToken) -> None:
    place = replace(place_of(token, "p256", label=""), id=b"\xa0")  # the RSA key
    other = token.folder / "p384.crt"

    assert refusal(replace(place_of(token, "rsa"), certificate=other))[0] == str(other)
    assert refusal(place)[0] == str(place.certificate)


def test_a_pin_that_others_may_read_is_refused(token: SoftToken, tmp_path: Path) -> None:
    pin_file = tmp_path / "pin"
    pin_file.write_text(PIN)
    pin_file.chmod(0o644)
    unopened = fresh(token, pin_file)

    assert refusal(unopened)[0] == str(pin_file)


def test_a_wrong_pin_is_tried_once_and_never_again(token: SoftToken, tmp_path: Path) -> None:
    pin_file = tmp_path / "pin"
    pin_file.write_text("sai-roi-1234\n")
    pin_file.chmod(0o600)
    place = fresh(token, pin_file)

    assert "its PIN is refused" in refusal(place)[1]
    pin_file.write_text(PIN + "\n")  # no use before a restart: the token might lock itself

    assert "is left alone: its PIN is refused" in refusal(place)[1]
    close_tokens()


def test_whoever_was_logged_out_logs_in_again(token: SoftToken, tmp_path: Path) -> None:
    signer = signer_of(token, "p256")
    must_sign(signer, KEYS["p256"])
    pin_file = tmp_path / "pin"
    pin_file.write_text("sai-roi-1234\n")
    pin_file.chmod(0o600)

    close_tokens()

    # A login that still stood would be taken for ours, and no PIN be asked for.
    assert "its PIN is refused" in refusal(replace(place_of(token, "p256"), pin_file=pin_file))[1]
    must_sign(signer, KEYS["p256"])
    close_tokens()


def fresh(token: SoftToken, pin_file: Path) -> TokenKeyPlace:
    """The same token, as a process meets it that has not logged in yet."""
    close_tokens()
    return replace(place_of(token, "p256"), pin_file=pin_file)


def test_the_package_that_is_missing_is_named(
    token: SoftToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pkcs11", None)
    place = replace(place_of(token, "p256"), token="another")

    assert refusal(place)[1] == "PKCS #11 needs the extra: pip install 'lienthong[pkcs11]'"
