"""A signing key is named in one of three ways, and every mistake with its path and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from bus.core.errors import ConfigurationError
from bus.core.identifiers import MemberId
from bus.settings.hub import HubSettings, read_hub_settings
from bus.settings.listen import ListenAddress
from bus.settings.signer import Pkcs12File, SignerFiles, TokenKeyPlace, in_succession
from tests.settings.test_hub_settings import HUB

PEM = "hub_signer: {key: keys/hub.key, certificate: keys/hub.crt}"
TOKEN = "{module: /lib/h.so, token: hub, key: k1, key_id: 0aFF, pin_file: pin, certificate: h.crt}"


def settings(folder: Path, hub_signer: str) -> HubSettings:
    assert PEM in HUB
    (folder / "hub.yaml").write_text(HUB.replace(PEM, f"hub_signer: {hub_signer}"))
    return read_hub_settings(folder / "hub.yaml")


def problems(folder: Path, hub_signer: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        settings(folder, hub_signer)
    return [str(one).removeprefix(f"{folder}/") for one in caught.value.problems]


def test_a_key_is_named_by_pem_files(tmp_path: Path) -> None:
    read = settings(tmp_path, "{key: a.key, certificate: a.crt, passphrase_file: a.pass}")

    assert read.hub_signer == SignerFiles(
        tmp_path / "a.key", tmp_path / "a.crt", tmp_path / "a.pass"
    )


def test_a_key_is_named_by_a_pkcs_12_file(tmp_path: Path) -> None:
    read = settings(tmp_path, "{pkcs12: a.p12, passphrase_file: a.pass}").hub_signer

    assert read == Pkcs12File(tmp_path / "a.p12", tmp_path / "a.pass")
    assert read.certificate == tmp_path / "a.p12"


def test_a_key_is_named_by_its_place_in_a_token(tmp_path: Path) -> None:
    assert settings(tmp_path, f"{{pkcs11: {TOKEN}}}").hub_signer == TokenKeyPlace(
        module=Path("/lib/h.so"),
        token="hub",
        label="k1",
        id=b"\x0a\xff",
        pin_file=tmp_path / "pin",
        certificate=tmp_path / "h.crt",
    )


def test_a_key_names_the_one_that_follows_in_any_form(tmp_path: Path) -> None:
    read = settings(tmp_path, f"{{key: a.key, certificate: a.crt, next: {{pkcs11: {TOKEN}}}}}")

    first, second = in_succession(read.hub_signer)
    assert isinstance(first, SignerFiles)
    assert isinstance(second, TokenKeyPlace)
    assert list(in_succession(read.signers[MemberId.parse("VN/GOV/G01")]))[1:] == []


@pytest.mark.parametrize(
    ("hub_signer", "problem"),
    [
        ("{}", "hub.yaml:12: hub_signer: expected one of key, pkcs12 and pkcs11"),
        (
            "{key: a, certificate: b, pkcs12: c}",
            "hub.yaml:12: hub_signer: expected one of key, pkcs12 and pkcs11, found key and pkcs12",
        ),
        ("{key: a}", "hub.yaml:12: hub_signer.certificate: missing; expected: The file of its"),
        (
            "{pkcs12: a, certificate: b}",
            "hub.yaml:12: hub_signer.certificate: not beside pkcs12: the certificate is named",
        ),
        (
            f"{{pkcs11: {TOKEN}, passphrase_file: b}}",
            "hub.yaml:12: hub_signer.passphrase_file: not beside pkcs11: a token has a pin_file",
        ),
        (
            f"{{pkcs11: {TOKEN.replace('key: k1, key_id: 0aFF, ', '')}}}",
            "hub.yaml:12: hub_signer.pkcs11: expected key (the key's label) or key_id",
        ),
        (
            f"{{pkcs11: {TOKEN.replace('0aFF', '0aF')}}}",
            "hub.yaml:12: hub_signer.pkcs11.key_id: expected an even number of hexadecimal digits",
        ),
        (
            f"{{pkcs11: {TOKEN.replace('pin_file: pin, ', '')}}}",
            "hub.yaml:12: hub_signer.pkcs11.pin_file: missing; expected: The file whose first",
        ),
        (
            f"{{pkcs11: {TOKEN.replace('pin_file: pin', 'pin: 1234')}}}",
            "hub.yaml:12: hub_signer.pkcs11.pin: this key is not known.",
        ),
        (
            "{key: a, certificate: b, next: {key: c}}",
            "hub.yaml:12: hub_signer.next.certificate: missing; expected: The file of its",
        ),
        (
            "{key: a, certificate: b, next: {pkcs12: c, next: {pkcs12: d}}}",
            "hub.yaml:12: hub_signer.next.next: this key is not known.",
        ),
        ("[a]", "hub.yaml:12: hub_signer: expected keys with values, found a list"),
    ],
)
def test_each_mistake_is_told_with_path_and_line(
    tmp_path: Path, hub_signer: str, problem: str
) -> None:
    told = problems(tmp_path, hub_signer)

    assert any(one.startswith(problem) for one in told), told


def test_a_mistake_in_an_agency_s_key_is_told_like_the_hub_s(tmp_path: Path) -> None:
    (tmp_path / "hub.yaml").write_text(HUB.replace("certificate: keys/g01.crt, ", ""))

    with pytest.raises(ConfigurationError, match=r"signers\.VN/GOV/G01\.certificate: missing"):
        read_hub_settings(tmp_path / "hub.yaml")


# --- time and operations ---------------------------------------------------------------------


def test_without_them_nothing_is_stamped_and_nobody_listens_for_operators(tmp_path: Path) -> None:
    (tmp_path / "hub.yaml").write_text(HUB)
    read = read_hub_settings(tmp_path / "hub.yaml")

    assert (read.timestamps, read.operations) == (None, None)


def test_operations_are_on_this_machine_unless_told_otherwise(tmp_path: Path) -> None:
    (tmp_path / "hub.yaml").write_text(HUB + "operations: {}\n")

    read = read_hub_settings(tmp_path / "hub.yaml")

    assert read.operations == ListenAddress("127.0.0.1", 8081)


def test_a_time_authority_has_bounds_by_default(tmp_path: Path) -> None:
    (tmp_path / "hub.yaml").write_text(
        HUB + "timestamps: {url: http://t.example/tsa, anchors: [t.crt]}\n"
    )

    read = read_hub_settings(tmp_path / "hub.yaml").timestamps

    assert read is not None
    assert (read.url, read.anchors) == ("http://t.example/tsa", (tmp_path / "t.crt",))
    assert (read.interval_seconds, read.timeout_seconds, read.outage_seconds_max) == (60, 10, 14400)
