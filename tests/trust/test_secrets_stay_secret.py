"""No key, passphrase or PIN in any error, traceback, repr, event, status or metric."""

from __future__ import annotations

import base64
import contextlib
import io
import traceback
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bus.core.errors import BusError, ConfigurationError
from bus.sandbox.authority import Authority, Holder
from bus.settings.signer import Pkcs12File, SignerFiles, SignerSource, TokenKeyPlace
from bus.trust import token_keys
from bus.trust.key_store import (
    read_ed25519_key,
    read_secret,
    read_signer,
    read_succession,
    read_symmetric_key,
)
from signing.errors import KeyUnusableError, SignatureError
from signing.pki.keys import load_certificate
from tests.trust.soft_token import PIN, SoftToken, soft_tokens

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ROOT = Authority.create("Root", NOW)
ISSUED = ROOT.issue(Holder("Nghệ An", "VN/GOV/H41", "VN/GOV/H41/motcua"), NOW)
KEY: Any = load_pem_private_key(ISSUED.key_pem, None)
PASSPHRASE = "mat-khau-rat-bi-mat-0815"
WRONG = "khong-phai-mat-khau-4812"
SYMMETRIC = base64.b64encode(bytes(range(40))).decode()

PEM = ISSUED.key_pem
ENCRYPTED = KEY.private_bytes(
    Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(PASSPHRASE.encode())
)
PKCS12 = pkcs12.serialize_key_and_certificates(
    b"hub",
    KEY,
    load_certificate(ISSUED.certificate_pem),
    None,
    BestAvailableEncryption(PASSPHRASE.encode()),
)


def _secrets() -> list[str]:
    value = KEY.private_numbers().private_value
    raw = KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    lines = [line for line in PEM.decode().splitlines() if not line.startswith("-----")]
    hexadecimal = f"{value:064x}"
    return [
        PASSPHRASE,
        WRONG,
        PIN,
        str(value),
        hexadecimal,
        hexadecimal.upper(),
        raw.hex()[70:110],
        SYMMETRIC[:20],
        *(line[:24] for line in lines),
    ]


SECRETS = _secrets()


def must_show_nothing(shown: str) -> None:
    for secret in SECRETS:
        assert secret not in shown


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Whatever is raised or told inside is searched for secrets."""
    events = io.StringIO()
    before = structlog.get_config()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(events))
    try:
        yield
    except (ConfigurationError, SignatureError, BusError) as error:
        whole = traceback.TracebackException.from_exception(error, capture_locals=False)
        must_show_nothing("".join(whole.format()))
        must_show_nothing(f"{error!r} {error} {vars(error)!r}")
    finally:
        structlog.configure(**before)
    must_show_nothing(events.getvalue())


@pytest.mark.parametrize("secret", SECRETS, ids=[f"secret-{n}" for n in range(len(SECRETS))])
def test_the_search_finds_a_secret_in_an_error_and_in_an_event(secret: str) -> None:
    def fail() -> None:
        with watched():
            raise KeyUnusableError(f"the key {secret} cannot be read")

    def tell() -> None:
        with watched():
            structlog.get_logger().info("key.read", key=secret)

    for mistake in (fail, tell):
        with pytest.raises(AssertionError):
            mistake()


def written(path: Path, content: bytes | str, *, mode: int = 0o600) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(mode)
    return path


def sources(folder: Path, key: bytes, passphrase: str | None) -> list[SignerSource]:
    """Every way to name these bytes as a key."""
    file = written(folder / "key", key)
    certificate = written(folder / "crt", ISSUED.certificate_pem)
    opened_by = None if passphrase is None else written(folder / "pass", f"{passphrase}\n")
    return [SignerFiles(file, certificate, opened_by), Pkcs12File(file, opened_by)]


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE, WRONG])
@pytest.mark.parametrize("key", [PEM, ENCRYPTED, PKCS12], ids=["pem", "encrypted", "pkcs12"])
def test_no_way_to_read_a_key_shows_it(tmp_path: Path, key: bytes, passphrase: str | None) -> None:
    for source in sources(tmp_path, key, passphrase):
        with watched():
            read = read_succession(source)
            must_show_nothing(repr(read_signer(source)) + repr(read.at(NOW)) + str(read))
        must_show_nothing(repr(source))


damage = st.tuples(st.integers(0, 2000), st.integers(0, 255))


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    key=st.sampled_from([PEM, ENCRYPTED, PKCS12]),
    damages=st.lists(damage, max_size=3),
    end=st.integers(0, 2000),
    passphrase=st.sampled_from([None, PASSPHRASE, WRONG]),
)
def test_no_damage_makes_a_key_show_itself(
    tmp_path: Path, key: bytes, damages: list[tuple[int, int]], end: int, passphrase: str | None
) -> None:
    damaged = bytearray(key)
    for place, byte in damages:
        damaged[place % len(damaged)] = byte
    cut = bytes(damaged[: max(end, 1)])

    for source in sources(tmp_path, cut, passphrase):
        with watched():
            must_show_nothing(repr(read_signer(source)))


def test_other_secrets_of_a_hub_show_nothing_either(tmp_path: Path) -> None:
    for content in (PEM, SYMMETRIC, f"{PASSPHRASE}\n", b"\xff" + PASSPHRASE.encode(), b"\n"):
        path = written(tmp_path / "secret", content)
        for read in (read_ed25519_key, read_symmetric_key):
            with watched():
                read(path)
    open_to_all = written(tmp_path / "open", PASSPHRASE, mode=0o644)
    with watched():
        read_secret(open_to_all)


def test_a_key_for_another_certificate_shows_nothing(tmp_path: Path) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    stranger = Authority(other, ROOT.certificate)
    issued = stranger.issue(Holder("x", "VN/GOV/G01", "VN/GOV/G01/a"), NOW)
    key = written(tmp_path / "key", PEM)
    certificate = written(tmp_path / "crt", issued.certificate_pem)

    with watched():
        read_signer(SignerFiles(key, certificate))


# --- tokens --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftToken]:
    for token in soft_tokens(tmp_path_factory.mktemp("token")):
        token.hold(KEY, label="hub", key_id="01")
        yield token


def test_no_trouble_with_a_token_shows_its_pin(
    token: SoftToken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_keys, "HOLD_OFF_SECONDS", 0.0)
    certificate = written(tmp_path / "crt", ISSUED.certificate_pem)
    place = TokenKeyPlace(token.driver, token.label, "hub", b"", token.pin_file, certificate)
    wrong_pin = written(tmp_path / "pin", f"{WRONG}\n")
    empty_pin = written(tmp_path / "empty", "\n")
    for trouble in (
        replace(place, pin_file=wrong_pin),
        replace(place, pin_file=empty_pin),
        replace(place, pin_file=tmp_path / "none"),
        replace(place, label="none"),
        replace(place, token="none"),
        replace(place, module=tmp_path / "none.so"),
        place,
    ):
        token_keys.close_tokens()
        with watched():
            signer = read_signer(trouble)
            must_show_nothing(repr(signer) + repr(signer.private_key) + repr(vars_of(signer)))
            token.lose_sessions()
            token.unplug()
            try:
                with watched():
                    signer.sign(signer.algorithm, b"data")
            finally:
                token.plug_in()
        must_show_nothing(repr(trouble))


def vars_of(signer: Any) -> dict[str, Any]:
    """Everything that the token's object holds: a debugger's view."""
    held: dict[str, Any] = vars(signer.private_key.token)
    return held
