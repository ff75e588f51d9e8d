"""A folder of adapters is read as far as it is used; secrets come from files of their own."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bus.core.errors import ConfigurationError
from bus.delivery.adapter_folder import (
    adapter_names,
    open_adapter,
    read_adapter_folder,
    read_adapter_settings,
)
from bus.kit.manifest import Manifest
from bus.sandbox.authority import Authority

MANIFEST = """\
id: {id}
name: Cơ quan thử nghiệm
class: adapters.{id}.adapter:Echo
services:
  - {{code: hoi, version: v1, sample: hoi.xml}}
settings:
  url: {{required: true, secret: false, description: Address of the agency}}
  secret: {{required: true, secret: true, description: Secret of the account}}
  authority_file: {{required: false, secret: false, description: CAs of the address}}
"""
ADAPTER = """\
from bus.kit.contract import Adapter, Answer, Query


class Echo(Adapter):
    def answer(self, query: Query) -> Answer:
        return Answer(query.element())
"""


def add_adapter(parent: Path, name: str, *, manifest: str = MANIFEST) -> None:
    folder = parent / name
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "hoi.xml").write_text("<hoi/>")
    (folder / "adapter.py").write_text(ADAPTER)
    (folder / "manifest.yaml").write_text(manifest.format(id=name))


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    (tmp_path / "agencies").mkdir()
    add_adapter(tmp_path / "agencies", "folder_agency")
    (tmp_path / "a.secret").write_text("bi mat\n")
    (tmp_path / "a.secret").chmod(0o600)
    return read_adapter_folder(tmp_path / "agencies", {"folder_agency"})["folder_agency"]


def problems_of(manifest: Manifest, given: dict[str, str], settings_file: Path) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        read_adapter_settings(manifest, given, settings_file=settings_file)
    return [f"{problem.path}: {problem.message}" for problem in caught.value.problems]


def test_every_folder_with_a_manifest_is_an_adapter(tmp_path: Path) -> None:
    add_adapter(tmp_path, "first_agency")
    add_adapter(tmp_path, "second_agency")
    (tmp_path / "notes").mkdir()

    assert adapter_names(tmp_path) == ["first_agency", "second_agency"]
    assert list(read_adapter_folder(tmp_path, {"second_agency", "none"})) == ["second_agency"]


def test_mistakes_of_all_manifests_are_told_at_once(tmp_path: Path) -> None:
    add_adapter(tmp_path, "first_agency", manifest=MANIFEST.replace("id: {id}", "id: x"))
    add_adapter(tmp_path, "second_agency", manifest=MANIFEST.replace("name:", "nam:"))

    with pytest.raises(ConfigurationError) as caught:
        read_adapter_folder(tmp_path, adapter_names(tmp_path))

    assert [problem.path for problem in caught.value.problems] == ["id", "name", "nam"]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="none: expected a folder of adapters"):
        read_adapter_folder(tmp_path / "none", ())


def test_a_secret_comes_from_the_file_that_hub_yaml_names(
    tmp_path: Path, manifest: Manifest
) -> None:
    given = {"url": "http://127.0.0.1:1", "secret_file": "a.secret", "authority_file": "ca.crt"}

    adapter = open_adapter(manifest, given, settings_file=tmp_path / "hub.yaml")

    assert adapter.settings == {
        "url": "http://127.0.0.1:1",
        "secret": "bi mat",
        "authority_file": str(tmp_path / "ca.crt"),
    }


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"url": "x"}, "agencies.folder_agency.secret: the adapter needs this setting"),
        (
            {"url": "x", "secret": "x", "secret_file": "a.secret"},
            "agencies.folder_agency.secret_file: expected secret or secret_file, not both",
        ),
        (
            {"url": "x", "secret": "x", "url_file": "a.secret"},
            "agencies.folder_agency.url_file: the adapter does not know this setting.",
        ),
        ({"url": "x", "secret_file": "none"}, ": cannot be read: No such file or directory"),
    ],
)
def test_each_mistake_in_the_settings_is_told(
    tmp_path: Path, manifest: Manifest, given: dict[str, str], problem: str
) -> None:
    (told,) = problems_of(manifest, given, tmp_path / "hub.yaml")

    assert told.startswith(problem)


def test_a_secret_that_others_may_read_is_refused(tmp_path: Path, manifest: Manifest) -> None:
    (tmp_path / "a.secret").chmod(0o644)

    (told,) = problems_of(manifest, {"url": "x", "secret_file": "a.secret"}, tmp_path / "hub.yaml")

    assert "others than its owner may use it (mode 0644)" in told


# --- what an adapter cannot use -------------------------------------------------------------

PICKY = """\
from bus.http.client import AgencyHttp, agency_address
from bus.kit.contract import Adapter, Answer, Query


class Echo(Adapter):
    def __init__(self, settings):
        super().__init__(settings)
        agency_address(settings["url"].rstrip("/") + "/services")
        AgencyHttp(authority_file=settings.get("authority_file", ""))
        if settings["secret"] == "all":
            raise ValueError("one of both")
        if settings["secret"] == "broken":
            settings["no such setting"]

    def answer(self, query: Query) -> Answer:
        return Answer(query.element())
"""
_NUMBERS = itertools.count()
HUB_YAML = """\
agencies:
  {name}:
    secret: {secret}
    url: {url}
    authority_file: {authority_file}
"""


def refused(tmp_path: Path, **given: str) -> str:
    """What is told of a hub.yaml, with `…/` in the place of its folder."""
    settings = {"secret": "x", "url": "http://agency.example", "authority_file": "ca.crt"} | given
    name = f"picky_agency_{next(_NUMBERS)}"  # a module that was imported stays imported
    add_adapter(tmp_path, name)
    (tmp_path / name / "adapter.py").write_text(PICKY)
    authority = Authority.create("Test Root", datetime(2026, 6, 1, tzinfo=UTC))
    (tmp_path / "ca.crt").write_bytes(authority.certificate_pem())
    (tmp_path / "text").write_text("no certificate")
    (tmp_path / "hub.yaml").write_text(HUB_YAML.format(name=name, **settings))
    manifest = read_adapter_folder(tmp_path, {name})[name]
    with pytest.raises(ConfigurationError) as caught:
        open_adapter(manifest, settings, settings_file=tmp_path / "hub.yaml")
    (problem,) = caught.value.problems
    return str(problem).removeprefix(f"{tmp_path}/").replace(name, "picky_agency")


@pytest.mark.parametrize(
    "url",
    ["agency.example", "ftp://agency.example", "https:///x", "http://[::1", "http://a:99999999/"],
)
def test_an_address_that_is_none_is_blamed_on_its_line_of_hub_yaml(
    tmp_path: Path, url: str
) -> None:
    expected = "expected an address as https://host/path"

    assert refused(tmp_path, url=url) == (f"hub.yaml:4: agencies.picky_agency.url: {expected}")


@pytest.mark.parametrize(
    ("file", "reason"),
    [("none", "there is no such file"), ("text", "expected a file of CA certificates in PEM")],
)
def test_a_file_that_cannot_be_used_is_blamed_on_its_line_of_hub_yaml(
    tmp_path: Path, file: str, reason: str
) -> None:
    assert refused(tmp_path, authority_file=file) == (
        f"hub.yaml:5: agencies.picky_agency.authority_file: {reason}"
    )


def test_settings_that_are_wrong_together_are_blamed_on_the_section(tmp_path: Path) -> None:
    assert refused(tmp_path, secret="all") == (
        "hub.yaml:2: agencies.picky_agency: the adapter refuses its settings: "
        "ValueError: one of both"
    )


def test_a_mistake_of_the_adapter_is_not_the_operators(tmp_path: Path) -> None:
    assert refused(tmp_path, secret="broken").startswith(
        "picky_agency/manifest.yaml: class: the adapter cannot be made: KeyError"
    )


def test_a_path_starts_at_the_folder_of_hub_yaml_and_must_lead_somewhere(tmp_path: Path) -> None:
    declared = (
        MANIFEST + "  database: {{required: true, secret: false, path: true, description: d}}\n"
    )
    (tmp_path / "agencies").mkdir()
    add_adapter(tmp_path / "agencies", "with_path", manifest=declared)
    manifest = read_adapter_folder(tmp_path / "agencies", {"with_path"})["with_path"]
    hub_yaml = tmp_path / "etc" / "hub.yaml"
    (tmp_path / "etc" / "data").mkdir(parents=True)
    (tmp_path / "etc" / "data" / "people.db").touch()
    given = {rule.key: "x" for rule in manifest.settings.values()}

    for path in ("data/people.db", "data", str(tmp_path / "etc" / "data" / "people.db")):
        read = read_adapter_settings(manifest, {**given, "database": path}, settings_file=hub_yaml)
        assert Path(read["database"]) == tmp_path / "etc" / path
    for path in ("people.db", str(tmp_path / "none.db")):
        assert problems_of(manifest, {**given, "database": path}, hub_yaml) == [
            f"agencies.with_path.database: there is no file or folder {tmp_path / 'etc' / path}"
        ]
