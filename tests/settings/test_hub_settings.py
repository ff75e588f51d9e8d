"""hub.yaml is read whole, or refused with every mistake at once; secrets do not leak."""

from __future__ import annotations

from pathlib import Path

import pytest

from bus.core.errors import ConfigurationError
from bus.core.identifiers import MemberId
from bus.settings.hub import HubSettings, OtherLog, read_hub_settings
from bus.settings.signer import SignerFiles

HUB = """\
listen: {host: 127.0.0.1, port: 8080}
public_url: http://127.0.0.1:8080
routes: routes.yaml
log:
  folder: log
  origin: lienthong.example/vn
  guard: state/last-signed
  signing_key: keys/log.key
  read_key: keys/log-read.key
  pseudonym_key: keys/log-pseudonym.key
trust: {anchors: [trust/ca.crt]}
hub_signer: {key: keys/hub.key, certificate: keys/hub.crt}
signers:
  VN/GOV/G01: {key: keys/g01.key, certificate: keys/g01.crt, passphrase_file: keys/g01.secret}
agencies:
  one_agency: {url: "http://127.0.0.1:9001", username: x, secret: not-for-display}
"""


def settings(folder: Path, text: str = HUB) -> HubSettings:
    (folder / "hub.yaml").write_text(text)
    return read_hub_settings(folder / "hub.yaml")


def problems_of(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        settings(folder, text)
    return [str(problem).removeprefix(f"{folder}/") for problem in caught.value.problems]


def test_every_path_starts_from_the_folder_of_the_file(tmp_path: Path) -> None:
    read = settings(tmp_path)

    assert read.routes == tmp_path / "routes.yaml"
    assert read.log.guard == tmp_path / "state" / "last-signed"
    assert read.trust.anchors == (tmp_path / "trust" / "ca.crt",)
    signer = read.signers[MemberId.parse("VN/GOV/G01")]
    assert isinstance(signer, SignerFiles)
    assert signer.passphrase_file == tmp_path / "keys" / "g01.secret"


def test_schemas_and_adapters_come_with_the_program_unless_told_otherwise(tmp_path: Path) -> None:
    packaged = settings(tmp_path)
    own = settings(tmp_path, HUB + "schemas: xsd\nadapters: /opt/adapters\n")

    assert (packaged.schemas / "__init__.py").is_file()
    assert (packaged.adapters / "__init__.py").is_file()
    assert (own.schemas, own.adapters) == (tmp_path / "xsd", Path("/opt/adapters"))


def test_faults_are_not_precise_unless_told_so(tmp_path: Path) -> None:
    assert settings(tmp_path).show_precise_faults is False
    assert settings(tmp_path, HUB + "show_precise_faults: true\n").show_precise_faults is True


def test_the_settings_show_no_secret(tmp_path: Path) -> None:
    assert "not-for-display" not in repr(settings(tmp_path))


@pytest.mark.parametrize(
    ("right", "wrong", "problem"),
    [
        ("8080}", "80800}", "hub.yaml:1: listen.port: expected a number of at most 65535"),
        ("8080}", "'8080'}", "hub.yaml:1: listen.port: expected a whole number, found text"),
        ("url: http://127", "url: ftp://127", "hub.yaml:2: public_url: expected an address as"),
        ("routes:", "route:", "hub.yaml:3: route: this key is not known. Did you mean 'routes'?"),
        ("  folder: log\n", "", "hub.yaml:4: log.folder: missing; expected: The folder that holds"),
        ("example/vn", "example vn", "hub.yaml:6: log.origin: expected a name as lienthong.examp"),
        ("state/last", "log/last", "hub.yaml:7: log.guard: expected a file outside the log's"),
        ("[trust/ca.crt]", "[]", "hub.yaml:11: trust.anchors: expected at least 1 in the list"),
        ("/hub.crt}", "/hub.crt, pin: 1}", "hub.yaml:12: hub_signer.pin: this key is not known."),
        ("VN/GOV/G01:", "VN/G01:", "hub.yaml:14: signers.VN/G01: 'VN/G01': expected instance/"),
        ("username: x", "username: 1", "hub.yaml:16: agencies.one_agency.username: expected text,"),
    ],
)
def test_each_mistake_is_told_with_path_and_line(
    tmp_path: Path, right: str, wrong: str, problem: str
) -> None:
    assert right in HUB

    told = problems_of(tmp_path, HUB.replace(right, wrong, 1))

    assert any(one.startswith(problem) for one in told), told


OTHERS = """\
store: {postgres: {hosts: [127.0.0.1]}}
"""
OTHER = "{origin: lienthong.example/b, signing_key: keys/b.key, folder: b, guard: state/b}"


def test_logs_of_other_hubs_have_files_of_their_own(tmp_path: Path) -> None:
    text = HUB.replace("trust:", f"  others: [{OTHER}]\ntrust:") + OTHERS
    (other,) = settings(tmp_path, text).log.others
    assert other == OtherLog(
        "lienthong.example/b", tmp_path / "keys/b.key", tmp_path / "b", tmp_path / "state/b"
    )
    assert settings(tmp_path).log.others == ()


@pytest.mark.parametrize(
    ("right", "wrong", "problem"),
    [
        ("example/b", "example/vn", "log.others[0].origin: expected another than any log"),
        ("folder: b", "folder: log", "log.others[0].folder: expected another than any log"),
        ("state/b", "b/guard", "log.others[0].guard: expected a file outside the log's"),
        ("}", "}, " + OTHER, "log.others[1].origin: expected another than any log before it"),
        ("keys/b.key", "''", "log.others[0].signing_key: expected text without blanks"),
    ],
)
def test_each_mistake_about_other_hubs_is_told(
    tmp_path: Path, right: str, wrong: str, problem: str
) -> None:
    others = f"  others: [{OTHER.replace(right, wrong, 1)}]\n"
    told = problems_of(tmp_path, HUB.replace("trust:", f"{others}trust:") + OTHERS)
    assert any(problem in one for one in told), told


def test_other_hubs_share_a_database_or_nothing(tmp_path: Path) -> None:
    told = problems_of(tmp_path, HUB.replace("trust:", f"  others: [{OTHER}]\ntrust:"))
    assert any("log.others: expected `store`" in one for one in told), told


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = HUB.replace("8080}", "0}").replace("state/", "log/").replace("VN/GOV/G01", "G01")

    assert [problem.split(": ")[1] for problem in problems_of(tmp_path, text)] == [
        "listen.port",
        "log.guard",
        "signers.G01",
    ]


def test_a_mistake_near_a_secret_does_not_show_it(tmp_path: Path) -> None:
    text = HUB.replace("secret: not-for-display", "secret: [not-for-display]")

    (told,) = problems_of(tmp_path, text)

    assert told == ("hub.yaml:16: agencies.one_agency.secret: expected text, found a list")


def test_a_file_that_is_not_there_is_told_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"hub\.yaml: cannot be read: No such file"):
        read_hub_settings(tmp_path / "hub.yaml")
